"""Keys of joined legs, which come by RFC 4733 from the relay and by INFO from the host. Each counts once.

Sans I/O. A phone may send a key both ways, and INFO often comes first. So a key by INFO waits a moment for
the same key by RFC 4733. A leg that sends by RFC 4733 does so always: its INFOs do not count any more.
"""

from b2bua.core.events import DtmfReceived
from b2bua.core.ids import LegId

__all__ = ["JoinedKeys"]

_WAIT_S = 0.2
_NEAR_S = 0.5
"""An INFO this near to the beginning or the end of a key is about that key."""


class JoinedKeys:
    """The keys of one session's joined legs. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._signalling: set[LegId] = set()
        """Legs that have sent a key by RFC 4733 while they were joined."""
        self._waiting: list[tuple[float, DtmfReceived]] = []
        """Keys by INFO, each with the time until which it waits."""
        self._counted: dict[LegId, DtmfReceived] = {}
        """The last key by INFO of each leg that has counted."""

    def take_info(self, event: DtmfReceived, now: float) -> None:
        """Take a key by INFO of a joined leg; ``due`` returns it if it counts."""
        if event.leg not in self._signalling:
            self._waiting.append((now + _WAIT_S, event))

    def take_signalled(self, event: DtmfReceived, duration_s: float) -> DtmfReceived | None:
        """Take a key by RFC 4733; returns it if it counts."""
        self._signalling.add(event.leg)
        self._waiting = [each for each in self._waiting if each[1].leg != event.leg]
        counted = self._counted.pop(event.leg, None)
        if counted is None or counted.digit != event.digit:
            return event
        is_same = event.at - _NEAR_S <= counted.at <= event.at + duration_s + _NEAR_S
        return None if is_same else event

    def due(self, now: float) -> list[DtmfReceived]:
        """Return the keys by INFO that have waited for long enough."""
        due = [event for until, event in self._waiting if until <= now]
        self._waiting = [each for each in self._waiting if each[0] > now]
        self._counted.update((event.leg, event) for event in due)
        return due

    def next_deadline(self) -> float | None:
        """Return when ``due`` has to be called."""
        return min((until for until, _ in self._waiting), default=None)
