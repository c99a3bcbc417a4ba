"""The samples get the verdict that their folder says, from both judges."""

import re
from typing import Any

import pytest

from api.fields import schema_of
from api.parity import KINDS, Parity, errors
from api.samples import documents, full, read
from ringfence.api.schema import WHOLE, custom_resource_definition, walk


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in documents("valid")])
def test_valid(parity: Parity, text: str) -> None:
    answer = parity.answer(read(text), text.encode(), "yaml")
    assert answer.ok, answer.message


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in documents("invalid")])
def test_invalid_with_the_path_or_the_sentence(parity: Parity, text: str) -> None:
    manifest = read(text)
    answer = parity.answer(manifest, text.encode(), "yaml")
    assert not answer.ok
    expected = re.findall(r"^# expect: (.+)$", text, re.MULTILINE)[0]
    assert expected in answer.message
    assert any(expected in error for error in errors(manifest)), errors(manifest)


def test_each_rule_of_the_crds_is_broken_by_a_sample(parity: Parity) -> None:
    # A float cannot be said in YAML: tests/api/test_numbers.py breaks that rule.
    wanted = {
        rule["message"]
        for kind, _ in KINDS.values()
        for _, node in walk(root_schema(kind))
        for rule in node.get("x-kubernetes-validations", ())
        if rule["message"] != WHOLE["message"]
    }
    answers = [parity.answer(read(text), text.encode(), "yaml").message for _, text in documents("invalid")]
    assert {rule for rule in wanted if not any(rule in answer for answer in answers)} == set()


def test_each_list_without_doubles_is_given_doubles_by_a_sample() -> None:
    wanted = {
        path.lstrip(".")
        for kind, _ in KINDS.values()
        for path, node in walk(root_schema(kind))
        if path.startswith(".spec.") and node.get("x-kubernetes-list-type") in {"map", "set"}
    }
    tried = {
        re.sub(r"\[[0-9]+\]", "[]", found)
        for name, text in documents("invalid")
        if "twice" in name
        for found in re.findall(r"^# expect: (.+)$", text, re.MULTILINE)
    }
    assert wanted - tried == set()


@pytest.mark.parametrize("kind", KINDS)
def test_the_full_sample_has_every_field(kind: str) -> None:
    fields = {path for path, _ in walk(schema_of(kind))}
    found = {*_paths(full(kind)["spec"]), *_paths(full(kind, ".run")["spec"])}
    assert fields - found == set()


def root_schema(kind: Any) -> dict[str, Any]:
    found: dict[str, Any] = custom_resource_definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def _paths(
    value: Any,
    path: str = "",
    label_maps: tuple[str, ...] = ("podLabels", "podAnnotations", "matchLabels", "nodeSelector"),
) -> list[str]:
    found = [path]
    if isinstance(value, dict):
        for name, below in value.items():
            found += _paths(below, f"{path}{{}}" if path.endswith(label_maps) else f"{path}.{name}")
    elif isinstance(value, list):
        for below in value:
            found += _paths(below, f"{path}[]")
    return found
