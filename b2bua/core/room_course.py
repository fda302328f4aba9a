"""The state that the parts of a conference room share (see ``room``): members, terms, outputs, callbacks.

Members leave here, whatever the reason, so that each is told exactly once, and here the room ends.
"""

from b2bua.core.ids import CallSid
from b2bua.core.room_announcements import Announcements
from b2bua.core.room_inputs import RoomCallback, RoomRecording
from b2bua.core.room_member import Member
from b2bua.core.room_outputs import (
    EndReason,
    Fields,
    LeaveReason,
    MemberDone,
    OrderRefused,
    PlayAnnouncement,
    RoomEnded,
    RoomEvent,
    RoomOutput,
    StartRoomRecording,
    StopAnnouncement,
    StopRecording,
)
from b2bua.core.room_table import RoomState

__all__ = ["RoomCourse"]

_SENTENCES = {
    EndReason.BY_API: "The conference was ended via the API.",
    EndReason.MODERATOR_LEFT: "Participant{} with endConferenceOnExit left.",
    EndReason.MODERATOR_KICKED: "Participant{} with endConferenceOnExit was kicked.",
    EndReason.LAST_LEFT: "The last participant{} left.",
    EndReason.LAST_KICKED: "The last participant{} was kicked.",
}
"""``Reason`` of conference-end, with the member that caused it."""


class RoomCourse:
    """The shared state of a room."""

    def __init__(self) -> None:
        self.state = RoomState.INIT
        self.members: dict[CallSid, Member] = {}
        """In the order of arrival; those who have joined are in the order of joining."""
        self.opened = False
        """The first entrant has fixed ``max_participants`` and ``callback``."""
        self.max_participants = 250
        self.callback: RoomCallback | None = None
        self.used = False
        """Somebody has joined, or REST has made a call for the room."""
        self.recording: RoomRecording | None = None
        """The wish of the first member that had one."""
        self.recording_by: CallSid | None = None
        self.recorded = False
        """A recording runs."""
        self.announcements = Announcements()
        self.watched = False
        """It is to be known who speaks, whether or not the application is told."""
        self.end_at: float | None = None
        """When the room ends because of ``lost``, unless another one comes whose exit ends it."""
        self.lost: Member | None = None
        self.beep: bool | None = None
        """A beep to be played as soon as the mix is settled: True for one who enters."""
        self._output: list[RoomOutput] = []
        self._ended: tuple[RoomEnded, ...] = ()
        self._sequence = 0

    @property
    def connected(self) -> list[Member]:
        """Those who have joined, in that order."""
        return [member for member in self.members.values() if member.connected]

    def put(self, *outputs: RoomOutput) -> None:
        """Add outputs."""
        self._output += outputs

    def take(self) -> list[RoomOutput]:
        """Return the outputs since the last call."""
        output, self._output = [*self._output, *self._ended], []
        self._ended = ()
        return output

    def refuse(self, status: int, code: int, text: str) -> None:
        """Refuse an order."""
        self.put(OrderRefused(status=status, code=code, text=text))

    def tell(self, kind: str, name: str, now: float, fields: Fields = ()) -> None:
        """Send an event, if the room's callback wants those of this kind."""
        if self.callback is None or kind not in self.callback.events:
            return
        self._sequence += 1
        self.put(RoomEvent(name=name, sequence=self._sequence, at=now, fields=fields))

    def tell_announced(
        self, call: CallSid | None, url: str, now: float, failure: str, following: list[PlayAnnouncement]
    ) -> None:
        """Tell the end of an announcement, and play the one that follows it."""
        member = self.members.get(call) if call else None
        fields: Fields = (*(member.fields if member else ()), ("AnnounceUrl", url))
        if failure:
            fields = (*fields, ("ReasonAnnouncementFailed", failure))
        self.tell("announcement", "announcement-fail" if failure else "announcement-end", now, fields)
        self.put(*following)

    def record(self, recording: RoomRecording, by: CallSid | None) -> None:
        """Start the recording."""
        self.recorded = True
        self.put(StartRoomRecording(recording=recording, by=by))

    def stop_recording(self) -> None:
        """Stop the recording if there is one."""
        if self.recorded:
            self.recorded = False
            self.put(StopRecording())

    def remove(
        self, member: Member, reason: LeaveReason, status: str, now: float, *, number: int = 0, hang_up: bool
    ) -> None:
        """Take a member out, and tell the application and the member's call.

        Args:
            member: the member.
            reason: why it leaves; of a call that REST made and that has not joined, always ADD_FAILED.
            status: ``ParticipantCallStatus``.
            now: monotonic seconds.
            number: error because of which it was not admitted; 0: none.
            hang_up: nothing else keeps its call.
        """
        del self.members[member.call]
        if member.added and not member.connected:
            reason = LeaveReason.ADD_FAILED
        if member.added or member.connected:
            ending = (("ParticipantCallStatus", status), ("ReasonParticipantLeft", reason.value))
            self.tell("leave", "participant-leave", now, (*member.fields, *ending))
        self.put(
            MemberDone(
                call=member.call, admitted=member.connected, number=number, reason=reason, hang_up=hang_up
            )
        )
        self._drop_announcements(member.call, "the participant left", now)

    def end(self, reason: EndReason, now: float, by: Member | None = None) -> None:
        """End the room: the remaining members leave in the order of joining."""
        left = LeaveReason.ENDED_BY_API if reason is EndReason.BY_API else LeaveReason.MODERATOR
        for member in sorted(self.members.values(), key=lambda each: not each.connected):
            status = "in-progress" if not member.added else "completed" if member.here else "canceled"
            self.remove(member, left, status, now, hang_up=member.added)
        self._drop_announcements(None, "the conference ended", now)
        fields: Fields = (
            ("ReasonConferenceEnded", reason.value),
            ("Reason", _SENTENCES[reason].format(f" {by}" if by else "")),
        )
        if by is not None:
            fields = (*fields, ("CallSidEndingConference", by.call))
        if by is not None and by.entrant.label:
            fields = (*fields, ("ParticipantLabelEndingConference", by.entrant.label))
        if self.used:  # of one whose only entrant was refused nothing was told
            self.tell("end", "conference-end", now, fields)
        self.stop_recording()
        self.close(reason, by)

    def close(self, reason: EndReason, by: Member | None = None) -> None:
        """End a room that has no members; its owner hears of it last."""
        assert not self.members
        self.end_at = None
        self.state = RoomState.COMPLETED
        self._ended = (RoomEnded(reason=reason, by=by.call if by else None),)

    def _drop_announcements(self, call: CallSid | None, failure: str, now: float) -> None:
        for index, dropped in enumerate(self.announcements.drop(call)):
            if index == 0:
                self.put(StopAnnouncement(announcement=dropped.number))
            self.tell_announced(call, dropped.document.url or "", now, failure, [])
