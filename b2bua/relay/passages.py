"""Passages: two legs of ours that are each other's party, as a call of the node to itself has them.

An attended transfer of two sessions makes such a call: either half is joined in its own session, and the
halves are the two sides of one more call. What one of these two legs is sent is handed to the other in the
same tick, and passes no socket. Both must name each other, so that no party comes to be heard by a leg that
has not been told of it.
"""

from collections import deque
from typing import Final

from b2bua.relay.leg import Leg
from b2bua.relay.packet import Packet, Send

__all__ = ["Passages"]

_HOPS_MOST: Final = 4
"""Passages that a packet takes in one tick; the node may have called itself in a circle."""


class Passages:
    """All of them.

    Args:
        packet: the buffer.
    """

    def __init__(self, packet: Packet) -> None:
        self.own_host = ""
        """Address of the outer sockets, as the edge names it; no leg faces another before it is known."""
        self._packet = packet
        self._legs: dict[int, Leg] = {}
        """By outer port."""
        self._facing: dict[Leg, Leg] = {}
        """Both ways."""
        self._waiting: deque[tuple[Leg, bytes]] = deque()

    def open(self, leg: Leg) -> None:
        """Note a new leg."""
        self._legs[leg.pair.outer] = leg

    def close(self, leg: Leg) -> None:
        """Forget a leg that is over."""
        self._part(leg)
        del self._legs[leg.pair.outer]

    def judge(self, leg: Leg) -> None:
        """Let a leg face another one, or not any more, as its new description says."""
        other = self._named_by(leg)
        if other is None or other is leg or self._named_by(other) is not leg:
            self._part(leg)
            return
        if self._facing.get(leg) is not other:
            for one in (leg, other):
                self._part(one)
        self._facing[leg], self._facing[other] = other, leg
        leg.ways.face(self._way_to(other))
        other.ways.face(self._way_to(leg))

    def tick(self, now: float) -> None:
        """Hand over what has been sent since the last time."""
        waiting, packet = self._waiting, self._packet
        for _ in range(_HOPS_MOST):
            for _ in range(len(waiting)):
                leg, data = waiting.popleft()
                if leg in self._facing:
                    packet.views[len(data)][:] = data
                    leg.from_far(len(data), now)
            if not waiting:
                return

    def _named_by(self, leg: Leg) -> Leg | None:
        """Return the leg whose outer port a leg's party has stated as its address."""
        at = leg.ways.told
        return self._legs.get(at[1]) if at is not None and at[0] == self.own_host else None

    def _way_to(self, leg: Leg) -> Send:
        wait = self._waiting.append
        return lambda data: wait((leg, bytes(data)))

    def _part(self, leg: Leg) -> None:
        other = self._facing.pop(leg, None)
        if other is not None:
            del self._facing[other]
            leg.ways.turn_away()
            other.ways.turn_away()
