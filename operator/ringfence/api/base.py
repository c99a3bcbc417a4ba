"""What all API types share: strict parsing, camelCase names, and rules declared once for CEL and Python.

A rule that spans fields is written once as a `Rule`: its `cel` goes to the API server inside the CRD, its
`check` runs here. `tests/api` feeds the same samples to both and demands the same verdict.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True)
class Rule:
    """One sentence about a whole object.

    `cel`: the expression for the API server (`self` is the object). `check`: the same in Python: True when
    the object is right. `message`: what is wrong and what to write instead.
    """

    cel: str
    message: str
    check: Callable[[Any], bool]


@dataclass(frozen=True)
class ListType:
    """Says what a list is to the API server: `atomic`, `set`, or `map` with `keys` (x-kubernetes-list-type).

    `keys` are names of attributes.

    A set or map with the same entry twice is refused there and here.
    """

    type: Literal["atomic", "set", "map"]
    keys: tuple[str, ...] = ()

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Add the check for entries that are there twice."""
        if self.type == "atomic":
            return handler(source)
        return core_schema.no_info_after_validator_function(self._unique, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the markers of the structural schema."""
        schema = handler(core) | {"x-kubernetes-list-type": self.type}
        return schema | {"x-kubernetes-list-map-keys": [*map(to_camel, self.keys)]} if self.keys else schema

    def _unique(self, entries: list[Any]) -> list[Any]:
        seen = set()
        for entry in entries:
            key = tuple(getattr(entry, name) for name in self.keys) or entry
            if key in seen:
                what = "the same value" if not self.keys else f"the same {' and '.join(map(to_camel, self.keys))}"
                raise ValueError(f"two entries have {what}: drop one of them")
            seen.add(key)
        return entries


@dataclass(frozen=True)
class ValueRule:
    """A rule on one value, such as `Annotated[str, ValueRule(...)]`: `cel` and `check` as in Rule."""

    cel: str
    message: str
    check: Callable[[Any], bool]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check the value once its type and bounds are right."""
        return core_schema.no_info_after_validator_function(self._hold, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the rule to the structural schema."""
        schema = handler(core)
        rules = schema.get("x-kubernetes-validations", [])
        return schema | {"x-kubernetes-validations": [*rules, {"rule": self.cel, "message": self.message}]}

    def _hold(self, value: Any) -> Any:
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
        extra="forbid",
        strict=True,
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        regex_engine="rust-regex",
    )

    cel_rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: Any) -> Any:
        """To the API server `field: null` is an absent field, if it knows the field."""
        if not isinstance(data, dict) or None not in data.values():
            return data
        known = {field.alias for field in cls.model_fields.values()}
        return {name: value for name, value in data.items() if value is not None or name not in known}

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Add the check of the rules, where there are any: most types have none, and each call from Rust costs."""
        schema = handler(source)
        return core_schema.no_info_after_validator_function(cls._hold_rules, schema) if cls.cel_rules else schema

    def _hold_rules(self) -> Self:
        broken = [rule.message for rule in self.cel_rules if not rule.check(self)]
        if broken:
            raise ValueError("; ".join(broken))
        return self

    def manifest(self) -> dict[str, Any]:
        """The JSON form with API names; fields that are None are left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
