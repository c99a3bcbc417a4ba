"""NetworkPolicy holds, by packets: from a pod's first moment, for connections that exist, and not at all when off."""

import json

import pytest

from cluster.shell import wait_for
from suites.cluster.pods import ELSEWHERE, LLM, OUTSIDE, Space, pod, policy


@pytest.fixture
def pair(space: Space) -> Space:
    """Two pods, client and server."""
    image = space.cluster.testbox.tag
    space.run(pod("server", image=image), pod("client", image=image))
    return space


def test_deny_drops_everything_both_ways(pair: Space) -> None:
    server = [f"tcp://{pair.address('server')}:7", f"udp://{pair.address('server')}:7"]
    client = f"tcp://{pair.address('client')}:7"
    kubelet = f"tcp://{pair.cluster.address}:10250"
    assert pair.probe("client", *server) == dict.fromkeys(server, "reachable")
    assert pair.probe("server", client) == {client: "reachable"}
    pair.apply(policy("deny", "client"))
    pair.wait_verdict("client", server[0], "blocked")
    everything = [*OUTSIDE, *server, kubelet]
    assert pair.probe("client", *everything) == dict.fromkeys(everything, "blocked")
    assert pair.probe("server", client) == {client: "blocked"}
    assert pair.probe("server", LLM) == {LLM: "reachable"}, "the other pod is open as before"
    pair.kubectl("delete", "networkpolicy", "deny")
    pair.wait_verdict("client", server[0], "reachable")


def test_an_allowed_host_and_no_other(pair: Space) -> None:
    only_llm = [{"to": [{"ipBlock": {"cidr": "203.0.113.0/28"}}], "ports": [{"port": 443}]}]
    pair.apply(policy("deny", "client"), policy("allow", "client", policyTypes=["Egress"], egress=only_llm))
    by_address = "https://203.0.113.10/"
    pair.wait_verdict("client", by_address, "reachable")
    pair.wait_verdict("client", ELSEWHERE, "blocked")
    assert pair.probe("client", "tcp://203.0.113.10:7", LLM) == {
        "tcp://203.0.113.10:7": "blocked",
        LLM: "blocked",  # no DNS
    }


def test_the_first_packet_of_a_pod_is_already_fenced(space: Space) -> None:
    """Pods that try at once, before anybody could have looked at them; several, for the race."""
    names = [f"hasty-{number}" for number in range(5)]
    image = space.cluster.testbox.tag
    space.apply(*(policy(f"deny-{name}", name) for name in names))
    args = ["probe", "-timeout", "2s", "tcp://203.0.113.10:443", "udp://203.0.113.10:7"]
    space.apply(*(pod(name, *args, image=image, restartPolicy="Never") for name in names))
    for name in names:
        space.kubectl("wait", "--for=jsonpath={.status.phase}=Failed", f"pod/{name}", "--timeout=60s")
        verdicts = {json.loads(line)["verdict"] for line in space.logs(name).splitlines()}
        assert verdicts == {"blocked"}


def test_a_policy_ends_connections_that_exist(pair: Space) -> None:
    """One connection, made before the policy; the agent's client keeps it alive between its calls."""
    image = pair.cluster.testbox.tag
    target = "https://203.0.113.10/v1/messages"
    agent = pod("caller", "agent", "-interval", "200ms", "-url", target, "-key", "k", image=image)
    pair.run(agent)
    wait_for("an answer", lambda: "200 OK" in pair.logs("caller"))
    pair.apply(policy("deny", "caller"))
    wait_for("the connection to die", lambda: "failed" in pair.logs("caller").splitlines()[-1])


def test_a_network_that_ignores_policies(pair: Space) -> None:
    pair.apply(policy("deny", "client"))
    server = f"tcp://{pair.address('server')}:7"
    pair.wait_verdict("client", server, "blocked")
    pair.cluster.set_network_policy("ignore")
    try:
        everything = [*OUTSIDE, server]
        assert pair.probe("client", *everything) == dict.fromkeys(everything, "reachable")
        pair.run(pod("late", image=pair.cluster.testbox.tag))
        assert pair.probe("late", server) == {server: "reachable"}
    finally:
        pair.cluster.set_network_policy("enforce")
    assert pair.probe("client", server) == {server: "blocked"}


def test_without_the_enforcement_no_pod_starts_and_the_fence_stays(pair: Space) -> None:
    """Killed, not stopped: the rules stay in the kernel, and new pods wait until it is back."""
    pair.apply(policy("deny", "client"))
    server = f"tcp://{pair.address('server')}:7"
    pair.wait_verdict("client", server, "blocked")
    pair.cluster.stop("netpol", grace=0)
    try:
        assert pair.probe("client", server) == {server: "blocked"}
    finally:
        pair.cluster.start("netpol")
    pair.run(pod("after", image=pair.cluster.testbox.tag))
    assert pair.probe("client", server) == {server: "blocked"}


def test_a_pod_cannot_forge_an_address_or_reach_the_machine(pair: Space) -> None:
    host = f"tcp://{pair.cluster.host_address}:22"
    assert pair.probe("client", host) == {host: "blocked"}
