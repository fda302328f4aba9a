"""``b2bua reload``: tells a running node to read its configuration again, or to start its controller anew."""

import os
import signal
from pathlib import Path

import msgspec

from b2bua.run_folder import RunFolder

__all__ = ["reload"]


def reload(folder: Path | None, *, new_code: bool) -> str:
    """Signal the supervisor of the node with this run folder.

    Args:
        folder: ``node.run_folder``.
        new_code: start the controller anew; calls, rooms and queues go on.

    Returns:
        Why that is impossible; empty: it is done.
    """
    if folder is None:
        return "node.run_folder is not set, so the running node cannot be found; signal it by its pid"
    try:
        run = RunFolder.open(folder)
    except (OSError, msgspec.MsgspecError):
        return f"no node runs with the folder {folder}"
    try:
        if not _is_node(run.pid):
            return f"the node of {folder} does not run any more"
        os.kill(run.pid, signal.SIGUSR1 if new_code else signal.SIGHUP)
    except OSError as error:
        return f"the node with pid {run.pid} cannot be signalled: {error.strerror}"
    return ""


def _is_node(pid: int) -> bool:
    """Return whether a process is a supervisor, and not one that has its pid by accident."""
    try:
        return pid > 0 and Path(f"/proc/{pid}/comm").read_text().strip() == "b2bua"
    except OSError:
        return False
