"""The controller's log on a real cluster: each line as docs/reference/logs.md lists it, who did it, quiet at rest."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from tools.logs_reference import LINES

from api.controller.place import IMAGE, Place, json_bytes
from api.controller.process import Controller
from cluster.shell import wait_for
from ringfence.api.names import API_VERSION
from ringfence.resources import Manifest

ALWAYS = {"timestamp", "level", "event"}
VALUE = "hunter2-in-the-clear"
DENY = "ringfence-a-deny"


def said(controller: Controller, place: Place, event: str | None = None) -> list[dict[str, Any]]:
    """The lines about a namespace, in order."""
    about = [line for line in controller.lines if line.get("namespace") == place.name]
    return [line for line in about if event in {None, line["event"]}]


def wait_said(controller: Controller, place: Place, event: str, **fields: Any) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = [line for line in said(controller, place, event) if fields.items() <= line.items()]
        assert found, said(controller, place)[-10:]
        return found[-1]

    return wait_for(f"a line {event!r}", look) or {}


def write(place: Place, method: str, path: str, manager: str, body: Manifest) -> None:
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    answer = place.server.request(method, f"{path}?fieldManager={manager}", json_bytes(body), kind)
    assert answer.ok, answer


def test_each_line_has_its_fields_and_no_others(controller: Controller, place: Place) -> None:
    """Of everything that the tests so far made it say, as well."""
    place.agent("a", env=[{"name": "SETTING", "value": VALUE}], args=[VALUE])
    place.wait_applied()
    place.delete("NetworkPolicy", DENY)
    wait_said(controller, place, "put back")
    found = [line for line in controller.lines if line["event"] in LINES]
    assert [line for line in found if set(line) - ALWAYS != set(LINES[line["event"]].fields)] == []
    assert [line for line in found if line["level"] != LINES[line["event"]].level] == []
    assert VALUE not in controller.output


def test_every_change_of_a_condition_is_a_line(controller: Controller, place: Place) -> None:
    place.agent("a")
    place.wait_applied()
    first = wait_said(controller, place, "condition", type="Accepted")
    assert (first["agent"], first["generation"], first["status"]) == ("a", 1, "True")
    assert (first["previous"], first["reason"], first["message"]) == (
        None,
        "Accepted",
        "asks for nothing beyond its policies",
    )
    place.change(suspended=True)
    wait_said(controller, place, "condition", type="Ready", reason="Suspended", generation=2)
    for kind in ("Ready", "Accepted", "NetworkPolicyApplied", "RightsApplied", "SecretsFresh", "WorkloadAvailable"):
        stored = place.wait_condition(kind, place.condition(kind)["status"])
        last = [line for line in said(controller, place, "condition") if line["type"] == kind][-1]
        assert (last["status"], last["reason"]) == (stored["status"], stored["reason"])


def test_a_spec_that_is_not_accepted_names_rule_path_and_manager(controller: Controller, place: Place) -> None:
    spec = {"image": IMAGE.partition("@")[0]}
    body = {"apiVersion": API_VERSION, "kind": "AgentDeployment", "metadata": {"name": "a"}, "spec": spec}
    write(place, "POST", place.path("AgentDeployment"), "gitops", body)
    place.wait_condition("Accepted", "False")
    line = wait_said(controller, place, "not accepted")
    assert (line["agent"], line["rule"], line["path"], line["manager"]) == (
        "a",
        "ImageNoDigest",
        "spec.image",
        "gitops",
    )
    # The API server takes the time of the two one after the other: the second may have changed in between.
    created = place.get("AgentDeployment", "a")["metadata"]["creationTimestamp"]
    assert datetime.fromisoformat(created) - datetime.fromisoformat(line["changed_at"]) <= timedelta(seconds=1)


def test_a_secret_in_plain_text_is_not_accepted_and_not_repeated(controller: Controller, place: Place) -> None:
    """It got past admission; neither the status, nor an Event, nor the log has the value."""
    place.agent("a", env=[{"name": "TOKEN", "value": VALUE}])
    message = place.wait_condition("Accepted", "False")["message"]
    assert message.startswith("spec.env[0].value: SecretInPlainText: the variable's name says that this is a secret")
    wait_said(controller, place, "not accepted", rule="SecretInPlainText", path="spec.env[0].value")
    wait_for("an Event", lambda: [note for reason, note in place.events() if reason == "Refused"])
    assert VALUE not in str(place.get("AgentDeployment", "a")["status"]) + str(place.events()) + controller.output


def test_drift_names_the_child_and_the_manager_of_the_edit(controller: Controller, place: Place) -> None:
    place.agent("a")
    place.wait_applied()
    place.wait_right()
    write(place, "PATCH", place.path("NetworkPolicy", DENY), "somebody", {"spec": {"egress": [{}]}})
    line = wait_said(controller, place, "put back", rule="ChildEdited")
    assert (line["agent"], line["kind"], line["name"], line["manager"]) == ("a", "NetworkPolicy", DENY, "somebody")
    assert line["changed_at"]
    place.wait_right()
    place.delete("NetworkPolicy", DENY)
    line = wait_said(controller, place, "put back", rule="ChildDeleted")
    assert (line["manager"], line["changed_at"]) == (None, None)
    assert len(said(controller, place, "put back")) == 2


def test_at_rest_nothing_is_said(controller: Controller, place: Place) -> None:
    place.agent("a", suspended=True)
    place.wait_applied()
    place.wait_right()
    wait_said(controller, place, "condition", type="Ready", reason="Suspended")
    passes, before = controller.metric("ringfence_reconcile_total", result="ok"), said(controller, place)
    for number in range(3):
        place.label({"looked-at": str(number)})
        place.merge("AgentDeployment", "a", {"metadata": {"annotations": {"looked-at": str(number)}}})
        done = passes + number
        passed = partial(lambda done: controller.metric("ringfence_reconcile_total", result="ok") > done, done)
        wait_for("a pass", passed)
    assert said(controller, place) == before
