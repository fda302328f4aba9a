"""The conference rooms of the node: they outlive the sessions whose calls are in them.

Sessions tell what their calls do (``ToRoom``); the room's machine (``core.room``) decides, and what it puts
out goes to the sessions, to the relay, which mixes, and to the application. A leg is mixed while the room and
its session both want it. Thread: the controller's loop.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import structs

from b2bua.calls.orders import CallChanged, FromRoom, ToRoom
from b2bua.core.ids import CallSid
from b2bua.core.room_inputs import (
    AddedEnd,
    AnnouncementEnded,
    EndRoom,
    Entrant,
    Exit,
    MemberAdded,
    MemberAnswered,
    MemberEntered,
    MemberFailed,
    MemberGone,
    MemberProgressed,
    RoomInput,
    VoiceChanged,
)
from b2bua.core.room_outputs import (
    MemberAdmitted,
    MemberDone,
    OrderRefused,
    PlayAnnouncement,
    PlayBeep,
    RoomEnded,
    RoomEvent,
    RoomOutput,
    SetHearing,
    SetRoomMix,
    StartDocument,
    StartRoomRecording,
    StopAnnouncement,
    StopDocument,
    StopRecording,
)
from b2bua.core.room_table import RoomState
from b2bua.node.announcements import Announcement, Announcer
from b2bua.node.deadline_timer import DeadlineTimer
from b2bua.node.journal import Entry
from b2bua.node.live_room import LiveRoom, Place, RoomSession
from b2bua.node.machine_log import LoggedRoom, MachineLogs
from b2bua.node.meetings import LINK_JITTER_MS, Meetings
from b2bua.node.relay_link import RelayEvent, RelaySink
from b2bua.node.room_callbacks import RoomCallbacks
from b2bua.node.room_recordings import RoomRecordings
from b2bua.relay.control import (
    LegKey,
    PlayInRoom,
    PrepareRooms,
    RoomLeft,
    RoomMember,
    RoomSoundEnded,
    SetRoom,
    VoiceHeard,
)
from b2bua.store.records import ConferenceRow

__all__ = ["Rooms", "end_rooms"]

log = logging.getLogger(__name__)

_UNANSWERED: dict[str, AddedEnd] = {
    "busy": "busy",
    "no-answer": "no-answer",
    "canceled": "canceled",
}
"""Ends of calls that were not answered; all others have failed."""
_BEEP_PATIENCE_S = 0.2
_TO_CALLS = MemberAdmitted | MemberDone | SetHearing | StartDocument | StopDocument


class _Store(Protocol):
    def put(self, record: ConferenceRow) -> None:
        """Write a room soon."""


class _Relay(Protocol):
    def attach(self, key: LegKey | str, sink: RelaySink) -> None:
        """Give ``sink`` all reports about a room."""

    def detach(self, key: LegKey | str) -> None:
        """Drop all further reports about a room."""

    def send(self, *messages: msgspec.Struct) -> None:
        """Tell the relay."""


class Rooms:
    """All rooms of the node.

    Args:
        account_sid: of the node.
        store: keeps what REST shows of ended rooms.
        relay: mixes.
        meetings: knows all legs.
        callbacks: sends the events.
        sounds: folder of ``enter.wav`` and ``exit.wav``.
        announcer: plays announcements.
        recordings: records.
    """

    def __init__(
        self,
        account_sid: str,
        store: _Store,
        relay: _Relay,
        meetings: Meetings,
        callbacks: RoomCallbacks,
        sounds: Path,
        announcer: Announcer,
        recordings: RoomRecordings,
    ) -> None:
        self._account_sid = account_sid
        self._store = store
        self._relay = relay
        self._meetings = meetings
        self._callbacks = callbacks
        self._sounds = sounds
        self._announcer = announcer
        self.recordings = recordings
        self.logs = MachineLogs()
        self._rooms: dict[str, LiveRoom] = {}
        """By name."""
        self._attending: set[LegKey] = set()
        """Legs whose sessions let them hear a room."""
        self._timer = DeadlineTimer(self._do_due)
        self._draining = False
        meetings.on_room = self._attend

    # -- sessions -----------------------------------------------------------------------------------

    def take(self, order: ToRoom, session: RoomSession) -> None:
        """Take what a call does; what follows is brought to the sessions after this step of theirs."""
        event = order.event
        if not isinstance(event, MemberEntered):
            room = self._of_call(order.call_sid)
            if room is not None:
                self.handle(room, event)
            return
        room = self.find(order.room)
        over = order.room.startswith("CF") and len(order.room) == 34
        if room is None and (over or self._draining):
            done = MemberDone(call=order.call_sid, number=13236)
            self._bring(session, _told(order, None, done))
            return
        room = room or self.make(order.room, event.entrant)
        added = any(each.call == order.call_sid and each.added for each in room.machine.members)
        room.places[order.call_sid] = Place(session=session, order=order)
        room.since.setdefault(order.call_sid, datetime.now(UTC))
        self.handle(room, MemberAnswered(call=order.call_sid) if added else event)

    def left(self, session: RoomSession) -> None:
        """Take a session's calls out of all rooms: it is over, whether or not they have said goodbye."""
        for room in list(self._rooms.values()):
            for call, place in list(room.places.items()):
                if place.session is session:
                    log.warning("a call that is over is taken out of a room", extra={"call_sid": call})
                    self.handle(room, MemberGone(call=call, exit=Exit.CRASHED))

    def drain(self) -> None:
        """Let the rooms go on, and make no new ones."""
        self._draining = True

    def close(self) -> None:
        """End all rooms, because the node shuts down."""
        for room in list(self._rooms.values()):
            self.handle(room, EndRoom())

    # -- rooms --------------------------------------------------------------------------------------

    def find(self, name_or_sid: str) -> LiveRoom | None:
        """Return the live room with this name or sid."""
        named = self._rooms.get(name_or_sid)
        return named or next((each for each in self._rooms.values() if each.row.sid == name_or_sid), None)

    def make(self, name: str, first: Entrant) -> LiveRoom:
        """Make a room for its first entrant."""
        now = datetime.now(UTC)
        row = ConferenceRow(
            sid=f"CF{secrets.token_hex(16)}",
            account_sid=self._account_sid,
            friendly_name=name,
            status="init",
            created_at=now,
            updated_at=now,
        )
        room = self._rooms[name] = LiveRoom(
            row=row, first=first, machine=LoggedRoom(self.logs.of_room(row, first))
        )
        self._store.put(row)
        self._relay.attach(row.sid, self)
        self._relay.send(PrepareRooms())
        return room

    def put_back(self, room: LiveRoom, inputs: Iterable[RoomInput]) -> None:
        """Go on with a room that was made again; ``inputs``: what has happened to it meanwhile."""
        self._rooms[room.row.friendly_name] = room
        self._relay.attach(room.row.sid, self)
        self._set_mix(room)
        self._follow_state(room)
        for each in inputs:
            self.handle(room, each)
        self._set_timer()

    def add(self, room: LiveRoom, entrant: Entrant) -> OrderRefused | None:
        """Count a call that REST makes as present; returns why that is refused."""
        room.since[entrant.call] = datetime.now(UTC)
        return self.handle(room, MemberAdded(entrant=entrant))

    def handle(self, room: LiveRoom, event: RoomInput) -> OrderRefused | None:
        """Give a room a fact or an order; returns why an order is refused."""
        outputs = room.machine.handle(event, time.monotonic())
        self._deliver(room, outputs)
        self._set_timer()
        return next((each for each in outputs if isinstance(each, OrderRefused)), None)

    def _of_call(self, call_sid: CallSid) -> LiveRoom | None:
        for room in self._rooms.values():
            if any(member.call == call_sid for member in room.machine.members):
                return room
        return None

    def note(self, entry: Entry) -> None:
        """Follow the calls that REST makes for rooms (``journal.Subscriber``)."""
        fact = entry.fact
        if not isinstance(fact, CallChanged) or (room := self._of_call(fact.call_sid)) is None:
            return
        if fact.status == "ringing":
            self.handle(room, MemberProgressed(call=fact.call_sid, ringing=True))
        elif fact.ended:
            member = room.machine.find(fact.call_sid)
            if member is not None and not member.here:
                status = _UNANSWERED.get(fact.status, "failed")
                self.handle(room, MemberFailed(call=fact.call_sid, status=status))

    # -- the relay ----------------------------------------------------------------------------------

    def relayed(self, event: RelayEvent) -> None:
        """Take a report of the relay about a room (``RelaySink``)."""
        if isinstance(event, RoomLeft):
            log.info("a leg does not take part in its room", extra={"room": event.room})
        if isinstance(event, VoiceHeard) and (room := self.find(event.room)) is not None:
            calls = [call for call in room.places if self._key(room, call) == event.leg]
            for call in calls:
                self.handle(room, VoiceChanged(call=call, voice=event.voice))
        if isinstance(event, RoomSoundEnded):
            self._announcer.ended(event)
        if isinstance(event, RoomSoundEnded) and event.failure:
            log.warning("a sound was not played", extra={"room": event.room, "reason": event.failure})

    def _attend(self, key: LegKey, attends: bool) -> None:
        (self._attending.add if attends else self._attending.discard)(key)
        for room in self._rooms.values():
            self._set_mix(room)

    def _key(self, room: LiveRoom, call: CallSid) -> LegKey | None:
        place = room.places.get(call)
        return None if place is None else self._meetings.face_of(place.order.leg)

    def _set_mix(self, room: LiveRoom) -> None:
        """Tell the relay who is mixed, if that has changed."""
        mix = room.mix
        coaches = dict(mix.coaches)
        calls = dict.fromkeys((*mix.talkers, *mix.listeners, *coaches, *mix.ringing))
        volumes = {call: gains for call, *gains in mix.volumes}
        members: list[RoomMember] = []
        for call in calls:
            key = self._key(room, call)
            target = self._key(room, coaches[call]) if call in coaches else None
            if key is None or key not in self._attending:
                continue
            by_link = self._meetings.is_link(key)
            gain_in_db, gain_out_db = volumes.get(call, (0, 0))
            members.append(
                RoomMember(
                    leg=key,
                    talks=call in mix.talkers or call in mix.ringing,
                    recorded=call not in mix.ringing,
                    listens=call in mix.listeners,
                    coaches=target,
                    jitter_ms=LINK_JITTER_MS if by_link else room.places[call].order.jitter_ms,
                    gain_in_db=gain_in_db,
                    gain_out_db=gain_out_db,
                )
            )
        told = SetRoom(room=room.row.sid, members=tuple(members), voices=mix.voices)
        if told != room.told and (members or room.told is not None):
            room.told = told
            self._relay.send(told)
        self._beep(room)

    def _beep(self, room: LiveRoom, impatient: bool = False) -> None:
        """Play the beeps that wait, once all listeners attend; their sessions let them a moment later."""
        keys = {self._key(room, call) for call in room.mix.listeners}
        if room.beeps and (impatient or keys <= self._attending):
            beeps, room.beeps = room.beeps, []
            self._relay.send(*beeps)

    # -- outputs ------------------------------------------------------------------------------------

    def _deliver(self, room: LiveRoom, outputs: Iterable[RoomOutput]) -> None:
        for output in outputs:
            match output:
                case SetRoomMix():
                    room.mix = output
                    self._set_mix(room)
                case PlayBeep():
                    room.sounds += 1
                    path = f"{self._sounds}/{'enter' if output.entering else 'exit'}.wav"
                    beep = PlayInRoom(room=room.row.sid, sound=f"beep{room.sounds}", path=path)
                    room.beeps.append(beep)
                    asyncio.get_running_loop().call_later(_BEEP_PATIENCE_S, self._beep, room, True)
                    self._beep(room)
                case RoomEvent():
                    self._callbacks.send(room.row, room.first, output)
                case RoomEnded():
                    self._end(room, output)
                case PlayAnnouncement():
                    self._announce(room, output)
                case StartRoomRecording():
                    self.recordings.start(room.row, output)
                case StopRecording():
                    self.recordings.stop(room.row.sid)
                case StopAnnouncement():
                    self._announcer.stop(room.row.sid, output.announcement)
                case output if isinstance(output, _TO_CALLS):
                    self._tell(room, output)
                case _:
                    pass
        self._follow_state(room)

    def _tell(self, room: LiveRoom, output: RoomOutput) -> None:
        call: CallSid = output.call  # type: ignore[union-attr,assignment]
        place = room.places.get(call)
        if isinstance(output, MemberDone):
            room.places.pop(call, None)
            room.since.pop(call, None)
        if place is not None:
            self._bring(place.session, _told(place.order, room, output))
        elif isinstance(output, MemberDone) and output.hang_up:
            self._callbacks.hang_up(call)

    def _announce(self, room: LiveRoom, order: PlayAnnouncement) -> None:
        place = room.places.get(order.call) if order.call is not None else None
        standard = (("AccountSid", self._account_sid),) if place is None else place.order.params
        names = (("ConferenceSid", room.row.sid), ("FriendlyName", room.row.friendly_name))
        number = order.announcement

        def done(failure: str) -> None:
            self.handle(room, AnnouncementEnded(announcement=number, failure=failure))

        self._announcer.play(
            Announcement(
                room=room.row.sid,
                number=number,
                leg=self._key(room, order.call) if order.call is not None else None,
                document=order.document,
                params=(*standard, *names),
                done=done,
            )
        )

    def _bring(self, session: RoomSession, told: FromRoom) -> None:
        asyncio.get_running_loop().call_soon(session.bring, told)

    def _follow_state(self, room: LiveRoom) -> None:
        if room.machine.state is RoomState.IN_PROGRESS and room.row.status == "init":
            room.row = structs.replace(room.row, status="in-progress", updated_at=datetime.now(UTC))
            self._store.put(room.row)

    def _end(self, room: LiveRoom, ended: RoomEnded) -> None:
        room.row = structs.replace(
            room.row,
            status="completed",
            updated_at=datetime.now(UTC),
            reason_ended=ended.reason,
            call_sid_ending=ended.by,
        )
        room.machine.notes.close()
        self._store.put(room.row)
        self._relay.detach(room.row.sid)
        if room.told is not None:
            self._relay.send(SetRoom(room=room.row.sid, members=()))
        if self._rooms.get(room.row.friendly_name) is room:
            del self._rooms[room.row.friendly_name]

    # -- time ---------------------------------------------------------------------------------------

    def _set_timer(self) -> None:
        self._timer.set(room.machine.next_deadline() for room in self._rooms.values())

    def _do_due(self) -> None:
        now = time.monotonic()
        for room in list(self._rooms.values()):
            due = room.machine.next_deadline()
            if due is not None and due <= now:
                self._deliver(room, room.machine.tick(now))
        self._set_timer()


def _told(order: ToRoom, room: LiveRoom | None, output: RoomOutput) -> FromRoom:
    return FromRoom(
        call_sid=order.call_sid,
        entry=order.entry,
        conference_sid=room.row.sid if room is not None else "",
        friendly_name=room.row.friendly_name if room is not None else "",
        output=output,
    )


def end_rooms(store: _Store, rooms: Rooms, rows: Iterable[ConferenceRow]) -> None:
    """End those rooms of a node that has died that do not go on: their calls have ended with it."""
    now = datetime.now(UTC)
    for row in rows:
        if rooms.find(row.sid) is None:
            store.put(structs.replace(row, status="completed", updated_at=now))
