"""Keys by RFC 4733: those that a joined party presses, and those that we send to one.

A key is a run of packets with one timestamp: several while it is held, with a growing duration, and three
that end it. It is reported once. A key that began before the legs were joined is the worker's, who has
reported it; one that is open when they are parted becomes the worker's.
"""

import struct
from dataclasses import dataclass
from typing import Final

from b2bua.relay.packet import MIN_RTP, Packet
from b2bua.relay.stream import Stream

__all__ = ["DIGITS", "Dialling", "Key", "KeyWatch"]

DIGITS: Final = "0123456789*#ABCD"
"""By event code (RFC 4733 §3.2)."""
EVENT_BYTES: Final = 4
_EVENT: Final = struct.Struct(">BBH")
"""Event code; end flag, reserved bit and volume; duration in units of the timestamp."""
_END: Final = 0x80
_RATE: Final = 8000
_REPORT_AFTER_S: Final = 1.0
_LOST_AFTER_S: Final = 0.2
"""A key whose packets have stopped for so long has ended; its end was lost."""

_KEY_S: Final = 0.16
_PAUSE_S: Final = 0.08
_STEP_S: Final = 0.02
_ENDS: Final = 3
"""RFC 4733 §2.5.1.4: the last packet is sent three times."""
_VOLUME: Final = 10
"""-10 dBm0."""
_WAITING_MOST: Final = 64
"""Keys that wait to be sent to one leg."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key that a party has pressed."""

    digit: str
    at: float
    """Monotonic seconds of its first packet."""
    duration_ms: int
    passed: bool
    """The partner receives it."""


class KeyWatch:
    """The keys of one party."""

    __slots__ = ("_at", "_digit", "_duration", "_last", "_ours", "_passed", "_reported", "_ts", "held")

    def __init__(self) -> None:
        self.held = ""
        """Digits that are not passed on."""
        self._ts = -1
        """Of the latest key."""
        self._digit = ""
        self._at = self._last = 0.0
        self._duration = 0
        self._passed = False
        self._reported = True
        self._ours = False
        """We have seen the beginning of the latest key, and not the worker."""

    def for_worker(self, ts: int) -> bool:
        """Note a key's packet of a leg that is not joined; False: the key was reported by us."""
        if ts == self._ts:
            return not self._ours
        self._ts, self._ours, self._reported, self._passed = ts, False, True, False
        return True

    def joined(
        self, data: bytearray, payload: int, ts: int, can_pass: bool, now: float
    ) -> tuple[bool, list[Key]]:
        """Take a key's packet of a joined leg.

        Args:
            data: the packet.
            payload: where its payload of at least ``EVENT_BYTES`` begins.
            ts: its timestamp.
            can_pass: the partner takes keys.
            now: monotonic seconds.

        Returns:
            Whether to pass the packet on, and the keys to report.
        """
        code, flags, duration = _EVENT.unpack_from(data, payload)
        keys: list[Key] = []
        if ts != self._ts:
            keys = self.expired(now, at_once=True)
            if code >= len(DIGITS):  # flash, or a tone of a modem
                return False, keys
            self._ts, self._ours, self._reported = ts, True, False
            self._digit, self._at, self._duration = DIGITS[code], now, 0
            self._passed = can_pass and self._digit not in self.held
        self._last, self._duration = now, max(self._duration, duration)
        if not self._reported and (flags & _END or now - self._at >= _REPORT_AFTER_S):
            keys.append(self._report())
        return self._passed and can_pass, keys

    def expired(self, now: float, *, at_once: bool = False) -> list[Key]:
        """Return the open key if its packets have stopped (``at_once``: if there is one)."""
        if self._reported or not (at_once or now - self._last >= _LOST_AFTER_S):
            return []
        return [self._report()]

    def part(self) -> None:
        """The legs are parted: an open key is the worker's, which sees the rest of it."""
        if not self._reported:
            self._ts, self._ours, self._reported = -1, False, True

    @property
    def open(self) -> bool:
        """A key is being pressed and was not reported."""
        return not self._reported

    def _report(self) -> Key:
        self._reported = True
        return Key(self._digit, self._at, self._duration * 1000 // _RATE, self._passed)


class Dialling:
    """Keys on their way to a party, in place of the audio that it would hear."""

    __slots__ = ("_began", "_due", "_ends", "_sent_s", "_ts", "_waiting", "kind")

    def __init__(self, kind: int, now: float) -> None:
        self.kind = kind
        """Payload type."""
        self._waiting = ""
        self._due = now
        self._began = False
        """A key is being sent; else a pause."""
        self._sent_s = 0.0
        self._ends = 0
        self._ts = 0

    def add(self, digits: str) -> None:
        """Send ``digits`` too; what is none is left out."""
        self._waiting = (self._waiting + "".join(d for d in digits if d in DIGITS))[:_WAITING_MOST]

    @property
    def speaks(self) -> bool:
        """A key is being sent: no audio may go."""
        return self._began

    @property
    def over(self) -> bool:
        """Nothing is left to send, and the last pause is over."""
        return not self._waiting and not self._began

    def step(self, packet: Packet, stream: Stream, now: float) -> int:
        """Write the next packet that is due into the buffer; return its size, or 0 if none is due."""
        if now < self._due:
            return 0
        self._due = max(self._due + _STEP_S, now - _STEP_S)
        marker = 0
        if not self._began:
            if not self._waiting:
                return 0
            self._began, self._sent_s, self._ends = True, 0.0, 0
            self._ts = stream.next_ts(now)
            marker = 0x80  # RFC 4733 §2.5.1.2: on the first packet of an event
        self._sent_s = min(self._sent_s + _STEP_S, _KEY_S)
        last = self._sent_s >= _KEY_S
        flags = _VOLUME | (_END if last else 0)
        code = DIGITS.index(self._waiting[0])
        _EVENT.pack_into(packet.data, MIN_RTP, code, flags, round(self._sent_s * _RATE))
        stream.insert(marker | self.kind, self._ts, now)
        if last:
            self._ends += 1
            if self._ends == _ENDS:
                self._waiting = self._waiting[1:]
                self._began = False
                self._due = now + _PAUSE_S
        return MIN_RTP + EVENT_BYTES
