"""Who is believed to be a leg's party: the address of its session description, or one that is learned.

A party behind a NAT sends from another address than it states. It is learned once, from the first valid
stream, while nothing has come from the stated address; afterwards only a session description moves it. What
comes from anywhere else is foreign.
"""

from collections.abc import Container
from typing import Final

from b2bua.relay.addresses import Address

__all__ = ["Source"]

_IN_ORDER: Final = 3
"""Packets in order, of one SSRC and known types, that make a stream."""
_CANDIDATES_MOST: Final = 8
_PREVIOUS_MOST: Final = 8


class _Candidate:
    __slots__ = ("seen", "seq", "ssrc", "ts")

    def __init__(self, seq: int, ts: int, ssrc: int) -> None:
        self.seq, self.ts, self.ssrc = seq, ts, ssrc
        self.seen = 1

    def follows(self, seq: int, ts: int, ssrc: int) -> bool:
        """Whether the packet is the next of the stream; its time goes on, as real audio's does."""
        ahead = (ts - self.ts) & 0xFFFFFFFF
        ok = ssrc == self.ssrc and seq == (self.seq + 1) & 0xFFFF and 0 < ahead < 1 << 16
        self.seq, self.ts, self.ssrc = seq, ts, ssrc
        self.seen = self.seen + 1 if ok else 1
        return self.seen >= _IN_ORDER


class Source:
    """The source of a leg's RTP."""

    __slots__ = ("_candidates", "_previous", "at", "foreign", "latest", "told", "types")

    def __init__(self) -> None:
        self.told: Address | None = None
        """By the session description; None: not told, or on hold in the old form."""
        self.at: Address | None = None
        """Where packets have come from that are believed; None: nothing has come yet."""
        self.types: Container[int] = ()
        """Payload types that the party may send."""
        self.foreign = 0
        """Packets dropped since the last report."""
        self.latest: Address | None = None
        """Source of the latest packet dropped."""
        self._candidates: dict[Address, _Candidate] = {}
        self._previous: list[Address] = []

    def tell(self, told: Address | None, types: Container[int]) -> bool:
        """Take a session description; return whether the party has moved.

        The same address told again does not move a party that was learned elsewhere.
        """
        self.types = types
        if told is None or told == self.told:
            return False
        for earlier in (self.told, self.at):
            if earlier is not None and earlier not in self._previous:
                self._previous = [*self._previous[1 - _PREVIOUS_MOST :], earlier]
        moved = told != self.at
        self.told = told
        self._candidates.clear()
        if moved:
            self.at = None
        return moved

    def believes(self, address: Address, kind: int, seq: int, ts: int, ssrc: int) -> bool:
        """Judge a packet; afterwards ``at`` is its address if it is the first that is believed.

        Args:
            address: where it came from.
            kind: its payload type.
            seq: its sequence number.
            ts: its timestamp.
            ssrc: its SSRC.
        """
        if self.at is not None:
            if address == self.at:
                return True
        elif address == self.told:
            self.at = address
            self._candidates.clear()
            return True
        elif self.told is not None and kind in self.types and address not in self._previous:
            candidate = self._candidates.get(address)
            if candidate is None:
                if len(self._candidates) < _CANDIDATES_MOST:
                    self._candidates[address] = _Candidate(seq, ts, ssrc)
            elif candidate.follows(seq, ts, ssrc):
                self.at = address
                self._candidates.clear()
                return True
        self.drop(address)
        return False

    def drop(self, address: Address) -> None:
        """Count a foreign packet. Stragglers from where the party was before are not foreign."""
        if self.told is not None and address not in self._previous:
            self.foreign += 1
            self.latest = address
