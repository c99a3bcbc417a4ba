"""Kubernetes' own warnings about pods, read within bounds.

For one such question the API server reads all Events of the namespace: a thousand agents that do not start would have
it do nothing else, and every repair would wait for it. So what a question costs, and in which namespace, decides when
the next one is asked; whoever is not answered looks again later, as everybody who waits does.
"""

from collections.abc import Callable
from time import monotonic
from typing import Final

from ringfence.kube import ApiError, Kube, Object, Unreachable, path_of

AT_A_TIME: Final = 2
"""Questions that may be open."""
CHEAP_SECONDS: Final = 0.01
"""What is answered within that is free."""
REST_OF_ALL: Final = 4
"""After an answer that took a second nobody asks for so many seconds: a quarter of the time at the most."""
REST_OF_NAMESPACE: Final = 20
"""The same about one namespace: a twentieth of the time."""


class Warnings:
    """One for all passes. Remembers of a namespace when it may be asked about again, until then."""

    def __init__(self, kube: Kube, *, clock: Callable[[], float] = monotonic) -> None:
        self._kube = kube
        self._clock = clock
        self._open = 0
        self._next = 0.0
        self._next_of: dict[str, float] = {}

    async def about(self, namespace: str, name: str, *, kind: str = "Pod") -> list[Object] | None:
        """The warnings about a pod, or an object of another kind; None: not now. What cannot be read is none."""
        now = self._clock()
        if self._open >= AT_A_TIME or now < self._next or now < self._next_of.get(namespace, 0.0):
            return None
        selector = f"type=Warning,involvedObject.kind={kind},involvedObject.name={name}"
        self._open += 1
        try:
            return await self._kube.list(path_of("v1", "events", namespace), field_selector=selector)
        except (ApiError, Unreachable):
            return []
        finally:
            self._open -= 1
            self._took(namespace, self._clock() - now)

    def _took(self, namespace: str, seconds: float) -> None:
        now = self._clock()
        self._next_of = {name: until for name, until in self._next_of.items() if until > now}
        if seconds > CHEAP_SECONDS:
            self._next = max(self._next, now + seconds * REST_OF_ALL)
            self._next_of[namespace] = now + seconds * REST_OF_NAMESPACE
