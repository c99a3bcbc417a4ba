"""An API server that answers 409 and 429 now and then: fences are repaired all the same, and nothing is silent."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from api.controller.busy import Busy, now_and_then
from api.controller.place import FULL, Place
from api.controller.process import USER, Controller, Options
from api.server import Server
from cluster import Cluster
from cluster.shell import wait_for

ALLOW, DENY = "ringfence-a-allow", "ringfence-a-deny"
SPEC: dict[str, Any] = {key: FULL[key] for key in ("ports", "network")}
"""Without permissions: the address of the API server cannot be proven through a proxy."""
WIDER: dict[str, Any] = {"spec": {"egress": [{}]}}
NOTHING: dict[str, Any] = {"spec": {"podSelector": {"matchLabels": {"nothing": "at-all"}}}}
ROUNDS = 5
DEADLINE = 3
"""Seconds of Retry-After; more than the first pauses after a failure are together."""
Begin = Callable[[Busy, str], Controller]

pytestmark = pytest.mark.usefixtures("nobody_else")


@pytest.fixture
def begin(lease_namespace: str, replica: Callable[[Options], Controller]) -> Begin:
    """Start replicas that see the API server through a proxy."""

    def start(way: Busy, identity: str) -> Controller:
        return replica(Options(lease_namespace, identity, way.kubeconfig))

    return start


@pytest.fixture
def fresh(client: Server) -> Iterator[Place]:
    found = Place(client)
    answer = found.keep_running()
    yield found
    found.remove()
    client.request("DELETE", answer)


def test_fences_are_repaired_and_nothing_is_lost(cluster: Cluster, fresh: Place, begin: Begin) -> None:
    with Busy(cluster.user_kubeconfig(USER, ["system:masters"]), now_and_then) as way:
        one = begin(way, "one").wait_leading()
        for name in "ab":
            fresh.agent(name, SPEC)
        for name in "ab":
            fresh.wait_applied(name)
            fresh.wait_right(name)
        for _ in range(ROUNDS):
            fresh.merge("NetworkPolicy", ALLOW, WIDER)
            fresh.merge("NetworkPolicy", DENY, NOTHING)
            fresh.delete("NetworkPolicy", "ringfence-b-deny")
            for name in "ab":
                fresh.wait_right(name)
        assert way.answered(409)
        assert way.answered(429)
        assert one.metric("ringfence_queue_retries_total", kind="AgentDeployment") >= 1
        for code in ("409", "429"):
            assert one.metric("ringfence_kube_requests_total", code=code) >= 1
        assert any(line["event"] == "again later" for line in one.lines)
        one.counted_drift(3 * ROUNDS, fresh.name)

        two = begin(way, "two")
        wait_for("the second stands by", lambda: two.get("/readyz")[0] == 200)
        fresh.merge("NetworkPolicy", ALLOW, WIDER)
        fresh.merge("NetworkPolicy", DENY, NOTHING)
        one.kill()
        fresh.delete("NetworkPolicy", "ringfence-b-allow")
        two.wait_leading()
        for name in "ab":
            fresh.wait_right(name)
        for log in (one, two):
            assert [line for line in log.lines if "exception" in line or line["event"] == "pass failed"] == []


def test_who_asks_for_patience_gets_it(cluster: Cluster, fresh: Place, begin: Begin) -> None:
    path, left = fresh.path("NetworkPolicy", ALLOW), [0]

    def once(method: str, asked: str, _: int) -> int | None:
        if (method, asked) != ("PATCH", path) or not left[0]:
            return None
        left[0] -= 1
        return 429

    with Busy(cluster.user_kubeconfig(USER, ["system:masters"]), once, retry_after=DEADLINE) as way:
        begin(way, "patient").wait_leading()
        fresh.agent("a", SPEC)
        fresh.wait_applied()
        fresh.run_pods()
        fresh.wait_condition("Ready", "True")
        left[0] = 1
        fresh.merge("NetworkPolicy", ALLOW, WIDER)
        wait_for("it was asked for patience", lambda: way.answered(429))
        fresh.wait_right()
        (refused,) = [number for number, one in enumerate(way.asked) if one.code == 429]
        after = next(one for one in way.asked[refused + 1 :] if (one.method, one.path) == ("PATCH", path))
        assert after.at - way.asked[refused].at >= DEADLINE
