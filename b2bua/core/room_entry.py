"""How calls come into a conference room and leave it (see ``room``)."""

from b2bua.core.room_course import RoomCourse
from b2bua.core.room_inputs import (
    Entrant,
    Exit,
    KickMember,
    MemberAdded,
    MemberAnswered,
    MemberEntered,
    MemberFailed,
    MemberGone,
    MemberProgressed,
    WaitReady,
    WaitRefused,
)
from b2bua.core.room_member import Member
from b2bua.core.room_outputs import (
    EndReason,
    LeaveReason,
    MemberAdmitted,
    MemberDone,
)
from b2bua.core.room_table import EXITS, MemberState, RoomState

__all__ = ["RoomEntry"]

_REFUSALS = {
    16020: (16020, "the conference is full"),
    16025: (16026, "the label is in use"),
    13240: (16028, "the participant to coach is not in the conference"),
    16027: (16027, "the participant to coach is on hold"),
}
"""For each reason not to admit a document's call: code and text for REST."""


class RoomEntry:
    """Admits members, starts the room, and lets members go.

    Args:
        course: the room's state.
    """

    def __init__(self, course: RoomCourse) -> None:
        self._course = course

    # --- documents ---

    def on_entered(self, event: MemberEntered, now: float) -> None:
        """Take the call of a document."""
        number = self._refusal(event.entrant)
        if number:
            self._course.put(MemberDone(call=event.entrant.call, number=number))
            self._close_unused()
            return
        self._arrive(self._take(event.entrant, added=False), now)

    def on_entered_late(self, event: MemberEntered, now: float) -> None:
        """Refuse a call that comes to an ended room."""
        self._course.put(MemberDone(call=event.entrant.call, number=13236))

    # --- calls made by REST ---

    def on_added(self, event: MemberAdded, now: float) -> None:
        """Count a call that REST makes as present."""
        number = self._refusal(event.entrant)
        if number:
            self._course.refuse(400, *_REFUSALS[number])
            self._close_unused()
            return
        self._take(event.entrant, added=True)

    def on_added_late(self, event: MemberAdded, now: float) -> None:
        """Refuse a call for an ended room."""
        self._course.refuse(400, 16022, "the conference has ended")

    def on_progressed(self, event: MemberProgressed, now: float) -> None:
        """Note how far the call is; ringing is not taken back."""
        member = self._course.members[event.call]
        if event.ringing:
            member.state = MemberState.RINGING
        elif member.state is MemberState.QUEUED:
            member.state = MemberState.CONNECTING

    def on_answered(self, event: MemberAnswered, now: float) -> None:
        """Let the answered call enter."""
        self._arrive(self._course.members[event.call], now)

    def on_failed(self, event: MemberFailed, now: float) -> None:
        """Give up a call that was not answered."""
        member = self._course.members[event.call]
        self._leave(member, LeaveReason.ADD_FAILED, event.status, now, hang_up=False)

    # --- entering ---

    def on_wait_ready(self, event: WaitReady, now: float) -> None:
        """Admit a member that waits now."""
        member = self._course.members[event.call]
        if not member.connected:
            self._admit(member, now)

    def on_wait_refused(self, event: WaitRefused, now: float) -> None:
        """Refuse a member whose wait document cannot be had; once it is admitted it hears music instead."""
        member = self._course.members[event.call]
        if not member.connected:
            self._leave(
                member,
                LeaveReason.HUNG_UP,
                "failed" if member.added else "in-progress",
                now,
                number=event.number,
                hang_up=member.added,
            )

    # --- leaving ---

    def on_gone(self, event: MemberGone, now: float) -> None:
        """Let a member go that leaves by itself or by its call."""
        member = self._course.members[event.call]
        reason, status, added_status = EXITS[event.exit]
        if not member.here:
            added_status = "canceled"
        hang_up = member.added and event.exit is Exit.TIME_LIMIT
        grace_s = member.entrant.exit_grace_s if event.exit in (Exit.LOST, Exit.CRASHED) else 0.0
        self._leave(
            member, reason, added_status if member.added else status, now, hang_up=hang_up, grace_s=grace_s
        )

    def end_if_due(self, now: float) -> None:
        """End the room if the time of grace for the member that was lost is over."""
        course = self._course
        if course.end_at is not None and now >= course.end_at:
            course.end(EndReason.MODERATOR_LEFT, now, course.lost)

    def on_kick(self, event: KickMember, now: float) -> None:
        """Remove a member."""
        member = self._course.members.get(event.call)
        if member is None:
            self._course.refuse(404, 20404, "the participant is not in the conference")
            return
        status = "in-progress" if not member.added else "completed" if member.here else "canceled"
        self._leave(member, LeaveReason.UPDATED, status, now, hang_up=member.added, kicked=True)

    # --- any member ---

    def _refusal(self, entrant: Entrant) -> int:
        """Return the number of the error that keeps this call out; 0: none."""
        course = self._course
        most = course.max_participants if course.opened else entrant.max_participants
        if len(course.members) >= most:
            return 16020
        if entrant.label and any(each.entrant.label == entrant.label for each in course.members.values()):
            return 16025
        if entrant.coach is None:
            return 0
        target = course.members.get(entrant.coach)
        if target is None or not target.connected or course.state is not RoomState.IN_PROGRESS:
            return 13240
        return 16027 if target.held else 0

    def _take(self, entrant: Entrant, *, added: bool) -> Member:
        course = self._course
        if not course.opened:
            course.opened = True
            course.max_participants = entrant.max_participants
            course.callback = entrant.callback
        course.used = course.used or added
        member = course.members[entrant.call] = Member(entrant, added=added)
        return member

    def _close_unused(self) -> None:
        """End a room that was made for an entrant that it has refused."""
        if not self._course.opened:
            self._course.close(EndReason.LAST_LEFT)

    def _arrive(self, member: Member, now: float) -> None:
        """Admit a call at once if the room runs or starts by it, or if its wait document needs no request."""
        course = self._course
        member.state = MemberState.ENTERING
        course.members[member.call] = course.members.pop(member.call)  # of all arrivals it is the last
        here = [each for each in course.members.values() if each.here]
        starts = len(here) > 1 and any(each.entrant.start_on_enter for each in here)
        if course.state is RoomState.IN_PROGRESS:
            self._admit(member, now)
            course.beep = member.entrant.beep_on_enter or None
        elif starts:
            for each in here:
                if not each.connected:
                    self._admit(each, now)
            course.state = RoomState.IN_PROGRESS
            course.tell("start", "conference-start", now)
            if course.recording is not None:
                course.record(course.recording, course.recording_by)
            course.beep = member.entrant.beep_on_enter or None
        elif not member.wait.url:
            self._admit(member, now)

    def _admit(self, member: Member, now: float) -> None:
        course = self._course
        member.state, course.used = MemberState.CONNECTED, True
        course.members[member.call] = course.members.pop(member.call)
        course.put(MemberAdmitted(call=member.call))
        course.tell("join", "participant-join", now, member.fields)
        if member.end_on_exit:
            course.end_at = None
        if course.recording is None and member.entrant.recording is not None:
            course.recording, course.recording_by = member.entrant.recording, member.call
            if course.state is RoomState.IN_PROGRESS and not course.recorded:
                course.record(course.recording, member.call)

    def _leave(
        self,
        member: Member,
        reason: LeaveReason,
        status: str,
        now: float,
        *,
        number: int = 0,
        hang_up: bool,
        kicked: bool = False,
        grace_s: float = 0.0,
    ) -> None:
        """Take one member out, and end the room if it must not go on without it."""
        course = self._course
        course.remove(member, reason, status, now, number=number, hang_up=hang_up)
        remaining = course.connected
        others = any(each.here and each.end_on_exit for each in course.members.values())
        ends = member.connected and member.end_on_exit and not (member.end_as_last and others)
        if ends and not (grace_s and remaining):
            course.end(EndReason.MODERATOR_KICKED if kicked else EndReason.MODERATOR_LEFT, now, member)
            return
        if ends and course.end_at is None:
            course.end_at, course.lost = now + grace_s, member
        if not course.members or (member.connected and not any(m.here for m in course.members.values())):
            last = EndReason.LAST_KICKED if kicked else EndReason.LAST_LEFT
            course.end(last, now, member if member.connected else None)
        elif course.state is RoomState.IN_PROGRESS and member.connected and len(remaining) > 1:
            course.beep = False if member.beep_on_exit else None
