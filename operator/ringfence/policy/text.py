"""Words of the user inside our sentences: never raw, never long."""

import re
from collections.abc import Iterable

MOST_CHARACTERS = 80
MOST_WORDS = 6
MOST_PATH = 256
_PLAIN = re.compile(r"[ !#-\[\]-~]*")
"""What needs no escape: printable ASCII without the quote and the backslash."""


def quote(word: str) -> str:
    """`word` in double quotes: ASCII only, control characters escaped, cut after 80 characters."""
    if len(word) <= MOST_CHARACTERS and _PLAIN.fullmatch(word):
        return f'"{word}"'
    escaped = word[: MOST_CHARACTERS + 1].encode("unicode_escape", "backslashreplace").decode("ascii")
    if len(escaped) > MOST_CHARACTERS:
        escaped = escaped[:MOST_CHARACTERS] + "..."
    return '"' + escaped.replace('"', '\\"') + '"'


def listed(words: Iterable[str], most: int = MOST_WORDS) -> str:
    """`a, b, c`: at most `most` of them, then how many more. The caller has quoted what needs it."""
    found = list(words)
    more = len(found) - most
    return ", ".join(found[:most]) + (f" and {more} more" if more > 0 else "")


def path(text: str) -> str:
    """A field's path as we show it: an unknown field may be called anything, so escaped and cut like `quote`."""
    escaped = text[: MOST_PATH + 1].encode("unicode_escape", "backslashreplace").decode("ascii")
    return escaped if len(escaped) <= MOST_PATH else escaped[:MOST_PATH] + "..."


def clean(text: str, most: int) -> str:
    """`text` on one line, at most `most` characters, with nothing that steers a terminal or fools an eye.

    What is not printable becomes U+FFFD: control, format (bidirectional, zero-width), surrogate and private-use
    characters, and all separators but the space.
    """
    safe = text[: most + 1]
    if not safe.isprintable():
        safe = "".join(char if char.isprintable() else "\ufffd" for char in safe)
    return safe if len(safe) <= most else safe[: most - 1] + "\u2026"
