"""Whether a stream's packets come: from how many there were to whether media have begun or stopped.

What the packets hold is nobody's business here: silence that is sent is media.
Source: RFC 3960 §3.2, which leaves open what "incoming media" are.
"""

__all__ = ["PacketWatch"]

ENOUGH = 2
"""Packets that are media: a single one, even each second, keeps a NAT open and is heard by nobody."""
GAP_S = 1.0
"""Without a packet for so long, media have stopped. What is lost, or changes at the far end, is shorter."""


class PacketWatch:
    """One stream, as seen by somebody who looks at its count several times a second."""

    def __init__(self) -> None:
        self.coming = False
        """Media come."""
        self._packets = 0
        self._in_a_row = 0
        """Packets without a gap between them."""
        self._last_at = 0.0

    def look(self, packets: int, now: float) -> bool:
        """Take the count of now; return whether ``coming`` has changed.

        Args:
            packets: since the stream was made; less than before where another has taken its place.
            now: monotonic seconds.
        """
        came = packets - self._packets if packets >= self._packets else packets
        self._packets = packets
        recent = now - self._last_at < GAP_S
        if came:
            self._in_a_row = came + (self._in_a_row if recent else 0)
            self._last_at, recent = now, True
        before, self.coming = self.coming, recent and self._in_a_row >= ENOUGH
        return self.coming is not before
