"""What a party hears from us: one RTP stream for the life of its leg, whoever speaks behind it.

Its sources (the worker, a partner, one of their SSRCs after another) take turns. At each turn the new
source's first packet is *anchored*: it becomes the next of the stream, and the differences found then are
added to all that follow. So losses of a source stay visible, and a turn leaves neither a hole nor a packet
twice (RFC 3550 §5.1: sequence numbers by one, timestamps on one clock).
"""

import struct
from typing import Final

from b2bua.relay.packet import Packet

__all__ = ["Stream"]

_REST: Final = struct.Struct(">BHII")
"""The header from its second byte on."""
_AHEAD_MOST: Final = 1 << 26
"""A larger step of the timestamp is one back, or another stream: 140 minutes at 8 kHz."""
_LOST_MOST: Final = 1000
"""Packets in a row that can be lost; a larger step is another stream with the same SSRC."""
_MISSING_MOST: Final = 64
"""Lost packets that may still come late."""
_STALE_MOST: Final = 5
"""Packets of the past in a row that are a source which counts anew."""
_AHEAD_MOST_S: Final = 0.5
_EVENT_S: Final = 30
"""How long a key may be held."""


class Stream:
    """The stream toward one party; ``carry`` turns the packet in the buffer into its next.

    Args:
        packet: the buffer.
        ssrc: of this stream.
        seq: sequence number before the first.
        ts: timestamp before the first.
    """

    __slots__ = (
        "_ahead_s",
        "_data",
        "_missing",
        "_paused_seq",
        "_stale",
        "at",
        "rate",
        "seq",
        "seq_shift",
        "source",
        "ssrc",
        "step",
        "ts",
        "ts_shift",
    )

    def __init__(self, packet: Packet, ssrc: int, seq: int, ts: int) -> None:
        self._data = packet.data
        self.ssrc = ssrc
        self.seq = seq
        """Of the latest packet."""
        self.ts = ts
        """Of the latest packet."""
        self.at = 0.0
        """When the latest packet was sent; 0: none was."""
        self.source: int | None = None
        """SSRC of the source whose packets are carried; None: the next packet is anchored."""
        self.seq_shift = 0
        self.ts_shift = 0
        self.rate = 8000
        """Of the timestamps, in Hz."""
        self.step = 160
        """Of the timestamp between two packets."""
        self._ahead_s = 0.0
        """How far turns have moved the timestamps ahead of the clock; below 0 they are behind."""
        self._missing: set[int] = set()
        self._paused_seq: int | None = None
        self._stale = (0, 0, 0)
        """What would follow the latest packet of the past, the stream's number then, how many came so."""

    def carry(self, second: int, seq: int, ts: int, ssrc: int, now: float) -> bool:
        """Write the header of the next packet over that of the source's; False: it must not be sent.

        Args:
            second: second byte of the header to write: marker and payload type.
            seq: the source's.
            ts: the source's.
            ssrc: the source's.
            now: monotonic seconds.
        """
        if ssrc != self.source:
            self._anchor(seq, ts, now)
            self.source = ssrc
            second |= 0x80  # a talkspurt begins (RFC 3551 §4.1): the listener's jitter buffer may adapt
        out = (seq + self.seq_shift) & 0xFFFF
        out_ts = (ts + self.ts_shift) & 0xFFFFFFFF
        if out == (self.seq + 1) & 0xFFFF and (out_ts - self.ts) & 0xFFFFFFFF < _AHEAD_MOST:
            self.seq, self.ts, self.at = out, out_ts, now
            _REST.pack_into(self._data, 1, second, out, out_ts, self.ssrc)
            return True
        return self._carry_uneven(second, seq, ts, now)

    def carry_event(self, second: int, seq: int, ts: int, ssrc: int, now: float) -> bool:
        """As ``carry``, for a packet of a key: its timestamp stays while audio goes on (RFC 4733 §2.1)."""
        latest = self.ts
        back = (latest - ts - self.ts_shift) & 0xFFFFFFFF
        if ssrc != self.source or back > _EVENT_S * self.rate:
            return self.carry(second, seq, ts, ssrc, now)
        self.ts = (latest - back) & 0xFFFFFFFF
        carried = self.carry(second, seq, ts, ssrc, now)
        self.ts = latest
        return carried

    def _carry_uneven(self, second: int, seq: int, ts: int, now: float) -> bool:
        """The packet is not the next of its source: some are lost, it is late, twice, or from elsewhere."""
        out, out_ts = (seq + self.seq_shift) & 0xFFFF, (ts + self.ts_shift) & 0xFFFFFFFF
        ahead = (out - self.seq) & 0xFFFF
        if out in self._missing:
            self._missing.discard(out)
            _REST.pack_into(self._data, 1, second, out, out_ts, self.ssrc)
            return True
        stale = ahead == 0 or ahead > 0xFFFF - _LOST_MOST
        if stale and not self._has_begun_anew(out):
            return False  # twice, or so late that the listener has given it up
        if stale or ahead > _LOST_MOST or (out_ts - self.ts) & 0xFFFFFFFF >= _AHEAD_MOST:
            self._anchor(seq, ts, now)
            out, out_ts = (seq + self.seq_shift) & 0xFFFF, (ts + self.ts_shift) & 0xFFFFFFFF
            second |= 0x80
        elif ahead <= _MISSING_MOST:
            self._missing = {(self.seq + n) & 0xFFFF for n in range(1, ahead)}
        self.seq, self.ts, self.at = out, out_ts, now
        _REST.pack_into(self._data, 1, second, out, out_ts, self.ssrc)
        return True

    def _has_begun_anew(self, out: int) -> bool:
        """Whether packets of the past are all that comes, in order (RFC 3550 A.1, ``bad_seq``)."""
        expected, latest, count = self._stale
        count = count + 1 if (out, self.seq) == (expected, latest) else 1
        self._stale = ((out + 1) & 0xFFFF, self.seq, count)
        return count >= _STALE_MOST

    def _anchor(self, seq: int, ts: int, now: float) -> None:
        self.seq_shift = self.seq + 1 - seq
        self.ts_shift = self._next_ts(now) - ts
        self._missing.clear()

    def _next_ts(self, now: float) -> int:
        """One step on, or as many as the clock has gone on since the latest packet."""
        if not self.at:
            return self.ts + self.step
        step_s = self.step / self.rate
        passed_s = now - self.at
        # A stream that is behind makes up for it where there is a pause, and leaves none where there is none.
        ahead_s = self._ahead_s if passed_s >= 2 * step_s else max(self._ahead_s, 0.0)
        steps = max(1, round((passed_s - ahead_s) / step_s))
        self._ahead_s = min(max(self._ahead_s + steps * step_s - passed_s, -step_s), _AHEAD_MOST_S)
        return self.ts + steps * self.step

    def turn(self) -> None:
        """Somebody else speaks from the next packet on."""
        self.source = None

    def pause(self) -> None:
        """Nobody receives what follows."""
        self._paused_seq = self.seq

    def resume(self) -> None:
        """Somebody receives what follows: numbers that were used meanwhile are used again."""
        if self._paused_seq is not None:
            self.seq, self._paused_seq = self._paused_seq, None
            self.source = None

    def skip(self, seq: int, ssrc: int) -> None:
        """A packet of the source is left out: its number goes to the next."""
        if ssrc == self.source and 0 < (seq + self.seq_shift - self.seq) & 0xFFFF <= _LOST_MOST:
            self.seq_shift -= 1

    def insert(self, second: int, ts: int, now: float) -> None:
        """Write the header of a packet of our own into the buffer, with a timestamp not before the latest."""
        self.seq = (self.seq + 1) & 0xFFFF
        self.seq_shift += 1
        self.ts, self.at = ts, now
        self._data[0] = 0x80
        _REST.pack_into(self._data, 1, second, self.seq, ts, self.ssrc)

    def follow(self, second: int, now: float) -> None:
        """As ``insert``, for a packet of our own that follows another one without a pause."""
        step = self.step
        passed_s = now - self.at
        if 0 < passed_s * self.rate < 1.5 * step:
            self.ts = ts = (self.ts + step) & 0xFFFFFFFF
        else:
            self.ts = ts = self._next_ts(now) & 0xFFFFFFFF
        self.seq = seq = (self.seq + 1) & 0xFFFF
        self.seq_shift += 1
        self.at = now
        data = self._data
        data[0] = 0x80
        _REST.pack_into(data, 1, second, seq, ts, self.ssrc)

    def next_ts(self, now: float) -> int:
        """Timestamp for a packet of our own that begins now."""
        return self._next_ts(now) & 0xFFFFFFFF
