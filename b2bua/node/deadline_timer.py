"""A timer at the earliest deadline of machines without I/O. Thread: the controller's loop."""

import asyncio
from collections.abc import Callable, Iterable

from b2bua.core.deadlines import earliest, pause_until

__all__ = ["DeadlineTimer"]


class DeadlineTimer:
    """Calls ``on_due`` when a deadline has come, or somewhat before.

    Most deadlines are put off again and again, so a timer that is early is left as it is: whoever is called
    looks at what is due, and sets the next one.
    """

    def __init__(self, on_due: Callable[[], None]) -> None:
        self._on_due = on_due
        self._timer: asyncio.TimerHandle | None = None
        self._at = 0.0

    def set(self, deadlines: Iterable[float | None]) -> None:
        """Be called at the earliest of these, in seconds of the loop's monotonic clock; None: never."""
        due = earliest(*deadlines)
        if due is None or (self._timer is not None and self._at <= due):
            return
        self.cancel()
        loop = asyncio.get_running_loop()
        now = loop.time()
        pause_s = pause_until(due, now)
        self._at = now + pause_s
        self._timer = loop.call_later(pause_s, self._call)

    def cancel(self) -> None:
        """Do not call until it is set again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _call(self) -> None:
        self._timer = None
        self._on_due()
