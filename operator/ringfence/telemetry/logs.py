"""Structured logs: one line per decision and per change; JSON in the cluster, readable on a terminal.

docs/reference/logs.md lists the lines that say a decision or a change; tools/logs_reference.py declares them.
"""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, Final, Literal

import orjson
import structlog

from ringfence.policy.text import clean

Format = Literal["auto", "json", "text"]

MAX_TEXT: Final = 1000
"""Characters of one value: a sentence for a person, however many the user or the API server wrote."""
MAX_ITEMS: Final = 50
MAX_TRACE: Final = 200
"""Lines of a traceback."""

_ATTEMPT = re.compile(r"Request attempt #(\d+)\S* failed; will retry")


def _worth_saying(record: logging.LogRecord) -> bool:
    """Kopf says of each watch every few seconds that the API server is away: attempts 1, 10, 100, ... are enough."""
    if not record.name.startswith("kopf"):
        return True
    attempt = _ATTEMPT.match(record.getMessage())
    return attempt is None or attempt[1].rstrip("0") == "1"


def tame(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """What users wrote may be anywhere in a line: bound every value, and leave no character that steers a terminal."""
    trace = event.pop("exception", None)
    tamed = {key: value if key.startswith("_") else _tamed(value) for key, value in event.items()}
    if trace is not None:
        tamed["exception"] = "\n".join(clean(line, MAX_TEXT) for line in str(trace).splitlines()[-MAX_TRACE:])
    return tamed


def _tamed(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str) and len(value) <= MAX_TEXT and value.isprintable():
        return str(value)  # one line already, and nearly every value is
    if isinstance(value, Mapping):
        return {clean(str(key), MAX_TEXT): _tamed(one) for key, one in list(value.items())[:MAX_ITEMS]}
    if isinstance(value, list | tuple | set | frozenset):
        return [_tamed(one) for one in list(value)[:MAX_ITEMS]]
    return clean("; ".join(str(value).splitlines()), MAX_TEXT)


def configure(log_format: Format = "auto", level: str = "info") -> None:
    """Send structlog and the standard library's loggers to standard error in one format.

    `auto`: text on a terminal (with colour), else JSON.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
        structlog.processors.format_exc_info,
        tame,
    ]
    last = _renderer(as_json=log_format == "json" or (log_format == "auto" and not sys.stderr.isatty()))
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_worth_saying)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=last, foreign_pre_chain=shared))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("kopf").setLevel(logging.WARNING)  # its steps are not news
    # Our own lines go straight to standard error: the way through the standard library's loggers costs half as much
    # again as all else about a line, and an agent that is made has six of them.
    structlog.configure(
        processors=[*shared, last],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )


def _renderer(*, as_json: bool) -> structlog.typing.Processor:
    if as_json:
        return structlog.processors.JSONRenderer(serializer=_json)
    plain = structlog.dev.plain_traceback  # of the text that is there already
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)


def _json(event: Any, **_: Any) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
