"""The relay process: ``python -m b2bua.relay --control PATH --log-format console|json``.

It outlives edge and controller, which connect again; it ends with the process that started it, or by SIGTERM.
"""

import argparse
import resource
import signal
import sys
from pathlib import Path

from setproctitle import setproctitle

from b2bua.logs import set_up_logging
from b2bua.relay.loop import Loop


def main() -> int:
    """Run the relay process."""
    parser = argparse.ArgumentParser(prog="python -m b2bua.relay")
    parser.add_argument("--control", required=True, help="the Unix socket to listen on")
    parser.add_argument("--log-format", choices=("console", "json"), default="console")
    options = parser.parse_args()
    setproctitle("b2bua-relay")
    set_up_logging(options.log_format)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return Loop(Path(options.control)).run()


if __name__ == "__main__":
    sys.exit(main())
