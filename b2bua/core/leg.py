"""One leg as the controller sees it: a UAS leg (the caller's) or a UAC leg (a callee's).

A leg is the only gate for commands to it. Each SIP act has a method of its name, which returns the command,
or nothing where the state makes the act pointless (a second hangup, 180 after 183, anything after the end).
Facts arrive through ``handle``. A leg has a deadline until it has ended; if the worker never reports the end,
``tick`` makes it up. A leg must not know why it was created: only the Dial knows that.

::

    UAS   incoming ──ring──> ringing ──progress──> early ──answer──> answered ──LegConfirmed──> confirmed
    UAC   invited ──180──> ringing ──SDP──> early ──200──> confirmed
    both  any ──hangup──> closing ──LegEnded──> ended         any ──LegEnded──> ended

Sources: RFC 3261 §12–§15, RFC 3960 (ringing and early media).
"""

from enum import StrEnum

from b2bua.core.commands import AnswerLeg, HangupLeg, LegCommand, ProgressLeg, RingLeg, SendDtmf
from b2bua.core.errors import LocalStateError
from b2bua.core.events import (
    DtmfReceived,
    EarlyMediaChanged,
    Headers,
    LegAnswered,
    LegConfirmed,
    LegEnded,
    LegEvent,
    LegProgress,
    LegReferred,
    MediaChanged,
    ReferProgress,
)
from b2bua.core.ids import LegId
from b2bua.core.unexpected import UnexpectedEvents

__all__ = ["Leg", "LegState", "Role"]


class Role(StrEnum):
    """Which side of the INVITE we are."""

    UAS = "uas"
    UAC = "uac"


class LegState(StrEnum):
    """Where the dialog is."""

    INCOMING = "incoming"
    INVITED = "invited"
    RINGING = "ringing"
    EARLY = "early"
    """Early media: 183 with SDP before the answer."""
    ANSWERED = "answered"
    """200 sent, no ACK yet (UAS)."""
    CONFIRMED = "confirmed"
    CLOSING = "closing"
    """We have hung up; the worker has not reported the end yet."""
    ENDED = "ended"


Handler = str
"""Name of the method that handles the event."""

_UAS_UNANSWERED = (LegState.INCOMING, LegState.RINGING, LegState.EARLY)
_UAS_LIVE = (*_UAS_UNANSWERED, LegState.ANSWERED, LegState.CONFIRMED)
_UAC_UNANSWERED = (LegState.INVITED, LegState.RINGING, LegState.EARLY)
_UAC_LIVE = (*_UAC_UNANSWERED, LegState.CONFIRMED)

_TRANSFER: dict[tuple[LegState, type[LegEvent]], Handler] = {
    (state, event): "_on_nothing"
    for state in (LegState.CONFIRMED, LegState.CLOSING)
    for event in (LegReferred, ReferProgress)
}
"""A REFER from the peer or from us: legal within an answered dialog, and without effect on the leg."""

TRANSITIONS: dict[Role, dict[tuple[LegState, type[LegEvent]], Handler]] = {
    Role.UAS: {
        (LegState.ANSWERED, LegConfirmed): "_on_confirmed",
        (LegState.CLOSING, LegConfirmed): "_on_nothing",
        **{(state, MediaChanged): "_on_media" for state in _UAS_LIVE},
        (LegState.CLOSING, MediaChanged): "_on_nothing",
        (LegState.EARLY, DtmfReceived): "_on_nothing",
        (LegState.ANSWERED, DtmfReceived): "_on_nothing",
        (LegState.CONFIRMED, DtmfReceived): "_on_nothing",
        (LegState.CLOSING, DtmfReceived): "_on_nothing",
        **_TRANSFER,
        **{(state, LegEnded): "_on_ended" for state in (*_UAS_LIVE, LegState.CLOSING)},
    },
    Role.UAC: {
        **{(state, LegProgress): "_on_progress" for state in _UAC_UNANSWERED},
        (LegState.CLOSING, LegProgress): "_on_nothing",
        # Packets may still arrive after the peer has gone back to 180; the 180 decides what is heard then.
        (LegState.RINGING, EarlyMediaChanged): "_on_early_media",
        (LegState.EARLY, EarlyMediaChanged): "_on_early_media",
        (LegState.CLOSING, EarlyMediaChanged): "_on_nothing",
        **{(state, LegAnswered): "_on_answered" for state in _UAC_UNANSWERED},
        # The 200 has crossed our CANCEL: the worker sends ACK and BYE (RFC 3261 §9.1), and we ignore it.
        (LegState.CLOSING, LegAnswered): "_on_nothing",
        **{(state, MediaChanged): "_on_media" for state in _UAC_LIVE},
        (LegState.CLOSING, MediaChanged): "_on_nothing",
        (LegState.RINGING, DtmfReceived): "_on_nothing",
        (LegState.EARLY, DtmfReceived): "_on_nothing",
        (LegState.CONFIRMED, DtmfReceived): "_on_nothing",
        (LegState.CLOSING, DtmfReceived): "_on_nothing",
        **_TRANSFER,
        **{(state, LegEnded): "_on_ended" for state in (*_UAC_LIVE, LegState.CLOSING)},
    },
}
"""Which event is legal in which state. LegIncoming creates a leg and is never passed to one; after the end no
event is legal."""

_UNANSWERED = frozenset({LegState.INCOMING, LegState.INVITED, LegState.RINGING, LegState.EARLY})
_HAS_MEDIA = frozenset({LegState.EARLY, LegState.ANSWERED, LegState.CONFIRMED})
_TALKING = frozenset({LegState.ANSWERED, LegState.CONFIRMED})
_OVER = frozenset({LegState.CLOSING, LegState.ENDED})

_RING_FROM = frozenset({LegState.INCOMING})
_PROGRESS_FROM = frozenset({LegState.INCOMING, LegState.RINGING})
_ANSWER_FROM = frozenset({LegState.INCOMING, LegState.RINGING, LegState.EARLY})

LIMIT_S: dict[LegState, float] = {
    LegState.ANSWERED: 40.0,  # RFC 3261 §13.3.1.4: 64*T1 = 32 s for the ACK, then the library ends the leg
    LegState.CONFIRMED: 86400.0 + 3600.0,  # the longest timeLimit, plus an hour for what surrounds the bridge
    LegState.CLOSING: 35.0,  # 64*T1 for the CANCEL or the BYE, and a margin
}
"""How long a leg may stay in a state, in seconds. For the states before the answer see ``allow_ringing``."""

UNANSWERED_LIMIT_S = 180.0
"""How long a caller's leg may stay unanswered unless another limit is given, in seconds."""

_ALERTING = frozenset({180, 183})


class Leg:
    """The state of one leg, the times of its events, and the gate for its commands.

    Args:
        leg: id of the leg.
        role: UAS for an incoming leg, UAC for one whose InviteLeg is being sent now.
        now: monotonic seconds.
        ring_limit_s: how long the leg may stay unanswered, in seconds.
    """

    def __init__(self, leg: LegId, role: Role, now: float, ring_limit_s: float = UNANSWERED_LIMIT_S) -> None:
        self.id = leg
        self.role = role
        self.state = LegState.INCOMING if role is Role.UAS else LegState.INVITED
        self.invited_at = now
        self.ringing_at: float | None = None
        self.early_at: float | None = None
        self.answered_at: float | None = None
        self.confirmed_at: float | None = None
        self.hung_up_at: float | None = None
        self.ended_at: float | None = None
        self.hangup_command: HangupLeg | None = None
        """Our hangup, if we hung up; the peer's reasons are in ``ended``."""
        self.ended: LegEnded | None = None
        """The end as the worker reported it, or made up where it sent no report."""
        self.answer_headers: Headers = ()
        """Headers of the peer's 200 (UAC)."""
        self.held = False
        """The peer has put us on hold."""
        self.early_media = False
        """The peer has agreed on early media, which the caller may hear while packets arrive (UAC)."""
        self.early_media_comes = False
        """Packets of early media are arriving (UAC)."""
        self.unexpected = UnexpectedEvents("leg")
        """Events that are not legal in the state they arrived in, as ``state EventName``."""
        self.rings_with_media = False
        """The peer needs an offer in the first reliable response (RFC 3262 §5), so 183 replaces 180 (UAS)."""
        self._media_opened_by = 0
        self._deadline: float = now + ring_limit_s

    # --- queries ---

    @property
    def live(self) -> bool:
        """Whether the leg has neither ended nor been hung up by us."""
        return self.state not in _OVER

    @property
    def unanswered(self) -> bool:
        """Whether the leg is live and no 200 has been sent or received."""
        return self.state in _UNANSWERED

    @property
    def has_media(self) -> bool:
        """Whether the peer can hear us: the leg is live, and 183 with SDP or 200 has been exchanged."""
        return self.state in _HAS_MEDIA

    def next_deadline(self) -> float | None:
        """Return when ``tick`` has something to do, in monotonic seconds; None once the leg has ended."""
        return None if self.state is LegState.ENDED else self._deadline

    def begin_again(self, leg: LegId, now: float, ring_limit_s: float) -> None:
        """Stand for the dialog of another INVITE to the same party, after the first was refused (UAC).

        ``invited_at`` remains that of the first INVITE.
        """
        if self.role is not Role.UAC or self.ended is None or self.answered_at is not None:
            raise LocalStateError(f"leg {self.id} is {self.state}: no other INVITE can take its place")
        self.id, self.state = leg, LegState.INVITED
        self.ringing_at = self.early_at = self.ended_at = None
        self.ended = None
        self.early_media = self.early_media_comes = False
        self._media_opened_by = 0
        self._deadline = now + ring_limit_s

    # --- acts ---

    def ring(self, now: float) -> list[LegCommand]:
        """Send 180, unless 180 or 183 has been sent: a second one would change the caller's ringback."""
        self._must_be(Role.UAS)
        if self.state not in _RING_FROM:
            return []
        if self.rings_with_media:
            return self.progress(now)
        self.state, self.ringing_at = LegState.RINGING, now
        return [RingLeg(leg=self.id)]

    def progress(self, now: float) -> list[LegCommand]:
        """Send 183 with SDP."""
        self._must_be(Role.UAS)
        if self.state not in _PROGRESS_FROM:
            return []
        self.state, self.early_at = LegState.EARLY, now
        return [ProgressLeg(leg=self.id)]

    def answer(self, now: float, headers: Headers = ()) -> list[LegCommand]:
        """Send 200."""
        self._must_be(Role.UAS)
        if self.state not in _ANSWER_FROM:
            return []
        self.answered_at = now
        self._enter(LegState.ANSWERED, now)
        return [AnswerLeg(leg=self.id, headers=headers)]

    def hangup(self, now: float, sip_code: int = 603, headers: Headers = ()) -> list[LegCommand]:
        """Hang up by final response, CANCEL or BYE. ``sip_code`` matters only on an unanswered UAS leg."""
        if not self.live:
            return []
        self.hangup_command = HangupLeg(leg=self.id, sip_code=sip_code, headers=headers)
        self.hung_up_at = now
        self._enter(LegState.CLOSING, now)
        return [self.hangup_command]

    def send_dtmf(self, digits: str) -> list[LegCommand]:
        """Send keys if the leg is answered."""
        return [SendDtmf(leg=self.id, digits=digits)] if self.state in _TALKING else []

    def allow_ringing(self, until: float) -> None:
        """Let the leg stay unanswered until then (monotonic seconds), for the Dial that keeps it waiting.

        The deadline only ever moves later, so that the caller keeps the time it was given before.
        """
        if self.unanswered:
            self._deadline = max(self._deadline, until)

    # --- facts ---

    def handle(self, event: LegEvent, now: float) -> bool:
        """Handle a fact about this leg.

        Returns: whether the event is legal in the current state; if not, it is counted and changes nothing.
            There are no commands to return: a leg acts by itself only when its deadline passes.
        """
        handler = TRANSITIONS[self.role].get((self.state, type(event)))
        if handler is None:
            self.unexpected.note(f"{self.state} {type(event).__name__}")
            return False
        getattr(self, handler)(event, now)
        return True

    def tick(self, now: float) -> list[LegCommand]:
        """Hang up if the deadline has passed; if that was done before, end the leg without a report.

        The owner checks ``ended`` afterwards.
        """
        if self.state is LegState.ENDED or now < self._deadline:
            return []
        if self.state is not LegState.CLOSING:
            return self.hangup(now, sip_code=480)
        # The worker owes a LegEnded for every leg; the one for this leg will not arrive any more.
        lost = LegEnded(
            leg=self.id, at=now, cause="worker", sip_code=503, reason="end not reported", headers=()
        )
        self._on_ended(lost, now)
        return []

    # --- handlers ---

    def _on_progress(self, event: LegProgress, now: float) -> None:
        if event.early_media and not self._media_opened_by:
            self._media_opened_by = event.status
        # A 180 after a 183 with SDP asks us to play ringback to the caller (RFC 3960 §3.1), although the
        # media session of the 183 still stands. A 180 after a 180 with SDP changes nothing.
        back_to_ringing = event.status == 180 and self._media_opened_by != 180
        self.early_media = event.early_media and not back_to_ringing
        if event.status in _ALERTING and self.ringing_at is None:
            self.ringing_at = event.at
        if self.early_media:
            self.state = LegState.EARLY
            self.early_at = event.at if self.early_at is None else self.early_at
        elif event.status in _ALERTING:
            self.state = LegState.RINGING

    def _on_early_media(self, event: EarlyMediaChanged, now: float) -> None:
        self.early_media_comes = event.coming

    def _on_answered(self, event: LegAnswered, now: float) -> None:
        self.answered_at = self.confirmed_at = event.at
        self.answer_headers = event.headers
        self._enter(LegState.CONFIRMED, now)

    def _on_confirmed(self, event: LegConfirmed, now: float) -> None:
        self.confirmed_at = event.at
        self._enter(LegState.CONFIRMED, now)

    def _on_media(self, event: MediaChanged, now: float) -> None:
        self.held = event.held_by_peer

    def _on_ended(self, event: LegEnded, now: float) -> None:
        self.ended, self.ended_at = event, event.at
        self.state = LegState.ENDED

    def _on_nothing(self, event: LegEvent, now: float) -> None:
        """Accept an event that is legal and changes nothing."""

    def _enter(self, state: LegState, now: float) -> None:
        self.state = state
        self._deadline = now + LIMIT_S[state]

    def _must_be(self, role: Role) -> None:
        if self.role is not role:
            raise LocalStateError(
                f"leg {self.id} is a {self.role} leg, which does not ring, progress or answer"
            )
