"""Reception statistics of a leg, added up from the library's counts for each stream."""

import time

from b2bua.core.events import MediaMeasured
from b2bua.core.ids import LegId

__all__ = ["Heard"]


class Heard:
    """Packets received and lost, and mean jitter, over all streams of a leg."""

    def __init__(self) -> None:
        self.received = 0
        self._lost = 0
        self._jitter_ms = 0.0

    def add(self, received: int, lost: int, jitter_ms: float) -> None:
        """Add the counts of a stream that has ended."""
        self.received += received
        self._lost += lost
        if received:
            self._jitter_ms += (jitter_ms - self._jitter_ms) * received / self.received

    def measured(self, leg: LegId) -> MediaMeasured:
        """Return the totals as an event."""
        return MediaMeasured(
            leg=leg,
            at=time.monotonic(),
            received=self.received,
            lost=self._lost,
            jitter_ms=round(self._jitter_ms, 3),
        )
