"""Legs of two sessions that talk to each other, as the relay is told: joined while both sessions want it.

Each session orders the join for itself, and withdraws it whenever it needs its leg; the other one is then
told that they are parted, so that it does not let its host rest. A leg that the relay cannot read meets
others by its link leg, its *face*; the other session knows nothing of that. Thread: the controller's loop.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from b2bua.core.commands import AWAY, away
from b2bua.core.ids import LegId
from b2bua.node.relay_link import RelaySink
from b2bua.relay.control import JoinLegs, LegKey, LegsJoined, LegsParted, PartLegs

__all__ = ["LINK_JITTER_MS", "MeetingSink", "Meetings"]

LINK_JITTER_MS: Final = 20
"""Jitter of the party has been buffered by the worker; its own is that of a process on this machine."""


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
        """Told when a leg's session lets its face hear a room, and when it needs the leg itself again."""
        self._wanted: set[tuple[LegKey, LegKey]] = set()
        """The leg of the session that wants it, and the other one."""
        self._faces: dict[LegKey, LegKey] = {}
        """The link legs that stand for legs."""
        self._behind: dict[LegKey, LegKey] = {}
        """The legs that link legs stand for."""

    def name(self, leg: LegId, key: LegKey, sink: MeetingSink) -> None:
        """Let other sessions' legs meet this one; ``sink`` is its session."""
        self._keys[leg], self._legs[key], self._sinks[key] = key, leg, sink

    def forget(self, key: LegKey) -> None:
        """Remove a leg whose session is over."""
        for own, other in [pair for pair in self._wanted if pair[0] == key]:
            self.part(own, other)
        self.attend(key, False)
        self._sinks.pop(key, None)
        if (leg := self._legs.pop(key, None)) is not None:
            self._keys.pop(leg, None)

    def key_of(self, leg: LegId) -> LegKey | None:
        """Return the key of a leg that a session calls ``away``; None: there is none any more."""
        return self._keys.get(LegId(leg.removeprefix(AWAY)))

    def face_of(self, leg: LegId) -> LegKey | None:
        """Return the key by which a leg meets others; None: there is none any more."""
        key = self.key_of(leg)
        return None if key is None else self._faces.get(key, key)

    def is_link(self, key: LegKey) -> bool:
        """Return whether a key is that of a link leg which stands for another leg."""
        return key in self._behind

    def leg_of(self, own: LegKey, other: LegKey, report: LegsJoined | LegsParted) -> LegId | None:
        """Return what the session of ``own`` calls the other leg in a report; None: it is not to be told.

        That two legs are joined is no longer true if one of the sessions has withdrawn its wish meanwhile,
        or lets its leg meet the other one by another face.
        """
        behind = self._behind.get(other, other)
        stands = (own, behind) in self._wanted and (behind, own) in self._wanted
        stands = stands and self._faces.get(behind, behind) == other
        leg = self._legs.get(behind)
        return None if leg is None or (isinstance(report, LegsJoined) and not stands) else away(leg)

    def want(self, own: LegKey, other: LegKey, by: LegKey | None = None) -> None:
        """Join two legs as soon as the other one's session wants it too.

        Args:
            own: the leg of the session that wants it.
            other: the other one.
            by: the link leg that stands for ``own``; None: none does.
        """
        self._show(own, by)
        self._wanted.add((own, other))
        if (other, own) in self._wanted:
            self._relay.send(JoinLegs(one=by or own, other=self._faces.get(other, other)))

    def part(self, own: LegKey, other: LegKey) -> None:
        """Give both legs back to their hosts."""
        face = self._faces.get(own, own)
        self._show(own, None)
        self._wanted.discard((own, other))
        if (other, own) not in self._wanted:
            return
        self._relay.send(PartLegs(one=face, other=self._faces.get(other, other)))
        if (sink := self._sinks.get(other)) is not None:
            # Later: this may happen within a step of that very session.
            asyncio.get_running_loop().call_soon(sink.relayed, LegsParted(one=other, other=own))

    def send_keys(self, leg: LegId, digits: str) -> None:
        """Let the session of a leg, which the sender calls ``away``, send it keys."""
        key = self.key_of(leg)
        if key is not None and (sink := self._sinks.get(key)) is not None:
            asyncio.get_running_loop().call_soon(sink.send_keys, self._legs[key], digits)  # as above

    def attend(self, own: LegKey, attends: bool, by: LegKey | None = None) -> None:
        """Let a leg hear its room, perhaps by a link leg, or no longer."""
        if not attends:
            face = self._faces.get(own, own)
            self._show(own, None)
            self.on_room(face, False)
            return
        self._show(own, by)
        self.on_room(by or own, True)

    def _show(self, own: LegKey, by: LegKey | None) -> None:
        """Let a leg meet others by a link leg, or by itself."""
        if (former := self._faces.pop(own, None)) is not None:
            del self._behind[former]
        if by is not None:
            self._faces[own], self._behind[by] = by, own
