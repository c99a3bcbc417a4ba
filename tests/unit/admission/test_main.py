"""The process' own small parts; that it starts, serves and leaves is tried on a real API server."""

import asyncio
import contextlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ringfence.admission import main
from ringfence.admission.tls import Certificate
from ringfence.controller.certificates.issue import issue
from ringfence.store.context import PolicyContext
from ringfence.telemetry.health import Health
from unit.admission.exchange import sample
from unit.admission.make import world
from unit.admission.test_server import NAMES, store

EXPIRY = "ringfence_admission_certificate_expiry_timestamp_seconds"


def test_what_is_not_read_yet_is_named() -> None:
    assert main._unread(world()) is None
    said = main._unread(PolicyContext())
    assert said is not None
    assert said.startswith("not listed yet: ")
    assert all(kind in said for kind in PolicyContext().missing)


async def test_a_new_certificate_is_taken_in_and_its_end_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "CERTIFICATE_LOOK_SECONDS", 0)
    certificate = Certificate(store(tmp_path, issue(NAMES, datetime.now(UTC))))
    task = asyncio.create_task(main._look_after(certificate, Health("admission")))
    await asyncio.sleep(0)  # its first look is done before it waits for the next
    assert certificate.missing() is None
    assert certificate.not_after is not None
    assert sample(EXPIRY) == certificate.not_after.timestamp()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
