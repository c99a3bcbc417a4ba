"""What all API types share: strict parsing, camelCase names, and rules declared once for CEL and Python.

A rule that spans fields is written once as a `Rule`: its `cel` goes to the API server inside the CRD, its
`check` runs here. `tests/api` feeds the same samples to both and demands the same verdict.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel


@dataclass(frozen=True)
class Rule:
    """One sentence about a whole object.

    `cel`: the expression for the API server (`self` is the object). `check`: the same in Python: True when the
    object is right. `message`: what is wrong and what to write instead.
    """

    cel: str
    message: str
    check: Callable[[Any], bool]


@dataclass(frozen=True)
class ListType:
    """Marks a list in the generated schema: `atomic`, `set`, or `map` with `keys` (x-kubernetes-list-type)."""

    type: str
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class StringRule:
    """A CEL rule on one value (`Annotated[str, StringRule(...)]`); `check` is its Python twin."""

    cel: str
    message: str
    check: Callable[[Any], bool]

    def validate(self, value: Any) -> Any:
        """Return the value. Raises ValueError with the message when the check fails."""
        if not self.check(value):
            raise ValueError(self.message)
        return value


@dataclass(frozen=True)
class PrinterColumn:
    """One column of `kubectl get` (type: string | integer | date; priority 1 shows with `-o wide`)."""

    name: str
    type: str
    json_path: str
    description: str = ""
    priority: int = 0


class Model(BaseModel):
    """Base of every type: unknown fields are refused, types are not coerced, objects do not change."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, alias_generator=to_camel, populate_by_name=True, regex_engine="rust-regex"
    )

    cel_rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _hold_rules(self) -> Self:
        broken = [rule.message for rule in self.cel_rules if not rule.check(self)]
        if broken:
            raise ValueError("; ".join(broken))
        return self

    def manifest(self) -> dict[str, Any]:
        """The JSON form with API names; fields that are None are left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
