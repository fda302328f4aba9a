"""Orders to a worker, of which those about a recording wait until the recording has been noted.

A promise is written down before it is kept: raw files that nobody knows of could not be finished after a
crash. Everything else goes at once. Thread: the controller's loop.
"""

import asyncio
from collections.abc import Callable, Iterable

from b2bua.core.commands import EndSession, LegCommand

__all__ = ["RecorderOrders"]

Send = Callable[..., None]
"""To one worker."""


class RecorderOrders:
    """See the module's docstring."""

    def __init__(self) -> None:
        self._held: dict[str, list[tuple[Send, LegCommand]]] = {}

    def hold(self, recording: str, noted: "asyncio.Future[None]") -> None:
        """Keep back what is ordered of a recording until ``noted`` is done, however that ends."""
        self._held[recording] = []
        noted.add_done_callback(lambda _: self._release(recording))

    def drop(self, recording: str) -> None:
        """It has been given up: what is kept back of it is not sent."""
        self._held.pop(recording, None)

    def send(self, send: Send, orders: Iterable[LegCommand]) -> None:
        """Send in order what need not wait; nothing follows the end of the session."""
        at_once: list[LegCommand] = []
        for order in orders:
            held = self._held.get(getattr(order, "recording", ""))
            if held is None:
                at_once.append(order)
            else:
                held.append((send, order))
        if any(isinstance(order, EndSession) for order in at_once):
            self._held.clear()
        if at_once:
            send(*at_once)

    def _release(self, recording: str) -> None:
        for send, order in self._held.pop(recording, ()):
            send(order)
