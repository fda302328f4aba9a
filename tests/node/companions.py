"""Edge, relay and fork server for a controller that a test runs in its own process."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from b2bua.launch import Launch
from b2bua.settings import Settings

__all__ = ["companions"]


@contextlib.contextmanager
def companions(settings: Settings, folder: Path) -> Iterator[Launch]:
    """Run the other processes of a node, whose run folder is ``folder``; they end by themselves."""
    node = settings.node.model_copy(update={"run_folder": folder})
    launch = Launch(settings.model_copy(update={"node": node}), None, "json")
    read, write = os.pipe()
    running = [
        subprocess.Popen(
            [*process["command"], "--life", str(read)],
            stdin=subprocess.DEVNULL,
            pass_fds=[*process["fds"], read],
        )
        for process in launch.plan()["processes"]
        if process["name"] != "controller"
    ]
    os.close(read)
    try:
        yield launch
    finally:
        os.close(write)
        statuses = [process.wait(20) for process in running]
        launch.sip.close()
        launch.http.close()
    assert statuses == [0, 0, 0]
