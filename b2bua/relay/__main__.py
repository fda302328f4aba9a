"""The relay process: ``python -m b2bua.relay --control PATH --log-format console|json``.

It outlives edge and controller, which connect again. It ends with the process that started it or by SIGTERM;
with a life line (``--life FD``) it ends with that, and ignores signals.
"""

import argparse
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path

from setproctitle import setproctitle

from b2bua.early_log import begin_log
from b2bua.relay.loop import Loop

_NICE = -10
"""All calls are heard by this process, and a worker that begins a call can wait for it."""


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
    log = begin_log(options.log_format)
    with suppress(OSError):  # needs CAP_SYS_NICE or RLIMIT_NICE; only this thread: audio goes before disks
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    status = loop.run()
    log.join()
    return status


if __name__ == "__main__":
    sys.exit(main())
