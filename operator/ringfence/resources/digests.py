"""Digests of what objects say, where absent and empty are one."""

import hashlib
from typing import Any

NESTED = (dict, list)


def canonical(value: Any) -> Any:
    """The value without what the API server drops: empty maps and lists, and nothing, are one.

    Nearly all values are no maps or lists: a call for each of these would take three times as long.
    """
    if isinstance(value, dict):
        kept = {}
        for key, one in value.items():
            found = canonical(one) if isinstance(one, NESTED) else one
            if found is not None:
                kept[key] = found
        return kept or None
    if isinstance(value, list):
        return [canonical(one) if isinstance(one, NESTED) else one for one in value] or None
    return value


_EMPTY = (b"{}", b"[]", b"null")
"""In the JSON of every value that `canonical` changes; and in a string now and then, which does no harm."""


def digest(value: Any) -> str:
    """Of any JSON."""
    import orjson  # noqa: PLC0415 - `ringfence lint` and `render` compare nothing, and start faster without it

    options = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS
    text = orjson.dumps(value, option=options)
    if any(empty in text for empty in _EMPTY):  # mostly none is: to look for them in Python costs ten times the digest
        text = orjson.dumps(canonical(value), option=options)
    return hashlib.blake2b(text, digest_size=12).hexdigest()
