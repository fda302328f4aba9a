"""``<Dial>``: rings targets, lets one win, bridges it with the caller, and settles exactly once.

Decides who is invited when, what the caller hears meanwhile, who wins, and what the outcome is. Must never
know of TwiML, webhooks, trunks or media slots. It owns the b_legs; the caller's leg belongs to the session,
which gives that leg its events *before* it gives them to the Dial.

::

    new ──start──> ringing ──a 200──> bridged ──an end──> closing ──last leg ended──> done
                      └───── all failed, timeout, caller gone, canceled ────^

``closing`` is settled: the document goes on while losers still end. Between its 200 and the bridge a branch
may be sent keys and be asked whether it wants the call (``fork.Phase``): for the Dial that is ringing still,
and the caller hears ringback. By default the others are cancelled at the pick-up; with ``first_to_accept`` at
the bridge. What is done when is in ``dial_table``.
Sources: TwiML ``<Dial>``; RFC 3261 §13.2.2.4, §15, §16.7; RFC 3326; RFC 3960.
"""

from collections import Counter

from b2bua.core.commands import AllowRefer, Connection, InviteLeg, ListenForKeys, SetMedia
from b2bua.core.dial_plan import DialPlan
from b2bua.core.dial_report import BranchReferred, Bridged, DialOutput, DialResult, DialSettled
from b2bua.core.dial_table import (
    TRANSITIONS,
    BranchCanceled,
    CanceledBy,
    DialCanceled,
    DialEvent,
    DialOrder,
    DialParked,
    DialRejoined,
    DialReplaced,
    DialState,
    KeysDue,
    RingTimedOut,
    ScreeningEnded,
    ScreeningTimedOut,
    Side,
    TimeLimitReached,
)
from b2bua.core.errors import LocalStateError
from b2bua.core.events import (
    DtmfReceived,
    EarlyMediaChanged,
    Headers,
    LegAnswered,
    LegEnded,
    LegEvent,
    LegProgress,
    LegReferred,
)
from b2bua.core.fork import Branch, Fork, Phase
from b2bua.core.ids import LegId
from b2bua.core.leg import Leg
from b2bua.core.outcomes import (
    HangupReason,
    Outcome,
    Refusal,
    gone_reason,
    hung_up_outcome,
    left_reason,
    refused_outcome,
    talked_outcome,
    unanswered_outcome,
)
from b2bua.core.reasons import passed_on

__all__ = [
    "TRANSITIONS",
    "BranchCanceled",
    "Dial",
    "DialCanceled",
    "DialEvent",
    "DialOrder",
    "DialParked",
    "DialRejoined",
    "DialReplaced",
    "DialState",
    "RingTimedOut",
    "ScreeningEnded",
    "Side",
    "TimeLimitReached",
]


COMPLETED_ELSEWHERE: Headers = (("Reason", 'SIP;cause=200;text="Call completed elsewhere"'),)
"""RFC 3326 §2: for losers of a fork, so that their phones show no missed call."""

CALLER_PATIENCE_S = 60.0
"""How much longer than its targets may ring the caller's leg may stay unanswered."""

_CANCELED: dict[CanceledBy, HangupReason] = {
    "api": HangupReason.CANCELED_BY_API,
    "node": HangupReason.CANCELED_BY_NODE,
    "fault": HangupReason.FAULT,
}
_ENDED: dict[CanceledBy, HangupReason] = {
    "api": HangupReason.ENDED_BY_API,
    "node": HangupReason.ENDED_BY_NODE,
    "fault": HangupReason.FAULT,
}


class Dial:
    """One Dial, from ``start`` until ``done``.

    Args:
        plan: targets and rules.
        a_leg: the caller's leg. The Dial sends it commands through its gate; its events are fed to it by the
            session.
    """

    def __init__(self, plan: DialPlan, a_leg: Leg) -> None:
        self.plan = plan
        self.a_leg = a_leg
        self.state = DialState.NEW
        self.result: DialResult | None = None
        """Set when settled."""
        self.unexpected: Counter[str] = Counter()
        """Events that belong to no leg of this Dial or not to its state, as ``state side EventName``."""
        self._fork = Fork(plan)
        self._winner: Branch | None = None
        self._time_limit_at: float | None = None
        self._media: tuple[Connection, ...] = ()
        self._parked = False

    @property
    def done(self) -> bool:
        """Settled, and every leg of it has ended."""
        return self.state is DialState.DONE

    @property
    def open_legs(self) -> tuple[LegId, ...]:
        """Legs whose end has not been reported yet."""
        return tuple(branch.leg.id for branch in self._fork.branches if branch.leg and branch.open)

    def start(self, now: float) -> list[DialOutput]:
        """Ring: the caller's 180, 183 or 200, and the INVITEs.

        Raises:
            LocalStateError: it was started before.
        """
        if self.state is not DialState.NEW:
            raise LocalStateError("a Dial starts once")
        self.state = DialState.RINGING
        if not self.a_leg.live:
            return self._abandon(now, gone_reason(self.a_leg.ended))
        invites = self._attempt(now)
        if not self._fork.undecided:
            return [*self._answer_at_once(now), *invites, *self._settle_failed(now)]
        return [*self._ring_caller(now), *invites]

    def leg(self, leg: LegId) -> Leg | None:
        """The leg of a branch."""
        branch = self._fork.find(leg)
        return branch.leg if branch else None

    def retarget(self, leg: LegId, invites: tuple[InviteLeg, ...]) -> None:
        """The peer of this branch is about to end it with a 3xx that leads to these."""
        branch = self._fork.find(leg)
        if branch is not None and branch.undecided:
            branch.retarget(invites)

    def release(self, leg: LegId, now: float) -> tuple[Leg | None, list[DialOutput]]:
        """Let go of a branch without hanging it up: it is the owner's, and its end is not told here.

        When that was the winner, the Dial settles; when it still rang, the others go on.
        """
        branch = self._fork.find(leg)
        if branch is None or not branch.undecided or self.state not in (DialState.RINGING, DialState.BRIDGED):
            return None, []
        branch.outcome = hung_up_outcome(HangupReason.ENDED_BY_API)
        if branch is self._winner:
            output = self._settle(now, branch.outcome, branch, released=True)
            released = branch.release()
            self.state = DialState.CLOSING if self._fork.open else DialState.DONE
            return released, output
        branch.outcome = hung_up_outcome(HangupReason.CANCELED_BY_API)
        return branch.release(), self._go_on(now) if self.state is DialState.RINGING else []

    def handle(self, event: LegEvent | DialOrder, now: float) -> list[DialOutput]:
        """Take a fact about one of its legs, or a request from above.

        Events of legs it does not know, or that may not come now, are counted and change nothing.
        """
        if isinstance(event, DialOrder):
            return self._dispatch(Side.OWNER, event, now)
        if event.leg == self.a_leg.id:
            return self._dispatch(Side.A_LEG, event, now)
        branch = self._fork.find(event.leg)
        if branch is None or branch.leg is None or not branch.leg.handle(event, now):
            return self._count(Side.B_LEG, event)
        return self._dispatch(Side.B_LEG, event, now)

    def next_deadline(self) -> float | None:
        """When ``tick`` has something to do (monotonic seconds); None when done. Without the a_leg's own."""
        deadlines = [self._time_limit_at]
        for branch in self._fork.branches:
            deadlines.append(branch.leg.next_deadline() if branch.leg else None)
            if branch.undecided and self.state is DialState.RINGING:
                deadlines += [branch.keys_due_at, branch.screen_until]
        return min((at for at in deadlines if at is not None), default=None)

    def tick(self, now: float) -> list[DialOutput]:
        """Do what is due: time limit, ring timeouts, ends that were never reported."""
        output: list[DialOutput] = []
        if self._time_limit_at is not None and now >= self._time_limit_at:
            output += self._dispatch(Side.OWNER, TimeLimitReached(), now)
        for branch in self._fork.branches:
            output += self._tick_branch(branch, now)
        return output

    # --- the machine ---

    def _dispatch(self, side: Side, event: DialEvent, now: float) -> list[DialOutput]:
        handler = TRANSITIONS.get((self.state, side, type(event)))
        if handler is None:
            return self._count(side, event)
        output: list[DialOutput] = getattr(self, handler)(event, now)
        return output

    def _count(self, side: Side, event: DialEvent) -> list[DialOutput]:
        self.unexpected[f"{self.state} {side} {type(event).__name__}"] += 1
        return []

    def _tick_branch(self, branch: Branch, now: float) -> list[DialOutput]:
        leg = branch.leg
        if leg and branch.undecided and self.state is DialState.RINGING:
            if branch.keys_due_at is not None and now >= branch.keys_due_at:
                return self._dispatch(Side.OWNER, KeysDue(leg=leg.id), now)
            if branch.screen_until is not None and now >= branch.screen_until:
                return self._dispatch(Side.OWNER, ScreeningTimedOut(leg=leg.id), now)
        due = leg.next_deadline() if leg else None
        if leg is None or due is None or now < due:
            return []
        if branch.undecided and leg.unanswered:
            return self._dispatch(Side.OWNER, RingTimedOut(leg=leg.id), now)
        if branch.undecided:
            # Answered, and older than any leg may be, whatever the plan allows.
            return self._dispatch(Side.OWNER, TimeLimitReached(), now)
        leg.tick(now)
        assert leg.ended
        return self._dispatch(Side.B_LEG, leg.ended, now)

    def _on_nothing(self, event: DialEvent, now: float) -> list[DialOutput]:
        return []

    # --- ringing ---

    def _attempt(self, now: float) -> list[DialOutput]:
        self.a_leg.allow_ringing(now + self.plan.ring_timeout_s + CALLER_PATIENCE_S)
        return self._fork.attempt(now)

    def _ring_caller(self, now: float) -> list[DialOutput]:
        output = self._answer_at_once(now)
        if self.a_leg.unanswered:
            output += self.a_leg.progress(now) if self.plan.ringtone else self.a_leg.ring(now)
        return [*output, *self._want_media(self._ringback())]

    def _answer_at_once(self, now: float) -> list[DialOutput]:
        """Also of a Dial without anybody to ring: what answers a call does not depend on who is there."""
        wanted = self.a_leg.unanswered and not self.plan.answer_on_bridge
        return list(self.a_leg.answer(now)) if wanted else []

    def _ringback(self) -> tuple[Connection, ...]:
        """What the caller hears while it rings: one-way early media, else our tone, nothing after 180."""
        if not self.a_leg.has_media:
            return ()
        # RFC 3960 §3.2: an SDP answer only promises media. Ringback is made until the first packets, and
        # again when no more come.
        early = self._fork.early_media
        source = early.id if early and early.early_media_comes else self.plan.tone
        return (Connection(source, self.a_leg.id),)

    def _on_progress(self, event: LegProgress, now: float) -> list[DialOutput]:
        branch = self._branch(event)
        if not branch.undecided:
            return []
        output = branch.ringing(now)
        if self._fork.early_media and self.a_leg.unanswered:
            output += self.a_leg.progress(now)
        return [*output, *self._want_media(self._ringback())]

    def _on_early_media(self, event: EarlyMediaChanged, now: float) -> list[DialOutput]:
        return self._want_media(self._ringback())

    def _on_picked_up(self, event: LegAnswered, now: float) -> list[DialOutput]:
        branch = self._branch(event)
        if not branch.undecided:
            return []  # it crossed our CANCEL
        if not self.a_leg.live:
            return self._abandon(now, gone_reason(self.a_leg.ended))
        if not branch.plan.screened and not branch.plan.send_digits:
            return self._bridge(branch, now)
        output: list[DialOutput] = []
        if not self.plan.first_to_accept:
            output += self._fork.hangup(now, HangupReason.ELSEWHERE, but=branch, headers=COMPLETED_ELSEWHERE)
        output += branch.pick_up(now, self.plan.screening_limit_s)
        return [*output, *self._want_media(self._ringback())]

    def _on_keys_due(self, event: KeysDue, now: float) -> list[DialOutput]:
        branch = self._branch(event)
        if not self.a_leg.live:
            return self._abandon(now, gone_reason(self.a_leg.ended))
        output = branch.advance(now)
        return [*output, *self._bridge(branch, now)] if branch.ready else output

    def _on_screened(self, event: ScreeningEnded, now: float) -> list[DialOutput]:
        branch = self._fork.find(event.leg)
        if branch is None or not branch.undecided or branch.phase is not Phase.SCREENING:
            return []
        if not self.a_leg.live:
            return self._abandon(now, gone_reason(self.a_leg.ended))
        if event.accepted:
            return self._bridge(branch, now)
        return [*branch.hangup(now, HangupReason.REFUSED), *self._go_on(now)]

    def _on_screening_timeout(self, event: ScreeningTimedOut, now: float) -> list[DialOutput]:
        return [*self._branch(event).hangup(now, HangupReason.SCREENING_TIMEOUT), *self._go_on(now)]

    def _on_branch_canceled(self, event: BranchCanceled, now: float) -> list[DialOutput]:
        branch = self._fork.find(event.leg)
        if branch is None or not branch.undecided:
            return []
        return [*branch.hangup(now, HangupReason.CANCELED_BY_API), *self._go_on(now)]

    def _on_failed(self, event: LegEnded, now: float) -> list[DialOutput]:
        branch = self._branch(event)
        if not branch.undecided:
            return branch.complete(now)
        if branch.phase is not Phase.RINGING:
            branch.outcome = hung_up_outcome(HangupReason.REFUSED)
        elif self.a_leg.live and (again := branch.try_next(event, now)):
            return [*again, *self._want_media(self._ringback())]
        else:
            branch.outcome = unanswered_outcome(event)
        return [*branch.complete(now), *self._go_on(now)]

    def _on_ring_timeout(self, event: RingTimedOut, now: float) -> list[DialOutput]:
        return [*self._branch(event).hangup(now, HangupReason.RING_TIMEOUT), *self._go_on(now)]

    def _go_on(self, now: float) -> list[DialOutput]:
        """A branch has failed: wait for the others, try the next, or give up."""
        if self._fork.undecided:
            return []
        if not self.a_leg.live:
            return self._abandon(now, gone_reason(self.a_leg.ended))
        output = self._attempt(now)
        if not self._fork.undecided:
            return [*output, *self._settle_failed(now)]
        return [*output, *self._want_media(self._ringback())]

    def _on_caller_gone(self, event: LegEnded, now: float) -> list[DialOutput]:
        return self._abandon(now, gone_reason(event))

    def _on_canceled(self, event: DialCanceled, now: float) -> list[DialOutput]:
        return self._abandon(now, _CANCELED[event.by])

    def _abandon(self, now: float, reason: HangupReason) -> list[DialOutput]:
        """Nobody is to answer any more. "Completed elsewhere" is for the caller to say: it was not here."""
        branch = next(iter(self._fork.undecided), self._fork.most_informative)
        hangups = self._fork.hangup(now, reason, headers=passed_on(self.a_leg.ended))
        return [*hangups, *self._settle(now, hung_up_outcome(reason), branch)]

    # --- bridged ---

    def _bridge(self, winner: Branch, now: float) -> list[DialOutput]:
        self.state, self._winner = DialState.BRIDGED, winner
        self._time_limit_at = now + self.plan.time_limit_s
        assert winner.leg
        return [
            *(self.a_leg.answer(now) if self.a_leg.unanswered else ()),
            *self._join(),
            *self._fork.hangup(now, HangupReason.ELSEWHERE, but=winner, headers=COMPLETED_ELSEWHERE),
            *winner.answered(now),
            *((AllowRefer(leg=winner.leg.id, allowed=True),) if self.plan.allow_refer else ()),
            Bridged(leg=winner.leg.id, at=now),
        ]

    def _join(self) -> list[DialOutput]:
        assert self._winner and self._winner.leg
        a, b = self.a_leg.id, self._winner.leg.id
        return [*self._want_media((Connection(a, b), Connection(b, a))), *self._listen(True)]

    def _on_parked(self, event: DialParked, now: float) -> list[DialOutput]:
        self._parked = True
        return [*self._want_media(()), *self._listen(False)]

    def _on_rejoined(self, event: DialRejoined, now: float) -> list[DialOutput]:
        self._parked = False
        return self._join() if self.a_leg.live else []

    def _on_replaced(self, event: DialReplaced, now: float) -> list[DialOutput]:
        return self._unbridge(now, HangupReason.TRANSFERRED)

    def _on_referred(self, event: LegReferred, now: float) -> list[DialOutput]:
        if self._branch(event) is not self._winner or self._parked:
            return []
        return [BranchReferred(referred=event)]

    def _on_branch_canceled_in_bridge(self, event: BranchCanceled, now: float) -> list[DialOutput]:
        if self._winner is not self._fork.find(event.leg):
            return []
        return self._unbridge(now, HangupReason.ENDED_BY_API)

    def _on_caller_dtmf(self, event: DtmfReceived, now: float) -> list[DialOutput]:
        if self._parked:
            return []  # what it presses is for whatever it is with now
        if event.digit == "*" and self.plan.hangup_on_star:
            return self._unbridge(now, HangupReason.CALLER_LEFT)
        if event.method == "inband":
            return []  # the callee has heard it
        assert self._winner and self._winner.leg
        return [*self._winner.leg.send_dtmf(event.digit)]

    def _on_callee_dtmf(self, event: DtmfReceived, now: float) -> list[DialOutput]:
        if self._branch(event) is not self._winner or self._parked:
            return []
        return [*self.a_leg.send_dtmf(event.digit)]

    def _on_caller_left(self, event: LegEnded, now: float) -> list[DialOutput]:
        return self._unbridge(now, left_reason(event), passed_on(event))

    def _on_time_limit(self, event: TimeLimitReached, now: float) -> list[DialOutput]:
        return self._unbridge(now, HangupReason.TIME_LIMIT)

    def _on_canceled_in_bridge(self, event: DialCanceled, now: float) -> list[DialOutput]:
        return self._unbridge(now, _ENDED[event.by])

    def _unbridge(self, now: float, reason: HangupReason, headers: Headers = ()) -> list[DialOutput]:
        assert self._winner
        # Only the winner is undecided, unless an error has kept the others from being hung up.
        hangups = self._fork.hangup(now, reason, headers=headers)
        return [*hangups, *self._settle(now, hung_up_outcome(reason), self._winner)]

    def _on_ended_in_bridge(self, event: LegEnded, now: float) -> list[DialOutput]:
        branch = self._branch(event)
        if branch is not self._winner:
            return branch.complete(now)
        branch.outcome = talked_outcome(event)
        return [*branch.complete(now), *self._settle(now, branch.outcome, branch)]

    # --- settled ---

    def _settle_failed(self, now: float) -> list[DialOutput]:
        """All targets have failed. No target at all is a number that cannot be dialled."""
        best = self._fork.most_informative
        outcome = best.outcome if best else None
        return self._settle(now, outcome or refused_outcome(Refusal.BAD_NUMBER), best)

    def _settle(
        self, now: float, outcome: Outcome, branch: Branch | None, *, released: bool = False
    ) -> list[DialOutput]:
        assert self.result is None
        self.result = DialResult(
            outcome=outcome,
            leg=_leg_of(branch) if branch else None,
            child=branch.plan.child if branch else None,
            kind=branch.plan.kind if branch else None,
            sip_call_id=branch.plan.invite.sip_call_id if branch and branch.plan.invite else None,
            bridged=self._winner is not None,
            duration_s=branch.talked_s(now) if branch else 0.0,
            ring_duration_ms=round(branch.rang_s(now) * 1000) if branch else 0,
            headers=branch.headers if branch else (),
            released=released,
        )
        self._time_limit_at = None
        self.state = DialState.CLOSING if self._fork.open else DialState.DONE
        deaf = self._listen(False) if self._winner and not self._parked else ()
        return [*self._want_media(()), *deaf, DialSettled(result=self.result, at=now)]

    def _on_closed(self, event: LegEnded, now: float) -> list[DialOutput]:
        self.state = DialState.CLOSING if self._fork.open else DialState.DONE
        return self._branch(event).complete(now)

    # --- looking things up ---

    def _branch(self, event: LegEvent | RingTimedOut | KeysDue | ScreeningTimedOut) -> Branch:
        branch = self._fork.find(event.leg)
        assert branch
        return branch

    def _want_media(self, connections: tuple[Connection, ...]) -> list[DialOutput]:
        """Ask for a media graph if it is not the one that is."""
        if connections == self._media:
            return []
        self._media = connections
        return [SetMedia(connections=connections)]

    def _listen(self, wanted: bool) -> list[DialOutput]:
        """For a star that comes as a tone."""
        if not (self.plan.hangup_on_star and self.a_leg.live):
            return []
        return [ListenForKeys(leg=self.a_leg.id, wanted=wanted)]


def _leg_of(branch: Branch) -> LegId:
    """The leg of its last INVITE."""
    return branch.leg.id if branch.leg else branch.plan.leg
