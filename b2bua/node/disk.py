"""A thread for files: the controller's loop never waits for a disk (docs/adr/0007).

One thing after another is done, in the order in which it was asked for, so that what is written last stays.
Thread: the controller's loop; the work itself runs in the thread and touches nothing of the loop's.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

__all__ = ["Disk"]

P = ParamSpec("P")
T = TypeVar("T")


class Disk:
    """See the module's docstring. The thread ends with the object.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, name)

    def soon(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "asyncio.Future[T]":
        """Do ``work`` behind all that was asked for before; it need not be waited for."""
        return asyncio.wrap_future(self._thread.submit(work, *args, **kwargs))
