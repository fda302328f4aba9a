"""Loss and jitter of what a party sends, as a receiver counts them (RFC 3550 §6.4.1, A.3, A.8).

Each packet is counted; jitter is taken from each fourth, because the formula takes the difference of any two
packets, and this is done for every packet of every leg. Arrival is known to a tick (5 ms, in a room 20 ms). A
stream's phase against the tick is constant, so that the rounding adds no jitter to a steady stream, and none
on average to an unsteady one.
"""

from typing import Final

__all__ = ["Reception"]

_DROPOUT_MOST: Final = 3000
"""RFC 3550 A.1: a larger step forward is a new stream."""
_LATE_MOST: Final = 100
"""RFC 3550 A.1: a larger step back is a new stream."""
_TRANSIT_MOST_S: Final = 5.0
"""A larger change between two packets is a step of the timestamps, not a delay."""
_EACH: Final = 4
"""A power of 2."""


class Reception:
    """Counts the packets of a leg's party over the life of the leg, over all its SSRCs."""

    __slots__ = (
        "_cycles",
        "_earlier",
        "_first",
        "_highest",
        "_jitter",
        "_ssrc",
        "_transit",
        "_ts",
        "rate",
        "received",
    )

    def __init__(self) -> None:
        self.received = 0
        self.rate = 8000
        """Of the timestamps, in Hz."""
        self._ssrc: int | None = None
        self._earlier = 0
        """Packets expected of earlier streams."""
        self._first = 0
        """Sequence number of this stream's first packet."""
        self._highest = 0
        """Of this stream."""
        self._cycles = 0
        """How often this stream's numbers have run over, times 65,536."""
        self._ts = -1
        """Of the latest packet."""
        self._transit = 0.0
        self._jitter = 0.0
        """In units of the timestamp."""

    def count(self, seq: int, ts: int, ssrc: int, now: float) -> None:
        """Take one packet that arrived at ``now`` (monotonic seconds)."""
        self.received = received = self.received + 1
        if ssrc != self._ssrc:
            self._begin(seq, ts, ssrc, now)
        elif seq == self._highest + 1:
            self._highest = seq
        else:
            step = (seq - self._highest) & 0xFFFF
            if step < _DROPOUT_MOST:
                if seq < self._highest:
                    self._cycles += 0x10000
                self._highest = seq
            elif step < 0x10000 - _LATE_MOST:
                self._begin(seq, ts, ssrc, now)
        # The packets of a key share one timestamp (RFC 4733 §2.2), which says nothing of their arrival.
        if not received % _EACH and ts != self._ts:
            transit = now * self.rate - ts
            change = abs(transit - self._transit)
            self._transit = transit
            if change < _TRANSIT_MOST_S * self.rate:
                self._jitter += (change - self._jitter) / 16.0
        self._ts = ts

    def _begin(self, seq: int, ts: int, ssrc: int, now: float) -> None:
        self._earlier = self._expected
        self._ssrc = ssrc
        self._first = self._highest = seq
        self._cycles = 0
        self._transit = now * self.rate - ts

    @property
    def _expected(self) -> int:
        return self._earlier + self._cycles + self._highest - self._first + (self._ssrc is not None)

    def add(self, earlier: "Reception") -> None:
        """Add what a leg received whose place this one's has taken."""
        self.received += earlier.received
        self._earlier += earlier._expected
        self._jitter = max(self._jitter, earlier._jitter)

    @property
    def lost(self) -> int:
        """Packets that never came; duplicates make up for losses, as in RFC 3550 A.3, but not below 0."""
        return max(0, self._expected - self.received)

    @property
    def jitter_ms(self) -> float:
        """Interarrival jitter."""
        return self._jitter / self.rate * 1000.0
