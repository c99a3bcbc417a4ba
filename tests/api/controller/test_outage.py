"""The API server is away, or without our CRDs: nothing ends, nothing is lost. On a cluster of its own."""

import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from api.controller.place import FULL, Place
from api.controller.process import USER, Controller, Options, Record
from api.instances import instance
from api.server import Server
from cluster import Cluster
from cluster.shell import say, wait_for
from ringfence.api.names import API_VERSION

FENCE = {"NetworkPolicy", "Role", "RoleBinding"}
WIDER: dict[str, Any] = {"spec": {"egress": [{}]}}
OUTAGES = (5.0, 12.0)
"""Seconds: within the lease, and beyond it."""
CRDS = Path(__file__).parents[3] / "crds"
AWAY_SECONDS = 35.0
"""Longer than all that can run out meanwhile: the lease (15 s), every pause between tries (5 s), and the time for which
the event loop may be silent before `/healthz` takes it for stuck (30 s)."""


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    """Without CRDs at first."""
    with Cluster.for_tests(instance("ringfence-outage", "RINGFENCE_OUTAGE_CLUSTER"), mode="api") as found:
        found.kubectl("delete", "--ignore-not-found", "--wait", "-f", str(CRDS))
        yield found


@pytest.fixture(scope="module")
def running(own: Cluster, logs: Path) -> Iterator[Controller]:
    own.user_kubeconfig(USER, ["system:masters"])
    found = Controller(own, logs / "outage.log", Options("default"))
    yield found
    if found.exit_code is None:
        assert found.stop() == 0


@pytest.fixture(scope="module")
def there(own: Cluster, running: Controller) -> Iterator[Place]:
    """A namespace with three agents, once the CRDs have come."""
    connection = Server(own.server, own.kubeconfig)
    own.kubectl("apply", "-f", str(CRDS))
    own.kubectl("wait", "--for=condition=Established", "--timeout=110s", "-f", str(CRDS))
    running.wait_leading()
    place = Place(connection)
    place.keep_running()  # each outage edits its fences twice
    wait_for("the kind is served", lambda: connection.request("GET", place.path("AgentDeployment")).ok)
    for name in ("a", "b", "c"):
        place.agent(name, FULL)
    for name in ("a", "b", "c"):
        place.wait_applied(name)
    yield place
    connection.close()


def bound(place: Place, policy: str) -> int | None:
    """How many agents a policy says that it binds."""
    status = place.server.request("GET", policy).body.get("status") or {}
    number: int | None = status.get("boundAgents")
    return number


def test_without_crds_it_waits_and_says_so(own: Cluster, running: Controller) -> None:
    code, text = wait_for("it waits", lambda: ("CRDs" in (said := running.get("/readyz"))[1]) and said)
    assert code == 503
    assert text == "controller: the CRDs are not installed: helm install ringfence-crds charts/ringfence-crds\n"
    assert running.get("/healthz")[0] == 200
    assert any("CRDs are not installed" in line.get("reason", "") for line in running.lines)
    assert running.exit_code is None


def test_it_works_when_the_crds_have_come(there: Place, running: Controller) -> None:
    there.wait_right("a")
    there.delete("NetworkPolicy", "ringfence-a-deny")  # the watches of kinds that came late work, too
    there.wait_right("a")
    assert running.exit_code is None


def test_the_api_server_is_away(own: Cluster, there: Place, running: Controller) -> None:
    before = there.versions()
    own.stop_apiserver()
    gone = time.monotonic()
    while time.monotonic() - gone < AWAY_SECONDS:
        assert running.exit_code is None, running.output[-3000:]
        assert running.get("/healthz")[0] == 200
        time.sleep(2)
    record = Record(own)
    own.start_apiserver()
    there.server.close()  # it opens a new connection by itself
    there.change("a", args=["after"])
    there.delete("NetworkPolicy", "ringfence-b-deny")
    there.merge("Role", "ringfence-c", {"rules": []})
    there.agent("d", FULL)
    for name in "abcd":
        there.wait_applied(name)
        there.wait_right(name)
    assert running.exit_code is None
    assert running.leading()
    assert [line for line in running.lines if "exception" in line or line["event"] == "pass failed"] == []
    untouched = [key for key in before if "-c" in key and not key.startswith("Role/")]
    assert {key: before[key] for key in untouched} == {key: there.versions()[key] for key in untouched}
    assert record.writes(there.name)


@pytest.mark.parametrize("seconds", OUTAGES)
def test_fences_are_right_soon_after_an_outage(
    own: Cluster, there: Place, running: Controller, record_property: Callable[[str, object], None], seconds: float
) -> None:
    """Edited until the last moment and from the first one on; one agent is made as soon as the API server takes it."""
    new = f"new{seconds:.0f}"
    for name in "abc":
        there.merge("NetworkPolicy", f"ringfence-{name}-allow", WIDER)
    own.stop_apiserver()
    there.server.close()
    time.sleep(seconds)  # an outage of that length is what is tried
    own.start("kube-apiserver")
    wait_for("it takes a new agent", lambda: there.agent(new, FULL))
    made = time.monotonic()
    for name in "abc":
        there.merge("NetworkPolicy", f"ringfence-{name}-allow", WIDER)
    wait_for("the API server is back", lambda: there.server.request("GET", "/readyz").ok)
    back = time.monotonic()
    wait_for("the new one's deny policy", lambda: there.child("deny", new))
    fenced = time.monotonic() - max(back, made)
    wait_for("the fences are right", lambda: all(there.right(name, FENCE) for name in "abc"))
    right = time.monotonic() - max(back, made)
    there.wait_applied(new)
    there.wait_right(new)
    applied = time.monotonic() - max(back, made)
    say(f"after {seconds:.0f} s: fences right {right:.1f} s, new deny policy {fenced:.1f} s, applied {applied:.1f} s")
    record_property("seconds_until_fences_are_right", round(right, 1))
    record_property("seconds_until_the_deny_policy_of_a_new_agent", round(fenced, 1))
    assert running.exit_code is None
    assert [line for line in running.lines if "exception" in line or line["event"] == "pass failed"] == []


def test_a_crd_that_is_deleted_and_comes_back(
    own: Cluster, there: Place, running: Controller, record_property: Callable[[str, object], None]
) -> None:
    """All agents go with it. The controller may begin anew, as it does in a pod; what comes then is served.

    A policy that was made meanwhile counts at once. The children of agents that went follow half a minute later: the
    garbage collector is slow to learn that a kind is back.
    """
    own.kubectl("delete", "--wait", "-f", str(CRDS))
    own.kubectl("apply", "-f", str(CRDS))
    own.kubectl("wait", "--for=condition=Established", "--timeout=110s", "-f", str(CRDS))
    wait_for("the kind is served", lambda: there.server.request("GET", there.path("AgentDeployment")).ok)
    again = Controller(own, running.log_file, Options("default", "again"))
    came = time.monotonic()
    wait_for("its policy is taken", lambda: there.keep_running("Stop"))
    for name in ("e", "f"):
        wait_for("an agent is taken", lambda name=name: there.agent(name, FULL))  # type: ignore[misc]
    for name in ("e", "f"):
        there.wait_applied(name)
        there.wait_right(name)
    applied = time.monotonic() - came
    policy = f"/apis/{API_VERSION}/agentpolicies/{there.name}-stop"
    wait_for("the policy is followed", lambda: bound(there, policy) == 2)
    followed = time.monotonic() - came
    there.merge_at(policy, {"spec": {"namespaceSelector": {"matchLabels": {"nobody": "is-this"}}}})
    wait_for("its changes are followed", lambda: bound(there, policy) == 0)
    say(f"after the CRDs came back: two agents applied after {applied:.1f} s, their policy followed {followed:.1f} s")
    record_property("seconds_until_agents_are_applied", round(applied, 1))
    wrong = [line for one in (running, again) for line in one.lines if "exception" in line]
    # kopf ends its own watch where it asks while the CRD is away; the process begins anew then.
    assert [line for line in wrong if not line["event"].startswith("Watcher for agentpolicies")] == []
    # Before it is up, a process ends by the signal itself.
    wait_for("the second one is up", lambda: again.get("/healthz")[0] == HTTPStatus.OK)
    assert again.stop() == 0
