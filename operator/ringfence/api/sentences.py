"""From pydantic's mistakes to sentences that say what to write. Never with the value: it may be a secret."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Final, get_args

from pydantic_core import ErrorDetails

from .base import Model
from .bounds import OUT_OF_BOUNDS
from .hints import UNKNOWN, WRONG_TYPE
from .patterns import PATTERNS

_MOST_CHARACTERS: Final = 64
"""Of a word that is compared with known ones: none of these is as long."""
_ALIKE: Final = 0.75
"""How alike two words are that may be the same one, from 0 to 1 (difflib)."""
_BOUNDS: Final[Mapping[str, str]] = {
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
}
_TOO_FAR: Final = frozenset({"string_too_long", "greater_than_equal"})
_LISTS: Final = frozenset({"list_type", "set_type", "frozen_set_type", "tuple_type"})
_OBJECTS: Final = frozenset({"model_type", "model_attributes_type", "dict_type", "dict_attributes_type"})


def sentence(model: type[Model], error: ErrorDetails, at: str) -> str:
    """What is wrong and what to write. `error`: found by the validation of `model`, which stands `at`."""
    kind, location, context = error["type"], error["loc"], error.get("ctx") or {}
    if kind == "extra_forbidden":
        return f"unknown field: {_unknown(model, location, at)}"
    if kind == "missing":
        return "is required"
    if kind == "string_pattern_mismatch":
        otherwise = "has characters that are not taken here: kubectl explain shows what is"
        return PATTERNS.get(str(context.get("pattern")), otherwise)
    parent = _at(model, location[:-1])
    if parent and kind in _TOO_FAR and (found := OUT_OF_BOUNDS.get((parent.__name__, str(location[-1])))):
        return found
    if kind in _BOUNDS:
        return _BOUNDS[kind].format_map(context)
    return _wrong_type(kind, error["input"], model, location) or error["msg"].removeprefix("Value error, ")


def _wrong_type(kind: str, given: Any, model: type[Model], location: tuple[str | int, ...]) -> str | None:
    """None: it is no matter of types."""
    if not (kind.startswith(("int_", "bool_")) or kind in {"string_type", *_LISTS, *_OBJECTS}):
        return None
    parent = _at(model, location[:-1])
    if parent and (found := WRONG_TYPE.get((parent.__name__, str(location[-1])))):
        return found
    if kind == "string_type" and isinstance(given, bool | int | float):
        return f"must be text: put it in quotes, such as {_quoted(given)}"
    if kind.startswith("int_"):
        return (
            "must be a whole number" + (": write it without quotes" if isinstance(given, str) else "") + ", such as 1"
        )
    return f"must be {_wanted(kind, _at(model, location))}, not {_called(given)}"


def _wanted(kind: str, inside: type[Model] | None) -> str:
    if kind in _LISTS:
        return "a list, with a - before each entry"
    if kind in _OBJECTS:
        return f"an object with {_fields(inside)}" if inside else "an object such as {app: console}"
    return "true or false, without quotes" if kind.startswith("bool_") else "text"


def _quoted(given: Any) -> str:
    """An example of its kind; the value itself is never shown."""
    return '"true"' if isinstance(given, bool) else '"8080"'


def _called(given: Any) -> str:
    for kind, word in ((bool, "true or false"), (str, "text"), (int | float, "a number"), (Mapping, "an object")):
        if isinstance(given, kind):
            return word
    return "a list" if isinstance(given, list) else "nothing"


def _unknown(model: type[Model], location: tuple[str | int, ...], at: str) -> str:
    """The Ringfence way; else what was perhaps meant; else where a field of that name stands; else all there are."""
    name, parent = str(location[-1]), _at(model, location[:-1])
    if parent is None:
        return "remove it, or check its spelling (kubectl explain agd.spec)"
    if found := UNKNOWN.get(parent.__name__, {}).get(name):
        return found
    known = _names(parent)
    if meant := closest(name, known):
        return f"did you mean {meant}?"
    if len(elsewhere := _places(model).get(name, ())) == 1:
        return f"it stands in {at}.{elsewhere[0]}"
    return f"here are {_fields(parent)}: remove it, or check its spelling"


def closest(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that was perhaps meant: written in other case, or with a slip of the fingers."""
    plain = {_plain(one): one for one in known}
    found = get_close_matches(_plain(word[:_MOST_CHARACTERS]), plain, n=1, cutoff=_ALIKE)
    return plain[found[0]] if found else None


def _plain(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "")


def _fields(model: type[Model]) -> str:
    return ", ".join(_names(model))


def _names(model: type[Model]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _at(model: type[Model], location: tuple[str | int, ...]) -> type[Model] | None:
    """The type of what stands at a location; None where it is none of ours."""
    found: type[Model] | None = model
    for step in location:
        if found is None or isinstance(step, int):
            continue
        found = next((_inside(field.annotation) for name, field in _aliased(found) if name == step), None)
    return found


def _aliased(model: type[Model]) -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        yield field.alias or name, field


def _inside(annotation: Any) -> type[Model] | None:
    """The type of ours in `X | None`, `list[X]` and whatever is annotated."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    return next((found for one in get_args(annotation) if (found := _inside(one))), None)


@lru_cache(maxsize=16)
def _places(model: type[Model]) -> Mapping[str, tuple[str, ...]]:
    """Name of a field -> the paths below `model` at which one of that name stands, but for its own."""
    found: dict[str, list[str]] = {}
    for path, name in _below(model, ""):
        found.setdefault(name, []).append(path)
    return {name: tuple(paths) for name, paths in found.items()}


def _below(model: type[Model], path: str) -> Iterator[tuple[str, str]]:
    for name, field in _aliased(model):
        if path:
            yield f"{path}{name}", name
        inside = _inside(field.annotation)
        if inside is not None:
            many = "[]" if "list[" in str(field.annotation) else ""
            yield from _below(inside, f"{path}{name}{many}.")
