"""Every bound of every field at both ends, and every field with what it must not be.

The cases are derived from the schema: a field that enters the API is covered without a line here.
"""

from typing import Any

import pytest

from api.edges import edges
from api.fields import DELETE, all_fields, sample_of, with_field
from api.parity import Parity

JUNK: dict[str, list[Any]] = {
    "string": [1, 1.5, True, [], {}, ["a"], {"a": "b"}],
    "integer": ["1", 1.5, True, [], {}, "", 2**63, 2**64, -(2**63) - 1, 1e300],
    "boolean": ["true", "on", 0, 1, [], {}, ""],
    "array": ["a", 1, True, {}, {"0": "a"}, [None], [[]], [[[]]]],
    "object": ["a", 1, True, [], [{}]],
    "int-or-string": [True, 1.5, [], {}, "", "1e3", -1, "-1", "1,5", "1 Gi", "٣"],
}
"""What a node of each type never takes."""

RULED = {
    (".run.mode", "Service"),
    (".run.mode", "Job"),
    (".stop.gracePeriod", "minLength"),
    (".stop.gracePeriod", "maxLength"),
    (".pods.maxGracePeriod", "maxLength"),
    (".pods.maxGracePeriod", "minLength"),
    (".network.egress[].ports", "minItems"),
    (".secrets[].containers", "maxItems"),
    (".secrets[].containers[]", "minLength"),
    (".secrets[].containers[]", "maxLength"),
    (".namespaceSelector.matchExpressions[].operator", "Exists"),
    (".namespaceSelector.matchExpressions[].operator", "DoesNotExist"),
    (".namespaceSelector.matchExpressions[].values", "minItems"),
    *(
        (f".scheduling.nodeAffinity.{field}[].{what}", end)
        for field in ("required", "preferred")
        for what, end in (
            *(("operator", one) for one in ("Exists", "DoesNotExist", "Gt", "Lt")),
            ("values", "minItems"),
        )
    ),
    (".scheduling.apart[].whenUnsatisfiable", "DoNotSchedule"),
}
"""Ends of bounds at which a rule across fields has the last word; samples/invalid/rules.yaml has those."""

FIELDS = all_fields()


def case(kind: str, path: str, node: dict[str, Any]) -> Any:
    return pytest.param(kind, path, node, id=f"{kind}{path}")


@pytest.mark.parametrize(("kind", "path", "node"), [case(*field) for field in FIELDS])
def test_both_ends_of_each_bound(parity: Parity, kind: str, path: str, node: dict[str, Any]) -> None:
    for what, value, inside in edges(node, sample_of(kind, path)):
        answer = parity.answer(with_field(kind, path, value))
        assert answer.ok == inside or (path, what) in RULED, f"{what}: {answer.message}"


@pytest.mark.parametrize(("kind", "path", "node"), [case(*field) for field in FIELDS])
def test_wrong_types_are_refused(parity: Parity, kind: str, path: str, node: dict[str, Any]) -> None:
    for junk in JUNK[node.get("type", "int-or-string")]:
        assert not parity.verdict(with_field(kind, path, junk)), f"{junk!r} is taken"


@pytest.mark.parametrize(
    ("kind", "path"), [pytest.param(kind, path, id=f"{kind}{path}") for kind, path, _ in FIELDS if path[-1] not in "]}"]
)
def test_null_is_absence(parity: Parity, kind: str, path: str) -> None:
    null = parity.answer(with_field(kind, path, None))
    absent = parity.answer(with_field(kind, path, DELETE))
    assert null.ok == absent.ok
    assert null.body.get("spec") == absent.body.get("spec")


OBJECTS = [case(*field) for field in FIELDS if "properties" in field[2]]


@pytest.mark.parametrize(("kind", "path", "node"), OBJECTS)
def test_unknown_fields_are_refused(parity: Parity, kind: str, path: str, node: dict[str, Any]) -> None:
    for unknown in ("unknown", "x-unknown", "Unknown", "__class__", "model_config", "$ref", "é"):
        value = {**sample_of(kind, path), unknown: None}
        parity.refused(with_field(kind, path, value), "nknown field")


@pytest.mark.parametrize(("kind", "path", "node"), OBJECTS)
def test_an_empty_object_lacks_what_is_required(parity: Parity, kind: str, path: str, node: dict[str, Any]) -> None:
    rules = [rule["rule"] for rule in node.get("x-kubernetes-validations", ())]
    one_of = (
        "has(self.service)",
        "has(self.existing)",
        "has(self.file)",
        "has(self.content)",
        "has(self.http)",
        "has(self.methods) ||",
        "has(self.requestsPerMinute) ||",
    )
    by_rule = any(choice in rule for rule in rules for choice in one_of)
    assert parity.verdict(with_field(kind, path, {})) == (not node.get("required") and not by_rule)
