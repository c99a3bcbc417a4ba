"""What a scalar of a YAML file means to the API server: by its text, its quotes and its tag."""

import math
import re
from collections.abc import Mapping
from typing import Any, Final

PLAIN: Final = "tag:ringfence.dev:plain"
"""Stands for "no tag and no quotes": only then may a scalar mean something else than its text."""
_TAGS: Final[Mapping[str, tuple[type, ...]]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "null": (type(None),),
}
_WORDS: Final[Mapping[str, Any]] = {
    **{word: True for yes in ("y", "yes", "true", "on") for word in (yes, yes.title(), yes.upper())},
    **{word: False for no in ("n", "no", "false", "off") for word in (no, no.title(), no.upper())},
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **{sign + word: float(sign + "inf") for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,19}|0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+)")
"""Decimal ones of at most twenty digits, as 64 bits hold no more. Python does not even read those of thousands."""
_OCTAL: Final = re.compile(r"[-+]?0[0-7]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_PLAIN_FLOATS: Final = 1e21
"""From here on Go writes a float into JSON with an exponent, so that it stays a float."""


def meaning(tag: str, text: str) -> Any:
    """What a scalar means: text as it is, or what its tag asks for. Raises ValueError where it cannot be that."""
    if tag == PLAIN:
        return _as_json(resolve(text))
    kind = tag.rpartition(":")[2]
    if kind not in _TAGS:
        return text
    value = resolve(text)
    if type(value) not in _TAGS[kind]:
        raise ValueError(f"cannot be read as !!{kind}")
    return _as_json(value)


def resolve(text: str) -> Any:
    """What an untagged, unquoted scalar means to the API server's YAML reader (go.yaml.in/yaml/v2, resolve.go).

    It is neither YAML 1.1 nor 1.2: `y` is true, 08 is 8, 1e0 is a number, 1:30 and dates are text.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[:1] not in "+-.0123456789":
        return text
    digits = text if text.startswith(".") else text.replace("_", "")
    if _INTEGER.fullmatch(digits):
        number = int(digits, 8) if _OCTAL.fullmatch(digits) else int(digits, 0)
        if -(2**63) <= number < 2**64:
            return number
    if _FLOAT.fullmatch(digits) and math.isfinite(value := float(digits)):
        return value
    return text


def _as_json(value: Any) -> Any:
    """3.0 reaches the API server as 3: Go writes it into JSON so."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _PLAIN_FLOATS:
        return int(value)
    return value
