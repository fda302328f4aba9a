"""Kills a process that is not our child, without hitting another process that got its pid.

Its parent, the fork server, reaps it; from then on the kernel may reuse its pid.
"""

import contextlib
import os
import signal
from pathlib import Path

__all__ = ["Process"]


class Process:
    """A reference to a running process that is not our child.

    Args:
        pid: of a running process.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._fd: int | None = None
        with contextlib.suppress(
            OSError, AttributeError
        ):  # Linux before 5.3, other systems, a strict sandbox
            self._fd = os.pidfd_open(pid)
        self._begun = _begun(pid) if self._fd is None else ""

    def kill(self) -> None:
        """Send SIGKILL; does nothing if the process is gone."""
        with contextlib.suppress(ProcessLookupError):
            if self._fd is not None:
                signal.pidfd_send_signal(self._fd, signal.SIGKILL)
            elif _begun(self.pid) == self._begun:
                os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Release the file descriptor."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _begun(pid: int) -> str:
    """Return when the process began, in kernel ticks; empty without /proc or such a process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""
