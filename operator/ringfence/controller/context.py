"""What the parts of the controller share."""

from dataclasses import dataclass, field

from ringfence.store.context import PolicyContext

from .cache import Cache, Key
from .runtime.queue import KeyedQueue


@dataclass
class ControllerContext:
    """Caches and the queue; one for the process."""

    world: PolicyContext
    cache: Cache = field(default_factory=Cache)
    queue: KeyedQueue[Key] = field(default_factory=KeyedQueue)

    def enqueue(self, namespace: str | None = None) -> None:
        """Have all agents looked at, or those of one namespace."""
        for key in list(self.cache.agents):
            if namespace in (None, key.namespace):
                self.queue.add(key)
