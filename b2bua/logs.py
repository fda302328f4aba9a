"""Logging of every process of a node: structured lines on stderr.

Code logs with the standard library (a static message, facts in ``extra``). JSON, of which each call writes
some lines, is rendered here; lines for people by structlog (``console_log``). Facts whose name begins with
``pii_`` (numbers, addresses, people's names, requested URLs) are hidden unless the level is DEBUG. Texts that
are not entirely ours (a library's, an exception's) may contain such data too, which is removed from them at
every level. Digits, bodies and credentials are never passed to a logger; credentials in an address are
removed from the finished line.
"""

import json
import logging
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from b2bua.core.credentials import without_userinfo
from b2bua.core.personal import without_addresses, without_personal

__all__ = ["set_up_logging", "take_out_personal"]

_TEXTS = ("event", "exception", "text", "reason", "error")
"""Facts that may contain a library's text: libraries log too, and name the sender of a message."""
_NOISY = ("alembic", "uvicorn.error")
"""Libraries whose messages below WARNING repeat what the node itself logs or prints."""
_CALL_ID = "sip_call_id"
"""Many phones put their address behind the @; the part before it is enough to find the call."""


_SHORT_TEXT = 80
_once_cleaned = lru_cache(256)(without_personal)
"""Most messages are static and come with every call."""


def take_out_personal(event: MutableMapping[str, Any]) -> None:
    """Remove personal data from the facts of a line, and hide those that are personal."""
    for name in _TEXTS:
        if isinstance(text := event.get(name), str):
            event[name] = _once_cleaned(text) if len(text) <= _SHORT_TEXT else without_personal(text)
    if isinstance(call_id := event.get(_CALL_ID), str):
        event[_CALL_ID] = without_addresses(call_id)
    if not logging.getLogger().isEnabledFor(logging.DEBUG):
        for name in [n for n, value in event.items() if n.startswith("pii_") and value]:
            event[name] = "…"


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
        take_out_personal(line)
        return without_userinfo(self._encode(line))


def set_up_logging(log_format: str, level: int = logging.INFO) -> None:
    """Send all logs of this process to stderr.

    Args:
        log_format: ``console`` or ``json``.
        level: level of the root logger.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter())
    if log_format == "console":
        from b2bua.console_log import (
            console_formatter,
        )  # its import takes longer than most of a process's start

        handler.setFormatter(console_formatter())
    # No line shows what these are looked up for at each record (Python's HOWTO, "Optimization").
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING) if level > logging.DEBUG else level)
