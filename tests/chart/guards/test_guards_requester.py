"""Who asked for an agent: written by the API server, whoever applies it and however, and by nobody else.

The chart, installed by helm, without its webhook; people with Roles.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from api.controller.place import IMAGE, RULES, Place
from api.server import Server
from chart.guards.requesters import MORE, POLICY, Person, ada, annotation, asked_by, bob, person, place
from cluster import Cluster
from cluster.shell import run, wait_for
from ringfence.api.names import REQUESTED_BY_ANNOTATION

__all__ = ["ada", "bob", "place"]

GENERATED = {
    "name": "key",
    "source": {"generate": {"length": 40}},
    "rotation": {"every": "720h", "overlap": "1h"},
}
SECRET = {
    "name": "llm",
    "source": {"existing": {"secretName": "llm", "key": "k"}},
    "delivery": {"env": {"name": "LLM_KEY"}},
}
SIDE: dict[str, Any] = {"name": "side", "image": IMAGE}


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
        {"sidecars": [SIDE | {"envFrom": [{"configMap": "c", "keys": ["A"]}]}]},
        {"initContainers": [SIDE | {"files": [{"path": "/etc/side", "configMap": {"name": "c", "key": "k"}}]}]},
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
    {"identity": {"tokens": [{"audience": "sts.amazonaws.com", "path": "/var/run/identity/aws/token"}]}},
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


HOST = {"host": "api.example.com", "rules": [{"methods": ["POST"], "paths": ["/v1/x"]}]}
OTHER = {"host": "files.example.com"}
GATEWAY = {"host": "api.example.com", "header": "x-api-key", "env": "API_KEY"}


def sent(**changed: Any) -> dict[str, Any]:
    """Of a spec: a Secret that the gateway sends. `changed`: of that delivery; None: without."""
    delivery = {"gateway": {field: value for field, value in (GATEWAY | changed).items() if value is not None}}
    return {"secrets": [SECRET | {"delivery": delivery}]}


def network(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"network": {"egress": list(rules)}}


ELSEWHERE: dict[str, dict[str, Any]] = {
    "rules": network(HOST | {"rules": [{"methods": ["POST"], "paths": ["/v1/files"]}]}, OTHER),
    "preset": network({"host": "api.example.com", "preset": "anthropic"}, OTHER),
    "mode": network(HOST | {"mode": "Tunnel", "rules": None}, OTHER),
    "ports": network(HOST | {"ports": [443, 8443]}, OTHER),
    "limits": network(HOST | {"limits": {"requestsPerMinute": 9}}, OTHER),
    "host": sent(host="files.example.com"),
    "header": sent(header="x-other"),
    "scheme": sent(header="authorization", scheme="Bearer"),
    "basic": sent(header=None, basic={"user": "u"}),
    "query": sent(header=None, query="key"),
    "env": sent(env="OTHER_KEY"),
}


@pytest.mark.parametrize("changed", ELSEWHERE)
def test_who_has_a_gateway_send_a_secret_elsewhere_asks_anew(
    place: Place, ada: Person, bob: Person, changed: str
) -> None:
    name = f"sent-{changed}"
    assert ada.create(name, **network(HOST, OTHER), **sent()).ok
    assert asked_by(place, name) == "ada"
    bob.change(name, **network(HOST), replicas=2)
    assert asked_by(place, name) == "ada", "what else it reaches is nothing of the Secret's"
    bob.change(name, **ELSEWHERE[changed])
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
    body: dict[str, Any] = {"apiVersion": "ringfence.dev/v1alpha1", "kind": "AgentDeployment"}
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
    body: dict[str, Any] = {"apiVersion": "ringfence.dev/v1alpha1", "kind": "AgentDeployment"}
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
