"""The sockets of this process, among them those that the library has opened."""

import contextlib
import os

__all__ = ["socket_fds"]


def socket_fds() -> set[int]:
    """Return the descriptors of all open sockets."""
    fds = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                fds.add(int(name))
    return fds
