"""Detects keys sent as tones in the audio, by peers that have negotiated no better method.

Such a leg is tapped only while its keys are awaited: the rest of the call costs nothing. A tap is a bridge
port whose frames are passed to Python on the worker's one thread, which is the bridge's clock. It takes
0.3 ms of each 20 ms frame, half of it for the library's way of handing over bytes. (A recorder's file, read
while it grows, would cost less but be half a second late: a key has to stop a prompt at once.)

Thread: the SIP thread.
"""

import array
from collections.abc import Callable, Mapping
from typing import Protocol

import pjsua2 as pj

from b2bua.core.commands import Connection
from b2bua.core.ids import LegId
from b2bua.engine.callbacks import callback
from b2bua.engine.endpoint import PTIME_MS, Library
from b2bua.engine.pjleg import PjLeg
from media.dtmf import KeyDetector

__all__ = ["TAP", "FaultSink", "KeyTaps"]

TAP = "tap"
"""Taps are named ``tap:LEG`` in the media graph."""

_TWO_TICKS = 2
"""Ticks between the removal of a port's connection and the port's destruction."""


class FaultSink(Protocol):
    """Is notified of failed callbacks."""

    def fault(self, where: str) -> None:
        """A callback raised."""


class _Tap(pj.AudioMediaPort):  # type: ignore[misc]
    """Taps one leg. Holds no reference to anything that refers back to it."""

    def __init__(
        self, leg: LegId, hear: Callable[[LegId, str], None], sink: FaultSink, clock_rate_hz: int
    ) -> None:
        super().__init__()
        self.leg = leg
        self.sink = sink
        self._hear = hear
        self._detector = KeyDetector(clock_rate_hz)

    @callback
    def onFrameReceived(self, frame: pj.MediaFrame) -> None:
        for key in self._detector.feed(array.array("h", bytes(frame.buf))):
            self._hear(self.leg, key)


class KeyTaps:
    """All taps of the worker's session.

    Args:
        library: counts the bridge's frames.
        legs: the worker's registry.
        hear: called with each key, inside ``Library.tick``: must only append.
        sink: notified when that fails.
    """

    def __init__(
        self,
        library: Library,
        legs: Mapping[LegId, PjLeg],
        hear: Callable[[LegId, str], None],
        sink: FaultSink,
    ) -> None:
        self._library = library
        self._legs = legs
        self._hear = hear
        self._sink = sink
        self._wanted: set[LegId] = set()
        self._taps: dict[LegId, _Tap] = {}
        self._ended: list[tuple[int, _Tap]] = []
        """Each with the tick after which the tap may be destroyed."""

    @property
    def busy(self) -> bool:
        """Whether there are taps, so that ``drop_unused`` has to be called after reconciliations."""
        return bool(self._taps or self._ended)

    @property
    def ended(self) -> bool:
        """Whether ``drop_unused`` has to be called again after the next frames."""
        return bool(self._ended)

    def listen(self, leg: LegId, wanted: bool) -> None:
        """Set whether keys of this leg are awaited."""
        if wanted:
            self._wanted.add(leg)
        else:
            self._wanted.discard(leg)

    def stop_all(self) -> None:
        """Stop listening to all legs: the session is over."""
        self._wanted.clear()

    def connections(self) -> tuple[Connection, ...]:
        """Return a connection from each leg to be tapped to its tap."""
        return tuple(Connection(leg, f"{TAP}:{leg}") for leg in self._wanted if self._is_needed(leg))

    def port(self, name: str) -> pj.AudioMedia | None:
        """Return the tap of a leg, created on first use."""
        leg = LegId(name)
        tap = self._taps.get(leg)
        if tap is None and leg in self._wanted and self._is_needed(leg):
            tap = _Tap(leg, self._hear, self._sink, self._library.clock_rate_hz)
            tap.createPort(f"{TAP}:{leg}", _format(self._library.clock_rate_hz))
            self._taps[leg] = tap
        return tap

    def drop_unused(self) -> None:
        """Release the taps that are no longer connected; call after a reconciliation."""
        for leg in [leg for leg in self._taps if leg not in self._wanted or not self._is_needed(leg)]:
            self._ended.append((self._library.ticks + _TWO_TICKS, self._taps.pop(leg)))
        self._ended = [(at, tap) for at, tap in self._ended if at > self._library.ticks]

    def _is_needed(self, leg: LegId) -> bool:
        found = self._legs.get(leg)
        return found is not None and found.sends_tones


def _format(clock_rate_hz: int) -> pj.MediaFormatAudio:
    audio = pj.MediaFormatAudio()
    audio.type = pj.PJMEDIA_TYPE_AUDIO
    audio.clockRate = clock_rate_hz
    audio.channelCount = 1
    audio.bitsPerSample = 16
    audio.frameTimeUsec = PTIME_MS * 1000
    return audio
