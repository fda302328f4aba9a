"""A process that is not our child: killed only while it is that process, and not another with its number.

Its parent, the fork server, reaps it; from then on the kernel may give its pid to anybody.
"""

import contextlib
import os
import signal
from pathlib import Path

__all__ = ["Process"]


class Process:
    """See the module's docstring.

    Args:
        pid: of a process that lives.
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
        """SIGKILL; nothing if it is gone."""
        with contextlib.suppress(ProcessLookupError):
            if self._fd is not None:
                signal.pidfd_send_signal(self._fd, signal.SIGKILL)
            elif _begun(self.pid) == self._begun:
                os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Let go of it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _begun(pid: int) -> str:
    """When the process began, in the kernel's ticks; empty where there is no /proc, or no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""
