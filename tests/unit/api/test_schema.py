"""From small models to structural schemas."""

import re
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field

from ringfence.api import AgentDeployment, AgentPolicy, quantities
from ringfence.api.base import ListType, Model, PrinterColumn, Rule, ValueRule
from ringfence.api.fields import Labels, Quantity
from ringfence.api.schema import (
    KEYWORDS,
    WHOLE,
    WHOLE_OR_TEXT,
    SchemaError,
    custom_resource_definition,
    structural_schema,
    walk,
)

Text = Annotated[str, Field(max_length=9)]
EVEN = ValueRule(cel="self.size() % 2 == 0", message="must be even", check=lambda text: len(text) % 2 == 0)


class Inner(Model):
    """An inner
    object."""

    size: int = Field(default=3, ge=0, le=9, description="How big.")
    deep_name: Text | None = Field(default=None, description="A name.")


class Sample(Model):
    """A sample."""

    cel_rules: ClassVar = (Rule(cel="self.flag", message="flag it", check=lambda it: it.flag),)

    text: Annotated[str, Field(min_length=1, max_length=5, pattern="^a*$")] = Field(description="T.")
    flag: bool = Field(default=True, description="F.")
    choice: Literal["A", "B"] = Field(default="A", description="C.")
    only: Literal["A"] = Field(default="A", description="O.")
    amount: Quantity | None = Field(default=None, description="Q.")
    labels: Labels = Field(default_factory=dict, max_length=2, description="L.")
    even: Annotated[str, Field(max_length=4), EVEN] = Field(default="", description="E.")
    words: Annotated[list[Text], Field(max_length=2), ListType("set")] = Field(default_factory=list, description="W.")
    more: Annotated[list[Text], Field(min_length=1, max_length=2), ListType("atomic")] | None = Field(
        default=None, description="M."
    )
    things: Annotated[list[Inner], Field(max_length=2), ListType("map", ("size",))] = Field(
        default_factory=list, description="Things."
    )
    inner: Inner = Field(default_factory=Inner)
    other: Inner = Field(default_factory=lambda: Inner(size=5), description="Another.")
    from_: Text = Field(alias="from", description="Fr.")


SCHEMA = structural_schema(Sample)
INNER = {
    "type": "object",
    "properties": {
        "size": {
            "type": "integer",
            "default": 3,
            "minimum": 0,
            "maximum": 9,
            "description": "How big.",
            "x-kubernetes-validations": [WHOLE],
        },
        "deepName": {"type": "string", "maxLength": 9, "description": "A name."},
    },
}
FIELDS: dict[str, dict[str, Any]] = {
    "text": {"type": "string", "minLength": 1, "maxLength": 5, "pattern": "^a*$", "description": "T."},
    "flag": {"type": "boolean", "default": True, "description": "F."},
    "choice": {"type": "string", "enum": ["A", "B"], "default": "A", "description": "C."},
    "only": {"type": "string", "enum": ["A"], "default": "A", "description": "O."},
    "even": {
        "type": "string",
        "default": "",
        "maxLength": 4,
        "x-kubernetes-validations": [{"rule": "self.size() % 2 == 0", "message": "must be even"}],
        "description": "E.",
    },
    "words": {
        "type": "array",
        "default": [],
        "items": {"type": "string", "maxLength": 9},
        "maxItems": 2,
        "x-kubernetes-list-type": "set",
        "description": "W.",
    },
    "more": {
        "type": "array",
        "items": {"type": "string", "maxLength": 9},
        "minItems": 1,
        "maxItems": 2,
        "x-kubernetes-list-type": "atomic",
        "description": "M.",
    },
    "things": {
        "type": "array",
        "default": [],
        "items": {**INNER, "description": "An inner object."},
        "maxItems": 2,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["size"],
        "description": "Things.",
    },
    "inner": {**INNER, "default": {}, "description": "An inner object."},
    "other": {**INNER, "default": {"size": 5}, "description": "Another."},
    "from": {"type": "string", "maxLength": 9, "description": "Fr."},
}


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_becomes(name: str) -> None:
    assert SCHEMA["properties"][name] == FIELDS[name]


def test_a_quantity_is_an_integer_or_a_string() -> None:
    amount = SCHEMA["properties"]["amount"]
    assert amount["x-kubernetes-int-or-string"] is True
    assert amount["anyOf"] == [{"type": "integer"}, {"type": "string"}]
    assert (amount["minimum"], amount["maxLength"]) == (0, 32)
    whole, text = amount["x-kubernetes-validations"]
    assert whole == WHOLE_OR_TEXT
    assert text["rule"].startswith("!(type(self) in [string]) || ")
    assert "type" not in amount
    assert "default" not in amount


@pytest.mark.parametrize("kind", [AgentDeployment, AgentPolicy])
def test_no_rule_looks_at_a_quantity_as_a_whole(kind: Any) -> None:
    # Old API servers count that as a look at a text as long as a request, and refuse the CRD: ringfence.api.quantities.
    rules = {
        rule["rule"]
        for _, node in walk(structural_schema(kind))
        if "x-kubernetes-int-or-string" in node
        for rule in node["x-kubernetes-validations"]
    }
    assert rules == {WHOLE_OR_TEXT["rule"], quantities.CEL}
    called = {word for rule in rules for word in re.findall(r"(\w+)\(", rule)}
    assert called == {"type", "charAt", "size", "endsWith", "all", "filter"}
    assert not any(re.search(r"type\(self\) [!=]=", rule) for rule in rules)


def test_a_map_has_a_rule_for_its_keys() -> None:
    labels = SCHEMA["properties"]["labels"]
    assert labels["additionalProperties"]["maxLength"] == 63
    assert labels["maxProperties"] == 2
    assert labels["default"] == {}
    assert "self.all(key," in labels["x-kubernetes-validations"][0]["rule"]


def test_the_object_itself() -> None:
    assert SCHEMA["description"] == "A sample."
    assert SCHEMA["x-kubernetes-validations"] == [{"rule": "self.flag", "message": "flag it"}]
    assert SCHEMA["required"] == ["text", "from"]


def test_walk_names_every_node() -> None:
    paths = [path for path, _ in walk(SCHEMA)]
    assert paths[:2] == ["", ".text"]
    assert {".labels{}", ".things[].deepName", ".words[]", ".inner.size"} <= set(paths)


class Bare(Model):
    """A field without words."""

    text: Text


class Unbounded(Model):
    """A text without a bound."""

    text: str = Field(description="T.")


class UnboundedList(Model):
    """A list without a bound."""

    words: Annotated[list[Text], ListType("atomic")] = Field(description="W.")


class UnmarkedList(Model):
    """A list that is neither atomic, set nor map."""

    words: list[Text] = Field(description="W.", max_length=1)


class StickyList(Model):
    """S."""

    words: Annotated[list[Text], Field(max_length=2), ListType("set")] = Field(
        default_factory=lambda: ["*"], description="W."
    )


class UnboundedMap(Model):
    """A map without a bound."""

    words: dict[str, Text] = Field(description="W.")


class FreeObject(Model):
    """An object of any shape."""

    anything: dict[str, Any] = Field(description="A.", max_length=1)


class Whatever(Model):
    """No type at all."""

    anything: Any = Field(description="A.")


class Floating(Model):
    """A float."""

    ratio: float = Field(description="R.", ge=0, le=1)


class HalfBounded(Model):
    """An integer without a top."""

    count: int = Field(description="C.", ge=0)


class Mixed(Model):
    """A union that is no quantity."""

    mixed: bool | Text = Field(description="M.")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Bare, "Bare: without a description: text"),
        (Unbounded, "Unbounded.text: a string needs max_length"),
        (UnboundedList, "UnboundedList.words: a list needs"),
        (UnmarkedList, "UnmarkedList.words: a list needs"),
        (StickyList, "StickyList.words: a default that server-side apply cannot replace"),
        (UnboundedMap, "UnboundedMap.words: a map needs"),
        (FreeObject, "FreeObject.anything"),
        (Whatever, "Whatever.anything"),
        (Floating, "Floating.ratio: floats"),
        (HalfBounded, "HalfBounded.count: an integer needs"),
        (Mixed, "must be int | str"),
    ],
)
def test_what_has_no_structural_schema_is_refused_with_its_path(model: type[Model], words: str) -> None:
    with pytest.raises(SchemaError) as caught:
        structural_schema(model)
    assert words in str(caught.value)


class Wrapped(Model):
    """A kind."""

    kind: ClassVar = "Wrapped"
    plural: ClassVar = "wrappeds"
    short_names: ClassVar = ("wr",)
    scope: ClassVar = "Cluster"
    name_rule: ClassVar = Rule(cel="self.metadata.name != 'x'", message="not x", check=lambda name: name != "x")
    printer_columns: ClassVar = (PrinterColumn("Size", "integer", ".spec.size", "How big", 1),)

    spec: Inner


def test_a_kind_becomes_a_crd() -> None:
    crd = custom_resource_definition(Wrapped)
    assert crd["metadata"] == {"name": "wrappeds.ringfence.dev"}
    assert crd["spec"]["scope"] == "Cluster"
    assert crd["spec"]["names"] == {
        "kind": "Wrapped",
        "listKind": "WrappedList",
        "plural": "wrappeds",
        "singular": "wrapped",
        "shortNames": ["wr"],
        "categories": ["ringfence"],
    }
    (version,) = crd["spec"]["versions"]
    assert "subresources" not in version, "no status, no subresource"
    assert version["additionalPrinterColumns"] == [
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size", "description": "How big", "priority": 1}
    ]
    schema = version["schema"]["openAPIV3Schema"]
    assert list(schema["properties"]) == ["apiVersion", "kind", "metadata", "spec"]
    assert schema["required"] == ["spec"]
    assert schema["x-kubernetes-validations"] == [{"rule": "self.metadata.name != 'x'", "message": "not x"}]


@pytest.mark.parametrize("kind", [AgentDeployment, AgentPolicy])
def test_nothing_in_the_crds_is_open(kind: Any) -> None:
    (version,) = custom_resource_definition(kind)["spec"]["versions"]
    for path, node in walk(version["schema"]["openAPIV3Schema"]):
        if path != ".metadata":
            assert set(node) <= set(KEYWORDS), path
            assert "x-kubernetes-preserve-unknown-fields" not in node


def test_a_kind_with_a_status_has_the_subresource() -> None:
    found = custom_resource_definition(AgentDeployment)["spec"]["versions"][0]["subresources"]
    assert found["status"] == {}
    assert found["scale"]["specReplicasPath"] == ".spec.replicas"
    assert custom_resource_definition(AgentPolicy)["spec"]["versions"][0]["subresources"] == {"status": {}}
