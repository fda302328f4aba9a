"""A session's legs as the relay knows them: translates orders to it, and what it reports.

Thread: the controller's loop.
"""

import time
from collections.abc import Callable, Iterable
from typing import Protocol, assert_never

import msgspec

from b2bua.calls.joined_keys import JoinedKeys
from b2bua.calls.placement import Placement
from b2bua.core.commands import AWAY, room_party
from b2bua.core.events import DtmfReceived, MediaMeasured
from b2bua.core.ids import LegId
from b2bua.core.relay_orders import (
    AudioEvent,
    AudioJoined,
    AudioOrder,
    AudioParted,
    AudioSide,
    AudioTapped,
    AudioUntapped,
    CloseAudio,
    JoinAudio,
    MediaDescribed,
    PartAudio,
    PassKeys,
    TapAudio,
    UntapAudio,
    WithholdKeys,
)
from b2bua.node.deadline_timer import DeadlineTimer
from b2bua.node.meetings import Meetings, MeetingSink
from b2bua.node.relay_link import RelayEvent, RelaySink
from b2bua.relay import control
from b2bua.relay.control import LegKey

__all__ = ["RelayPort", "SessionAudio"]


class RelayPort(Protocol):
    """The relay, as sessions see it."""

    def attach(self, key: LegKey | str, sink: RelaySink) -> None:
        """Give ``sink`` all reports about a leg, or about a recording."""

    def detach(self, key: LegKey | str) -> None:
        """Drop all further reports about a leg or recording."""

    def send(self, *messages: msgspec.Struct) -> None:
        """Tell the relay."""


class SessionAudio:
    """The legs of one session.

    Args:
        relay: carries their audio.
        placement: knows their names.
        sink: the session.
        meetings: knows the legs of other sessions.
        due: called when keys have waited for long enough, or have been sent.
    """

    def __init__(
        self,
        relay: RelayPort,
        placement: Placement,
        sink: MeetingSink,
        meetings: Meetings,
        due: Callable[[], None],
    ) -> None:
        self._relay = relay
        self._placement = placement
        self._sink = sink
        self._meetings = meetings
        self._legs: dict[LegKey, LegId] = {}
        self._recordings: set[str] = set()
        self.keys = JoinedKeys()
        self._timer = DeadlineTimer(due)
        """For keys that wait, or are being sent."""

    def add(self, leg: LegId) -> None:
        """Take the reports about a leg that was placed."""
        if (key := self._key(leg)) is not None and key not in self._legs:
            self._legs[key] = leg
            self._relay.attach(key, self._sink)
            self._meetings.name(leg, key, self._sink)

    def close(self) -> None:
        """Take no more reports: the session is over."""
        self._timer.cancel()
        for leg in self._legs:
            self._meetings.forget(leg)
        keys: list[LegKey | str] = [*self._legs, *self._recordings]
        for key in keys:
            self._relay.detach(key)

    def await_keys(self) -> None:
        """Come back when keys have waited for long enough, or have been sent."""
        self._timer.set((self.keys.next_deadline(), self._placement.next_deadline()))

    def tell(self, orders: Iterable[AudioOrder]) -> None:
        """Give the relay its orders."""
        messages = [message for order in orders if (message := self._message(order)) is not None]
        if messages:
            self._relay.send(*messages)

    def translate(self, event: RelayEvent) -> AudioEvent | DtmfReceived | MediaMeasured | None:
        """Return what the session takes of a report; None: nothing."""
        match event:
            case control.LegsJoined() | control.LegsParted():
                one, other = self._parties(event)
                if one is None or other is None:
                    return None
                kind = AudioJoined if isinstance(event, control.LegsJoined) else AudioParted
                return kind(one=one, other=other)
            case control.RoomEntered() | control.RoomLeft():
                own = self._legs.get(event.leg)
                if own is None:
                    return None
                told = AudioJoined if isinstance(event, control.RoomEntered) else AudioParted
                return told(one=own, other=room_party(own))
            case control.TapsBegun():
                return AudioTapped(recording=event.recording, at=event.at)
            case control.TapsEnded():
                return AudioUntapped(recording=event.recording, at=event.at, reason=event.reason)
            case control.RoomSoundEnded() | control.VoiceHeard():
                return None  # the room's
        leg = self._legs.get(event.leg)
        if leg is None:
            return None
        match event:
            case control.LegDescribed():
                return MediaDescribed(
                    leg=leg,
                    recordable=event.recordable,
                    takes_keys=event.keys,
                    meets=event.meets,
                    talks=event.talks,
                )
            case control.KeyPressed():
                key = DtmfReceived(
                    leg=leg, at=event.at, digit=event.digit, method="rfc4733", passed=event.passed
                )
                return self.keys.take_signalled(key, event.duration_ms / 1000)
            case control.LegMeasured():
                return MediaMeasured(
                    leg=leg,
                    at=time.monotonic(),
                    received=event.received,
                    lost=event.lost,
                    jitter_ms=event.jitter_ms,
                )
            case control.LegSilent() | control.LegLost() | control.ForeignPackets():
                return None
            case _:
                assert_never(event)

    def _parties(self, event: control.LegsJoined | control.LegsParted) -> tuple[LegId | None, LegId | None]:
        one, other = self._legs.get(event.one), self._legs.get(event.other)
        if one is None and other is not None:
            one = self._meetings.leg_of(event.other, event.one, event)
        elif other is None and one is not None:
            other = self._meetings.leg_of(event.one, event.other, event)
        return one, other

    def _key(self, leg: LegId) -> LegKey | None:
        name = self._placement.name_of(leg)
        return None if name is None else LegKey(*name)

    def _tap(self, side: AudioSide | None) -> control.Tap | None:
        key = None if side is None else self._key(side.leg)
        return None if side is None or key is None else control.Tap(key, side.heard)

    def _meet(self, order: JoinAudio | PartAudio) -> None:
        """Join one of our legs with another session's or with its room, or part them."""
        leg, there = sorted((order.one, order.other), key=lambda each: each.startswith(AWAY))
        own, other = self._key(leg), self._meetings.key_of(there)
        by = self._key(order.by) if isinstance(order, JoinAudio) and order.by is not None else None
        if own is None:
            return
        if there == room_party(leg):
            self._meetings.attend(own, isinstance(order, JoinAudio), by)
        elif other is not None and isinstance(order, JoinAudio):
            self._meetings.want(own, other, by)
        elif other is not None:
            self._meetings.part(own, other)

    def _message(self, order: AudioOrder) -> msgspec.Struct | None:
        match order:
            case JoinAudio() | PartAudio() if order.one.startswith(AWAY) or order.other.startswith(AWAY):
                self._meet(order)
                return None
            case PassKeys() if order.leg.startswith(AWAY):
                self._meetings.send_keys(order.leg, order.digits)
                return None
            case JoinAudio() | PartAudio():
                one, other = self._key(order.one), self._key(order.other)
                if one is None or other is None:
                    return None
                kind = control.JoinLegs if isinstance(order, JoinAudio) else control.PartLegs
                return kind(one=one, other=other)
            case TapAudio():
                if order.recording not in self._recordings:
                    self._recordings.add(order.recording)
                    self._relay.attach(order.recording, self._sink)
                parent, child = self._tap(order.parent), self._tap(order.child)
                return control.RecordTaps(
                    recording=order.recording, path=order.path, parent=parent, child=child
                )
            case UntapAudio():
                return control.StopTaps(recording=order.recording)
        key = self._key(order.leg)
        if key is None:
            return None
        match order:
            case WithholdKeys():
                return control.HoldKeys(leg=key, digits=order.digits)
            case PassKeys():
                return control.SendKeys(leg=key, digits=order.digits)
            case CloseAudio():
                return control.CloseLeg(leg=key)
            case _:
                assert_never(order)
