"""Who asked for an agent is asked about again by the controller, as the chart runs it: what he lost is told."""

from collections.abc import Iterator

import pytest

from api.controller.place import RULES, Place
from api.controller.process import Controller, Options
from chart.guards.asking import CONTROLLER, of_user, passed
from chart.guards.requesters import POLICY, Person, ada, asked_by, bind, bob, place
from chart.rendering import CHART, IMAGE, NAMESPACE
from chart.test_registration import as_the_chart_has_it
from cluster import Cluster
from cluster.shell import run, wait_for

__all__ = ["ada", "bob", "place"]

LEASE = "ringfence-controller"
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def controller(guarded: Cluster, place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    folder = tmp_path_factory.mktemp("controller")
    content = place.server.request("GET", f"/api/v1/namespaces/{NAMESPACE}/configmaps/ringfence-registration").body
    file = folder / "registration.json"
    file.write_text(content["data"]["registration.json"])
    options = Options(NAMESPACE, kubeconfig=as_the_chart_has_it(guarded, folder), more=("--registration", str(file)))
    found = Controller(guarded, folder / "controller.log", options).wait_leading()
    yield found
    assert found.stop() == 0
    of_its_own = of_user(guarded, CONTROLLER)
    passed(of_its_own.request("DELETE", f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{LEASE}"))
    of_its_own.close()


def unbind(place: Place, name: str) -> None:
    answer = place.server.request("DELETE", place.path("RoleBinding", name))
    assert answer.ok, answer


def test_what_who_asked_loses_is_told_and_what_he_gets_back_is_fine(
    place: Place, ada: Person, controller: Controller
) -> None:
    """By the watch of bindings: the question of every five minutes would come after the deadline."""
    labels = {"source": "policy", "rule": "PermissionNotHeldByRequester", "namespace": place.name}
    assert ada.create("lost", permissions={"rules": RULES}).ok
    place.wait_condition("PermissionsHeld", "True", "Held", name="lost")
    place.wait_condition("Accepted", "True", name="lost")
    before = controller.metric("ringfence_violations_total", **labels)
    unbind(place, "ada-holds")
    try:
        said = place.wait_condition("Accepted", "False", "Refused", name="lost")["message"]
        assert 'spec.permissions.rules[0]: PermissionNotHeldByRequester: "ada", who asked for it, may not' in said
        assert "kept as it was" in said
        assert place.condition("PermissionsHeld", "lost")["reason"] == "NotHeld"
        assert controller.metric("ringfence_violations_total", **labels) > before
        assert place.child("binding", "lost"), "nothing is taken from it unless a policy says so"
        wait_for("an Event", lambda: any("ada" in note for reason, note in place.events() if reason == "Refused"))
    finally:
        bind(place, "ada", "holds")
    place.wait_condition("Accepted", "True", name="lost")
    place.wait_condition("PermissionsHeld", "True", "Held", name="lost")


def test_somebody_who_holds_it_takes_over(place: Place, ada: Person, bob: Person, controller: Controller) -> None:
    assert ada.create("heir", permissions={"rules": RULES}).ok
    place.wait_condition("Accepted", "True", name="heir")
    unbind(place, "ada-holds")
    try:
        place.wait_condition("Accepted", "False", "Refused", name="heir")
        assert bob.annotate("heir", "me").ok
        place.wait_condition("Accepted", "True", name="heir")
        assert '"bob"' in place.condition("PermissionsHeld", "heir")["message"]
    finally:
        bind(place, "ada", "holds")


def test_one_that_was_stored_past_admission_gets_nothing_that_nobody_holds(
    place: Place, ada: Person, controller: Controller
) -> None:
    """No webhook is registered here."""
    rules = [{"apiGroups": [""], "resources": ["events"], "verbs": ["list"]}]
    assert ada.create("past", permissions={"rules": rules}).ok
    place.wait_condition("Accepted", "False", "Refused", name="past")
    assert place.child("workload", "past") is None


def test_an_agent_without_a_record_is_unknown_and_runs(
    guarded: Cluster, place: Place, ada: Person, controller: Controller
) -> None:
    """As one from before an upgrade; and when what records is away, no record is believed."""
    assert ada.create("known", permissions={"rules": RULES}).ok
    place.wait_condition("PermissionsHeld", "True", "Held", name="known")
    guarded.kubectl("delete", "mutatingadmissionpolicybinding", POLICY)
    said = place.wait_condition("PermissionsHeld", "Unknown", "RequesterUnknown", name="known")
    assert POLICY.removeprefix("ringfence") in said["message"]
    assert place.condition("Accepted", "known")["status"] == "True"
    assert ada.create("unknown", permissions={"rules": RULES}).ok
    said = place.wait_condition("PermissionsHeld", "Unknown", "RequesterUnknown", name="unknown")
    assert "not recorded" in said["message"]
    assert place.condition("Accepted", "unknown")["status"] == "True"
    wait_for("its children", lambda: place.child("workload", "unknown"))
    helm = ["helm", "-n", NAMESPACE, "upgrade", "ringfence", str(CHART), *IMAGE, "--set", "floor.enabled=false"]
    run(helm, env=guarded.env)
    guarded.kubectl("delete", "--ignore-not-found", "validatingwebhookconfiguration", "ringfence")
    place.wait_condition("PermissionsHeld", "True", "Held", name="known")
    assert place.condition("PermissionsHeld", "unknown")["status"] == "Unknown"
    wait_for("the record", lambda: ada.annotate("unknown", "me").ok and asked_by(place, "unknown") == "ada")
    place.wait_condition("PermissionsHeld", "True", "Held", name="unknown")
