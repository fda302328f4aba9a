"""The relay process: ``python -m b2bua.relay --control PATH --log-format console|json``.

It outlives edge and controller, which connect again. It ends with the process that started it or by SIGTERM;
with a life line (``--life FD``) it ends with that, and ignores signals.

When a relay has died, all calls are silent until the next one serves. So it serves first and learns to write
its log meanwhile: importing structlog takes most of the time of a start, a second on a busy machine.
"""

import argparse
import logging
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread

from setproctitle import setproctitle

from b2bua.relay.loop import Loop

_NICE = -10
"""All calls are heard by this process, and a worker that begins a call can wait for it."""


class _Waiting(logging.Handler):
    """Keeps what is logged until the log can be written."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def _begin_log(log_format: str) -> Thread:
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


def main() -> int:
    """Run the relay process."""
    parser = argparse.ArgumentParser(prog="python -m b2bua.relay")
    parser.add_argument("--control", required=True, help="the Unix socket to listen on")
    parser.add_argument("--life", type=int, help="descriptor of the life line")
    parser.add_argument("--log-format", choices=("console", "json"), default="console")
    options = parser.parse_args()
    setproctitle("b2bua-relay")
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    loop = Loop(Path(options.control), options.life)
    log = _begin_log(options.log_format)
    with suppress(OSError):  # needs CAP_SYS_NICE or RLIMIT_NICE; only this thread: audio goes before disks
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    status = loop.run()
    log.join()
    return status


if __name__ == "__main__":
    sys.exit(main())
