"""Structured logs: one line per decision and per change; JSON in the cluster, readable on a terminal."""

import logging
import re
import sys
from typing import Literal

import structlog

Format = Literal["auto", "json", "text"]


_ATTEMPT = re.compile(r"Request attempt #(\d+)\S* failed; will retry")


def _worth_saying(record: logging.LogRecord) -> bool:
    """Kopf says of each watch every few seconds that the API server is away: attempts 1, 10, 100, ... are enough."""
    if not record.name.startswith("kopf"):
        return True
    attempt = _ATTEMPT.match(record.getMessage())
    return attempt is None or attempt[1].rstrip("0") == "1"


def configure(log_format: Format = "auto", level: str = "info") -> None:
    """Send structlog and the standard library's loggers to standard error in one format.

    `auto`: text on a terminal (with colour), else JSON.
    """
    as_json = log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
    ]
    last: structlog.typing.Processor
    if as_json:
        shared.append(structlog.processors.format_exc_info)
        last = structlog.processors.JSONRenderer()
    else:
        last = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_worth_saying)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=last, foreign_pre_chain=shared))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("kopf").setLevel(logging.WARNING)  # its steps are not news
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
