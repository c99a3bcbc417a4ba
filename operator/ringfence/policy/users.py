"""Ids that an agent runs as: never root, and none but 65532 without a policy that says so."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ringfence.api.users import NOBODY, IdRange

from .model import NamedPolicy, RuleName, Violation
from .text import listed, quote

Ids = tuple[tuple[int, int], ...]
"""First and last of each range, sorted; no two touch."""

OWN: Final[Ids] = ((NOBODY, NOBODY),)


def check_users(user: int | None, group: int | None, policies: Sequence[NamedPolicy]) -> Iterator[Violation]:
    """All policies must allow both. None: as every agent's."""
    for path, number in (("spec.runAsUser", user), ("spec.runAsGroup", group)):
        if number is None or number == NOBODY:
            continue
        for policy in policies:
            allowed = ids(policy.spec.pods.users)
            if not any(first <= number <= last for first, last in allowed):
                message = (
                    f"policy {quote(policy.name)} does not allow the id {number}: leave it out, which means {NOBODY}, "
                    f"or write one of {words(allowed)}"
                )
                yield Violation(path, RuleName.USER_ABOVE_POLICY, message)


def ids(ranges: Iterable[IdRange]) -> Ids:
    """What they allow together, with the one that is always allowed."""
    found: list[tuple[int, int]] = []
    for first, last in sorted([*OWN, *((one.first, one.last) for one in ranges)]):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return tuple(found)


def both(left: Ids, right: Ids) -> Ids:
    """What is in both."""
    cut = [(max(one[0], two[0]), min(one[1], two[1])) for one in left for two in right]
    return tuple(sorted((first, last) for first, last in cut if first <= last))


def words(allowed: Ids) -> str:
    """Such as `1000-1999, 65532`."""
    return listed((str(first) if first == last else f"{first}-{last}" for first, last in allowed), 8)
