"""Whether a leg's peer says anything, for whoever waits for it to stop.

The bridge knows the mean level of the last 20 ms it took from each leg; it is asked a few times a second, and
only of legs that are watched. That is a sample of the sound: a word of 0.2 s is seen, a click perhaps not.

Thread: the SIP thread.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pjsua2 as pj

from b2bua.core.commands import WatchSilence
from b2bua.core.events import SilenceReached
from b2bua.core.ids import LegId
from b2bua.engine.pjleg import PjLeg

__all__ = ["SilenceWatches"]

_SOUND = 4
"""Of the library's 255 levels. Measured with sines: -3 dBFS is 42, -15: 30, -25: 20, -35: 12, -45: 5, -50: 3,
-55 and -60: 1. Speech is between -35 and -15 dBFS, the noise of a telephone line around -60."""


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
            elif self._level(leg) >= _SOUND:
                watch.quiet_since, watch.heard = now, True
            elif now - watch.quiet_since >= watch.order.timeout_s:
                del self._watches[leg]
                self._post(SilenceReached(leg=leg, at=now, heard=watch.heard))

    def _level(self, leg: LegId) -> int:
        try:
            # What the bridge transmits to a port is "rx" to pjsua2, and what it takes from one "tx".
            return int(self._legs[leg].getAudioMedia(-1).getTxLevel())
        except pj.Error:  # no media: on hold, or being negotiated
            return 0
