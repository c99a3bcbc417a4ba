"""Credentials in a query: which parameters could hold one, and where the placeholder stands in place of one.

By expressions (RE2) of the whole path, because Envoy compares parameters as they are written, and hosts decode them.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from .model import HostSecret
from .shapes import Json, whole_path

_NAMES: Final = (
    "key",
    "api[-_.]?key",
    "x[-_.](?:goog[-_.])?api[-_.]?key",
    "access[-_.]?key",
    "access[-_.]?token",
    "auth[-_.]?token",
    "authorization",
    "bearer",
    "client[-_.]?secret",
    "oauth[-_.]?token",
    "password",
    "secret",
    "sig",
    "signature",
    "token",
)
_ODD_NAME: Final = "[^=&]*[%+][^=&]*"
"""A parameter's name with an escape in it: hosts decode it, Envoy does not."""
_QUERY: Final = r"(?i)[^?]*\?"
_BEFORE: Final = "(?:[^&]*&)*"
_AFTER: Final = "(?:&.*)?"
_BAD_ESCAPE: Final = ".*%[0-9a-f]?(?:[^0-9a-f].*)?"
"""A percent sign without two digits behind it: each host reads that in its own way."""


def _could_hold_one(more: Iterable[str] = ()) -> str:
    """A parameter that could hold a credential. `more`: further names.

    Some hosts read `a.b` as `a_b`, and `a[b]` as `a`.
    """
    names = "|".join((_ODD_NAME, *_NAMES, *(re.sub("[-_.]", "[-_.]", name) for name in more)))
    return rf"(?:{names})(?:\[[^=&]*)?(?:=[^&]*)?"


QUERY: Final = f"{_QUERY}(?:.*;.*|{_BEFORE}{_could_hold_one()}{_AFTER})"
"""A path whose query holds what could be a credential. `;` separates parameters for some hosts, so it is refused."""


def looks_like_a_credential(path: str) -> bool:
    """Whether `QUERY` refuses this path; for tests and messages, by the same expression."""
    return re.fullmatch(QUERY, path) is not None


def refused(secret: HostSecret) -> Iterator[list[Json]]:
    """Conditions of routes, each of which refuses a request to the host of this secret.

    Where the placeholder may stand in the query, one parameter that could hold a credential is let through: that one.
    """
    names = [place.query for place in secret.places if place.query]
    if not names:
        yield [whole_path(QUERY)]
        return
    one = _could_hold_one(names)
    two = f"{_BEFORE}{one}&{_BEFORE}{one}{_AFTER}"
    yield [whole_path(f"{_QUERY}(?:.*;.*|{_BAD_ESCAPE}|{two})")]
    yield [whole_path(f"{_QUERY}{_BEFORE}{one}{_AFTER}"), *(shown(name, secret, there=False) for name in names)]


def shown(name: str, secret: HostSecret, *, there: bool = True) -> Json:
    """A condition of a route: that the placeholder is, or is not, the whole value of this parameter."""
    return whole_path(rf"[^?]*\?{_BEFORE}{re.escape(f'{name}={secret.placeholder}')}{_AFTER}", matches=there)
