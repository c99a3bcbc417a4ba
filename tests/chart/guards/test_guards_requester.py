"""Who asked for an agent: written by the API server, believed by the controller, and asked about again.

The chart, installed by helm, without its webhook; people with Roles; the controller as the chart runs it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from api.controller.place import IMAGE, RULES, Place
from api.controller.process import Controller, Options
from api.server import Answer, Server
from chart.guards.asking import MERGE
from chart.rendering import CHART, NAMESPACE
from chart.rendering import IMAGE as IMAGE_VALUES
from chart.test_registration import as_the_chart_has_it
from cluster import Cluster
from cluster.shell import run, wait_for
from ringfence.api.names import REQUESTED_BY_ANNOTATION

RBAC = "rbac.authorization.k8s.io"
POLICY = "ringfence-guard-requester"
GENERATED = {
    "name": "key",
    "source": {"generate": {"length": 40}},
    "rotation": {"every": "720h", "overlap": "1h"},
}
AGENTS = {"apiGroups": ["ringfence.dev"], "resources": ["agentdeployments"], "verbs": ["*"]}
MORE = [*RULES, {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
SECRET = {
    "name": "llm",
    "source": {"existing": {"secretName": "llm", "key": "k"}},
    "delivery": {"env": {"name": "LLM_KEY"}},
}

pytestmark = pytest.mark.timeout(600)


@dataclass
class Person:
    """Somebody with a certificate."""

    name: str
    server: Server
    place: Place

    def create(self, name: str, annotation: str | None = None, **spec: Any) -> Answer:
        metadata = {"name": name} | ({"annotations": {REQUESTED_BY_ANNOTATION: annotation}} if annotation else {})
        head = {"apiVersion": "ringfence.dev/v1alpha1", "kind": "AgentDeployment", "metadata": metadata}
        body = json.dumps(head | {"spec": {"image": IMAGE} | spec}).encode()
        return self.server.request("POST", self.place.path("AgentDeployment"), body)

    def merge(self, name: str, body: Any) -> Answer:
        return self.server.request("PATCH", self.place.path("AgentDeployment", name), json.dumps(body).encode(), MERGE)

    def change(self, name: str, **spec: Any) -> None:
        answer = self.merge(name, {"spec": spec})
        assert answer.ok, answer

    def annotate(self, name: str, value: str | None) -> Answer:
        return self.merge(name, {"metadata": {"annotations": {REQUESTED_BY_ANNOTATION: value}}})


def person(cluster: Cluster, place: Place, name: str, *groups: str) -> Person:
    return Person(name, Server(cluster.server, cluster.user_kubeconfig(name, groups)), place)


def grant(place: Place, name: str, *rules: Any) -> None:
    """A Role of that name, bound to the person of that name."""
    place.create("Role", {"metadata": {"name": name}, "rules": list(rules)})
    bind(place, name)


def bind(place: Place, name: str, role: str | None = None) -> None:
    reference = {"apiGroup": RBAC, "kind": "Role", "name": role or name}
    subjects = [{"apiGroup": RBAC, "kind": "User", "name": name}]
    metadata = {"name": f"{name}-{role}" if role else name}
    place.create("RoleBinding", {"metadata": metadata, "roleRef": reference, "subjects": subjects})


@pytest.fixture(scope="module")
def place(guarded: Cluster, server: Server) -> Iterator[Place]:
    found = Place(server)
    for name in ("ada", "bob"):
        grant(found, name, AGENTS)
    found.create("Role", {"metadata": {"name": "holds"}, "rules": MORE})
    for name in ("ada", "bob"):
        bind(found, name, "holds")
    admin = Person("admin", server, found)
    # The API server learns of the kind, and of policies, within seconds.
    wait_for("the record", lambda: admin.create("probe", permissions={"rules": RULES}).ok and recorded(found, "probe"))
    yield found
    found.remove()


def annotation(place: Place, name: str) -> str | None:
    metadata = place.get("AgentDeployment", name)["metadata"]
    found: str | None = metadata.get("annotations", {}).get(REQUESTED_BY_ANNOTATION)
    return found


def recorded(place: Place, name: str) -> Any:
    """Who asked, as it is stored. Where nothing is, the agent goes, for another try."""
    text = annotation(place, name)
    if text is None:
        place.server.request("DELETE", place.path("AgentDeployment", name))
    return text and json.loads(text)


@pytest.fixture(scope="module")
def ada(guarded: Cluster, place: Place) -> Iterator[Person]:
    found = person(guarded, place, "ada", "team")
    yield found
    found.server.close()


@pytest.fixture(scope="module")
def bob(guarded: Cluster, place: Place) -> Iterator[Person]:
    found = person(guarded, place, "bob")
    yield found
    found.server.close()


def asked_by(place: Place, name: str) -> str:
    """The username that is recorded; empty where nobody is."""
    text = annotation(place, name)
    return str(json.loads(text)["username"]) if text else ""


# --- what is written, and when


def test_the_whole_of_who_asked_is_written(place: Place, ada: Person) -> None:
    assert ada.create("whole", permissions={"rules": RULES}).ok
    text = annotation(place, "whole")
    assert text is not None
    wanted = {"username": "ada", "uid": "", "groups": ["team", "system:authenticated"], "extra": {}}
    assert json.loads(text) == wanted


@pytest.mark.parametrize(
    "spec",
    [
        {"secrets": [SECRET]},
        {"envFrom": [{"configMap": "c", "keys": ["A"]}]},
        {"files": [{"path": "/etc/agent/c", "configMap": {"name": "c", "key": "k"}}]},
        {"permissions": {"level": "Admin", "clusterReads": ["nodes"]}},
    ],
)
def test_each_thing_that_somebody_must_hold(place: Place, ada: Person, bob: Person, spec: Any) -> None:
    name = f"each-{next(iter(spec)).lower()}-{len(json.dumps(spec))}"
    assert ada.create(name).ok
    assert asked_by(place, name) == "", "an agent that gets nothing names nobody"
    bob.change(name, **spec)
    assert asked_by(place, name) == "bob"
    ada.change(name, **dict.fromkeys(spec))
    assert asked_by(place, name) == "", "and does not any more"


@pytest.mark.parametrize("written", ['{"username":"root","uid":"","groups":["system:masters"],"extra":{}}', "x", ""])
def test_nobody_writes_it_by_hand(place: Place, ada: Person, bob: Person, written: str) -> None:
    name = f"hand-{len(written)}"
    assert ada.create(name, written or None, permissions={"rules": RULES}).ok
    assert asked_by(place, name) == "ada"
    assert bob.annotate(name, written).ok
    assert bob.annotate(name, None).ok
    assert bob.merge(name, {"metadata": {"annotations": None}}).ok
    assert asked_by(place, name) == "ada"
    plain = f"plain-{len(written)}"
    assert ada.create(plain, written or None).ok
    assert annotation(place, plain) is None


OTHERS: list[dict[str, Any]] = [
    {"suspended": True},
    {"replicas": 2},
    {"resources": {"limits": {"cpu": "1"}}},
    {"permissions": {"rules": RULES[:1]}},
    {"secrets": [GENERATED | {"delivery": {"file": {"path": "/var/run/ringfence/key"}}}]},
]


@pytest.mark.parametrize("changed", OTHERS)
def test_who_changes_something_else_asks_for_nothing(
    place: Place, ada: Person, bob: Person, changed: dict[str, Any]
) -> None:
    name = f"else-{next(iter(changed))}"
    assert ada.create(name, permissions={"rules": MORE}).ok
    bob.change(name, **changed)
    assert asked_by(place, name) == "ada"


ANEW: list[dict[str, Any]] = [
    {"permissions": {"rules": MORE}},
    {"permissions": {"level": "Admin", "clusterReads": ["nodes"]}},
    {"image": IMAGE[:-1] + "0"},
    {"command": ["sh"]},
    {"args": ["x"]},
    {"env": [{"name": "A", "value": "b"}]},
    {"files": [{"path": "/etc/agent/a", "content": "a"}]},
    {"envFrom": [{"configMap": "c", "keys": ["A"]}]},
    {"probes": [{"type": "Liveness", "command": ["x"]}]},
    {"storage": {"mountPath": "/var/lib/agent", "size": "1Gi"}},
    {"scratch": [{"path": "/tmp/x", "size": "1Mi"}]},
    {"secrets": [GENERATED | {"delivery": {"file": {"path": "/etc/agent/key"}}}]},
]


@pytest.mark.parametrize("changed", ANEW)
def test_who_asks_for_more_or_has_it_run_something_else_asks_anew(
    place: Place, ada: Person, bob: Person, changed: dict[str, Any]
) -> None:
    name = f"anew-{next(iter(changed)).lower()}-{len(json.dumps(changed))}"
    assert ada.create(name, permissions={"rules": RULES}).ok
    bob.change(name, **changed)
    assert asked_by(place, name) == "bob"


def test_somebody_takes_an_agent_over(place: Place, ada: Person, bob: Person) -> None:
    assert ada.create("over", permissions={"rules": RULES}).ok
    assert bob.annotate("over", "me").ok
    assert asked_by(place, "over") == "bob"


def test_strange_names_are_written_as_they_are(guarded: Cluster, place: Place, server: Server) -> None:
    """Impersonation: who is recorded is who the API server takes him for."""
    extra = ["b.example/x=1", "b.example/x=2", 'a.example/"y\\=\u00fc']
    groups = ["system:masters", 'we"i\\rd', "comma,{}[]"]
    arguments = ["--as", 'é"\\u', *(f"--as-group={one}" for one in groups), "--as-uid", "7"]
    arguments += [f"--as-user-extra={one}" for one in extra]
    arguments += ["--as-user-extra=authentication.kubernetes.io/credential-id=JTI=1"]
    body = {"apiVersion": "ringfence.dev/v1alpha1", "kind": "AgentDeployment"}
    body |= {"metadata": {"name": "strange", "namespace": place.name}}
    body |= {"spec": {"image": IMAGE, "permissions": {"rules": RULES}}}
    guarded.kubectl(*arguments, "create", "-f", "-", stdin=json.dumps(body))
    assert json.loads(annotation(place, "strange") or "") == {
        "username": 'é"\\u',
        "uid": "7",
        "groups": [*groups, "system:authenticated"],
        "extra": {'a.example/"y\\': ["\u00fc"], "b.example/x": ["1", "2"]},
    }


def test_what_is_too_long_is_said_to_be_missing(guarded: Cluster, place: Place) -> None:
    groups = [f"g{number}-{'x' * 90}" for number in range(200)]
    many = person(guarded, place, "many", *groups, "system:masters")
    assert many.create("many", permissions={"rules": RULES}).ok
    many.server.close()
    assert annotation(place, "many") == '{"incomplete":true}'


# --- appliers


def manifest(place: Place, tmp_path: Path, **spec: Any) -> Path:
    body = {"apiVersion": "ringfence.dev/v1alpha1", "kind": "AgentDeployment"}
    body |= {"metadata": {"name": "applied", "namespace": place.name}}
    file = tmp_path / "agent.json"
    file.write_text(json.dumps(body | {"spec": {"image": IMAGE, "permissions": {"rules": RULES}} | spec}))
    return file


@pytest.mark.parametrize("how", [(), ("--server-side",)], ids=["client", "server"])
def test_appliers_see_no_difference(
    guarded: Cluster, place: Place, bob: Person, tmp_path: Path, how: tuple[str, ...]
) -> None:
    file = str(manifest(place, tmp_path))
    guarded.kubectl("apply", *how, "-f", file)
    first = annotation(place, "applied")
    assert first
    version = place.get("AgentDeployment", "applied")["metadata"]["resourceVersion"]
    guarded.kubectl("diff", *how, "-f", file)
    guarded.kubectl("apply", *how, "-f", file)
    found = place.get("AgentDeployment", "applied")
    assert found["metadata"]["resourceVersion"] == version, "the same once more writes nothing"
    assert REQUESTED_BY_ANNOTATION not in json.dumps(found["metadata"]["managedFields"]), "no applier owns it"
    assert REQUESTED_BY_ANNOTATION not in found["metadata"]["annotations"].get(
        "kubectl.kubernetes.io/last-applied-configuration", ""
    )
    bob.change("applied", command=["sh"])
    assert asked_by(place, "applied") == "bob"
    file = str(manifest(place, tmp_path, args=["x"]))
    guarded.kubectl("apply", *how, "-f", file)
    assert annotation(place, "applied") == first, "no conflict: the applier asks anew"
    guarded.kubectl("-n", place.name, "delete", "agd", "applied")


def test_helm_upgrades_what_it_installed(guarded: Cluster, place: Place, tmp_path: Path) -> None:
    (tmp_path / "c" / "templates").mkdir(parents=True)
    (tmp_path / "c" / "Chart.yaml").write_text("apiVersion: v2\nname: agent\nversion: 1.0.0\n")
    template = tmp_path / "c" / "templates" / "agent.json"
    for values in ({}, {}, {"args": ["x"]}):
        manifest(place, template.parent, **values).rename(template.with_suffix(".yaml"))
        helm = ["helm", "-n", place.name, "upgrade", "--install", "agent", str(tmp_path / "c")]
        run(helm, env=guarded.env)
        assert asked_by(place, "applied")
    run(["helm", "-n", place.name, "uninstall", "agent"], env=guarded.env)


# --- while one of the two policies is away


def test_a_record_of_another_is_refused_while_nothing_writes_it(
    guarded: Cluster, place: Place, ada: Person, bob: Person
) -> None:
    assert ada.create("alone", permissions={"rules": RULES}).ok
    root = '{"username":"root","uid":"","groups":[],"extra":{}}'
    policies = guarded.kubectl("get", "mutatingadmissionpolicybinding", POLICY, "-o", "json")
    guarded.kubectl("delete", "mutatingadmissionpolicybinding", POLICY)
    try:
        wait_for("nothing is written", lambda: not bob.annotate("alone", root).ok)
        refused = bob.create("forged", root, permissions={"rules": RULES})
        assert (refused.code, f"{POLICY} right (helm upgrade)" in refused.message) == (403, True), refused
        assert not bob.merge("alone", {"spec": {"permissions": {"rules": MORE}}}).ok, "the record would be another's"
        assert bob.merge("alone", {"spec": {"suspended": True}}).ok
        assert bob.create("nobody", permissions={"rules": RULES}).ok
        assert annotation(place, "nobody") is None
    finally:
        stored = json.loads(policies)
        stored["metadata"] = {key: stored["metadata"][key] for key in ("name", "labels", "annotations")}
        guarded.apply(stored)
    wait_for("the record", lambda: bob.annotate("alone", "me").ok)


# --- the controller asks again


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
    helm = ["helm", "-n", NAMESPACE, "upgrade", "ringfence", str(CHART), *IMAGE_VALUES, "--set", "floor.enabled=false"]
    run(helm, env=guarded.env)
    guarded.kubectl("delete", "--ignore-not-found", "validatingwebhookconfiguration", "ringfence")
    place.wait_condition("PermissionsHeld", "True", "Held", name="known")
    assert place.condition("PermissionsHeld", "unknown")["status"] == "Unknown"
    wait_for("the record", lambda: ada.annotate("unknown", "me").ok and asked_by(place, "unknown") == "ada")
    place.wait_condition("PermissionsHeld", "True", "Held", name="unknown")
