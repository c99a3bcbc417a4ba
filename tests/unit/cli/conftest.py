"""One moment for all that speaks of ages."""

from datetime import UTC, datetime

import pytest

from ringfence.cli import formatting
from unit.cli.fake import Cluster


@pytest.fixture
def kube(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setattr(formatting, "now", lambda: datetime(2026, 5, 1, 12, 0, tzinfo=UTC))
    return Cluster()
