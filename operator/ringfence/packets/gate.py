"""The gate: the first container of an agent's pod, which ends when the fence is seen to stand.

Network plugins learn of a pod when it starts, some before and some seconds after. This container has the agent's
labels and address, and so exactly its fence. It tries what the fence has to drop, again and again, and ends when all
of that is dropped and what has to pass answers. What runs after it, the agent first of all, runs inside the fence.
"""

from __future__ import annotations

import time

from .attempt import Outcome, attempts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from .attempt import Attempt, Target

AT_ONCE = 3
"""Attempts of each place that must be denied, in each look: one lost packet makes no fence."""
WINDOW = 0.08
"""Seconds for which a look waits for answers. In a cluster they take a few milliseconds; who is late is seen by the
next look, and a look after which we got no time of the processor sees what came meanwhile."""
LOOKS = 2
"""Looks in a row that find the fence standing."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0
"""Seconds between two looks: the first of them, which grows by a tenth, and the longest."""
FIRST_WORD, LONGEST_SILENCE = 10.0, 600.0
"""Seconds after which a reason that stays is said again: twice as many each time."""


class Places:
    """What has to be denied and what has to answer: the place, and what it is called."""

    def __init__(self, denied: Sequence[tuple[Target, str]], reachable: Sequence[tuple[Target, str]]) -> None:
        """ValueError where nothing has to be denied: such a gate would be none."""
        if not denied:
            raise ValueError("nothing is said that has to be denied: --denied PROTOCOL:ADDRESS:PORT")
        self.denied, self.reachable = denied, reachable

    def looked_at(self) -> list[Target]:
        """All attempts of one look, in the order in which `waits_for` takes them."""
        return [target for target, _ in (*self.denied,) * AT_ONCE] + [target for target, _ in self.reachable]

    def waits_for(self, found: Sequence[Attempt]) -> str:
        """Why the agent may not start yet, in words; nothing where it may. `found`: of one look."""
        whose = [*self.denied] * AT_ONCE
        for told, (_, name) in zip(found, whose, strict=False):
            if told.outcome is Outcome.ANSWERED:
                return (
                    f"{name} at {told.target} still answers, so this node does not enforce the agent's "
                    "NetworkPolicies yet, or another policy lets the agent out"
                )
            if told.outcome is Outcome.FAILED:
                return f"there is no network yet: {told.detail} for {name} at {told.target}"
        for told, (_, name) in zip(found[len(whose) :], self.reachable, strict=True):
            if told.outcome is not Outcome.ANSWERED:
                how = " ".join(filter(None, (str(told.outcome).lower(), told.detail)))
                return f"{name} at {told.target} does not answer ({how}), which the agent is let out to"
        return ""


def wait(
    places: Places,
    *,
    say: Callable[[str], Any] = print,
    look: Callable[..., list[Attempt]] = attempts,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Any] = time.sleep,
) -> None:
    """Return when the fence stands, and not before: for ever, if need be. `say` is given a line now and then."""
    began, good, why, pause = clock(), 0, "", FIRST_PAUSE
    words = _Words(say, clock)
    names = _listed(f"{name} at {target}" for target, name in places.denied)
    answers = _listed(f"{name} at {target}" for target, name in places.reachable)
    say(f"the agent starts when {names} cannot be reached{f', and {answers} can' if answers else ''}")
    while good < LOOKS:
        why = places.waits_for(look(places.looked_at(), seconds=WINDOW))
        if not why:
            good += 1
            continue
        good = 0
        words.waiting(why)
        sleep(pause)
        pause = min(pause * 1.1, LONGEST_PAUSE)
    say(f"the fence stands ({clock() - began:.2f} s)")


class _Words:
    """Says a reason when it is new, and then ever more seldom."""

    def __init__(self, say: Callable[[str], Any], clock: Callable[[], float]) -> None:
        self._say, self._clock = say, clock
        self._told, self._next, self._silence = "", 0.0, FIRST_WORD

    def waiting(self, why: str) -> None:
        now = self._clock()
        if why == self._told and now < self._next:
            return
        self._silence = FIRST_WORD if why != self._told else min(2 * self._silence, LONGEST_SILENCE)
        self._told, self._next = why, now + self._silence
        self._say(f"waiting: {why}")


def _listed(names: Iterable[str] | Iterator[str]) -> str:
    return " and ".join(names)
