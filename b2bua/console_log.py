"""Log lines for people, rendered by structlog: imported only by processes that write such lines."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from b2bua.core.credentials import without_userinfo
from b2bua.logs import take_out_personal

__all__ = ["console_formatter"]


def _drop_duplicate(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drop uvicorn's copy of its message with terminal colours."""
    event.pop("color_message", None)
    return event


def _take_out_personal(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    take_out_personal(event)
    return event


class _Formatter(structlog.stdlib.ProcessorFormatter):
    def format(self, record: logging.LogRecord) -> str:
        return without_userinfo(super().format(record))


def console_formatter() -> logging.Formatter:
    """Return the formatter of stderr's lines, in colours on a terminal."""
    return _Formatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _drop_duplicate,
            _take_out_personal,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
    )
