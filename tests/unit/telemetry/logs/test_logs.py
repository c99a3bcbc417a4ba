"""The lines that say a decision or a change: each as docs/reference/logs.md lists it, in JSON, without a secret."""

import contextlib
import logging
from pathlib import Path

import pytest
import structlog
from tools.logs_reference import FIELDS, LINES

from ringfence.telemetry import logs
from unit.telemetry.logs.lines import NASTY, Shown


def test_every_line_is_tried_here_and_every_field_is_explained() -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in Path(__file__).parent.glob("test_*.py"))
    assert [event for event in LINES if f'"{event}"' not in text] == []
    assert {field for line in LINES.values() for field in line.fields} == set(FIELDS)


@pytest.mark.parametrize("form", ["json", "text"])
def test_whatever_is_logged_is_bounded_and_tame(shown: Shown, form: logs.Format) -> None:
    with contextlib.redirect_stderr(shown):
        logs.configure(form)
    log = structlog.get_logger()
    log.info(NASTY, text=NASTY, words=[NASTY] * 5, map={NASTY: NASTY}, failure=ValueError(NASTY), number=7)
    logging.getLogger("a.library").warning("%s", NASTY)
    log.error("broken", exc_info=ValueError(NASTY))
    text = shown.take()
    assert "number" in text
    assert "ValueError: x" in text
    assert all(line.isprintable() for line in text.splitlines())
    assert "y" * 1001 not in text
    assert 5000 < len(text) < 25_000
