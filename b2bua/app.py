"""``b2bua serve``: reads the configuration, binds the sockets, and becomes the supervisor of a node.

SIGTERM and SIGINT drain the node, a second one ends it at once; SIGHUP reloads the configuration.
"""

import sys
from pathlib import Path

from b2bua.core.errors import ConfigError
from b2bua.launch import Launch
from b2bua.settings import load_settings

__all__ = ["serve"]


def serve(config: Path | None, log_format: str) -> int:
    """Run a node until a signal ends it.

    Returns: the exit status: 0 after a drain, 2 for a wrong configuration, 1 for anything else.
    """
    try:
        launch = Launch(load_settings(config), config, log_format)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    return launch.become_supervisor()
