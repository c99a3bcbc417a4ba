"""Containers beside the agent's own: nothing holds of the agent's that does not hold of them."""

from typing import Any

import pytest

from ringfence.policy.files import named_config_maps
from ringfence.policy.handover import newly_delivered, runs_the_same
from ringfence.policy.limits import asks_of
from ringfence.resources import build
from unit.policy.make import IMAGE, judge, places
from unit.policy.test_secrets import existing, generated
from unit.resources.agents import make

KEY = "sk-ant-api03-" + "A1b2C3d4E5f6G7h8I9j0K1l2"
WHERE = ["initContainers", "sidecars"]
Spec = dict[str, Any]


def beside(where: str, name: str = "other", **fields: Any) -> Spec:
    return {where: [{"name": name, "image": IMAGE, **fields}]}


@pytest.mark.parametrize("where", WHERE)
def test_what_is_accepted(where: str) -> None:
    scratch = {"scratch": [{"path": "/work", "size": "1Mi"}]}
    files = [{"path": "/etc/other", "content": "a"}]
    assert judge(beside(where, shares=["/work"], files=files, args=["--fast"]) | scratch) == []


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize(
    ("image", "policy", "rule"),
    [
        ("registry.example/other", {}, "ImageNoDigest"),
        ("registry.example/other@sha256:1", {}, "ImageInvalid"),
        (IMAGE, {"images": {"registries": ["elsewhere.example"]}}, "ImageRegistry"),
    ],
)
def test_its_image_is_held_to_the_same_rules(where: str, image: str, policy: Spec, rule: str) -> None:
    found = places(judge(beside(where) | {where: [{"name": "other", "image": image}]}, policy))
    assert (rule, f"spec.{where}[0].image") in found


@pytest.mark.parametrize("where", WHERE)
def test_its_image_is_signed_where_the_agents_is(where: str) -> None:
    key = "-----BEGIN PUBLIC KEY-----\n" + "A" * 64 + "\n-----END PUBLIC KEY-----"
    found = judge(beside(where), {"images": {"signedBy": [{"name": "team", "publicKey": key}]}})
    assert ("ImageNotSigned", f"spec.{where}[0].image") in places(found)


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"env": [{"name": "A", "value": KEY}]}, "env[0].value"),
        ({"env": [{"name": "API_TOKEN", "value": "correct-horse-battery"}]}, "env[0].value"),
        ({"args": ["--token", "correct-horse-battery"]}, "args[1]"),
        ({"command": ["run", KEY]}, "command[1]"),
        ({"files": [{"path": "/etc/a", "content": f"key: {KEY}"}]}, "files[0].content"),
        ({"probes": [{"type": "Startup", "command": ["a", KEY]}]}, "probes[0].command[1]"),
    ],
)
def test_no_secret_stands_in_plain_text(where: str, fields: Spec, at: str) -> None:
    if where == "initContainers" and "probes" in fields:
        return
    (found,) = judge(beside(where, **fields))
    assert (found.rule, found.path) == ("SecretInPlainText", f"spec.{where}[0].{at}")
    assert KEY not in found.message


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("place", ["/tmp/a", "/proc/a", "/etc/passwd", "/var/run/ringfence/a", "/work/a", "/usr/bin/a"])
def test_files_hide_nothing(where: str, place: str) -> None:
    spec = beside(where, files=[{"path": place, "content": ""}], shares=["/work"])
    found = places(judge(spec | {"scratch": [{"path": "/work", "size": "1Mi"}]}))
    assert found == {("InvalidField", f"spec.{where}[0].files[0].path")}


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize(
    ("shares", "fits"),
    [(["/work"], True), (["/data", "/work"], True), (["/tmp"], False), (["/work/a"], False), (["/etc"], False)],
)
def test_it_shares_what_the_agent_has(where: str, shares: list[str], *, fits: bool) -> None:
    own = {
        "scratch": [{"path": "/work", "size": "1Mi"}, {"path": "/tmp", "size": "1Mi"}],
        "storage": {"mountPath": "/data", "size": "1Gi"},
    }
    found = places(judge(beside(where, shares=shares) | own))
    assert found == (set() if fits else {("InvalidField", f"spec.{where}[0].shares[0]")})


@pytest.mark.parametrize("where", WHERE)
def test_no_variable_is_set_twice(where: str) -> None:
    sources = [{"configMap": "a", "keys": ["A", "LD_PRELOAD"]}]
    spec = beside(where, env=[{"name": "A"}, {"name": "API_KEY"}], envFrom=sources)
    spec |= {"secrets": [existing("llm") | {"containers": ["other"]}]}
    assert places(judge(spec)) == {
        ("InvalidField", f"spec.{where}[0].envFrom[0].keys[0]"),
        ("VariableReserved", f"spec.{where}[0].envFrom[0].keys[1]"),
        ("SecretDelivery", "spec.secrets[0].delivery.env.name"),
    }
    del spec["secrets"][0]["containers"]
    assert "spec.secrets[0].delivery.env.name" not in {path for _, path in places(judge(spec))}


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("limit", [{"memory": 0}, {"cpu": "0"}])
def test_its_resources_are_limited(where: str, limit: Spec) -> None:
    (kind,) = limit
    found = places(judge(beside(where, resources={"limits": limit})))
    assert found == {("InvalidField", f"spec.{where}[0].resources.limits.{kind}")}


def _limits(**amounts: Any) -> Spec:
    return {"resources": {"limits": amounts}}


@pytest.mark.parametrize(
    ("before", "sidecars", "memory"),
    [
        ([], [], 100),
        ([], [50, 20], 170),
        ([90], [], 100),
        ([300, 90], [], 300),
        ([160], [50], 160),
        ([140], [50], 150),
    ],
)
def test_limits_count_all_containers(before: list[int], sidecars: list[int], memory: int) -> None:
    """As Kubernetes adds up: what runs together in sum, or the largest of those that run before."""
    spec = {
        "replicas": 3,
        **_limits(memory=100),
        "initContainers": [_limits(memory=one) for one in before],
        "sidecars": [_limits(memory=one) for one in sidecars],
    }
    assert asks_of(spec).memory == 3 * memory * 10**9
    assert asks_of({"sidecars": "x", "initContainers": [3]}).memory == 2**29 * 10**9


def test_a_sidecar_counts_against_the_policy() -> None:
    spec = beside("sidecars", **_limits(memory="512Mi"))
    assert judge(spec, {"limits": {"perAgent": {"memory": "1Gi"}}}) == []
    found = places(judge(spec, {"limits": {"perAgent": {"memory": "1023Mi"}}}))
    assert found == {("MemoryAbovePolicy", "spec.resources.limits.memory")}


def test_names_differ() -> None:
    one = {"name": "a", "image": IMAGE}
    assert places(judge({"initContainers": [one], "sidecars": [one]})) == {("InvalidField", "spec")}
    assert places(judge({"sidecars": [one, one]})) == {("InvalidField", "spec.sidecars")}
    assert places(judge(beside("sidecars", name="agent"))) == {("InvalidField", "spec.sidecars[0].name")}


@pytest.mark.parametrize("where", WHERE)
def test_its_configuration_is_asked_about(where: str) -> None:
    file = {"path": "/etc/a", "configMap": {"name": "one", "key": "k"}}
    spec = beside(where, files=[file], envFrom=[{"configMap": "two", "keys": ["A"]}])
    assert named_config_maps(spec) == {
        "one": f"spec.{where}[0].files[0].configMap.name",
        "two": f"spec.{where}[0].envFrom[0].configMap",
    }


@pytest.mark.parametrize("where", WHERE)
def test_another_container_is_another_program(where: str) -> None:
    assert not runs_the_same(beside(where), {})
    assert not runs_the_same(beside(where, args=["a"]), beside(where))
    assert runs_the_same({where: []}, {})


def test_a_secret_for_another_container_is_asked_about() -> None:
    before = beside("sidecars") | {"secrets": [existing("llm")]}
    after = before | {"secrets": [existing("llm") | {"containers": ["agent", "other"]}]}
    assert newly_delivered(before, before) == {}
    assert newly_delivered(after, before) == {"llm": "spec.secrets[0].source.existing.secretName"}


def test_a_secret_reaches_the_containers_that_it_names() -> None:
    secrets = [
        existing("own", "own"),
        existing("theirs", "theirs") | {"containers": ["proxy"]},
        existing("file", "file") | {"delivery": {"file": {"path": "/etc/keys/a"}}, "containers": ["proxy", "fetch"]},
    ]
    spec = {"image": IMAGE, **beside("sidecars", "proxy"), **beside("initContainers", "fetch"), "secrets": secrets}
    assert judge(spec) == []
    pod = build(make({"spec": spec}))[-1]["spec"]["template"]["spec"]
    volumes = {one["name"]: str(one) for one in pod["volumes"]}
    seen = {}
    for container in [*pod["containers"], *pod["initContainers"]]:
        mounted = [volumes[mount["name"]] for mount in container["volumeMounts"]]
        text = str(container.get("env", "")) + "".join(mounted)
        seen[container["name"]] = {name for name in ("own", "theirs", "file") if f"'name': '{name}'" in text}
    assert seen == {"agent": {"own"}, "proxy": {"theirs", "file"}, "fetch": {"file"}}


def test_no_container_of_another_agent_is_named() -> None:
    found = judge({"secrets": [existing("llm") | {"containers": ["proxy"]}]})
    assert places(found) == {("InvalidField", "spec")}
    assert "initContainers or sidecars" in found[0].message


def test_the_same_place_in_two_containers_is_two_places() -> None:
    at: Any = {"path": "/etc/keys/a"}
    secrets = [generated("a", file=at), generated("b", file=at) | {"containers": ["other"]}]
    assert judge(beside("sidecars") | {"secrets": secrets}) == []
    secrets[0] |= {"containers": ["agent", "other"]}
    found = places(judge(beside("sidecars") | {"secrets": secrets}))
    assert found == {("SecretDelivery", "spec.secrets[1].delivery.file.path")}


def test_a_malformed_container_hides_no_other_mistake() -> None:
    sidecars = [3, {"name": "a", "image": "x", "ports": []}, {"name": 4, "files": [{"path": "/proc/a"}]}]
    found = places(judge({"sidecars": sidecars}))
    assert {
        ("ImageNoDigest", "spec.sidecars[1].image"),
        ("InvalidField", "spec.sidecars[1].ports"),
        ("InvalidField", "spec.sidecars[2].files[0].path"),
    } <= found


@pytest.mark.parametrize("field", ["ports", "volumeMounts", "secrets", "securityContext", "restartPolicy"])
def test_what_people_write_first(field: str) -> None:
    fields: Spec = {field: []}
    (found,) = judge(beside("sidecars", **fields))
    assert found.path == f"spec.sidecars[0].{field}"
    assert len(found.message) > len("unknown field: ") + 20
