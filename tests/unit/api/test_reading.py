"""Objects are read as the API server reads them. tests/api proves the same against a real one."""

from typing import Any

import pytest

from ringfence.api import AgentDeployment, AgentDeploymentSpec, AgentPolicy, AgentPolicySpec, name_error, parse


def paths(model: Any, spec: dict[str, Any]) -> set[str]:
    return {error.path for error in parse(model, spec).errors}


@pytest.mark.parametrize("number", [3.0, -0.0, 3.5, 2.0**53, True, "3"])
def test_only_integers_are_integers(number: Any) -> None:
    assert paths(AgentDeploymentSpec, {"image": "a", "replicas": number}) == {"spec.replicas"}


def test_null_is_an_absent_field() -> None:
    nulls = {"image": "a", "network": None, "replicas": None, "storage": None, "permissions": {"level": None}}
    assert parse(AgentDeploymentSpec, nulls).value == parse(AgentDeploymentSpec, {"image": "a"}).value


def test_null_does_not_hide_an_unknown_field() -> None:
    assert paths(AgentDeploymentSpec, {"image": "a", "unknown": None}) == {"spec.unknown"}


def test_null_does_not_stand_for_what_is_required() -> None:
    assert paths(AgentDeploymentSpec, {"image": None}) == {"spec.image"}


def test_null_in_a_map_drops_the_entry() -> None:
    value = parse(AgentPolicySpec, {"namespaceSelector": {"matchLabels": {"a": None, "b": "c"}}}).value
    assert value is not None
    assert value.namespace_selector.match_labels == {"b": "c"}


@pytest.mark.parametrize("name", ["image_pull_secrets", "from_", "api_groups"])
def test_only_the_names_of_the_api_are_read(name: str) -> None:
    assert paths(AgentDeploymentSpec, {"image": "a", name: []}) == {f"spec.{name}"}


@pytest.mark.parametrize(
    ("field", "entries"),
    [
        ("env", [{"name": "A"}, {"name": "A"}]),
        ("ports", [{"name": "a", "port": 1}, {"name": "a", "port": 2}]),
        ("imagePullSecrets", ["a", "a"]),
    ],
)
def test_the_same_entry_twice_is_refused(field: str, entries: list[Any]) -> None:
    assert paths(AgentDeploymentSpec, {"image": "a", field: entries}) == {f"spec.{field}"}


def test_a_quantity_is_refused_in_one_sentence() -> None:
    (error,) = parse(AgentDeploymentSpec, {"image": "a", "storage": {"mountPath": "/a", "size": "1e3"}}).errors
    assert error.path == "spec.storage.size"
    assert "512Mi" in error.message


@pytest.mark.parametrize(
    ("kind", "name", "right"),
    [
        (AgentDeployment, "a" * 63, True),
        (AgentDeployment, "a" * 64, False),
        (AgentDeployment, "a.b", False),
        (AgentDeployment, "a\n", False),
        (AgentDeployment, "", False),
        (AgentDeployment, None, False),
        (AgentPolicy, "a.b", True),
        (AgentPolicy, "a" * 253, True),
        (AgentPolicy, "a" * 254, False),
        (AgentPolicy, "A", False),
    ],
)
def test_names(kind: Any, name: Any, right: bool) -> None:
    assert (name_error(kind, name) is None) == right
