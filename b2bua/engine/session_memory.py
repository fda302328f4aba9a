"""What a worker and its controller have told each other in the present session, for the next controller.

What a controller has not noted when it dies is lost for the one that comes after it. So each of the two says
how much it has had, and gets the rest. Thread: the SIP thread.
"""

from collections import deque
from collections.abc import Iterable

from b2bua.core.commands import HostCommand, RecordingCommand, StartRecording
from b2bua.core.events import SessionEvent

__all__ = ["SessionMemory"]

MOST_EVENTS = 512
"""Events that are kept: more than happen to one session while a controller is started."""


class SessionMemory:
    """The events and orders of one session."""

    def __init__(self) -> None:
        self.events = 0
        """Number of events so far."""
        self.orders = 0
        """Number of orders so far, without those about recordings, which may overtake others."""
        self.recordings: set[str] = set()
        """Recordings that were begun."""
        self._latest: deque[SessionEvent] = deque(maxlen=MOST_EVENTS)

    def told(self, event: SessionEvent) -> None:
        """Note an event."""
        self.events += 1
        self._latest.append(event)

    def obeyed(self, orders: Iterable[HostCommand]) -> None:
        """Note orders."""
        for order in orders:
            if isinstance(order, StartRecording):
                self.recordings.add(order.recording)
            elif not isinstance(order, RecordingCommand):
                self.orders += 1

    def since(self, heard: int) -> list[SessionEvent]:
        """Return the events after the first ``heard``, as far as they are kept."""
        missing = max(0, self.events - heard)
        return list(self._latest)[-missing:] if missing else []
