"""docs/reference/api.md: every field of every kind, from the same schema that the API server enforces."""

from collections.abc import Iterator
from typing import Any

from ringfence.api.names import API_VERSION
from ringfence.api.schema import WHOLE, WHOLE_OR_TEXT, custom_resource_definition, walk
from tools.crds import KINDS

PATH = "docs/reference/api.md"
HEAD = f"""\
<!-- Made by `make generate` from operator/ringfence/api. Do not edit. -->
# API reference

Group and version: `{API_VERSION}`. The same words are shown by
`kubectl explain agd.spec` and `kubectl explain agp.spec`.

* A field that is not listed here is refused, not ignored.
* Whatever is absent takes its default: for an agent, nothing that is not asked for. `null` is absent.
* Lengths are counted in characters, sizes of lists in entries. Integers have no decimal point: 80.0 is refused.
"""


def files() -> dict[str, str]:
    """Path -> content."""
    return {PATH: "\n".join([HEAD, *(line for kind in KINDS for line in _kind(kind))])}


def _kind(kind: Any) -> Iterator[str]:
    schema = custom_resource_definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    short = ", ".join(f"`{name}`" for name in kind.short_names)
    yield f"## {kind.kind}\n\n{schema['description']}\n\nScope: {kind.scope}. Short names: {short}.\n"
    if rules := list(_rules(schema)):
        yield "\n".join([*rules, ""])
    for path, node in walk(schema):
        if path and "properties" in node:
            yield _section(kind, path, node)


def _section(kind: Any, path: str, node: dict[str, Any]) -> str:
    rows = [_row(kind, f"{path}.{name}", name, field, node) for name, field in node["properties"].items()]
    table = ["| Field | Type | Default | Bounds | Meaning |", "|---|---|---|---|---|", *rows, ""]
    lines = [_heading(kind, path), "", node["description"], "", *table]
    if rules := list(_rules(node)):
        lines += [*rules, ""]
    return "\n".join(lines)


def _heading(kind: Any, path: str) -> str:
    return f'<a id="{anchor(kind, path)}"></a>\n### {kind.kind}: {path.removeprefix(".")}'


def anchor(kind: Any, path: str) -> str:
    """The anchor of an object's section."""
    return str(kind.kind + path).replace(".", "-").replace("[]", "").lower()


def _rules(node: dict[str, Any]) -> Iterator[str]:
    for rule in node.get("x-kubernetes-validations", ()):
        yield f"* Rule: {rule['message']}."


def _row(kind: Any, path: str, name: str, field: dict[str, Any], parent: dict[str, Any]) -> str:
    default = "**required**" if name in parent.get("required", ()) else _default(field)
    cells = [f"`{name}`", _type(kind, path, field), default, _bounds(field), _meaning(field)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _meaning(field: dict[str, Any]) -> str:
    rules = [rule["message"] for node in (field, field.get("items", {})) for rule in _own_rules(node)]
    return " ".join([field["description"], *(f"{rule[0].upper()}{rule[1:]}." for rule in rules)])


def _own_rules(node: dict[str, Any]) -> list[dict[str, str]]:
    """The rules of a value; those of an object stand in its own section."""
    rules: list[dict[str, str]] = [] if "properties" in node else node.get("x-kubernetes-validations", [])
    return [rule for rule in rules if rule not in (WHOLE, WHOLE_OR_TEXT)]


def _default(field: dict[str, Any]) -> str:
    if "default" not in field:
        return "none"
    value = field["default"]
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if value == "":
        return '`""`'
    return f"`{value}`".replace("'", '"')


def _type(kind: Any, path: str, field: dict[str, Any]) -> str:
    if "properties" in field:
        return f"[object](#{anchor(kind, path)})"
    if "items" in field:
        items = field["items"]
        shape = {"set": "set", "map": "list, one entry per " + ", ".join(field.get("x-kubernetes-list-map-keys", ()))}
        what = shape.get(field["x-kubernetes-list-type"], "list")
        return f"{what} of {_type(kind, path, items)}"
    if "additionalProperties" in field:
        return "map of string to string"
    if "x-kubernetes-int-or-string" in field:
        return "quantity"
    return str(field["type"])


def _bounds(field: dict[str, Any]) -> str:
    found = []
    if "enum" in field:
        found.append(", ".join(f"`{value}`" for value in field["enum"]))
    if "x-kubernetes-int-or-string" in field:
        found.append("no sign, no exponent")
    elif "maximum" in field:
        found.append(f"{field['minimum']} to {field['maximum']}")
    for low, high, unit in (("minItems", "maxItems", "entries"), ("minProperties", "maxProperties", "keys")):
        if high in field:
            found.append(_span(field.get(low, 0), field[high], unit))
    value = field.get("items", field.get("additionalProperties", field))
    if "maxLength" in value and "x-kubernetes-int-or-string" not in field:
        of = "" if value is field else "each "
        found.append(of + _span(value.get("minLength", 0), value["maxLength"], "characters"))
        if pattern := value.get("pattern"):
            found.append(f"`{pattern}`")
    elif "maximum" in value and value is not field:
        found.append(f"each {value['minimum']} to {value['maximum']}")
    return "; ".join(found) or "any"


def _span(least: int, most: int, unit: str) -> str:
    return f"{least} to {most} {unit}" if least else f"at most {most} {unit}"
