"""Two replicas, and controllers that end at any moment: one writes at a time, and the end state is the same."""

import random
import signal
import time
from collections.abc import Callable

import pytest

from api.controller.place import FULL, Place
from api.controller.process import Controller, Options, Record
from cluster import Cluster
from cluster.shell import wait_for

KILLS = 5
Begin = Callable[[str], Controller]

pytestmark = pytest.mark.usefixtures("nobody_else")


@pytest.fixture
def begin(cluster: Cluster, lease_namespace: str, replica: Callable[[Options], Controller]) -> Begin:
    """Start replicas, by name; each writes as a user of its own."""

    def start(identity: str) -> Controller:
        kubeconfig = cluster.user_kubeconfig(f"replica-{identity}", ["system:masters"])
        return replica(Options(lease_namespace, identity, kubeconfig))

    return start


def _spans(record: Record, namespace: str) -> dict[str, tuple[str, str]]:
    """User -> when it wrote first and last."""
    spans: dict[str, tuple[str, str]] = {}
    for entry in record.writes(namespace, user=None):
        user = entry["user"]["username"]
        if user.startswith("replica-") and entry["responseStatus"]["code"] < 300:
            first, _ = spans.get(user, (entry["stageTimestamp"], ""))
            spans[user] = first, entry["stageTimestamp"]
    return spans


def _holder(cluster: Cluster, namespace: str) -> str:
    (lease,) = cluster.get("leases", "-n", namespace)["items"]
    return str(lease["spec"]["holderIdentity"])


def test_one_leads_and_the_other_takes_over(cluster: Cluster, fresh: Place, begin: Begin, lease_namespace: str) -> None:
    record = Record(cluster)
    first = begin("first").wait_leading()
    second = begin("second")
    wait_for("the second waits", lambda: second.get("/readyz")[0] == 200)
    fresh.agent("a", FULL)
    fresh.wait_applied()
    assert not second.leading()

    assert first.stop() == 0, first.output[-2000:]
    assert _holder(cluster, lease_namespace) != "first", "the lease is given back, not waited for"
    second.wait_leading()
    fresh.delete("NetworkPolicy", "ringfence-a-deny")
    fresh.agent("b", FULL)
    fresh.wait_applied("b")
    fresh.wait_right()

    third = begin("third")
    wait_for("the third waits", lambda: third.get("/readyz")[0] == 200)
    second.kill()
    fresh.delete("NetworkPolicy", "ringfence-a-allow")
    fresh.wait_right()  # a lease that is not renewed is taken after 15 seconds
    third.wait_leading()

    spans = _spans(record, fresh.name)
    assert list(spans) == ["replica-first", "replica-second", "replica-third"]
    assert spans["replica-first"][1] < spans["replica-second"][0]
    assert spans["replica-second"][1] < spans["replica-third"][0]


def test_a_leader_that_was_asleep_writes_nothing_more(cluster: Cluster, fresh: Place, begin: Begin) -> None:
    first = begin("first").wait_leading()
    fresh.agent("a", FULL)
    fresh.wait_applied()
    second, record = begin("second"), Record(cluster)
    # A request that is on its way in this very instant would be sent on waking: docs/limits.md.
    wait_for("the first has nothing to do", lambda: record.rests(fresh.name, user="replica-first"))
    first.send(signal.SIGSTOP)
    second.wait_leading()
    record = Record(cluster)
    fresh.delete("NetworkPolicy", "ringfence-a-deny")
    fresh.wait_right()
    first.send(signal.SIGCONT)
    wait_for("it notices and ends", lambda: first.exit_code is not None)
    assert first.exit_code == 1
    late = [entry for entry in record.writes(fresh.name, user="replica-first") if entry["responseStatus"]["code"] < 300]
    assert [(entry["verb"], entry["requestURI"]) for entry in late] == []


def test_killed_at_any_moment(cluster: Cluster, fresh: Place, begin: Begin) -> None:
    """Over all that happens, no Deployment is stored before both policies of its agent are."""
    record, dice = Record(cluster), random.Random(7)
    for number in range(KILLS):
        one = begin("mortal")
        wait_for("it leads", one.leading)
        for letter in "xyz":
            fresh.agent(f"{letter}{number}", FULL)
        if number:
            fresh.change(f"x{number - 1}", permissions=None, args=["again"])
            fresh.delete("NetworkPolicy", f"ringfence-y{number - 1}-deny")
        time.sleep(dice.uniform(0.0, 0.5))  # this very randomness is what is tried
        one.kill()
    begin("mortal").wait_leading()  # of the same name: it need not wait for the lease to run out
    names = [f"{letter}{number}" for number in range(KILLS) for letter in "xyz"]
    for name in names:
        fresh.wait_applied(name)
        fresh.wait_right(name)
    order = [
        (f"{entry['objectRef']['resource']}/{entry['objectRef']['name']}", entry["responseStatus"]["code"])
        for entry in record.writes(fresh.name, user=None)
        if "name" in entry["objectRef"]
    ]

    def stored(child: str, *, deleted: bool = False) -> int:
        """When it was first stored.

        What a killed controller asked for is answered by 504, and stored or not. It was, where nobody made it later;
        but what the test deleted was made later all the same.
        """
        made = [moment for moment, entry in enumerate(order) if entry == (child, 201)]
        cut = [moment for moment, entry in enumerate(order) if entry == (child, 504)]
        return min(made + cut) if deleted else (made or cut)[0]

    for name in names:
        run = stored(f"deployments/ringfence-{name}")
        assert stored(f"networkpolicies/ringfence-{name}-deny", deleted=name.startswith("y")) < run
        assert stored(f"networkpolicies/ringfence-{name}-allow") < run
