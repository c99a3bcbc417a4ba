"""From a type to its CustomResourceDefinition: structural OpenAPI v3, by pydantic's own generator.

What the API server does not take is refused here, with the path of the field, so that a mistake in a
declaration fails in `make generate`: a string, list or map without a bound, a field without a
description, an object without declared fields.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from . import quantities
from .base import Model, Rule
from .names import GROUP, VERSION
from .patterns import PATTERNS

CATEGORY = "ringfence"
"""`kubectl get ringfence` lists every object of the group."""

KEYWORDS = (
    *("description", "type", "x-kubernetes-int-or-string", "anyOf", "default", "enum", "pattern"),
    *(
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "minProperties",
        "maxProperties",
    ),
    *("x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-validations"),
    *("required", "properties", "items", "additionalProperties"),
)
"""All that a generated schema may hold, in the order in which it is written: a part of what the API server
calls structural."""


WHOLE = {
    "rule": "type(self) == int",
    "message": "must be an integer, written without a decimal point or an exponent",
}
"""To the API server's schemas 80.0 is an integer, to its CEL rules it is not: without this, 80.0 would be taken until
a rule looks at it, and be stored twice in a set."""
WHOLE_OR_TEXT = {"rule": quantities.INTEGER_OR_TEXT, "message": WHOLE["message"]}
LIST_BOUNDS = frozenset({"maxItems", "x-kubernetes-list-type"})
MAP_BOUNDS = frozenset({"additionalProperties", "maxProperties"})


class SchemaError(Exception):
    """A declaration that cannot become a structural schema; the text starts with the field's path."""


class StructuralJsonSchema(GenerateJsonSchema):
    """Pydantic's generator, with the turns that a structural schema needs."""

    sentences = True
    """Whether formats are rules with a sentence, where there is one."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """`X | None` is X: an optional field is absent, never null."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Keep defaults, those of factories too; None is no default."""
        inner = self.generate_inner(schema["schema"])
        factory = schema.get("default_factory")
        value = factory() if factory is not None else schema.get("default")  # type: ignore[call-arg]
        return inner if value is None else inner | {"default": _plain(value)}

    def str_schema(self, schema: core_schema.StringSchema) -> JsonSchemaValue:
        """Text. The API server shows a regular expression as it is: as a rule, it comes with a sentence."""
        found = super().str_schema(schema)
        message = PATTERNS.get(found.get("pattern", ""))
        if message is None or not self.sentences:
            return found
        rule = {"rule": f"self.matches(r'{found.pop('pattern')}')", "message": message}
        return found | {"x-kubernetes-validations": [rule]}

    def literal_schema(self, schema: core_schema.LiteralSchema) -> JsonSchemaValue:
        """Words to choose from, even when there is one: `const` is not structural."""
        return {"type": "string", "enum": schema["expected"]}

    def int_schema(self, schema: core_schema.IntSchema) -> JsonSchemaValue:
        """An integer, written as one."""
        return super().int_schema(schema) | {"x-kubernetes-validations": [WHOLE]}

    def union_schema(self, schema: core_schema.UnionSchema) -> JsonSchemaValue:
        """An integer or a string is the only union there is (Kubernetes' quantities)."""
        branches = [self.generate_inner(choice) for choice in schema["choices"] if not isinstance(choice, tuple)]
        types = [branch.pop("type", None) for branch in branches]
        if types != ["integer", "string"]:
            raise SchemaError(f"a union must be int | str, not {types}")
        merged = {keyword: value for branch in branches for keyword, value in branch.items()}
        kinds = {"anyOf": [{"type": kind} for kind in types], "x-kubernetes-int-or-string": True}
        rules = [rule | {"rule": quantities.CEL} for rule in branches[1].get("x-kubernetes-validations", ())]
        return merged | kinds | {"x-kubernetes-validations": [WHOLE_OR_TEXT, *rules]}

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """Add the rules that span fields."""
        found = super().model_schema(schema)
        rules: tuple[Rule, ...] = getattr(schema["cls"], "cel_rules", ())
        return found | _validations(*rules)

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        """Titles would only repeat the names of the fields."""
        return False


def structural_schema(model: type[Model]) -> dict[str, Any]:
    """The schema of `model` without references. Raises SchemaError with the path of what is wrong."""
    found = model.model_json_schema(by_alias=True, schema_generator=StructuralJsonSchema)
    definitions = found.pop("$defs", {})
    schema: dict[str, Any] = _tidied(_inlined(found, definitions))
    for path, node in walk(schema):
        if problem := _problem(node):
            raise SchemaError(f"{model.__name__}{path}: {problem}")
    return schema


class _EditorSchema(StructuralJsonSchema):
    """For editors: formats as regular expressions, which they check."""

    sentences = False


def json_schema(model: Any) -> dict[str, Any]:
    """The JSON Schema of whole manifests of a kind, for editors: strict, and without what only Kubernetes reads."""
    found = model.model_json_schema(by_alias=True, schema_generator=_EditorSchema)
    definitions = found.pop("$defs", {})
    schema: dict[str, Any] = _strict(_tidied(_inlined(found, definitions)))
    schema["properties"] = {
        "apiVersion": {"const": f"{GROUP}/{VERSION}"},
        "kind": {"const": model.kind},
        "metadata": {"type": "object"},
        **schema["properties"],
    }
    return schema | {"required": ["apiVersion", "kind", "metadata", "spec"]}


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    for _, node in walk(schema):
        if "properties" in node:
            node["additionalProperties"] = False
        for keyword in [keyword for keyword in node if keyword.startswith("x-kubernetes-")]:
            del node[keyword]
    return schema


def custom_resource_definition(model: Any) -> dict[str, Any]:
    """The CRD of a kind: a Model with kind, plural, short_names, scope, printer_columns and name_rule."""
    schema = _root(model)
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [_column(column) for column in model.printer_columns],
        "schema": {"openAPIV3Schema": schema},
    }
    if "status" in schema["properties"]:
        scale = {"scale": model.scale} if getattr(model, "scale", None) else {}
        version["subresources"] = {"status": {}, **scale}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{model.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": model.scope,
            "names": {
                "kind": model.kind,
                "listKind": f"{model.kind}List",
                "plural": model.plural,
                "singular": model.kind.lower(),
                "shortNames": list(model.short_names),
                "categories": [CATEGORY],
            },
            "versions": [version],
        },
    }


def walk(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every node with its path, such as `.network.egress[].cidr`; `{}` stands for any key of a map."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from walk(field, f"{path}.{name}")
    if "items" in schema:
        yield from walk(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from walk(schema["additionalProperties"], f"{path}{{}}")


def _root(model: Any) -> dict[str, Any]:
    schema = structural_schema(model)
    schema["properties"] = {
        "apiVersion": {"type": "string", "description": f"Always {GROUP}/{VERSION}."},
        "kind": {"type": "string", "description": f"Always {model.kind}."},
        "metadata": {"type": "object"},
        **schema["properties"],
    }
    rules = [rule for rule in (model.name_rule, getattr(model, "run_name_rule", None)) if rule is not None]
    schema |= _validations(*rules)
    return schema


def _column(column: Any) -> dict[str, Any]:
    found = {
        "name": column.name,
        "type": column.type,
        "description": column.description,
        "priority": column.priority,
        "jsonPath": column.json_path,
    }
    return {key: value for key, value in found.items() if value}


def _validations(*rules: Rule) -> dict[str, Any]:
    if not rules:
        return {}
    return {"x-kubernetes-validations": [{"rule": rule.cel, "message": rule.message} for rule in rules]}


def _plain(value: Any) -> Any:
    """A default as JSON; that of an object names what differs from its own fields' defaults: mostly `{}`."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return value


def _inlined(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inlined(entry, definitions) for entry in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        # What stands beside a reference (a description, a default) is said about this one use of the type.
        own = {keyword: value for keyword, value in node.items() if keyword != "$ref"}
        node = definitions[node["$ref"].removeprefix("#/$defs/")] | own
    return {keyword: _inlined(value, definitions) for keyword, value in node.items()}


def _tidied(node: dict[str, Any]) -> dict[str, Any]:
    """Drop what the API server has no use for, and put docstrings on one line."""
    found: dict[str, Any] = {}
    for keyword, value in node.items():
        if keyword == "properties":
            found[keyword] = {name: _tidied(field) for name, field in value.items()}
        elif keyword == "items" or (keyword == "additionalProperties" and isinstance(value, dict)):
            found[keyword] = _tidied(value)
        elif keyword == "description":
            found[keyword] = " ".join(value.split())
        elif keyword != "title" and not (keyword == "additionalProperties" and value is False):
            # The API server refuses unknown fields by itself, and takes no such keyword beside properties.
            found[keyword] = value
    return {keyword: found[keyword] for keyword in (*KEYWORDS, *found) if keyword in found}


def _sticky(node: dict[str, Any]) -> bool:
    """Whether an apply would add to the default, which nobody owns, so that nobody's apply could take it away."""
    return bool(node.get("default")) and node.get("x-kubernetes-list-type") in {"set", "map"}


def _problem(node: dict[str, Any]) -> str:
    """What keeps one node from being structural and bounded; empty when it is both."""
    fields = node.get("properties", {})
    kind = node.get("type")
    checks = (
        (sorted(node.keys() - set(KEYWORDS)), "not in a structural schema"),
        ([name for name, field in fields.items() if not field.get("description")], "without a description"),
        (kind == "string" and not {"maxLength", "enum"} & node.keys(), "a string needs max_length"),
        (kind == "array" and not node.keys() >= LIST_BOUNDS, "a list needs max_length and a ListType"),
        (_sticky(node), "a default that server-side apply cannot replace: make the list atomic"),
        (kind == "object" and not fields and not node.keys() >= MAP_BOUNDS, "a map needs max_length"),
        (kind == "integer" and not {"minimum", "maximum"} <= node.keys(), "an integer needs ge and le"),
        (kind is None and "x-kubernetes-int-or-string" not in node, "a value of any type has no place in the API"),
        (node.get("additionalProperties") is True, "an object of any shape has no place in the API"),
        (kind in {"number", "null"}, "floats and nulls have no place in the API"),
    )
    for found, text in checks:
        if found:
            return f"{text}: {', '.join(found)}" if isinstance(found, list) else text
    return ""
