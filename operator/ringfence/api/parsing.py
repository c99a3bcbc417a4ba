"""From untrusted JSON to types, with every mistake at once, each with the path of its field."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, Generic, TypeVar

from pydantic import ValidationError

from .base import Model
from .fields import DNS_SUBDOMAIN, MAX_SUBDOMAIN, matches

M = TypeVar("M", bound=Model)

MAX_ERRORS = 50
"""More mistakes than this in one object help nobody; the rest is counted."""

_MOST_CHARACTERS: Final = 64
"""Of a word that is compared with known ones: none of these is as long."""
_ALIKE: Final = 0.75
"""How alike two words are that may be the same one, from 0 to 1 (difflib)."""


@dataclass(frozen=True)
class FieldError:
    """One mistake: `path` such as `spec.network.egress[0].cidr`, and a sentence with the fix."""

    path: str
    message: str


@dataclass(frozen=True)
class Parsed(Generic[M]):
    """Either `value`, or `errors` (at least one)."""

    value: M | None
    errors: tuple[FieldError, ...] = ()


def parse(model: type[M], data: Any, *, at: str = "spec") -> Parsed[M]:
    """Validate `data` (JSON as Python objects) as `model`; `at` is its path in its object. Never raises."""
    if not isinstance(data, Mapping):
        return Parsed(None, (FieldError(at, f"must be an object with the fields of {model.__name__}"),))
    try:
        return Parsed(model.model_validate(dict(data), by_alias=True, by_name=False))
    except ValidationError as failure:
        # `input` stays out of the messages: a value pasted into the wrong field may be a secret.
        found = failure.errors(include_url=False, include_context=False, include_input=False)
    except RecursionError:
        return Parsed(None, (FieldError(at, "is nested too deeply"),))
    errors = [
        FieldError(_path(at, error["loc"]), _sentence(error["type"], error["msg"])) for error in found[:MAX_ERRORS]
    ]
    if len(found) > MAX_ERRORS:
        errors.append(FieldError(at, f"and {len(found) - MAX_ERRORS} more mistakes"))
    return Parsed(None, tuple(dict.fromkeys(errors)))


def closest(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that was perhaps meant: written in other case, or with a slip of the fingers."""
    plain = {_plain(one): one for one in known}
    found = get_close_matches(_plain(word[:_MOST_CHARACTERS]), plain, n=1, cutoff=_ALIKE)
    return plain[found[0]] if found else None


def _plain(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "")


def name_error(kind: Any, name: Any) -> FieldError | None:
    """What is wrong with `metadata.name` of an AgentDeployment or AgentPolicy (`kind`); None: nothing."""
    at = "metadata.name"
    if not isinstance(name, str) or len(name) > MAX_SUBDOMAIN or not matches(DNS_SUBDOMAIN, name):
        return FieldError(at, f"must be a-z, 0-9, - and ., at most {MAX_SUBDOMAIN} characters")
    rule = kind.name_rule
    return None if rule is None or rule.check(name) else FieldError(at, rule.message)


def _path(at: str, location: tuple[str | int, ...]) -> str:
    path = at
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        elif step.startswith(("constrained-", "function-")) or step in {"int", "str", "[key]"}:
            continue  # pydantic's own names for the branches of a union, not fields
        else:
            path += f".{step}"
    return path


def _sentence(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "unknown field: remove it, or check its spelling (kubectl explain agd.spec)"
    if kind == "missing":
        return "is required"
    return message.removeprefix("Value error, ")
