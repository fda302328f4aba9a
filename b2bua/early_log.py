"""Begins the log of a process that has no time to wait for it.

When a relay or an edge has died, calls wait for the next one. So it serves first and learns to write its log
meanwhile: importing structlog takes most of the time of a start, a second on a busy machine.
"""

import logging
from threading import Thread

__all__ = ["begin_log"]


class _Waiting(logging.Handler):
    """Keeps what is logged until the log can be written."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def begin_log(log_format: str) -> Thread:
    """Set up logging in the returned thread; what is logged before is written then."""
    root, waiting = logging.getLogger(), _Waiting()
    root.setLevel(logging.INFO)
    root.addHandler(waiting)

    def begin() -> None:
        from b2bua.logs import set_up_logging

        set_up_logging(log_format)
        root.removeHandler(waiting)
        for record in waiting.records:
            root.handle(record)

    thread = Thread(target=begin, name="log", daemon=True)
    thread.start()
    return thread
