"""Logging of every process of a node: structured lines on stderr.

Code logs with the standard library (a static message, facts in ``extra``). structlog renders the lines for
people; JSON, of which each call writes some, is rendered here at less than half of the cost. Facts
whose name begins with ``pii_`` (numbers, addresses and names of people, requested URLs) are hidden unless the
level is DEBUG. Texts that are not entirely ours (a library's, an exception's) may contain such data too,
which is removed from them at every level. Digits, bodies and credentials are never passed to a logger;
credentials in an address are removed from the finished line.
"""

import json
import logging
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import structlog

from b2bua.core.credentials import without_userinfo
from b2bua.core.personal import without_addresses, without_personal

__all__ = ["set_up_logging"]

_TEXTS = ("event", "exception", "text", "reason", "error")
"""Facts that may contain a library's text: libraries log too, and name the sender of a message."""
_NOISY = ("alembic", "uvicorn.error")
"""Libraries whose messages below WARNING repeat what the node itself logs or prints."""
_CALL_ID = "sip_call_id"
"""Many phones put their address behind the @; the part before it is enough to find the call."""


_SHORT_TEXT = 80
_once_cleaned = lru_cache(256)(without_personal)
"""Most messages are static and come with every call."""


def _take_out_personal(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in _TEXTS:
        if isinstance(text := event.get(name), str):
            event[name] = _once_cleaned(text) if len(text) <= _SHORT_TEXT else without_personal(text)
    if isinstance(call_id := event.get(_CALL_ID), str):
        event[_CALL_ID] = without_addresses(call_id)
    return event


def _drop_duplicate(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drop uvicorn's copy of its message with terminal colours."""
    event.pop("color_message", None)
    return event


def _hide_personal(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if not logging.getLogger().isEnabledFor(logging.DEBUG):
        for name in [n for n, value in event.items() if n.startswith("pii_") and value]:
            event[name] = "…"
    return event


_NOT_FACTS = frozenset(
    (*logging.LogRecord("", 0, "", 0, "", (), None).__dict__, "message", "asctime", "color_message")
)
"""Attributes of a record that are not facts; one is uvicorn's copy of its message with terminal colours."""


class _JsonFormatter(logging.Formatter):
    _encode = staticmethod(json.JSONEncoder(ensure_ascii=False, default=repr).encode)

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        for name, value in record.__dict__.items():
            if name not in _NOT_FACTS:
                line[name] = value
        line["timestamp"] = datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack_info"] = record.stack_info
        _hide_personal(None, "", _take_out_personal(None, "", line))
        return without_userinfo(self._encode(line))


class _Formatter(structlog.stdlib.ProcessorFormatter):
    def format(self, record: logging.LogRecord) -> str:
        return without_userinfo(super().format(record))


def _console_formatter() -> logging.Formatter:
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
            _hide_personal,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
    )


def set_up_logging(log_format: str, level: int = logging.INFO) -> None:
    """Send all logs of this process to stderr.

    Args:
        log_format: ``console`` or ``json``.
        level: level of the root logger.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_console_formatter() if log_format == "console" else _JsonFormatter())
    # No line shows what these are looked up for at each record (Python's HOWTO, "Optimization").
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING) if level > logging.DEBUG else level)
