"""Logging of every process of a node: structured lines on stderr.

Code logs with the standard library (a static message, facts in ``extra``); structlog only renders. Facts
whose name begins with ``pii_`` (numbers, addresses and names of people, requested URLs) are hidden unless the
level is DEBUG. Texts that are not entirely ours (a library's, an exception's) may contain such data too,
which is removed from them at every level. Digits, bodies and credentials are never passed to a logger;
credentials in an address are removed from the finished line.
"""

import logging
import sys
from collections.abc import MutableMapping
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


def _take_out_personal(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in _TEXTS:
        if isinstance(text := event.get(name), str):
            event[name] = without_personal(text)
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


class _Formatter(structlog.stdlib.ProcessorFormatter):
    def format(self, record: logging.LogRecord) -> str:
        return without_userinfo(super().format(record))


def set_up_logging(log_format: str, level: int = logging.INFO) -> None:
    """Send all logs of this process to stderr.

    Args:
        log_format: ``console`` or ``json``.
        level: level of the root logger.
    """
    renderer: Any = structlog.processors.JSONRenderer(ensure_ascii=False)
    if log_format == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _Formatter(
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
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING) if level > logging.DEBUG else level)
