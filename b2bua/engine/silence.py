"""Whether a leg's peer says anything, for whoever waits for it to stop.

The bridge knows the mean level of the last 20 ms it took from each leg; it is asked a few times a second, and
only of legs that are watched. That is a sample of the sound: a word of 0.2 s is seen, a click perhaps not.

Thread: the SIP thread.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pjsua2 as pj

from b2bua.core.commands import WatchSilence
from b2bua.core.events import SilenceReached
from b2bua.core.ids import LegId
from b2bua.engine.pjleg import PjLeg

__all__ = ["SilenceWatches"]

_FULL_SCALE = 32124.0
"""The largest µ-law value."""


@dataclass(slots=True)
class _Watch:
    order: WatchSilence
    quiet_since: float
    heard: bool = False


class SilenceWatches:
    """All watches of the worker's session.

    Args:
        legs: the worker's registry.
        post: takes what is to be told.
    """

    def __init__(self, legs: Mapping[LegId, PjLeg], post: Callable[[SilenceReached], None]) -> None:
        self._legs = legs
        self._post = post
        self._watches: dict[LegId, _Watch] = {}

    def watch(self, order: WatchSilence, now: float) -> None:
        """Begin, begin again, or end."""
        self._watches.pop(order.leg, None)
        if order.timeout_s > 0 and order.leg in self._legs:
            self._watches[order.leg] = _Watch(order, now)

    def look(self, now: float) -> None:
        """Ask for the levels of now; to be called several times a second."""
        for leg, watch in list(self._watches.items()):
            if leg not in self._legs:
                del self._watches[leg]
            elif self._level_dbov(leg) >= watch.order.threshold_dbov:
                watch.quiet_since, watch.heard = now, True
            elif now - watch.quiet_since >= watch.order.timeout_s:
                del self._watches[leg]
                self._post(SilenceReached(leg=leg, at=now, heard=watch.heard))

    def _level_dbov(self, leg: LegId) -> float:
        try:
            return level_dbov(self._legs[leg].getAudioMedia(-1).getRxLevel())
        except pj.Error:  # no media: on hold, or being negotiated
            return -math.inf


def level_dbov(code: int) -> float:
    """The library's level, the mean of the samples' magnitudes as a µ-law code, in dB under full scale.

    Args:
        code: 0..255; the bits of µ-law upside down, so that 128 and 0 are silence.
    """
    # ITU-T G.711 §3.2: segment and step of the complemented code.
    segment, step = code >> 4 & 7, code & 15
    magnitude = (((step << 3) + 0x84) << segment) - 0x84
    return 20 * math.log10(magnitude / _FULL_SCALE) if magnitude else -math.inf
