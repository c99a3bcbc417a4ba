"""Words of the user inside our sentences: never raw, never long."""

from collections.abc import Iterable

MOST_CHARACTERS = 80
MOST_WORDS = 6


def quote(word: str) -> str:
    """`word` in double quotes: ASCII only, control characters escaped, cut after 80 characters."""
    escaped = word[: MOST_CHARACTERS + 1].encode("unicode_escape", "backslashreplace").decode("ascii")
    if len(escaped) > MOST_CHARACTERS:
        escaped = escaped[:MOST_CHARACTERS] + "..."
    return '"' + escaped.replace('"', '\\"') + '"'


def listed(words: Iterable[str]) -> str:
    """`a, b, c`, at most six of them, then how many more. The caller has quoted what needs it."""
    found = list(words)
    more = len(found) - MOST_WORDS
    return ", ".join(found[:MOST_WORDS]) + (f" and {more} more" if more > 0 else "")
