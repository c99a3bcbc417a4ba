"""Configuration: where files may be, which variables a ConfigMap may set, and who may hand one over."""

from typing import Any

import pytest

from ringfence.policy.atoms import PermissionSet
from ringfence.policy.delegate import delegate, requester
from ringfence.policy.files import GET_CONFIGMAPS, named_config_maps, not_readable, reading
from ringfence.policy.handover import newly_delivered, runs_the_same
from ringfence.policy.pods import RESERVED_PATHS, SYSTEM_PATHS
from unit.policy.make import judge, places
from unit.policy.plaintexts import SHAPES


def file(path: str, **source: Any) -> dict[str, Any]:
    return {"path": path, **(source or {"content": "a: 1\n"})}


def test_what_is_accepted() -> None:
    files = [
        file("/etc/agent/config.yaml"),
        file("/etc/agent/more/a"),
        file("/etc/agent/config.yaml.d"),
        file("/usr/src/app/settings", configMap={"name": "x", "key": ".env"}),
        file("/app/prompt.md", content=""),
    ]
    sources = [{"configMap": "settings", "keys": ["LOG_LEVEL", "REGION"]}, {"configMap": "more", "keys": ["MODEL"]}]
    assert judge({"files": files, "envFrom": sources, "env": [{"name": "A"}]}) == []


@pytest.mark.parametrize("place", [*RESERVED_PATHS, *SYSTEM_PATHS])
@pytest.mark.parametrize("below", ["", "/below"])
def test_a_file_hides_nothing_of_the_system_or_the_pod(place: str, below: str) -> None:
    assert places(judge({"files": [file(place + below)]})) == {("InvalidField", "spec.files[0].path")}


@pytest.mark.parametrize("path", ["/etc", "/var", "/var/run", "/run", "/usr", "/usr/local"])
def test_a_file_is_no_directory_that_is_needed(path: str) -> None:
    assert places(judge({"files": [file(path)]})) == {("InvalidField", "spec.files[0].path")}


@pytest.mark.parametrize(
    ("paths", "broken"),
    [
        (["/a/b", "/a/b/c"], {1}),
        (["/a/b/c/d", "/a/b"], {0}),
        (["/a/b", "/a/bc"], set()),
        (["/data/x", "/b"], {0}),
        (["/data", "/datax"], {0}),
    ],
)
def test_files_and_the_volume_do_not_hide_each_other(paths: list[str], broken: set[int]) -> None:
    found = judge({"files": [file(path) for path in paths], "storage": {"mountPath": "/data", "size": "1Gi"}})
    assert places(found) == {("InvalidField", f"spec.files[{index}].path") for index in broken}


@pytest.mark.parametrize("name", ["LD_PRELOAD", "PATH", "PYTHONPATH", "https_proxy", "NODE_OPTIONS", "HOME"])
def test_a_config_map_decides_no_variable_that_leads_programs(name: str) -> None:
    found = judge({"envFrom": [{"configMap": "c", "keys": ["FINE", name]}]})
    assert places(found) == {("VariableReserved", "spec.envFrom[0].keys[1]")}
    assert "whoever writes the ConfigMap" in found[0].message


def test_no_variable_is_set_twice() -> None:
    secret = {
        "name": "k",
        "source": {"existing": {"secretName": "s", "key": "k"}},
        "delivery": {"env": {"name": "SECOND"}},
    }
    sources = [{"configMap": "a", "keys": ["FIRST", "SECOND", "THIRD"]}, {"configMap": "b", "keys": ["THIRD"]}]
    found = judge({"env": [{"name": "FIRST"}], "secrets": [secret], "envFrom": sources})
    at = {"spec.envFrom[0].keys[0]", "spec.envFrom[0].keys[1]", "spec.envFrom[1].keys[0]"}
    assert places(found) == {("InvalidField", path) for path in at}


@pytest.mark.parametrize(("what", "texts"), SHAPES.items())
def test_a_secret_in_a_file_is_refused_and_not_repeated(what: str, texts: tuple[str, ...]) -> None:
    for text in texts:
        found = judge({"files": [file("/etc/a", content="fine"), file("/etc/b", content=f"key: x\ntoken: {text}\n")]})
        assert places(found) == {("SecretInPlainText", "spec.files[1].content")}, what
        assert text not in found[0].message


def test_a_malformed_entry_hides_no_other() -> None:
    spec = {"files": [3, file("/tmp/x")], "envFrom": [{"keys": ["LD_PRELOAD", 3]}, "x"]}
    wanted = {("InvalidField", "spec.files[1].path"), ("VariableReserved", "spec.envFrom[0].keys[0]")}
    assert wanted < places(judge(spec))


SPEC = {
    "files": [
        file("/etc/a"),
        file("/etc/b", configMap={"name": "one", "key": "k"}),
        file("/etc/c", configMap={"name": "two", "key": "k"}),
    ],
    "envFrom": [{"configMap": "one", "keys": ["A"]}, {"configMap": "three", "keys": ["B"]}],
}


def test_config_maps_are_found_where_they_are_named() -> None:
    assert named_config_maps(SPEC) == {
        "one": "spec.files[1].configMap.name",
        "two": "spec.files[2].configMap.name",
        "three": "spec.envFrom[1].configMap",
    }


@pytest.mark.parametrize(
    "spec",
    [None, [], {"files": {}}, {"files": [None, {"configMap": 3}, {"configMap": {"name": {}}}]}, {"envFrom": [3, {}]}],
)
def test_what_cannot_be_read_names_none(spec: Any) -> None:
    assert named_config_maps(spec) == {}
    assert not reading(named_config_maps(spec))


def test_who_may_not_read_one_is_told_which() -> None:
    named = named_config_maps(SPEC)
    lacking = PermissionSet({GET_CONFIGMAPS: frozenset({"three"})})
    (found,) = not_readable(named, lacking, requester({"username": "dev"}))
    assert (found.rule, found.path) == ("PermissionNotHeldByRequester", "spec.envFrom[1].configMap")
    assert 'you may not get ConfigMap "three"' in found.message
    subject = delegate("group:team")
    assert subject
    (found,) = not_readable(named, lacking, subject)
    assert 'group "team", the delegate' in found.message
    assert list(not_readable(named, PermissionSet(), subject)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"files": [file("/app/main.py", content="import os")]},
        {"files": [file("/etc/a", configMap={"name": "one", "key": "k"})]},
        {"envFrom": [{"configMap": "one", "keys": ["A"]}]},
    ],
)
def test_other_configuration_is_another_program(change: dict[str, Any]) -> None:
    """Else whoever may write the agent would have a file of his read the secrets that others trusted it with."""
    before = {"secrets": [{"source": {"existing": {"secretName": "s", "key": "k"}}}], "files": [file("/etc/a")]}
    assert runs_the_same(before, before)
    assert not runs_the_same(before | change, before)
    assert newly_delivered(before | change, before) == {"s": "spec.secrets[0].source.existing.secretName"}
    assert newly_delivered(before, before) == {}
