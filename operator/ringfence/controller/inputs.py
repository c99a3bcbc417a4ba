"""Tells what is news of that which fences are made from."""

from collections.abc import Sequence

from ringfence.store.api_server import Doubted
from ringfence.telemetry.events import ApiServerDoubted, ApiServerObserved, Emit


class ApiServerRecorder:
    """Remembers which announced addresses were told as doubted: each is told when it is new."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._told: frozenset[Doubted] = frozenset()

    def looked(self, doubted: Sequence[Doubted], believed: int) -> None:
        """Take what one look at the addresses found. `believed`: how many are."""
        for one in doubted:
            if one not in self._told:
                addresses = tuple(f"{endpoint.address}:{endpoint.port}" for endpoint in one.endpoints)
                self._emit(ApiServerDoubted(slice=one.slice, uid=one.uid, addresses=addresses, why=str(one.doubt)))
        self._told = frozenset(doubted)
        self._emit(ApiServerObserved(believed, sum(len(one.endpoints) for one in doubted)))
