"""Values at both ends of each bound, made from the schema."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

DURATIONS = {2: "9h", 16: "00009h0000m0000s"}
SHORT_DURATIONS = {2: "1h", 16: "00001h0000m0000s"}
"""For those that a rule bounds to an hour."""
GRACES = {2: "9s", 16: "00000h0009m0000s"}
"""For those that a rule bounds to ten minutes."""
PEM_HEAD, PEM_END = "-----BEGIN PUBLIC KEY-----\n", "\n-----END PUBLIC KEY-----"
HOST = r"^(\*\.)?("
OTHERS = 64
"""Of the rules of egress the most that are not by host."""
URI = "^[a-z][a-z0-9+.-]*:"
LENGTHS: tuple[tuple[str, Callable[[int], str]], ...] = (
    # What a pattern begins with -> a text of n characters that it takes. The last one takes the rest.
    (HOST, lambda n: f"a.{'a' * n}"[:n] if n < 64 else "".join(".a"[place % 64 != 63] for place in range(n))),
    (r"^(/\.?[A-Za-z0-9_][A-Za-z0-9._-]*){2", lambda n: ("/a/" + "a" * n)[:n]),
    ("^([0-9]{1,5}h)?", lambda n: DURATIONS.get(n, "9" * n)),
    ("^(Never|([0-9]{1,5}h)?", lambda n: DURATIONS.get(n, "9" * n)),
    ("^(@(yearly", lambda n: "@daily"[:n] if n < 64 else f"{'1' * 60} {'1' * (n - 67)} 1 1 1"),
    ("^[A-Za-z][A-Za-z0-9_+-]{0,31}(/", lambda n: "a" * n if n < 32 else f"{'a' * 30}/{'b' * 31}/{'c' * (n - 63)}"),
    ("^(?:", lambda n: ("a/" + "b" * n)[:n]),
    ("^/[A-Za-z0-9_]", lambda n: ("/a/" + "a" * n)[:n]),
    ("^(/", lambda n: ("/" + "a" * n)[:n]),
    ("^-----BEGIN PUBLIC KEY", lambda n: f"{PEM_HEAD}{'A' * (n - len(PEM_HEAD + PEM_END))}{PEM_END}"),
    (r"^\{", lambda n: ("{" + " " * n)[:n]),
    (URI, lambda n: ("a:" + "a" * n)[:n]),
    ("^/", lambda n: ("/" + "a" * n)[:n]),
    ("^([a-z0-9]([-a-z0-9]*", lambda n: "a" * n if n < 64 else "a" * (n - 64) + "/" + "b" * 63),
    ("", lambda n: "a" * n),
)
MATCHES = ".matches(r'"
NETWORKS = {
    3: "::/",
    4: "::/0",
    43: "2001:0db8:0000:0000:0000:0000:0000:0000/128",
    44: "2001:0db8:0000:0000:0000:0000:0000:00000/128",
}


def edges(node: dict[str, Any], sample: Any) -> Iterator[tuple[str, Any, bool]]:
    """(what, value, whether it is inside) for each bound of a node."""
    yield from _between(node, "minLength", "maxLength", lambda size: _text(node, size))
    yield from _between(node, "minimum", "maximum", lambda number: number)
    yield from _between(node, "minItems", "maxItems", lambda count: _list(node, sample, count))
    yield from _between(node, "minProperties", "maxProperties", _map)
    for value in node.get("enum", ()):
        yield value, value, True
        yield value.swapcase(), value.swapcase(), False


def _between(node: dict[str, Any], low: str, high: str, make: Callable[[int], Any]) -> Iterator[tuple[str, Any, bool]]:
    if high not in node:
        return
    least, most = node.get(low, 0), node[high]
    yield low, make(least), True
    yield high, make(most), True
    yield f"over {high}", make(most + 1), False
    if least > 0 or low == "minimum":
        yield f"under {low}", make(least - 1), False


def _text(node: dict[str, Any], size: int) -> str:
    if "x-kubernetes-int-or-string" in node:
        return "1" * size
    if _is_network(node):
        return NETWORKS[size]
    if any("duration('" in rule["rule"] and "<=" in rule["rule"] for rule in node.get("x-kubernetes-validations", ())):
        return SHORT_DURATIONS.get(size, "9" * size)
    if any("duration('10m')" in rule["rule"] for rule in node.get("x-kubernetes-validations", ())):
        return GRACES.get(size, "9" * size)
    return next(make(size) for start, make in LENGTHS if _pattern(node).startswith(start))


def _pattern(node: dict[str, Any]) -> str:
    """The regular expression, which stands in a rule where it has a sentence."""
    rules = (rule["rule"] for rule in node.get("x-kubernetes-validations", ()))
    found = (rule.partition(MATCHES)[2][:-2] for rule in rules if MATCHES in rule)
    return str(node.get("pattern") or next(found, ""))


def _map(count: int) -> dict[str, str]:
    return {f"key-{number}": "value" for number in range(count)}


def _list(node: dict[str, Any], sample: list[Any], count: int) -> list[Any]:
    """A list like the sample with `count` entries, all different."""
    items = node["items"]
    if items.get("type") == "integer":
        return [number + 1 for number in range(count)]
    if "enum" in items:
        return [*items["enum"], "another"][:count]
    if items.get("type") == "string":
        if _pattern(items).startswith(URI):
            return [f"a:{number}" for number in range(count)]
        return [
            f"10.0.{number % 256}.{number // 256}/32" if _is_network(items) else _key(items, number)
            for number in range(count)
        ]
    keys = node.get("x-kubernetes-list-map-keys", ())
    if {"host", "cidr"} <= items["properties"].keys():
        others = [copy.deepcopy(sample[0]) for _ in range(min(count, OTHERS))]
        return [*others, *({"host": f"a{number}.example"} for number in range(count - OTHERS))]
    return [
        copy.deepcopy(sample[0]) | {key: _key(items["properties"][key], number) for key in keys}
        for number in range(count)
    ]


def _key(node: dict[str, Any], number: int) -> str:
    if words := node.get("enum"):
        return str(words[number % len(words)])
    if _pattern(node).startswith(HOST):
        return f"a{number}.example"
    if _pattern(node).startswith("^(?:"):
        return f"a/{number}"
    if _pattern(node).startswith("^/[A-Za-z0-9_]"):
        return f"/a/a{number}"
    return f"/a{number}" if _pattern(node).startswith("^(/") else f"a{number}"


def _is_network(node: dict[str, Any]) -> bool:
    return any("isCIDR(self)" in rule["rule"] for rule in node.get("x-kubernetes-validations", ()))
