"""Connects to another process of the node, which may be starting at the moment. Thread: an asyncio loop's."""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from b2bua.ipc.channel import Channel

__all__ = ["connect", "listening_at", "watch_life_line"]

_KNOCK_S = 0.02
"""Pause between attempts."""
_CREDENTIALS = struct.Struct("3i")


async def connect(path: Path, kind: Any, limit_s: float | None = None) -> tuple[Channel[Any], int]:
    """Connect to the socket at ``path``; return the channel and the pid of the process that listens.

    Args:
        path: of the socket.
        kind: of the messages that come from there.
        limit_s: after so many seconds the last error is raised; None: never.

    Raises:
        OSError: nobody listens there.
    """
    loop = asyncio.get_running_loop()
    deadline = None if limit_s is None else loop.time() + limit_s
    while True:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.connect(str(path))  # at once, or never
            pid = _CREDENTIALS.unpack(
                sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            )[0]
            reader, writer = await asyncio.open_unix_connection(sock=sock)
            return Channel(reader, writer, msgspec.msgpack.Decoder(kind)), pid
        except OSError:
            sock.close()
            if deadline is not None and loop.time() >= deadline:
                raise
        await asyncio.sleep(_KNOCK_S)


def listening_at(path: str) -> socket.socket:
    """Return a private Unix socket that listens at ``path``, where an earlier process may have listened.

    Raises:
        OSError: that is not possible.
    """
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.setblocking(False)
    sock.bind(path)
    os.chmod(path, 0o600)
    sock.listen(8)
    return sock


def watch_life_line(fd: int, ended: Callable[[], None]) -> None:
    """Call ``ended`` once when the other end of a pipe is closed: by the supervisor, or by its death."""
    loop = asyncio.get_running_loop()

    def end() -> None:
        loop.remove_reader(fd)
        ended()

    loop.add_reader(fd, end)
