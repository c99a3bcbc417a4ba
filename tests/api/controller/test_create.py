"""A new agent: its children in order, read back, and what a person is told."""

from api.controller.golden import as_written_down
from api.controller.place import FULL, Place
from api.controller.process import Controller, Record
from cluster import Cluster
from cluster.shell import wait_for
from ringfence.api.names import CEILING_BINDING, STANDING_POLICY
from ringfence.resources.stored import DESIRED_ANNOTATION

IN_ORDER = [
    "networkpolicies/ringfence-a-deny",
    "networkpolicies/ringfence-a-allow",
    "serviceaccounts/ringfence-a",
    "roles/ringfence-a",
    "rolebindings/ringfence-a",
    "persistentvolumeclaims/ringfence-a",
    "services/ringfence-a",
    "deployments/ringfence-a",
]


OF_THE_NAMESPACE = {f"networkpolicies/{STANDING_POLICY}", f"rolebindings/{CEILING_BINDING}"}
"""They may be there before the record begins; tests of their own say when they come."""


def created(record: Record, place: Place) -> list[str]:
    made = [name for name in record.created(place.name) if not name.startswith("events/")]
    return [name for name in made if name not in OF_THE_NAMESPACE]


def test_children_are_stored_in_order_and_as_built(cluster: Cluster, place: Place) -> None:
    record = Record(cluster)
    place.agent("a", FULL)
    status = place.wait_applied()
    place.wait_right()
    assert as_written_down(place), "no code of the product has judged this"
    assert created(record, place) == IN_ORDER
    assert [f"{one['kind']} {one['name']}" for one in status["managedResources"]] == [
        f"{manifest['kind']} {manifest['metadata']['name']}" for manifest in place.desired()
    ]


def test_the_smallest_agent_has_no_rights_and_no_volume(cluster: Cluster, place: Place) -> None:
    record = Record(cluster)
    place.agent()
    place.wait_applied()
    none = {f"{kind}/ringfence-a" for kind in ("roles", "rolebindings", "persistentvolumeclaims", "services")}
    assert created(record, place) == [name for name in IN_ORDER if name not in none]
    assert place.condition("RightsApplied")["reason"] == "NoRights"
    assert "egress" not in (place.child("allow") or {})["spec"]


def test_the_status_says_what_was_observed(place: Place) -> None:
    place.agent("a", FULL)
    place.wait_applied()
    found = {one["type"]: (one["status"], one["reason"]) for one in place.status()["conditions"]}
    assert found == {
        "Ready": ("False", "Progressing"),  # no kubelet here: no pod ever runs
        "Accepted": ("True", "Accepted"),
        "FenceWidened": ("False", "AsDeclared"),
        "NetworkPolicyApplied": ("True", "Applied"),
        "RightsApplied": ("True", "Applied"),
        "SecretsFresh": ("True", "NoSecrets"),
        "WorkloadAvailable": ("False", "Progressing"),
        "PermissionsHeld": ("Unknown", "RequesterUnknown"),  # the chart's policy, which writes it down, is not here
        "Reconciling": ("True", "Progressing"),
        "Stalled": ("False", "Progressing"),
    }
    assert place.status()["effectivePermissions"] == ["get,list configmaps"]
    assert place.status()["effectiveEgress"] == []
    assert place.status()["service"] == "ringfence-a"


def test_kubectl_tells_the_story_in_one_line(cluster: Cluster, place: Place) -> None:
    place.agent("a", FULL)
    place.wait_applied()
    head, line = cluster.kubectl("get", "agd", "-n", place.name).splitlines()
    assert head.split() == ["NAME", "READY", "REASON", "PODS", "LEVEL", "SECRETS", "AGE"]
    assert line.split()[:5] == ["a", "False", "Progressing", "0", "ReadOnly"]


def test_an_event_says_that_it_was_accepted(place: Place) -> None:
    place.agent()
    place.wait_applied()
    wait_for("an Event", lambda: ("Accepted", "asks for nothing beyond its policies") in place.events())


def test_the_status_becomes_ready_with_the_deployment(place: Place) -> None:
    place.agent(replicas=2)
    place.wait_applied()
    place.run_pods(count=2)
    place.wait_condition("Ready", "True", "Ready")
    place.wait_condition("WorkloadAvailable", "True", "Available")
    assert place.status()["readyReplicas"] == 2
    wait_for("an Event", lambda: ("Ready", "the fence stands and the agent runs inside it") in place.events())


def test_names_that_look_like_each_others_children(place: Place) -> None:
    names = ["a", "a-deny", "a-allow", "a-deny-deny", "deny", "x" * 63, "0"]
    for name in names:
        place.agent(name, FULL)
    for name in names:
        place.wait_applied(name)
        place.wait_right(name)
    assert len(place.items("NetworkPolicy")) == 2 * len(names)
    assert len(place.items("Deployment")) == len(place.items("Service")) == len(names)


def test_every_spelling_of_a_quantity_is_stored_at_once(cluster: Cluster, place: Place, controller: Controller) -> None:
    """The API server rewrites quantities: what is not spelled its way would look like an edit for ever."""
    record = Record(cluster)
    spellings = ["1024Mi", "0.5Gi", 1073741824, "1000000000", "1000000k", "1.5Gi", "536870912", "0.1Gi", "1M", "2048Ki"]
    for number, spelling in enumerate(spellings):
        place.agent(f"a{number}", resources={"limits": {"cpu": "1000m", "memory": spelling}})
        place.agent(f"b{number}", resources={"limits": {"cpu": "0.5"}}, storage={"mountPath": "/s", "size": spelling})
    for number in range(len(spellings)):
        for name in (f"a{number}", f"b{number}"):
            place.wait_applied(name)
            place.wait_right(name)
    twice = [entry for entry in record.writes(place.name) if entry["verb"] == "update"]
    assert [entry["objectRef"] for entry in twice] == []
    assert controller.drift(place.name) == 0, [
        one for one in controller.warnings() if one.get("namespace") == place.name
    ]


def test_a_child_says_what_it_was_written_from(place: Place) -> None:
    place.agent("a", FULL)
    place.wait_applied()
    for manifest in place.desired():
        live = place.get(manifest["kind"], manifest["metadata"]["name"])
        wanted = manifest["metadata"]["annotations"][DESIRED_ANNOTATION]
        assert live["metadata"]["annotations"][DESIRED_ANNOTATION] == wanted
