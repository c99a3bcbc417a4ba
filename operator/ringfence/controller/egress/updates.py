"""Gateways that said that they go by an older configuration than the one that they were given. Pure."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

STANDS: Final = 60.0
"""Seconds that one such word counts. As long as it is so, a gateway says it each few seconds."""


@dataclass
class Refusing(Generic[K]):
    """Remembers by agent when its gateway said so last. `clock`: seconds, of any clock."""

    clock: Callable[[], float]
    _said: dict[K, float] = field(default_factory=dict, init=False)

    def say(self, key: K) -> bool:
        """Take the word of a gateway. Whether that is news."""
        now = self.clock()
        self._said = {other: at for other, at in self._said.items() if now - at < STANDS}
        new = key not in self._said
        self._said[key] = now
        return new

    def stands(self, key: K) -> bool:
        """Whether it said so within `STANDS` seconds."""
        return key in self._said and self.clock() - self._said[key] < STANDS
