"""What is heard in a conference room (see ``room``): by whom, in which mix or document, and who speaks.

The mix and the documents are desired state: after each input they are derived from the members, and only what
has changed is put out.
"""

from b2bua.core.room_course import RoomCourse
from b2bua.core.room_inputs import VoiceChanged
from b2bua.core.room_member import Listening, Member
from b2bua.core.room_outputs import Hears, PlayBeep, SetHearing, SetRoomMix, StartDocument, StopDocument
from b2bua.core.room_table import MemberState, RoomState

__all__ = ["RoomSound"]


class RoomSound:
    """Derives the sound of a room from its members.

    Args:
        course: the room's state.
    """

    def __init__(self, course: RoomCourse) -> None:
        self._course = course
        self._mix = SetRoomMix()

    def on_voice(self, event: VoiceChanged, now: float) -> None:
        """Take what a detector has heard of a member."""
        member = self._course.members[event.call]
        if member.heard and not self._waits(member):
            member.speech.hear(event.voice, now)

    def settle(self, now: float) -> None:
        """Put out what differs from before, then the beep that is due."""
        course = self._course
        mix = self._wanted()
        for member in course.members.values():
            if member.here:
                self._settle_member(member, listening=bool(mix.ringing), now=now)
        if mix != self._mix:
            self._mix = mix
            course.put(mix)
        if course.beep is not None and course.state is RoomState.IN_PROGRESS:
            course.put(PlayBeep(entering=course.beep))
        course.beep = None

    def next_deadline(self) -> float | None:
        """Return when a member begins or ceases to speak, unless its voice changes."""
        deadlines = (member.speech.deadline for member in self._course.members.values())
        return min((at for at in deadlines if at is not None), default=None)

    def tick(self, now: float) -> None:
        """Tell who has begun or ceased to speak."""
        for member in self._course.members.values():
            if member.speech.tick(now):
                self._tell_speech(member, now)

    # --- desired state ---

    def _wanted(self) -> SetRoomMix:
        course = self._course
        connected = course.connected
        ringing = tuple(
            member.call
            for member in course.members.values()
            if member.state is MemberState.RINGING and member.entrant.early_media
        )
        runs = course.state is RoomState.IN_PROGRESS
        hearing = [each for each in connected if not each.held and (ringing or not self._waits(each))]
        return SetRoomMix(
            talkers=tuple(
                each.call for each in connected if each.heard and not each.coaching and not self._waits(each)
            ),
            listeners=tuple(each.call for each in hearing),
            coaches=tuple(
                (each.call, each.coach)
                for each in connected
                if each.coaching
                and each.coach is not None
                and each.heard
                and self._can_be_coached(each.coach)
            ),
            ringing=ringing if hearing else (),
            volumes=tuple(
                (each.call, each.volume_in_db, each.volume_out_db)
                for each in connected
                if each.volume_in_db or each.volume_out_db
            ),
            voices=runs and self.watched,
        )

    @property
    def watched(self) -> bool:
        """Whether somebody wants to know who speaks."""
        callback = self._course.callback
        return self._course.watched or (callback is not None and "speaker" in callback.events)

    def _can_be_coached(self, call: str) -> bool:
        return any(each.call == call and not each.held for each in self._course.connected)

    def _waits(self, member: Member) -> bool:
        """Return whether a member that is not held hears its wait document."""
        return self._course.state is RoomState.INIT or len(self._course.connected) == 1

    def _settle_member(self, member: Member, *, listening: bool, now: float) -> None:
        course = self._course
        document: Listening | None = None
        hears = Hears.MIX
        if member.held:
            hears, document = Hears.HOLD, (Hears.HOLD, member.hold)
        elif self._waits(member):
            document = (Hears.WAIT, member.wait)
            hears = Hears.MIX if listening and member.connected else Hears.WAIT
        if document != member.document:
            if member.document is not None:
                course.put(StopDocument(call=member.call))
            if document is not None:
                entering = member.state is MemberState.ENTERING
                kind, url = document
                course.put(StartDocument(call=member.call, kind=kind, document=url, entering=entering))
            member.document = document
        if hears is not member.hears:
            member.hears = hears
            course.put(SetHearing(call=member.call, hears=hears))
        if not (member.heard and not self._waits(member)) and member.speech.silence():
            self._tell_speech(member, now)

    def _tell_speech(self, member: Member, now: float) -> None:
        name = "participant-speech-start" if member.speech.speaking else "participant-speech-stop"
        self._course.tell("speaker", name, now, member.fields)
