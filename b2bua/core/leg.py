"""One leg as the controller sees it: a UAS leg (a caller's) or a UAC leg (a callee's).

The one gate for commands to a leg: every SIP act goes through a method of its name, which returns the
command, or nothing where the state makes the act pointless (a second hangup, 180 after 183, anything after
the end). Facts come in by ``handle``. A leg always has a deadline until it has ended; when a worker never
reports the end of a leg, ``tick`` makes it up. Must never know why a leg is wanted: that is the Dial's.

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
    """Media before the answer."""
    ANSWERED = "answered"
    """200 sent, no ACK yet (UAS)."""
    CONFIRMED = "confirmed"
    CLOSING = "closing"
    """We have hung up; the end is not reported yet."""
    ENDED = "ended"


Handler = str
"""Name of the method that takes the event."""

_UAS_UNANSWERED = (LegState.INCOMING, LegState.RINGING, LegState.EARLY)
_UAS_LIVE = (*_UAS_UNANSWERED, LegState.ANSWERED, LegState.CONFIRMED)
_UAC_UNANSWERED = (LegState.INVITED, LegState.RINGING, LegState.EARLY)
_UAC_LIVE = (*_UAC_UNANSWERED, LegState.CONFIRMED)

_TRANSFER: dict[tuple[LegState, type[LegEvent]], Handler] = {
    (state, event): "_on_nothing"
    for state in (LegState.CONFIRMED, LegState.CLOSING)
    for event in (LegReferred, ReferProgress)
}
"""A REFER of the peer's or of ours: within an answered dialog, and no business of the leg's."""

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
        # It may ring again and send media still: what is to be heard then is the 180's to say.
        (LegState.RINGING, EarlyMediaChanged): "_on_early_media",
        (LegState.EARLY, EarlyMediaChanged): "_on_early_media",
        (LegState.CLOSING, EarlyMediaChanged): "_on_nothing",
        **{(state, LegAnswered): "_on_answered" for state in _UAC_UNANSWERED},
        # The 200 has crossed our CANCEL: the worker sends ACK and BYE (RFC 3261 §9.1), we forget it.
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
"""What may come when. LegIncoming makes a leg and is never fed to one; nothing may come after the end."""

_UNANSWERED = frozenset({LegState.INCOMING, LegState.INVITED, LegState.RINGING, LegState.EARLY})
_HAS_MEDIA = frozenset({LegState.EARLY, LegState.ANSWERED, LegState.CONFIRMED})
_TALKING = frozenset({LegState.ANSWERED, LegState.CONFIRMED})
_OVER = frozenset({LegState.CLOSING, LegState.ENDED})

_RING_FROM = frozenset({LegState.INCOMING})
_PROGRESS_FROM = frozenset({LegState.INCOMING, LegState.RINGING})
_ANSWER_FROM = frozenset({LegState.INCOMING, LegState.RINGING, LegState.EARLY})

LIMIT_S: dict[LegState, float] = {
    LegState.ANSWERED: 40.0,  # RFC 3261 §13.3.1.4: 64*T1 = 32 s for the ACK, then the library ends the leg
    LegState.CONFIRMED: 86400.0 + 3600.0,  # the longest timeLimit, and an hour for what comes around it
    LegState.CLOSING: 35.0,  # 64*T1 for the CANCEL or the BYE, and a margin
}
"""How long a leg may stay in a state, in seconds; before the answer see ``allow_ringing``."""

UNANSWERED_LIMIT_S = 180.0
"""How long a caller's leg may stay unanswered when nobody has said how long it may ring."""

_ALERTING = frozenset({180, 183})


class Leg:
    """The state of one leg, its time line, and the gate for its commands.

    Args:
        leg: its id.
        role: UAS for an incoming leg, UAC for one whose InviteLeg is being sent now.
        now: monotonic seconds.
        ring_limit_s: how long it may stay unanswered, in seconds.
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
        """How we hung up, if we did; the peer's reasons are in ``ended``."""
        self.ended: LegEnded | None = None
        """The end as it was reported, or made up when no report came."""
        self.answer_headers: Headers = ()
        """Of the peer's 200 (UAC)."""
        self.held = False
        """The peer has put us on hold."""
        self.early_media = False
        """The peer has agreed on media before its answer, to be heard as far as they come (UAC)."""
        self.early_media_comes = False
        """Packets of them come (UAC)."""
        self.unexpected = UnexpectedEvents("leg")
        """Events that do not belong to the state they came in, as ``state EventName``."""
        self.rings_with_media = False
        """RFC 3262 §5: it wants an offer in the first reliable response, which our 180 has not (UAS)."""
        self._media_opened_by = 0
        self._deadline: float = now + ring_limit_s

    # --- what may be asked ---

    @property
    def live(self) -> bool:
        """Neither hung up by us nor ended."""
        return self.state not in _OVER

    @property
    def unanswered(self) -> bool:
        """Live, and no 200 has been sent or received."""
        return self.state in _UNANSWERED

    @property
    def has_media(self) -> bool:
        """The peer can hear us: 183 with SDP or 200 has been exchanged, and the leg is live."""
        return self.state in _HAS_MEDIA

    def next_deadline(self) -> float | None:
        """When ``tick`` has something to do, in monotonic seconds; None once the leg has ended."""
        return None if self.state is LegState.ENDED else self._deadline

    # --- acts ---

    def ring(self, now: float) -> list[LegCommand]:
        """Send 180. Nothing where 180 or 183 has been sent already: the caller's ringback would change."""
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
        """End it: a final response, CANCEL or BYE. ``sip_code`` matters on an unanswered UAS leg only."""
        if not self.live:
            return []
        self.hangup_command = HangupLeg(leg=self.id, sip_code=sip_code, headers=headers)
        self.hung_up_at = now
        self._enter(LegState.CLOSING, now)
        return [self.hangup_command]

    def send_dtmf(self, digits: str) -> list[LegCommand]:
        """Send keys; nothing unless the leg is answered."""
        return [SendDtmf(leg=self.id, digits=digits)] if self.state in _TALKING else []

    def allow_ringing(self, until: float) -> None:
        """The Dial that keeps this leg waiting says until when it may stay unanswered (monotonic seconds).

        Only ever later than before: what was promised to the caller is kept.
        """
        if self.unanswered:
            self._deadline = max(self._deadline, until)

    # --- facts ---

    def handle(self, event: LegEvent, now: float) -> bool:
        """Take a fact about this leg.

        Returns: whether it belongs to the state the leg is in. What does not is counted and changes nothing.
            (No command: a leg never acts by itself on an event, only when its time is up.)
        """
        handler = TRANSITIONS[self.role].get((self.state, type(event)))
        if handler is None:
            self.unexpected.note(f"{self.state} {type(event).__name__}")
            return False
        getattr(self, handler)(event, now)
        return True

    def tick(self, now: float) -> list[LegCommand]:
        """When the deadline has passed: hang up; if that was done already, end without a report.

        The owner looks at ``ended`` afterwards.
        """
        if self.state is LegState.ENDED or now < self._deadline:
            return []
        if self.state is not LegState.CLOSING:
            return self.hangup(now, sip_code=480)
        # The worker owes a LegEnded for every leg; this one's is not going to come.
        lost = LegEnded(
            leg=self.id, at=now, cause="worker", sip_code=503, reason="end not reported", headers=()
        )
        self._on_ended(lost, now)
        return []

    # --- handlers ---

    def _on_progress(self, event: LegProgress, now: float) -> None:
        if event.early_media and not self._media_opened_by:
            self._media_opened_by = event.status
        # A 180 after a 183 that carried media means: ring the caller yourself (RFC 3960 §3.1), although the
        # session of the 183 still stands. A 180 that follows a 180 with SDP changes nothing.
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
        """A fact that is in order and changes nothing here."""

    def _enter(self, state: LegState, now: float) -> None:
        self.state = state
        self._deadline = now + LIMIT_S[state]

    def _must_be(self, role: Role) -> None:
        if self.role is not role:
            raise LocalStateError(
                f"leg {self.id} is a {self.role} leg, which does not ring, progress or answer"
            )
