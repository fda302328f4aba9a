"""The facts of one session on their way to the journal.

A call that comes is stored, counted and logged when its first INVITEs have left, if its document is known.

The relay measures a leg's reception until the leg ends, and reports it a moment later. So the last facts of a
call wait for it, at most a quarter of a second.

Thread: the controller's loop.
"""

import asyncio
from collections.abc import Callable

from b2bua.calls.orders import CallOver
from b2bua.core.events import MediaMeasured
from b2bua.core.ids import LegId
from b2bua.node.facts import SessionEnded
from b2bua.node.journal import Entry, Journal

__all__ = ["SessionFacts"]

_PATIENCE_S = 0.25


class SessionFacts:
    """Publishes the facts of one session in their order.

    Args:
        journal: receives them.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._unmeasured: dict[LegId, asyncio.TimerHandle] = {}
        """Legs that have ended, and when they are waited for no longer."""
        self._held = False
        self._waiting: list[Entry] = []
        self._after: list[Callable[[], None]] = []

    def hold(self) -> None:
        """Hold back all facts until ``release``: something more urgent comes first."""
        self._held = True

    def release(self) -> None:
        """Publish what was held back."""
        self._held = False
        if not self._unmeasured:
            self._flush()

    def publish(self, entry: Entry) -> None:
        """Publish a fact; the facts that end a call, and all after them, when its legs have been measured."""
        ends = isinstance(entry.fact, CallOver | SessionEnded)
        if self._held or self._waiting or (ends and self._unmeasured):
            self._waiting.append(entry)
        else:
            self._journal.publish(entry)

    def leg_ended(self, leg: LegId) -> None:
        """Wait for the measurement of a leg."""
        if leg not in self._unmeasured:
            loop = asyncio.get_running_loop()
            self._unmeasured[leg] = loop.call_later(_PATIENCE_S, self.measured, leg, None)

    def measured(self, leg: LegId, entry: Entry | None) -> None:
        """Publish the measurement of a leg; None: there is none."""
        if (timer := self._unmeasured.pop(leg, None)) is not None:
            timer.cancel()
        if entry is not None and isinstance(entry.fact, MediaMeasured) and entry.fact.received:
            self._journal.publish(entry)
        if not self._unmeasured and not self._held:
            self._flush()

    def then(self, act: Callable[[], None]) -> None:
        """Call ``act`` when everything has been published."""
        if self._waiting:
            self._after.append(act)
        else:
            act()

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for entry in waiting:
            self._journal.publish(entry)
        after, self._after = self._after, []
        for act in after:
            act()
