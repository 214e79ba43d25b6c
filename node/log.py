"""Structured logs: one event name, fields beside it. JSON lines for machines, columns for people.

Nothing is formatted on the vote path: a level that is off costs one comparison, and fields are passed as they are.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import Any, Literal, TextIO, TypeAlias

import structlog

LogFormat: TypeAlias = Literal["json", "console"]
Logger: TypeAlias = structlog.typing.FilteringBoundLogger

_LEVELS: dict[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class LineLogger(structlog.PrintLogger):
    """Writes lines. What the stream refuses is lost: a full disk or a reader that has gone must not end the node."""

    def msg(self, message: str) -> None:
        """Write one line, or lose it."""
        with suppress(OSError):
            super().msg(message)

    log = debug = info = warn = warning = fatal = failure = err = error = critical = exception = msg


def _hex_bytes(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    for key, value in event.items():
        if isinstance(value, bytes):
            event[key] = value.hex()
    return event


def configure_logging(form: LogFormat = "console", level: str = "info", stream: TextIO | None = None) -> None:
    """Set up structlog for the process. Lines go to `stream`, standard error by default."""
    out = stream if stream is not None else sys.stderr
    last: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=out.isatty(), pad_event_to=28)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _hex_bytes,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level.lower()]),
        logger_factory=lambda *_names: LineLogger(out),
        cache_logger_on_first_use=False,
    )


def node_logger(node: str, **fields: object) -> Logger:
    """A logger that names its node on every line; bind `height`, `view` or `peer` where they are known."""
    logger: Logger = structlog.get_logger().bind(node=node, **fields)
    return logger
