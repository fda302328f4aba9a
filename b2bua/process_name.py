"""Names a process for ``ps`` with the standard library alone; others use setproctitle."""

import contextlib
import ctypes

__all__ = ["name_process"]


def name_process(name: str) -> None:
    """Set what ``ps`` shows for this process (Linux): its name, and its arguments in their own memory."""
    with contextlib.suppress(OSError, AttributeError, ValueError, IndexError):
        libc = ctypes.CDLL(None)
        libc.prctl(15, name.encode(), 0, 0, 0)  # PR_SET_NAME
        with open("/proc/self/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        first, last = int(fields[45]), int(fields[46])  # arg_start and arg_end, proc(5)
        if last - first > len(name):
            ctypes.memset(first, 0, last - first)
            ctypes.memmove(first, name.encode(), len(name))
