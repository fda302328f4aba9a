"""Finds disk I/O in the loop of a running node; installed in its process before it starts.

From the moment when the node can be used until it has ended, each file that the loop's thread opens, looks
at, makes or deletes is a line of the log, with where it was done. Sockets, pipes and what is written to a
file that is open are not seen.
"""

import json
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

EVENT = "disk on the loop"

_ALLOWED = ("/dev/", "/proc/")
"""Paths that are not on a disk."""
_EVENTS = ("open", "os.", "shutil.", "tempfile.", "fcntl.flock", "fcntl.lockf", "sqlite3.connect")
_HARMLESS = frozenset(
    ("os.kill", "os.killpg", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.putenv", "os.unsetenv")
)
_LOOKS = ("stat", "lstat", "access", "readlink", "statvfs", "fsync", "fdatasync")
"""Functions of ``os`` that raise no audit event."""

_loop_thread = 0


def install() -> None:
    """Watch this process's node."""
    from b2bua.node.node import Node

    start, close = Node.start, Node.close

    async def started(node: Node) -> Any:
        global _loop_thread
        ready = await start(node)
        _loop_thread = threading.get_ident()
        return ready

    async def closed(node: Node) -> None:
        global _loop_thread
        await close(node)
        _loop_thread = 0

    Node.start, Node.close = started, closed  # type: ignore[method-assign]
    for name in _LOOKS:
        setattr(os, name, _telling(name, getattr(os, name)))
    sys.addaudithook(_hear)


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event.startswith(_EVENTS) and event not in _HARMLESS:
        _tell(event, arguments[0] if arguments else "")


def _telling(name: str, look: Callable[..., Any]) -> Callable[..., Any]:
    def telling(path: Any, *arguments: Any, **more: Any) -> Any:
        _tell(f"os.{name}", path)
        return look(path, *arguments, **more)

    return telling


def _callers() -> list[str]:
    """Modules of the running functions, from ``_tell``'s caller outwards."""
    frame, names = sys._getframe(2), []
    while frame is not None and len(names) < 30:
        names.append(str(frame.f_globals.get("__name__", "")))
        frame = frame.f_back  # type: ignore[assignment]
    return names


def _tell(what: str, path: Any) -> None:
    if threading.get_ident() != _loop_thread or isinstance(path, int) or str(path).startswith(_ALLOWED):
        return
    if any(name.startswith("coverage.") for name in _callers()):
        return  # what measures the tests looks at files, too
    frame, stack = sys._getframe(2), []
    while frame is not None and len(stack) < 12:
        stack.append(f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}")
        frame = frame.f_back  # type: ignore[assignment]
    line = json.dumps({"event": EVENT, "what": what, "path": str(path), "stack": stack})
    os.write(2, line.encode() + b"\n")
