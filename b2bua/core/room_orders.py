"""Orders to a conference room and its members while they are in it (see ``room``)."""

from b2bua.core.ids import CallSid
from b2bua.core.room_announcements import MAX_ANNOUNCEMENTS
from b2bua.core.room_course import RoomCourse
from b2bua.core.room_inputs import (
    Announce,
    AnnouncementEnded,
    Document,
    EndRoom,
    KickMember,
    RecordRoom,
    StopRoomRecording,
    UpdateMember,
    WatchSpeakers,
)
from b2bua.core.room_member import Member
from b2bua.core.room_outputs import EndReason, Fields
from b2bua.core.room_table import RoomState

__all__ = ["RoomOrders"]


class RoomOrders:
    """Carries out orders, each as a whole or not at all.

    Args:
        course: the room's state.
    """

    def __init__(self, course: RoomCourse) -> None:
        self._course = course

    def on_update(self, order: UpdateMember, now: float) -> None:
        """Change a member."""
        member = self._course.members.get(order.call)
        if member is None:
            self.on_member_missing(order, now)
            return
        refusal = self._refusal(member, order)
        if refusal is not None:
            self._course.refuse(*refusal)
            return
        before = member.end_on_exit, member.beep_on_exit, member.wait, member.coaching, member.coach
        muted, held = member.muted, member.held
        _apply(member, order)
        if member.connected:
            if member.muted != muted:
                self._tell(member, "mute", "mute" if member.muted else "unmute", now)
            if member.held != held:
                self._tell(member, "hold", "hold" if member.held else "unhold", now)
            if before != (
                member.end_on_exit,
                member.beep_on_exit,
                member.wait,
                member.coaching,
                member.coach,
            ):
                coached: Fields = (("CallSidToCoach", member.coach),) if member.coach else ()
                self._tell(member, "modify", "modify", now, coached)
        if order.announce is not None:
            self._course.put(*self._course.announcements.add(member.call, order.announce))

    def on_member_missing(self, order: UpdateMember | KickMember, now: float) -> None:
        """Refuse an order about a call that is not a member."""
        self._course.refuse(404, 20404, "the participant is not in the conference")

    def on_announce(self, order: Announce, now: float) -> None:
        """Play something to the room."""
        refusal = self._announcing(None)
        if refusal is not None:
            self._course.refuse(*refusal)
            return
        self._course.put(*self._course.announcements.add(None, order.document))

    def on_announce_late(self, order: Announce, now: float) -> None:
        """Refuse an announcement to an ended room."""
        self._course.refuse(400, 16022, "the conference has ended")

    def on_announcement_ended(self, event: AnnouncementEnded, now: float) -> None:
        """Tell how an announcement ended, and play the next one."""
        over, following = self._course.announcements.ended(event.announcement)
        if over is not None:
            url = over.document.url or ""
            self._course.tell_announced(over.call, url, now, event.failure, following)

    def on_end(self, order: EndRoom, now: float) -> None:
        """End the room for all."""
        self._course.end(EndReason.BY_API, now)

    def on_watch(self, order: WatchSpeakers, now: float) -> None:
        """Know who speaks."""
        self._course.watched = True

    def on_record(self, order: RecordRoom, now: float) -> None:
        """Start a recording."""
        course = self._course
        if course.state is not RoomState.IN_PROGRESS:
            course.refuse(400, 21220, "the conference is not in progress")
        elif course.recorded:
            course.refuse(400, 16108, "the conference is being recorded")
        else:
            course.record(order.recording, None)

    def on_stop_recording(self, order: StopRoomRecording | RecordRoom, now: float) -> None:
        """Stop the recording."""
        if self._course.recorded:
            self._course.stop_recording()
        else:
            self._course.refuse(400, 21220, "the conference is not being recorded")

    def _tell(self, member: Member, kind: str, name: str, now: float, more: Fields = ()) -> None:
        self._course.tell(kind, f"participant-{name}", now, (*member.fields, *more))

    def _announcing(self, call: CallSid | None) -> tuple[int, int, str] | None:
        if self._course.state is RoomState.INIT:
            return 400, 16001, "the conference has not started"
        if self._course.announcements.full(call):
            return 400, 20001, f"{MAX_ANNOUNCEMENTS} announcements are waiting"
        return None

    def _refusal(self, member: Member, order: UpdateMember) -> tuple[int, int, str] | None:
        """Return HTTP status, code and text if the order cannot be carried out."""
        coaching = _coaching(member, order)
        if order.hold and (order.announce is not None or coaching):
            return 400, 20001, "Hold goes with neither AnnounceUrl nor Coaching"
        if not member.connected and (order.hold is not None or order.announce is not None):
            return 400, 16099, "the participant is not connected yet"
        if coaching and (refusal := self._coaching_refusal(member, order.coach or member.coach)):
            return refusal
        return None if order.announce is None else self._announcing(member.call)

    def _coaching_refusal(self, member: Member, call: CallSid | None) -> tuple[int, int, str] | None:
        if call is None:
            return 400, 20001, "Coaching needs CallSidToCoach"
        target = self._course.members.get(call)
        if target is None or target is member or not target.connected:
            return 400, 16028, "the participant to coach is not in the conference"
        return (400, 16027, "the participant to coach is on hold") if target.held else None


def _coaching(member: Member, order: UpdateMember) -> bool:
    """Return whether the order makes the member a coach, or gives it another target."""
    return order.coaching is True or (order.coaching is None and order.coach is not None)


def _apply(member: Member, order: UpdateMember) -> None:
    if order.muted is not None:
        member.muted = order.muted
    if order.end_on_exit is not None:
        member.end_on_exit, member.end_as_last = order.end_on_exit, order.end_as_last
    if order.volume_in_db is not None:
        member.volume_in_db = order.volume_in_db
    if order.volume_out_db is not None:
        member.volume_out_db = order.volume_out_db
    if order.beep_on_exit is not None:
        member.beep_on_exit = order.beep_on_exit
    if order.wait is not None:
        member.wait = order.wait
    if order.hold and (order.hold_document is not None or not member.held):
        member.hold = order.hold_document or Document(method="GET")
    if order.hold is not None:
        member.held = order.hold
    member.coach = order.coach or member.coach
    member.coaching = _coaching(member, order) or (member.coaching and order.coaching is None)
