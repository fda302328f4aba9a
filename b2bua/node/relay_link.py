"""The controller's link to the relay, which is connected again whenever the relay has been restarted.

A new relay is told everything that stands (``StandingOrders``); the edge tells it about the legs. So a relay
that dies interrupts the audio for about a second, and no call.

Thread: the controller's loop.
"""

import asyncio
import logging
import time
from pathlib import Path
from typing import Any, Protocol

import msgspec

from b2bua.core.errors import B2buaError
from b2bua.ipc.channel import Channel
from b2bua.ipc.connecting import connect
from b2bua.node.standing_orders import StandingOrders
from b2bua.relay.control import (
    CloseLeg,
    LegKey,
    LegsJoined,
    LegsParted,
    PartLegs,
    RelayConfig,
    RelayEvent,
    RelayReady,
    RoomEntered,
    RoomLeft,
    RoomSoundEnded,
    TapsBegun,
    TapsEnded,
    ToController,
    VoiceHeard,
)
from b2bua.watch import Watch, Watched

__all__ = ["RelayEvent", "RelayLink", "RelaySink"]

log = logging.getLogger(__name__)

_START_LIMIT_S = 60.0
"""Limit for a process that hangs."""
_STEADY_S = 1.0
"""After a connection of this length the next is tried at once: all calls are silent meanwhile."""


class RelaySink(Protocol):
    """Takes what the relay reports about its legs, rooms and recordings."""

    def relayed(self, event: RelayEvent) -> None:
        """Take a report."""


class RelayLink:
    """Controls the relay process.

    Args:
        path: of the relay's socket.
        config: addresses and ports.
        watch: connects again; a relay that does not stay is one of its reasons.
    """

    def __init__(self, path: Path, config: RelayConfig, watch: Watch) -> None:
        self.path = path
        self.pairs = 0
        """Pairs of ports, one for each leg; known once the relay is ready."""
        self._config = config
        self._watch = watch
        self._standing = StandingOrders()
        self._sinks: dict[LegKey | str, RelaySink] = {}
        """By leg, by room and by recording."""
        self._joined: set[tuple[LegKey, LegKey]] = set()
        self.pid: int | None = None
        """PID of the relay process; None unless it runs."""
        self._channel: Channel[ToController] | None = None
        self._ready: asyncio.Future[RelayReady] | None = None
        self._watched: Watched | None = None

    # -- starting and ending ------------------------------------------------------------------------

    async def start(self) -> RelayReady:
        """Connect to the process; returns when it can take legs.

        Raises:
            B2buaError: the relay is not ready in time.
        """
        self._ready = asyncio.get_running_loop().create_future()
        self._watched = self._watch.run("the relay", self._run, announces=True, steady_s=_STEADY_S)
        try:
            async with asyncio.timeout(_START_LIMIT_S):
                return await self._ready
        except TimeoutError:
            raise B2buaError(f"the relay is not ready after {_START_LIMIT_S:g} s") from None

    async def close(self) -> None:
        """Leave the relay."""
        if self._watched is not None:
            await self._watched.close()

    # -- messages -----------------------------------------------------------------------------------

    def attach(self, key: LegKey | str, sink: RelaySink) -> None:
        """Give ``sink`` all reports about a leg, a room or a recording."""
        self._sinks[key] = sink

    def detach(self, key: LegKey | str) -> None:
        """Drop all further reports about a leg or recording."""
        self._sinks.pop(key, None)

    def send(self, *messages: msgspec.Struct) -> None:
        """Tell the relay; what stands is told later if there is no relay at the moment."""
        now = time.monotonic()
        for message in messages:
            self._standing.note(message, now)
            if self._joined and isinstance(message, PartLegs | CloseLeg):
                self._joined = {pair for pair in self._joined if not _concerns(message, pair)}
        if self._channel is not None:
            self._channel.send(*messages)
        else:
            asyncio.get_running_loop().call_soon(self._cut_off)

    # -- the process --------------------------------------------------------------------------------

    async def _run(self) -> None:
        """Serve one relay process until it ends.

        Raises:
            B2buaError: it has ended.
        """
        self._channel, self.pid = channel, _ = await connect(self.path, ToController)
        try:
            channel.send(self._config, *self._standing.again())
            async for message in channel:
                self._take(message)
            raise B2buaError("the relay has ended")
        finally:
            self._end(channel)

    def _end(self, channel: Channel[ToController]) -> None:
        """Forget the process."""
        self._channel, self.pid = None, None
        channel.close()
        parted, self._joined = self._joined, set()
        for one, other in parted:
            self._tell(LegsParted(one=one, other=other))
        self._cut_off()

    def _cut_off(self) -> None:
        """Report the ends of the recordings that no relay will report, unless there is one again."""
        if self._channel is None:
            for ended in self._standing.cut_off():
                self._tell(ended)

    # -- reports ------------------------------------------------------------------------------------

    def _take(self, message: ToController) -> None:
        match message:
            case RelayReady():
                self.pairs = message.pairs
                log.info("relay", extra={"pairs": message.pairs, "pid": self.pid})
                if self._watched is not None:
                    self._watched.works()
                if self._ready is not None and not self._ready.done():
                    self._ready.set_result(message)
                return
            case LegsJoined():
                self._joined.add((message.one, message.other))
            case LegsParted():
                self._joined.discard((message.one, message.other))
                self._joined.discard((message.other, message.one))
            case TapsEnded():
                self._standing.note(message, time.monotonic())
            case _:
                pass
        self._tell(message)

    def _tell(self, event: RelayEvent) -> None:
        """Give a report to those whose legs or recording it is about."""
        found = {id(sink): sink for key in _keys(event) if (sink := self._sinks.get(key)) is not None}
        for sink in found.values():
            try:
                sink.relayed(event)
            except Exception:  # only this session is affected
                log.exception("a report of the relay is lost", extra={"kind": type(event).__name__})


def _concerns(message: PartLegs | CloseLeg, pair: tuple[LegKey, LegKey]) -> bool:
    if isinstance(message, CloseLeg):
        return message.leg in pair
    return {message.one, message.other} == set(pair)


def _keys(event: Any) -> tuple[LegKey | str, ...]:
    match event:
        case LegsJoined() | LegsParted():
            return (event.one, event.other)
        case TapsBegun() | TapsEnded():
            return (event.recording,)
        case RoomSoundEnded():
            return (event.room,)
        case RoomEntered() | RoomLeft() | VoiceHeard():
            return (event.leg, event.room)
        case _:
            return (event.leg,)
