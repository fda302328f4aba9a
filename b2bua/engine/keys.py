"""Detects keys sent as tones in the audio, by peers that have negotiated no better method.

Such a leg is tapped only while its keys are awaited: the rest of the call costs nothing. (A recorder's file,
read while it grows, would cost less than a tap but be half a second late: a key has to stop a prompt at
once.)

Thread: the SIP thread.
"""

from collections.abc import Callable, Mapping, Sequence

from b2bua.core.ids import LegId
from b2bua.engine.endpoint import Library
from b2bua.engine.pjleg import PjLeg
from b2bua.engine.taps import FaultSink, Hear, LegTaps
from media.dtmf import KeyDetector

__all__ = ["TAP", "KeyTaps"]

TAP = "tap"
"""Taps are named ``tap:LEG`` in the media graph."""


class KeyTaps(LegTaps):
    """All taps for keys of the worker's session.

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
        super().__init__(TAP, library, legs, sink)
        self._report = hear

    def listen(self, leg: LegId, wanted: bool) -> None:
        """Set whether keys of this leg are awaited."""
        if wanted:
            self._wanted.add(leg)
        else:
            self._wanted.discard(leg)

    def _hear(self, leg: LegId) -> Hear:
        detector, report = KeyDetector(self._library.clock_rate_hz), self._report

        def hear(samples: Sequence[int]) -> None:
            for key in detector.feed(samples):
                report(leg, key)

        return hear

    def _is_needed(self, leg: LegId) -> bool:
        found = self._legs.get(leg)
        return found is not None and found.sends_tones
