"""Sends orders to workers and relay, holding back those about a recording until its note is written.

Without a note, raw files could not be finished after a crash. All other orders are sent at once. Thread: the
controller's loop.
"""

import asyncio
from collections.abc import Callable, Iterable

from b2bua.core.commands import EndSession, HostCommand
from b2bua.core.relay_orders import AudioOrder

__all__ = ["RecorderOrders"]

Send = Callable[..., None]
"""Sends orders to one worker, or to the relay."""


class RecorderOrders:
    """The orders of one session, with those held back by recording."""

    def __init__(self) -> None:
        self._held: dict[str, list[tuple[Send, HostCommand | AudioOrder]]] = {}

    def hold(self, recording: str, noted: "asyncio.Future[None]") -> None:
        """Hold back the orders about a recording until ``noted`` is done, successfully or not."""
        self._held[recording] = []
        noted.add_done_callback(lambda _: self._release(recording))

    def drop(self, recording: str) -> None:
        """Discard the orders held back for a recording that has been given up."""
        self._held.pop(recording, None)

    def send(self, send: Send, orders: Iterable[HostCommand | AudioOrder]) -> None:
        """Send, in order, the orders that need not wait; nothing is sent after the end of the session."""
        at_once: list[HostCommand | AudioOrder] = []
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
