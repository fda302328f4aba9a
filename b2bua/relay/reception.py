"""Loss and jitter of what a party sends, as a receiver counts them (RFC 3550 §6.4.1, A.3, A.8).

Arrival is known to a tick (5 ms). A stream's phase against the tick is constant, so that the rounding adds
no jitter to a steady stream, and adds none on average to an unsteady one.
"""

from typing import Final

__all__ = ["Reception"]

_DROPOUT_MOST: Final = 3000
"""RFC 3550 A.1: a larger step forward is a new stream."""
_LATE_MOST: Final = 100
"""RFC 3550 A.1: a larger step back is a new stream."""
_TRANSIT_MOST_S: Final = 5.0
"""A larger change between two packets is a step of the timestamps, not a delay."""


class Reception:
    """Counts the packets of a leg's party over the life of the leg, over all its SSRCs."""

    __slots__ = ("_expected", "_highest", "_jitter", "_ssrc", "_transit", "_ts", "rate", "received")

    def __init__(self) -> None:
        self.received = 0
        self.rate = 8000
        """Of the timestamps, in Hz."""
        self._expected = 0
        self._highest = 0
        self._ssrc: int | None = None
        self._ts = -1
        self._transit = 0.0
        self._jitter = 0.0
        """In units of the timestamp."""

    def count(self, seq: int, ts: int, ssrc: int, now: float) -> None:
        """Take one packet that arrived at ``now`` (monotonic seconds)."""
        self.received += 1
        if ssrc != self._ssrc:
            self._ssrc = ssrc
            self._begin(seq, ts, now)
            return
        step = (seq - self._highest) & 0xFFFF
        if step < _DROPOUT_MOST:
            self._expected += step
            self._highest = seq
        elif step < 0x10000 - _LATE_MOST:
            self._begin(seq, ts, now)
            return
        if ts != self._ts:  # the packets of a key share one timestamp (RFC 4733 §2.2), which is no arrival
            self._ts = ts
            transit = now * self.rate - ts
            change = transit - self._transit
            self._transit = transit
            if change < 0.0:
                change = -change
            if change < _TRANSIT_MOST_S * self.rate:
                self._jitter += (change - self._jitter) / 16.0

    def _begin(self, seq: int, ts: int, now: float) -> None:
        self._expected += 1
        self._highest = seq
        self._ts = ts
        self._transit = now * self.rate - ts

    def add(self, earlier: "Reception") -> None:
        """Add what a leg received whose place this one's has taken."""
        self.received += earlier.received
        self._expected += earlier._expected
        self._jitter = max(self._jitter, earlier._jitter)

    @property
    def lost(self) -> int:
        """Packets that never came; duplicates make up for losses, as in RFC 3550 A.3, but not below 0."""
        return max(0, self._expected - self.received)

    @property
    def jitter_ms(self) -> float:
        """Interarrival jitter."""
        return self._jitter / self.rate * 1000.0
