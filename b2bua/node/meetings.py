"""Legs of two sessions that talk to each other, as the relay is told: joined while both sessions want it.

Each session orders the join for itself, and withdraws it whenever it needs its leg; the other one is then
told that they are parted, so that it does not let its host rest. Thread: the controller's loop.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

import msgspec

from b2bua.core.commands import AWAY, away
from b2bua.core.ids import LegId
from b2bua.node.relay_link import RelaySink
from b2bua.relay.control import JoinLegs, LegKey, LegsJoined, LegsParted, PartLegs

__all__ = ["MeetingSink", "Meetings"]

log = logging.getLogger(__name__)


class _Relay(Protocol):
    def send(self, *messages: msgspec.Struct) -> None:
        """Tell the relay."""


class MeetingSink(RelaySink, Protocol):
    """A session, as others see it."""

    def send_keys(self, leg: LegId, digits: str) -> None:
        """Send keys to one of the session's legs."""


class Meetings:
    """All pairs of legs of different sessions.

    Args:
        relay: joins them.
    """

    def __init__(self, relay: _Relay) -> None:
        self._relay = relay
        self._keys: dict[LegId, LegKey] = {}
        self._legs: dict[LegKey, LegId] = {}
        self._sinks: dict[LegKey, MeetingSink] = {}
        self.on_room: Callable[[LegKey, bool], None] = lambda key, attends: None
        """Told when a leg's session lets it hear a room, and when it needs the leg itself again."""
        self._wanted: set[tuple[LegKey, LegKey]] = set()
        """The leg of the session that wants it, and the other one."""

    def name(self, leg: LegId, key: LegKey, sink: MeetingSink) -> None:
        """Let other sessions' legs meet this one; ``sink`` is its session."""
        self._keys[leg], self._legs[key], self._sinks[key] = key, leg, sink

    def forget(self, key: LegKey) -> None:
        """Remove a leg whose session is over."""
        for own, other in [pair for pair in self._wanted if pair[0] == key]:
            self.part(own, other)
        self.on_room(key, False)
        self._sinks.pop(key, None)
        if (leg := self._legs.pop(key, None)) is not None:
            self._keys.pop(leg, None)

    def key_of(self, leg: LegId) -> LegKey | None:
        """Return the key of a leg that a session calls ``away``; None: there is none any more."""
        return self._keys.get(LegId(leg.removeprefix(AWAY)))

    def leg_of(self, own: LegKey, other: LegKey, report: LegsJoined | LegsParted) -> LegId | None:
        """Return what the session of ``own`` calls the other leg in a report; None: it is not to be told.

        That two legs are joined is no longer true if one of the sessions has withdrawn its wish meanwhile.
        """
        stands = (own, other) in self._wanted and (other, own) in self._wanted
        leg = self._legs.get(other)
        if stands and isinstance(report, LegsParted):
            # Hold does this as well. Encrypted calls, and those of different codecs, stay so.
            extra = {"sip_call_id": own.call_id, "other": other.call_id}
            log.warning("two calls are bridged and cannot hear each other now", extra=extra)
        return None if leg is None or (isinstance(report, LegsJoined) and not stands) else away(leg)

    def want(self, own: LegKey, other: LegKey) -> None:
        """Join two legs as soon as the other one's session wants it too."""
        self._wanted.add((own, other))
        if (other, own) in self._wanted:
            self._relay.send(JoinLegs(one=own, other=other))

    def part(self, own: LegKey, other: LegKey) -> None:
        """Give both legs back to their hosts."""
        self._wanted.discard((own, other))
        if (other, own) not in self._wanted:
            return
        self._relay.send(PartLegs(one=own, other=other))
        if (sink := self._sinks.get(other)) is not None:
            # Later: this may happen within a step of that very session.
            asyncio.get_running_loop().call_soon(sink.relayed, LegsParted(one=other, other=own))

    def send_keys(self, leg: LegId, digits: str) -> None:
        """Let the session of a leg, which the sender calls ``away``, send it keys."""
        key = self.key_of(leg)
        if key is not None and (sink := self._sinks.get(key)) is not None:
            asyncio.get_running_loop().call_soon(sink.send_keys, self._legs[key], digits)  # as above
