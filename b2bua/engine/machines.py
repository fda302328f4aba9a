"""Judges who has answered a leg, by its audio, while the worker carries it (``media.machine_detection``).

The verdict comes from the frames that are heard. A leg without media, or whose media begin late, is judged by
the clock: its verdict is ``unknown`` when the time is over.

Thread: the SIP thread.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from b2bua.core.commands import WatchForMachine
from b2bua.core.events import AnsweredBy, MachineJudged
from b2bua.core.ids import LegId
from b2bua.engine.endpoint import Library
from b2bua.engine.pjleg import PjLeg
from b2bua.engine.taps import FaultSink, Hear, LegTaps
from media.machine_detection import MachineDetector, MachineLimits

__all__ = ["JUDGE", "MachineWatches"]

JUDGE = "judge"
"""Taps are named ``judge:LEG`` in the media graph."""
_GRACE_S = 0.5
"""How much later than by its frames, which say more, a leg is judged by the clock."""


@dataclass(frozen=True, slots=True)
class _Watch:
    detector: MachineDetector
    began_at: float
    until: float


class MachineWatches(LegTaps):
    """All watches of the worker's session.

    Args:
        library: counts the bridge's frames.
        legs: the worker's registry.
        post: takes the verdicts, inside ``Library.tick``: must only append.
        sink: notified when that fails.
    """

    def __init__(
        self,
        library: Library,
        legs: Mapping[LegId, PjLeg],
        post: Callable[[MachineJudged], None],
        sink: FaultSink,
    ) -> None:
        super().__init__(JUDGE, library, legs, sink)
        self._post = post
        self._watches: dict[LegId, _Watch] = {}

    @property
    def watching(self) -> bool:
        """Whether ``look`` has to be called."""
        return bool(self._watches)

    def watch(self, order: WatchForMachine, now: float) -> None:
        """Begin to judge a leg, once."""
        if order.leg not in self._legs or order.leg in self._watches:
            return
        limits = MachineLimits(
            message_end=order.message_end,
            timeout_ms=order.timeout_s * 1000,
            speech_ms=order.speech_ms,
            speech_end_ms=order.speech_end_ms,
            silence_ms=order.silence_ms,
        )
        detector = MachineDetector(self._library.clock_rate_hz, limits)
        self._watches[order.leg] = _Watch(detector, now, now + order.timeout_s + _GRACE_S)
        self._wanted.add(order.leg)

    def look(self, now: float) -> None:
        """Judge the legs whose time is over, forget those that have ended; call several times a second."""
        for leg, watch in list(self._watches.items()):
            if leg not in self._legs:
                self._drop(leg)
            elif now >= watch.until:
                self._judge(leg, "unknown", now)

    def stop_all(self) -> None:
        """Stop judging: the session is over."""
        super().stop_all()
        self._watches.clear()

    def _hear(self, leg: LegId) -> Hear:
        detector, judge = self._watches[leg].detector, self._judge

        def hear(samples: Sequence[int]) -> None:
            if detector.verdict is None and (verdict := detector.feed(samples)) is not None:
                judge(leg, verdict, time.monotonic())

        return hear

    def _judge(self, leg: LegId, answered_by: AnsweredBy, now: float) -> None:
        watch = self._watches.get(leg)
        if watch is None:
            return
        self._drop(leg)
        took_ms = round((now - watch.began_at) * 1000)
        self._post(MachineJudged(leg=leg, at=now, answered_by=answered_by, duration_ms=took_ms))

    def _drop(self, leg: LegId) -> None:
        self._watches.pop(leg, None)
        self._wanted.discard(leg)
