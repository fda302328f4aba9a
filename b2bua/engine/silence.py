"""Detects when the peers of watched legs have been silent for a given time.

The bridge knows the mean level of the last 20 ms it took from each leg; it is queried a few times a second,
and only for watched legs. This samples the sound: a word of 0.2 s is noticed, a click perhaps not.

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
"""Lowest level that counts as sound, of the library's 255. Measured with sines: -3 dBFS is 42, -15: 30,
-25: 20, -35: 12, -45: 5, -50: 3, -55 and -60: 1. Speech is between -35 and -15 dBFS, the noise of a telephone
line around -60."""


@dataclass(slots=True)
class _Watch:
    order: WatchSilence
    quiet_since: float
    heard: bool = False


class SilenceWatches:
    """All watches of the worker's session.

    Args:
        legs: the worker's registry.
        post: takes the events.
    """

    def __init__(self, legs: Mapping[LegId, PjLeg], post: Callable[[SilenceReached], None]) -> None:
        self._legs = legs
        self._post = post
        self._watches: dict[LegId, _Watch] = {}

    @property
    def busy(self) -> bool:
        """Whether there are any, so that ``look`` has to be called often."""
        return bool(self._watches)

    def watch(self, order: WatchSilence, now: float) -> None:
        """Begin, restart or end the watch of a leg."""
        self._watches.pop(order.leg, None)
        if order.timeout_s > 0 and order.leg in self._legs:
            self._watches[order.leg] = _Watch(order, now)

    def look(self, now: float) -> None:
        """Query the present levels; call several times a second."""
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
            # pjsua2 calls what the bridge sends to a port "rx", and what it takes from a port "tx".
            return int(self._legs[leg].getAudioMedia(-1).getTxLevel())
        except pj.Error:  # no media: on hold, or being negotiated
            return 0
