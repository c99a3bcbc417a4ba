"""An informer whose pauses pass at once."""

from asyncio import sleep  # by name: the informer's own pauses are patched

import pytest

from unit.store.following import Place


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The informer's pauses, which pass at once."""
    found: list[float] = []

    async def pause(seconds: float) -> None:
        found.append(seconds)
        await sleep(0)

    monkeypatch.setattr("ringfence.store.informer.asyncio.sleep", pause)
    return found


@pytest.fixture
def place(pauses: list[float]) -> Place:
    return Place()
