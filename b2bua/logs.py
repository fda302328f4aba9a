"""Logging of every process of a node: structured lines on stderr.

Code logs with the standard library (a static message, facts in ``extra``); structlog only renders. Facts
whose name begins with ``pii_`` (numbers, addresses of people) are left out unless the level is DEBUG. Digits,
bodies and credentials are never given to a logger at all; those in an address, which may be in the text of
any exception, are taken out of the finished line.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from b2bua.core.credentials import without_userinfo

__all__ = ["set_up_logging"]


def _hide_personal(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if not logging.getLogger().isEnabledFor(logging.DEBUG):
        for name in [n for n in event if n.startswith("pii_")]:
            event[name] = "…"
    return event


class _Formatter(structlog.stdlib.ProcessorFormatter):
    def format(self, record: logging.LogRecord) -> str:
        return without_userinfo(super().format(record))


def set_up_logging(log_format: str, level: int = logging.INFO) -> None:
    """Send all logs of this process to stderr.

    Args:
        log_format: ``console`` or ``json``.
        level: of the root logger.
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
                _hide_personal,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
