"""Conferences by REST (``web.api.room_book.RoomBook``). Thread: the controller's loop."""

import asyncio
from dataclasses import replace
from typing import Final, Literal
from xml.sax.saxutils import escape

from b2bua.core.ids import CallSid
from b2bua.core.room_inputs import (
    Announce,
    Document,
    EndRoom,
    Entrant,
    KickMember,
    RecordRoom,
    RoomCallback,
    RoomInput,
    RoomRecording,
    StopRoomRecording,
    UpdateMember,
    WatchSpeakers,
)
from b2bua.core.room_member import Member
from b2bua.core.room_outputs import OrderRefused
from b2bua.core.room_speech import SPEECH_AFTER_S
from b2bua.core.room_table import MemberState
from b2bua.node.live_room import LiveRoom
from b2bua.node.rooms import Rooms
from b2bua.web.api.control import Callback, CallControl, DocumentSource, RecordingRequest
from b2bua.web.api.errors import ApiError, NotFound
from b2bua.web.api.room_book import ParticipantChange, ParticipantRecord, ParticipantRequest

__all__ = ["RoomDesk"]

_Status = Literal["queued", "connecting", "ringing", "connected"]
_STATUSES: Final[dict[MemberState, _Status]] = {
    MemberState.QUEUED: "queued",
    MemberState.CONNECTING: "connecting",
    MemberState.RINGING: "ringing",
    MemberState.ENTERING: "connected",
    MemberState.CONNECTED: "connected",
}


_TO_NOTICE_S: Final = SPEECH_AFTER_S + 0.3
"""Until those are known who speak when a conference is asked for the first time."""


class RoomDesk:
    """Reads and steers the node's rooms.

    Args:
        rooms: all of them.
        control: makes calls.
    """

    def __init__(self, rooms: Rooms, control: CallControl) -> None:
        self._rooms = rooms
        self._control = control

    def sid_of(self, name: str) -> str | None:
        """Return the sid of the live conference with this name, or with this sid."""
        room = self._rooms.find(name)
        return None if room is None else room.row.sid

    def end(self, sid: str) -> None:
        """End a live conference for all."""
        room = self._rooms.find(sid)
        if room is not None:
            self._order(room, EndRoom())

    def announce(self, sid: str, document: Callback) -> None:
        """Play something to the whole conference."""
        self._order(self._found(sid), Announce(document=_document(document)))

    def participants(self, sid: str) -> list[ParticipantRecord]:
        """Return the participants of a conference; none if it has ended."""
        room = self._rooms.find(sid)
        if room is None:
            return []
        records = [_record(member, room) for member in room.machine.members]
        return sorted(records, key=lambda each: (each.created_at, each.call_sid))

    def participant(self, sid: str, who: str) -> ParticipantRecord:
        """Return a participant."""
        room = self._found(sid)
        return _record(self._member(room, who), room)

    def change(self, sid: str, who: str, change: ParticipantChange) -> ParticipantRecord:
        """Change a participant."""
        room = self._found(sid)
        member = self._member(room, who)
        order = UpdateMember(
            call=member.call,
            muted=change.muted,
            hold=change.hold,
            hold_document=_document(change.hold_document) if change.hold_document else None,
            announce=_document(change.announce) if change.announce else None,
            wait=_document(change.wait) if change.wait is not None else None,
            beep_on_exit=change.beep_on_exit,
            end_on_exit=change.end_on_exit,
            end_as_last=change.end_as_last,
            volume_in_db=change.volume_in_db,
            volume_out_db=change.volume_out_db,
            coaching=change.coaching,
            coach=CallSid(change.coach) if change.coach else None,
        )
        self._order(room, order)
        return _record(member, room)

    async def active_speakers(self, sid: str) -> list[ParticipantRecord]:
        """Return the participants who speak now."""
        room = self._rooms.find(sid)
        if room is None:
            return []
        if not room.machine.watched:
            self._order(room, WatchSpeakers())
            await asyncio.sleep(_TO_NOTICE_S)
        return [_record(member, room) for member in room.machine.members if member.speech.speaking]

    def kick(self, sid: str, who: str) -> None:
        """Remove a participant."""
        room = self._found(sid)
        self._order(room, KickMember(call=self._member(room, who).call))

    def record(self, sid: str, request: RecordingRequest) -> str:
        """Start recording a conference."""
        self._order(self._found(sid), RecordRoom(recording=_recording(request, by_api=True)))
        running = self._rooms.recordings.running(sid)
        assert running is not None
        return running

    def change_recording(
        self,
        sid: str,
        recording: str | None,
        status: Literal["in-progress", "paused", "stopped"],
        behavior: Literal["silence", "skip"],
    ) -> str:
        """Pause, resume or stop a recording that runs."""
        recordings = self._rooms.recordings
        running = recordings.running(sid)
        if running is None or recording not in (None, running):
            raise ApiError(21220, "the conference is not being recorded")
        if status == "stopped":
            self._order(self._found(sid), StopRoomRecording())
        elif status == "paused":
            recordings.pause(sid, behavior)
        else:
            recordings.resume(sid)
        return running

    async def add(self, conference: str, request: ParticipantRequest) -> ParticipantRecord:
        """Make a call for a conference."""
        room = self._rooms.find(conference)
        name = conference if room is None else room.row.friendly_name
        if room is not None:
            _check(room, request)
        elif request.coach:
            raise ApiError(16028, "the participant to coach is not in the conference")
        document = DocumentSource(twiml=_twiml(name, request))
        row = await self._control.create(replace(request.call, document=document))
        call = CallSid(row.sid)
        entrant = _entrant(call, request)
        room = self._rooms.find(name) or self._rooms.make(name, entrant)
        refused = self._rooms.add(room, entrant)
        if refused is not None:
            await self._control.complete(call)
            raise _error(refused)
        member = room.machine.find(call)
        assert member is not None
        return _record(member, room)

    def _found(self, sid: str) -> LiveRoom:
        room = self._rooms.find(sid)
        if room is None:
            raise NotFound(f"Conference {sid}")
        return room

    def _member(self, room: LiveRoom, who: str) -> Member:
        member = room.machine.find(who)
        if member is None:
            raise NotFound(f"Participant {who}")
        return member

    def _order(self, room: LiveRoom, order: RoomInput) -> None:
        refused = self._rooms.handle(room, order)
        if refused is not None:
            raise _error(refused)


def _error(refused: OrderRefused) -> ApiError:
    return ApiError(refused.code, refused.text, status=refused.status)


def _document(callback: Callback) -> Document:
    return Document(callback.url, callback.method)


def _check(room: LiveRoom, request: ParticipantRequest) -> None:
    """Refuse what the room would refuse, before a phone rings."""
    if request.label and room.machine.find(request.label) is not None:
        raise ApiError(16026, "the label is in use")
    if not request.coach:
        return
    coached = room.machine.find(request.coach)
    if coached is None or not coached.connected:
        raise ApiError(16028, "the participant to coach is not in the conference")


def _entrant(call: CallSid, request: ParticipantRequest) -> Entrant:
    events, wanted = request.events, request.conference_recording
    callback = None
    if events is not None:
        callback = RoomCallback(url=events.url, method=events.method, events=frozenset(request.event_names))
    return Entrant(
        call=call,
        label=request.label,
        muted=request.muted,
        beep_on_enter=request.beep in ("true", "onEnter"),
        beep_on_exit=request.beep in ("true", "onExit"),
        start_on_enter=request.start_on_enter,
        end_on_exit=request.end_on_exit,
        end_as_last=request.end_as_last,
        wait=Document(request.wait_url, request.wait_method),
        coach=CallSid(request.coach) if request.coach else None,
        early_media=request.early_media,
        max_participants=request.max_participants,
        callback=callback,
        recording=_recording(wanted, by_api=False) if wanted else None,
    )


def _recording(request: RecordingRequest, *, by_api: bool) -> RoomRecording:
    callback = request.status_callback
    return RoomRecording(
        trim=request.trim,
        callback_url=callback.url if callback else None,
        callback_method=callback.method if callback else "POST",
        callback_events=frozenset(request.status_callback_events),
        by_api=by_api,
    )


def _twiml(name: str, request: ParticipantRequest) -> str:
    """Return the document that the call runs when it is answered; the room knows the rest."""
    size = request.jitter_buffer_size
    noun = f'<Conference jitterBufferSize="{size}">{escape(name)}</Conference>'
    return f"<Response><Dial>{noun}</Dial></Response>"


def _record(member: Member, room: LiveRoom) -> ParticipantRecord:
    return ParticipantRecord(
        call_sid=member.call,
        conference_sid=room.row.sid,
        label=member.entrant.label or None,
        muted=member.muted,
        hold=member.held,
        coaching=member.coaching,
        call_sid_to_coach=member.coach,
        start_on_enter=member.entrant.start_on_enter,
        end_on_exit=member.end_on_exit,
        volume_in_db=member.volume_in_db,
        volume_out_db=member.volume_out_db,
        status=_STATUSES[member.state],
        created_at=room.since.get(member.call, room.row.created_at),
    )
