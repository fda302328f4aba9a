"""What one RTP receiver heard: audio laid out by RTP timestamp, packet counts, and RFC 4733 digits.

Knows no sockets: `receive(packet, now)` takes a datagram and its arrival time in monotonic seconds.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from . import g711, g722
from .tones import RATE_HZ, Samples

EVENTS = "0123456789*#ABCD"
RESYNC_S = 0.5
FRAME = 160
RTP_HEADER = struct.Struct("!BBHII")


@dataclass
class Counts:
    """Packets since the last `reset`; gaps and jitter in milliseconds of wall time."""

    received: int = 0
    lost: int = 0
    duplicate: int = 0
    late: int = 0
    """Arrived after one with a higher sequence number."""
    malformed: int = 0
    unknown_type: int = 0
    streams: int = 0
    """Number of SSRCs heard."""
    jitter_ms: float = 0.0
    """RFC 3550 §6.4.1 at the last packet."""
    max_gap_ms: float = 0.0


@dataclass(frozen=True)
class Digit:
    """One digit received as telephone-event."""

    digit: str
    duration_ms: float
    volume: int
    at: float


@dataclass
class _Stream:
    """Sequence and timing of one SSRC."""

    ssrc: int
    highest: int
    anchor_ts: int
    anchor_at: int
    """Position of `anchor_ts` on the timeline (samples)."""
    seen: set[int] = field(default_factory=set)
    transit: float | None = None

    def extend(self, sequence: int) -> int:
        """Sequence number with its cycles counted (RFC 3550 appendix A.1)."""
        return self.highest + ((sequence - self.highest + 0x8000) & 0xFFFF) - 0x8000


class Hearing:
    """Collects everything one media socket receives."""

    def __init__(self, started_at: float) -> None:
        self.started_at = started_at
        self.counts = Counts()
        self.digits: list[Digit] = []
        self.last_arrival: float | None = None
        """Monotonic time of the last audio packet."""
        self.last_packet: float | None = None
        """Monotonic time of the last packet of any kind."""
        self.codec: str | None = None
        """Name of the codec of the last audio packet."""
        self.payload_names: dict[int, str] = {}
        self._audio = np.zeros(RATE_HZ * 4, np.int16)
        self._end = 0
        self._stream: _Stream | None = None
        self._event: tuple[int, int] | None = None
        """Timestamp and code of the current event, or of the one that just ended."""
        self._event_done = True
        self._event_last = (0, 0)
        self._g722 = g722.Codec()

    def reset_counts(self) -> None:
        """Restart the counts here; the sequence goes on."""
        self.counts = Counts()
        self.last_packet = None

    def receive(self, packet: bytes, now: float) -> bool:
        """Process one datagram. Returns True if it was audio or an event that was understood."""
        if len(packet) < 12 or packet[0] >> 6 != 2:
            self.counts.malformed += 1
            return False
        first, second, sequence, timestamp, ssrc = RTP_HEADER.unpack_from(packet)
        payload_type = second & 0x7F
        if 72 <= payload_type <= 76:  # RTCP on the same port (RFC 5761 §4)
            return False
        offset = 12 + 4 * (first & 0x0F)
        if first & 0x10 and len(packet) >= offset + 4:
            offset += 4 + 4 * int.from_bytes(packet[offset + 2 : offset + 4], "big")
        payload = packet[offset : len(packet) - packet[-1]] if first & 0x20 else packet[offset:]
        stream = self._follow(ssrc, sequence, timestamp, now)
        if not self._count(stream, sequence, now):
            return False
        name = self.payload_names.get(payload_type, "")
        if name == "telephone-event":
            self._hear_event(timestamp, payload, now)
        elif name in g711.DECODE or name == g722.NAME:
            self.codec, self.last_arrival = name, now
            self._jitter(stream, now * 1000 - timestamp / 8)
            by_table = name in g711.DECODE
            samples = g711.decode(name, payload) if by_table else self._g722.decode(payload)
            self._place(stream, timestamp, samples, now)
        else:
            self.counts.unknown_type += name != "CN"
            return False
        return True

    def heard(self, last_s: float | None = None) -> Samples:
        """All the audio, or the last seconds up to the last sample received; gaps are zeros."""
        begin = 0 if last_s is None else max(0, self._end - round(last_s * RATE_HZ))
        return self._audio[begin : self._end].copy()

    def position(self, now: float) -> int:
        """Position of a time on the timeline (samples)."""
        return round((now - self.started_at) * RATE_HZ)

    def recent(self, now: float, window_s: float) -> Samples:
        """The audio of the window that ends now; missing packets are silence."""
        end = max(self.position(now), 0)
        begin = max(0, end - round(window_s * RATE_HZ))
        window = np.zeros(end - begin, np.int16)
        piece = self._audio[begin : min(end, self._end)]
        window[: len(piece)] = piece
        return window

    def follow(self, window_s: float) -> Callable[[], Iterator[Samples]]:
        """Each call returns the windows that end at each frame received since the last call.

        A busy process reads many packets at once: who looked at the newest window only would miss a short
        sound. The first of all is what has just been heard, if audio is arriving still.
        """
        size = round(window_s * RATE_HZ)
        fresh = self.last_arrival is not None and time.monotonic() - self.last_arrival < window_s
        end = self._end + (0 if fresh else FRAME)

        def windows() -> Iterator[Samples]:
            nonlocal end
            while end <= self._end:
                if end >= size:
                    yield self._audio[end - size : end]
                end += FRAME

        return windows

    def _follow(self, ssrc: int, sequence: int, timestamp: int, now: float) -> _Stream:
        stream = self._stream
        if stream is None or stream.ssrc != ssrc:
            self.counts.streams += 1
            stream = self._stream = _Stream(ssrc, sequence - 1, timestamp, max(0, self.position(now)))
        return stream

    def _count(self, stream: _Stream, sequence: int, now: float) -> bool:
        counts, extended = self.counts, stream.extend(sequence)
        if extended in stream.seen:
            counts.duplicate += 1
            return False
        stream.seen.add(extended)
        counts.received += 1
        if extended > stream.highest:
            counts.lost += extended - stream.highest - 1
            stream.highest = extended
        else:
            counts.late += 1
            counts.lost = max(0, counts.lost - 1)
        if self.last_packet is not None:
            counts.max_gap_ms = max(counts.max_gap_ms, (now - self.last_packet) * 1000)
        self.last_packet = now
        return True

    def _jitter(self, stream: _Stream, transit: float) -> None:
        # Events keep the timestamp of their beginning, so only audio tells the jitter.
        if stream.transit is not None and abs(transit - stream.transit) < RESYNC_S * 1000:
            self.counts.jitter_ms += (abs(transit - stream.transit) - self.counts.jitter_ms) / 16
        stream.transit = transit

    def _place(self, stream: _Stream, timestamp: int, samples: Samples, now: float) -> None:
        at = stream.anchor_at + _signed(timestamp - stream.anchor_ts)
        arrived = self.position(now)
        if abs(at - arrived) > RESYNC_S * RATE_HZ:
            # The sender jumped, or stood still while it was silent: believe the clock on the wall.
            at = stream.anchor_at = max(arrived, 0)
            stream.anchor_ts = timestamp
        end = at + len(samples)
        if at < 0:
            return
        while end > len(self._audio):
            self._audio = np.concatenate([self._audio, np.zeros(len(self._audio), np.int16)])
        self._audio[at:end] = samples
        self._end = max(self._end, end)

    def _hear_event(self, timestamp: int, payload: bytes, now: float) -> None:
        """RFC 4733 §2.5: one timestamp is one event; the end packet comes three times."""
        if len(payload) < 4:
            self.counts.malformed += 1
            return
        code, flags, duration = struct.unpack_from("!BBH", payload)
        if self._event != (timestamp, code):
            if not self._event_done:
                self._finish_event(now)  # every end packet was lost
            self._event, self._event_done = (timestamp, code), False
        self._event_last = (duration, flags & 0x3F)
        if flags & 0x80 and not self._event_done:
            self._finish_event(now)

    def _finish_event(self, now: float) -> None:
        assert self._event is not None
        self._event_done = True
        code, (duration, volume) = self._event[1], self._event_last
        if code < len(EVENTS):
            self.digits.append(Digit(EVENTS[code], duration / 8, volume, now))


def _signed(difference: int) -> int:
    """Difference of two 32-bit timestamps with its sign."""
    return ((difference + 0x80000000) & 0xFFFFFFFF) - 0x80000000
