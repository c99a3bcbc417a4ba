"""Strict JSON: one meaning or none. What two parsers could read in two ways is refused.

The API server never sends such a thing; whoever else reaches the port might.
"""

import json
from typing import Any, Final

import orjson

MAX_VALUES: Final = 500_000
"""Most values in one document. Each costs about 100 bytes of memory, and one byte of the sender's."""


class NotStrictError(ValueError):
    """The text is not JSON, or is ambiguous, or is built to exhaust memory. The message is safe to show."""


def loads(data: bytes | bytearray) -> Any:
    """Parse UTF-8 JSON.

    Raises NotStrictError for bad syntax, NaN and Infinity, unpaired surrogates, the same key twice in one
    object, nesting deeper than about 1000, and more than MAX_VALUES values.
    """
    if data.count(b",") + data.count(b"[") + data.count(b"{") > MAX_VALUES:
        raise NotStrictError(f"it holds more than {MAX_VALUES} values")
    try:
        found = orjson.loads(data)  # refuses what json tolerates: NaN, unpaired surrogates, bytes that are not UTF-8
        return found if _is_whole(found, data) else json.loads(data, object_pairs_hook=_unique)
    except NotStrictError:
        raise
    except RecursionError:
        raise NotStrictError("it is nested too deeply") from None
    except ValueError:
        # The parser's own words quote the text, which may hold anything.
        raise NotStrictError("it is not valid JSON") from None


def _is_whole(found: Any, data: bytes | bytearray) -> bool:
    """Whether `found`, written again, is `data` byte for byte: then no key stood there twice.

    So the API server writes nearly every review. All others are read by a parser that shows each key, which takes
    three times as long.
    """
    try:
        return orjson.dumps(found, option=orjson.OPT_APPEND_NEWLINE if data.endswith(b"\n") else None) == data
    except orjson.JSONEncodeError:  # nested deeper than it writes
        return False


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotStrictError("the same key is given twice in one object")
    return found
