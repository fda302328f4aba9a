"""One member of a conference room (see ``room``): its flags, and what it hears."""

from b2bua.core.room_inputs import Document, Entrant
from b2bua.core.room_outputs import Fields, Hears
from b2bua.core.room_speech import Speech
from b2bua.core.room_table import MemberState

__all__ = ["Listening", "Member"]

Listening = tuple[Hears, Document]
"""What a document is for, ``WAIT`` or ``HOLD``, and where it is."""


class Member:
    """A call that is in a room or on its way there.

    Args:
        entrant: what its document or REST asks for.
        added: REST makes the call for the room.
    """

    def __init__(self, entrant: Entrant, *, added: bool) -> None:
        self.entrant = entrant
        self.call = entrant.call
        self.added = added
        self.state = MemberState.QUEUED if added else MemberState.ENTERING
        self.muted = entrant.muted
        self.held = False
        self.coach = entrant.coach
        """The member to coach; it may have left."""
        self.coaching = entrant.coach is not None
        self.end_on_exit = entrant.end_on_exit
        self.end_as_last = entrant.end_as_last
        self.volume_in_db = self.volume_out_db = 0
        self.beep_on_exit = entrant.beep_on_exit
        self.wait = entrant.wait
        self.hold = Document(method="GET")
        self.hears: Hears | None = None
        """None: nothing has been said about it yet."""
        self.document: Listening | None = None
        """The wait or hold document that runs, or pauses."""
        self.speech = Speech()

    @property
    def connected(self) -> bool:
        """Whether it has joined."""
        return self.state is MemberState.CONNECTED

    @property
    def here(self) -> bool:
        """Whether its call is answered."""
        return self.state in (MemberState.ENTERING, MemberState.CONNECTED)

    @property
    def heard(self) -> bool:
        """Whether it may be heard by all, or, when it coaches, by one."""
        return self.connected and not self.muted and not self.held

    @property
    def fields(self) -> Fields:
        """The callback parameters of every event about it."""
        fields = (
            ("CallSid", self.call),
            ("Muted", _flag(self.muted)),
            ("Hold", _flag(self.held)),
            ("Coaching", _flag(self.coaching)),
            ("EndConferenceOnExit", _flag(self.end_on_exit)),
            ("StartConferenceOnEnter", _flag(self.entrant.start_on_enter)),
        )
        return (*fields, ("ParticipantLabel", self.entrant.label)) if self.entrant.label else fields

    def __str__(self) -> str:
        return f"{self.call} ({self.entrant.label})" if self.entrant.label else self.call


def _flag(value: bool) -> str:
    return "true" if value else "false"
