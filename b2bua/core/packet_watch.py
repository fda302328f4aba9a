"""Detection of whether media arrive, from the packet count of a stream.

The content of the packets does not matter: silence that is sent counts as media.
Source: RFC 3960 §3.2, which leaves open what "incoming media" are.
"""

__all__ = ["PacketWatch"]

ENOUGH = 2
"""Packets that count as media. A single packet, even one each second, keeps a NAT open and is not heard."""
GAP_S = 1.0
"""Seconds without a packet after which media have stopped. Loss and changes at the far end cause shorter
gaps."""


class PacketWatch:
    """Watches one stream by polling its packet count several times a second."""

    def __init__(self) -> None:
        self.coming = False
        """Media are arriving."""
        self._packets = 0
        self._in_a_row = 0
        """Packets received without a gap between them."""
        self._last_at = 0.0

    def look(self, packets: int, now: float) -> bool:
        """Take the current count; return whether ``coming`` has changed.

        Args:
            packets: received since the stream was created; less than before if a new stream has replaced it.
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
