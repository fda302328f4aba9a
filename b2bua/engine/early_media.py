"""Detects whether the early media that callees have negotiated actually arrive.

Many a 183 carries an SDP answer and no packet follows. So the library's packet counts are checked until such
a leg is answered.

Thread: the SIP thread.
"""

from collections.abc import Callable, Mapping

import pjsua2 as pj

from b2bua.core.events import EarlyMediaChanged
from b2bua.core.ids import LegId
from b2bua.core.packet_watch import PacketWatch
from b2bua.engine.leg_table import DialogState
from b2bua.engine.pjleg import PjLeg

__all__ = ["EarlyMedia"]

_AUDIO = 0
"""Our INVITEs offer one stream."""


class EarlyMedia:
    """Watches all unanswered legs of the worker's session that have early media.

    Args:
        legs: the worker's registry.
        post: takes the events.
    """

    def __init__(self, legs: Mapping[LegId, PjLeg], post: Callable[[EarlyMediaChanged], None]) -> None:
        self._legs = legs
        self._post = post
        self._streams: dict[LegId, PacketWatch] = {}

    @property
    def busy(self) -> bool:
        """Whether there are any such legs, so that ``look`` has to be called often."""
        return bool(self._streams)

    def look(self, now: float) -> None:
        """Check which packets have arrived since the last look."""
        early = [name for name, leg in self._legs.items() if leg.machine.state is DialogState.EARLY]
        self._streams = {name: self._streams.get(name) or PacketWatch() for name in early}
        for name, stream in self._streams.items():
            if stream.look(self._packets(name), now):
                self._post(EarlyMediaChanged(leg=name, at=now, coming=stream.coming))

    def _packets(self, leg: LegId) -> int:
        try:
            return int(self._legs[leg].getStreamStat(_AUDIO).rtcp.rxStat.pkt)
        except pj.Error:  # the leg has no stream: on hold, or being negotiated
            return 0
