"""Two people at once on one agent: whatever they do, the fence is right, or the agent is stopped."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from api.controller.place import CHILDREN, FULL, Place, json_bytes
from api.controller.process import Controller
from api.server import Server
from cluster import Cluster
from cluster.shell import wait_for
from ringfence.controller.agent.fence import QUIET_SECONDS

HOLD = "example.com/hold"
FENCE = {"NetworkPolicy", "Role", "RoleBinding"}
ALLOW, DENY = ("NetworkPolicy", "ringfence-a-allow"), ("NetworkPolicy", "ringfence-a-deny")
WIDER: dict[str, Any] = {"spec": {"egress": [{}]}}
NOTHING: dict[str, Any] = {"spec": {"podSelector": {"matchLabels": {"ringfence.dev/agent": None, "nothing": "at-all"}}}}
HELD: dict[str, Any] = {"metadata": {"finalizers": [HOLD]}}
ORPHAN: dict[str, Any] = {"metadata": {"ownerReferences": None}}
EVERY = [(kind, name.format("a")) for kind, name in CHILDREN.values() if kind != "PersistentVolumeClaim"]
LOOKS = 20
"""How often it is looked at during the attack."""
Act = Callable[["Somebody"], None]


class Somebody:
    """Asks on a connection of their own; what is refused, or is not there at this moment, is tried again."""

    def __init__(self, cluster: Cluster, place: Place) -> None:
        self.server, self._place = Server(cluster.server, cluster.kubeconfig), place

    def edit(self, child: tuple[str, str], body: dict[str, Any]) -> None:
        self.server.request("PATCH", self._place.path(*child), json_bytes(body), "application/merge-patch+json")

    def delete(self, child: tuple[str, str]) -> None:
        self.server.request("DELETE", self._place.path(*child))


def widens(one: Somebody) -> None:
    one.edit(ALLOW, WIDER)


def holds(one: Somebody) -> None:
    one.edit(DENY, HELD)
    one.delete(DENY)
    one.edit(DENY, NOTHING)


def deletes(one: Somebody) -> None:
    for child in EVERY:
        one.delete(child)


def orphans(one: Somebody) -> None:
    for child in EVERY:
        one.edit(child, ORPHAN)


@contextmanager
def attacked(cluster: Cluster, place: Place, acts: Sequence[Act]) -> Iterator[list[int]]:
    """Each in a loop of its own, until the end. How often each had a turn."""
    over, turns = threading.Event(), [0] * len(acts)

    def go_on(number: int, act: Act) -> None:
        somebody = Somebody(cluster, place)
        while not over.is_set():
            act(somebody)
            turns[number] += 1
        somebody.server.close()

    threads = [threading.Thread(target=go_on, args=one, daemon=True) for one in enumerate(acts)]
    for thread in threads:
        thread.start()
    try:
        yield turns
    finally:
        over.set()
        for thread in threads:
            thread.join(60)


def stopped(place: Place) -> bool:
    """Whether nothing asks for pods, and none is meant to stay."""
    workload = place.find("Deployment", "ringfence-a")
    wanted = workload["spec"]["replicas"] if workload and "deletionTimestamp" not in workload["metadata"] else 0
    return not wanted and all(pod["metadata"].get("deletionTimestamp") for pod in place.pods())


def fenced(place: Place) -> bool:
    return place.right("a", FENCE)


def harmless(place: Place) -> bool:
    return stopped(place) or fenced(place)


PAIRS: list[Sequence[Act]] = [(widens, holds), (deletes, orphans), (widens, deletes)]


def test_the_fence_is_right_or_the_agent_is_stopped(cluster: Cluster, client: Server, controller: Controller) -> None:
    """Pair after pair; that all is well again afterwards takes a minute, and is waited for once."""
    places = [Place(client) for _ in PAIRS]
    for place, acts in zip(places, PAIRS, strict=True):
        _attack(cluster, place, acts)
    for place, acts in zip(places, PAIRS, strict=True):
        pair = ", ".join(act.__name__ for act in acts)
        wait_for(f"the fence is right after {pair}", lambda place=place: fenced(place), timeout=QUIET_SECONDS + 120)  # type: ignore[misc]
        controller.counted_drift(3, place.name)
        reasons = {reason for reason, _ in place.events()}
        assert reasons & {"FenceContested", "Unfenced", "AgentStopped"}, (pair, reasons)
        place.remove()


def _attack(cluster: Cluster, place: Place, acts: Sequence[Act]) -> None:
    place.agent("a", FULL)
    place.wait_applied()
    place.run_pods()
    place.wait_condition("Ready", "True")
    with attacked(cluster, place, acts) as turns:
        for _ in range(LOOKS):
            wait_for("the fence is right, or no pod runs", lambda: harmless(place))
        wait_for("it is stopped, for it does not end", lambda: stopped(place))
        before = list(turns)
        wait_for("they go on", lambda: all(now > then + 3 for now, then in zip(turns, before, strict=True)))
        wait_for("it stays stopped", lambda: stopped(place))
        wait_for("it is said", lambda: place.condition("Ready").get("reason") in {"FenceContested", "Unfenced"})
    place.end_pods()
