"""From untrusted JSON to types, with every mistake at once, each with the path of its field."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from .base import Model
from .fields import DNS_SUBDOMAIN, MAX_SUBDOMAIN, matches
from .sentences import sentence

M = TypeVar("M", bound=Model)

MAX_ERRORS = 50
"""More mistakes than this in one object help nobody; the rest is counted."""


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
        # Of the input only the type is looked at: a value pasted into the wrong field may be a secret.
        found = failure.errors(include_url=False)
    except RecursionError:
        return Parsed(None, (FieldError(at, "is nested too deeply"),))
    errors = [FieldError(_path(at, error["loc"]), sentence(model, error, at)) for error in found[:MAX_ERRORS]]
    if len(found) > MAX_ERRORS:
        errors.append(FieldError(at, f"and {len(found) - MAX_ERRORS} more mistakes"))
    return Parsed(None, tuple(dict.fromkeys(errors)))


def name_error(kind: Any, name: Any, spec: Any = None) -> FieldError | None:
    """What is wrong with `metadata.name` of an AgentDeployment or AgentPolicy (`kind`); None: nothing.

    `spec`: as it was sent. An agent with runs has a shorter name.
    """
    at = "metadata.name"
    if not isinstance(name, str) or len(name) > MAX_SUBDOMAIN or not matches(DNS_SUBDOMAIN, name):
        return FieldError(at, f"must be a-z, 0-9, - and ., at most {MAX_SUBDOMAIN} characters")
    run = spec.get("run") if isinstance(spec, dict) else None
    ends = isinstance(run, dict) and run.get("mode", "Service") != "Service"
    rules = (kind.name_rule, getattr(kind, "run_name_rule", None) if ends else None)
    return next((FieldError(at, rule.message) for rule in rules if rule and not rule.check(name)), None)


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
