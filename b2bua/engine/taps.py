"""Taps: bridge ports whose frames are passed to Python, each fed by one leg.

Python runs on the worker's one thread, which is the bridge's clock: a tap takes some tenths of a millisecond
of each 20 ms frame, half of it for the library's way of handing over bytes. So a leg is tapped only while its
audio is wanted.

Thread: the SIP thread.
"""

import array
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import pjsua2 as pj

from b2bua.core.commands import Connection
from b2bua.core.ids import LegId
from b2bua.engine.callbacks import callback
from b2bua.engine.endpoint import PTIME_MS, Library
from b2bua.engine.pjleg import PjLeg

__all__ = ["FaultSink", "Hear", "LegTaps"]

_TWO_TICKS = 2
"""Ticks between the removal of a port's connection and the port's destruction."""

Hear = Callable[[Sequence[int]], None]
"""Takes the samples of a frame, inside ``Library.tick``: must only append to what is handled later."""


class FaultSink(Protocol):
    """Is notified of failed callbacks."""

    def fault(self, where: str) -> None:
        """A callback raised."""


class _Tap(pj.AudioMediaPort):  # type: ignore[misc]
    """Taps one leg. Holds no reference to anything that refers back to it."""

    def __init__(self, leg: LegId, hear: Hear, sink: FaultSink) -> None:
        super().__init__()
        self.leg = leg
        self.sink = sink
        self._hear = hear

    @callback
    def onFrameReceived(self, frame: pj.MediaFrame) -> None:
        self._hear(array.array("h", bytes(frame.buf)))


class LegTaps(ABC):
    """All taps of one kind in the worker's session (``graph.MediaPart``).

    Args:
        kind: taps are named ``KIND:LEG`` in the media graph.
        library: counts the bridge's frames.
        legs: the worker's registry.
        sink: notified of failed callbacks.
    """

    def __init__(self, kind: str, library: Library, legs: Mapping[LegId, PjLeg], sink: FaultSink) -> None:
        self._kind = kind
        self._library = library
        self._legs = legs
        self._sink = sink
        self._wanted: set[LegId] = set()
        self._taps: dict[LegId, _Tap] = {}
        self._ended: list[tuple[int, _Tap]] = []
        """Each with the tick after which the tap may be destroyed."""

    @abstractmethod
    def _hear(self, leg: LegId) -> Hear:
        """Return what takes the samples of a leg."""

    def _is_needed(self, leg: LegId) -> bool:
        """Return whether a wanted leg is to be tapped now."""
        return leg in self._legs

    @property
    def busy(self) -> bool:
        """Whether there are taps, so that ``drop_unused`` has to be called after reconciliations."""
        return bool(self._taps or self._ended)

    @property
    def ended(self) -> bool:
        """Whether ``drop_unused`` has to be called again after the next frames."""
        return bool(self._ended)

    def stop_all(self) -> None:
        """Stop listening to all legs: the session is over."""
        self._wanted.clear()

    def connections(self) -> tuple[Connection, ...]:
        """Return a connection from each leg to be tapped to its tap."""
        return tuple(Connection(leg, f"{self._kind}:{leg}") for leg in self._wanted if self._is_needed(leg))

    def port(self, name: str) -> pj.AudioMedia | None:
        """Return the tap of a leg, created on first use."""
        leg = LegId(name)
        tap = self._taps.get(leg)
        if tap is None and leg in self._wanted and self._is_needed(leg):
            tap = _Tap(leg, self._hear(leg), self._sink)
            tap.createPort(f"{self._kind}:{leg}", _format(self._library.clock_rate_hz))
            self._taps[leg] = tap
        return tap

    def drop_unused(self) -> None:
        """Release the taps that are no longer connected; call after a reconciliation."""
        for leg in [leg for leg in self._taps if leg not in self._wanted or not self._is_needed(leg)]:
            self._ended.append((self._library.ticks + _TWO_TICKS, self._taps.pop(leg)))
        self._ended = [(at, tap) for at, tap in self._ended if at > self._library.ticks]


def _format(clock_rate_hz: int) -> pj.MediaFormatAudio:
    audio = pj.MediaFormatAudio()
    audio.type = pj.PJMEDIA_TYPE_AUDIO
    audio.clockRate = clock_rate_hz
    audio.channelCount = 1
    audio.bitsPerSample = 16
    audio.frameTimeUsec = PTIME_MS * 1000
    return audio
