"""Somebody opens an agent's allow policy: for how long packets pass. They are sent every 5 ms."""

import time
from collections.abc import Callable
from typing import Any

from cluster.shell import wait_for
from harness import agents
from harness.api import Api
from harness.kubectl import Kubectl, Object
from harness.manifests import NAMESPACE
from harness.probing import ELSEWHERE, LLM
from harness.stream import Stream, streaming, streaming_beside

ALLOWED, FORBIDDEN = f"tcp://{LLM}:443", f"tcp://{ELSEWHERE}:443"
WIDER: Object = {"spec": {"egress": [{}]}}
MOMENT = 2.0
"""Seconds; 30 ms is usual."""
AFTER = 2.0
"""Seconds until packets are dropped after a policy is gone; 10 ms are usual."""
MANY = 100


def running(make: Callable[..., Object], api: Api, **spec: Any) -> str:
    """An agent with one allowed address: that its packets pass shows that the stream works."""
    name = str(make(network={"egress": [{"cidr": f"{LLM}/32", "ports": [443]}]}, **spec)["metadata"]["name"])
    agents.wait(api, NAMESPACE, name)
    return name


def allow(name: str) -> str:
    return f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies/ringfence-{name}-allow"


def attempts_since(stream: Stream, since: float = 0.0) -> None:
    wait_for("attempts", lambda: stream.attempts.count(since, address=FORBIDDEN) >= MANY)


def test_one_edit_is_undone_and_opens_the_fence_for_a_moment_at_most(
    make: Callable[..., Object], api: Api, kubectl: Kubectl
) -> None:
    name = running(make, api)
    right = api.get(allow(name))["spec"]
    with streaming(kubectl, NAMESPACE, f"deploy/ringfence-{name}", [ALLOWED, FORBIDDEN]) as stream:
        attempts_since(stream)
        edited = time.time()
        api.patch(allow(name), WIDER)
        wait_for("the edit to be undone", lambda: api.get(allow(name))["spec"] == right, every=0.01)
        undone = time.time()
        attempts_since(stream, undone + MOMENT)
    found = stream.attempts
    assert found.reached(FORBIDDEN, until=edited) == 0
    assert sum(found.stretches(FORBIDDEN)) < MOMENT
    assert found.reached(FORBIDDEN, since=undone + MOMENT) == 0
    assert found.share_reached(ALLOWED) > 0.9


def test_an_editor_in_a_loop_has_the_agent_stopped_and_nothing_passes_from_then_on(
    make: Callable[..., Object], api: Api, kubectl: Kubectl
) -> None:
    """Not even from a program that does not end when it is told to, and runs on for half a minute."""
    name = running(make, api, args=["cat", "/dev/ptmx"])
    pod = agents.pods(api, NAMESPACE, name)[0]

    def nothing_to_edit() -> bool:
        return not api.patched(allow(name), WIDER)

    def attempted() -> bool:
        return nothing_to_edit() and stream.attempts.count(stopped, address=FORBIDDEN) >= MANY

    with streaming_beside(kubectl, pod, [ALLOWED, FORBIDDEN]) as stream:
        attempts_since(stream)
        began = time.time()
        wait_for("the policy to be taken away", nothing_to_edit, every=0.05)
        stopped = time.time() + AFTER
        wait_for("attempts while the editor goes on", attempted, every=0.05)
    agents.wait(api, NAMESPACE, name, status="False", reason="FenceContested")
    found = stream.attempts
    assert found.reached(FORBIDDEN, until=began) == 0
    assert found.share_reached(ALLOWED, until=began) > 0.9
    assert found.reached(since=stopped) == 0
