"""A thread for files: the controller's loop never waits for a disk (docs/adr/0007).

The thread does its jobs one at a time, in the order of their submission, so that the last write wins.
Thread: the controller's loop; the jobs run in the file thread and touch no state of the loop.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

__all__ = ["Disk"]

P = ParamSpec("P")
T = TypeVar("T")


class Disk:
    """A single thread for file operations. It ends when this object is collected.

    Args:
        name: name of the thread.
    """

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, name)

    def later(self, work: Callable[[], None]) -> None:
        """Queue ``work``, whose end nobody waits for; the loop is not woken by it. It must not raise."""
        self._thread.submit(work)

    def soon(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "asyncio.Future[T]":
        """Queue ``work`` behind all earlier jobs; the caller need not await the result."""
        return asyncio.wrap_future(self._thread.submit(work, *args, **kwargs))
