"""The ringing phase of a Dial (see ``dial``): INVITEs, ringback, early media, screening and giving up.

Sources: TwiML ``<Dial>``; RFC 3261 §13.2.2.4, §16.7; RFC 3326; RFC 3960.
"""

from b2bua.core.commands import Connection, RingLeg
from b2bua.core.dial_bridge import DialBridge
from b2bua.core.dial_course import COMPLETED_ELSEWHERE, DialCourse
from b2bua.core.dial_report import DialOutput
from b2bua.core.dial_table import (
    BranchCanceled,
    CanceledBy,
    DialCanceled,
    KeysDue,
    RingTimedOut,
    ScreeningEnded,
    ScreeningTimedOut,
)
from b2bua.core.events import EarlyMediaChanged, LegAnswered, LegEnded, LegProgress
from b2bua.core.fork import Phase
from b2bua.core.outcomes import (
    HangupReason,
    NotInvited,
    gone_reason,
    hung_up_outcome,
    refused_outcome,
    unanswered_outcome,
)
from b2bua.core.reasons import passed_on

__all__ = ["DialRinging"]

CALLER_PATIENCE_S = 60.0
"""Seconds that the caller's leg may stay unanswered beyond the ring timeout of its targets."""

_CANCELED: dict[CanceledBy, HangupReason] = {
    "api": HangupReason.CANCELED_BY_API,
    "node": HangupReason.CANCELED_BY_NODE,
    "fault": HangupReason.FAULT,
}


class DialRinging:
    """Handles the events of a Dial until a branch is bridged or the Dial is settled.

    Args:
        course: the Dial's shared state.
        bridge: bridges the winner with the caller.
    """

    def __init__(self, course: DialCourse, bridge: DialBridge) -> None:
        self._course = course
        self._plan, self._a_leg, self._fork = course.plan, course.a_leg, course.fork
        self._bridge = bridge

    def start(self, now: float) -> list[DialOutput]:
        """Send 180, 183 or 200 to the caller, and the INVITEs to the targets.

        A 180 is sent last: the library needs a millisecond for it, for which no callee has to wait.
        """
        if not self._a_leg.live:
            return self._abandon(now, gone_reason(self._a_leg.ended))
        invites = self._attempt(now)
        if not self._fork.undecided:
            return [*self._answer_at_once(now), *invites, *self._settle_failed(now)]
        rung = self._ring_caller(now)
        return [*invites, *rung] if rung == [RingLeg(leg=self._a_leg.id)] else [*rung, *invites]

    def _attempt(self, now: float) -> list[DialOutput]:
        self._a_leg.allow_ringing(now + self._plan.ring_timeout_s + CALLER_PATIENCE_S)
        return self._fork.attempt(now)

    def _ring_caller(self, now: float) -> list[DialOutput]:
        output = self._answer_at_once(now)
        if self._a_leg.unanswered:
            output += self._a_leg.progress(now) if self._plan.ringtone else self._a_leg.ring(now)
        return [*output, *self._course.want_media(self._ringback())]

    def _answer_at_once(self, now: float) -> list[DialOutput]:
        """Answer the caller unless ``answer_on_bridge`` is set, even if no target can be invited.

        Whether a call is answered must not depend on which targets are available.
        """
        wanted = self._a_leg.unanswered and not self._plan.answer_on_bridge
        return list(self._a_leg.answer(now)) if wanted else []

    def _ringback(self) -> tuple[Connection, ...]:
        """Return what the caller hears: one-way early media, else our tone; nothing after a mere 180."""
        if not self._a_leg.has_media:
            return ()
        # RFC 3960 §3.2: an SDP answer only promises media. We play ringback until the first packets arrive
        # and again when they stop.
        early = self._fork.early_media
        source = early.id if early and early.early_media_comes else self._plan.tone
        return (Connection(source, self._a_leg.id),)

    def _on_progress(self, event: LegProgress, now: float) -> list[DialOutput]:
        branch = self._course.branch(event)
        if not branch.undecided:
            return []
        output = branch.ringing(now)
        if self._fork.early_media and self._a_leg.unanswered:
            output += self._a_leg.progress(now)
        return [*output, *self._course.want_media(self._ringback())]

    def _on_early_media(self, event: EarlyMediaChanged, now: float) -> list[DialOutput]:
        return self._course.want_media(self._ringback())

    def _on_picked_up(self, event: LegAnswered, now: float) -> list[DialOutput]:
        branch = self._course.branch(event)
        if not branch.undecided:
            return []  # the 200 crossed our CANCEL
        if not self._a_leg.live:
            return self._abandon(now, gone_reason(self._a_leg.ended))
        if not branch.plan.screened and not branch.plan.send_digits:
            return self._bridge.form(branch, now)
        output: list[DialOutput] = []
        if not self._plan.first_to_accept:
            output += self._fork.hangup(now, HangupReason.ELSEWHERE, but=branch, headers=COMPLETED_ELSEWHERE)
        output += branch.pick_up(now, self._plan.screening_limit_s)
        return [*output, *self._course.want_media(self._ringback())]

    def _on_keys_due(self, event: KeysDue, now: float) -> list[DialOutput]:
        branch = self._course.branch(event)
        if not self._a_leg.live:
            return self._abandon(now, gone_reason(self._a_leg.ended))
        output = branch.advance(now)
        return [*output, *self._bridge.form(branch, now)] if branch.ready else output

    def _on_screened(self, event: ScreeningEnded, now: float) -> list[DialOutput]:
        branch = self._fork.find(event.leg)
        if branch is None or not branch.undecided or branch.phase is not Phase.SCREENING:
            return []
        if not self._a_leg.live:
            return self._abandon(now, gone_reason(self._a_leg.ended))
        if event.accepted:
            return self._bridge.form(branch, now)
        return [*branch.hangup(now, HangupReason.REFUSED), *self.go_on(now)]

    def _on_screening_timeout(self, event: ScreeningTimedOut, now: float) -> list[DialOutput]:
        return [*self._course.branch(event).hangup(now, HangupReason.SCREENING_TIMEOUT), *self.go_on(now)]

    def _on_branch_canceled(self, event: BranchCanceled, now: float) -> list[DialOutput]:
        branch = self._fork.find(event.leg)
        if branch is None or not branch.undecided:
            return []
        return [*branch.hangup(now, HangupReason.CANCELED_BY_API), *self.go_on(now)]

    def _on_failed(self, event: LegEnded, now: float) -> list[DialOutput]:
        branch = self._course.branch(event)
        if not branch.undecided:
            return branch.complete(now)
        if branch.phase is not Phase.RINGING:
            branch.outcome = hung_up_outcome(HangupReason.REFUSED)
        elif self._a_leg.live and (again := branch.try_next(event, now)):
            return [*again, *self._course.want_media(self._ringback())]
        else:
            branch.outcome = unanswered_outcome(event)
        return [*branch.complete(now), *self.go_on(now)]

    def _on_ring_timeout(self, event: RingTimedOut, now: float) -> list[DialOutput]:
        return [*self._course.branch(event).hangup(now, HangupReason.RING_TIMEOUT), *self.go_on(now)]

    def go_on(self, now: float) -> list[DialOutput]:
        """Go on after a branch has failed: wait for the others, try the next, or give up."""
        if self._fork.undecided:
            return []
        if not self._a_leg.live:
            return self._abandon(now, gone_reason(self._a_leg.ended))
        output = self._attempt(now)
        if not self._fork.undecided:
            return [*output, *self._settle_failed(now)]
        return [*output, *self._course.want_media(self._ringback())]

    def _on_caller_gone(self, event: LegEnded, now: float) -> list[DialOutput]:
        lost = event.cause == "worker"
        return self._abandon(now, HangupReason.WORKER_DIED if lost else gone_reason(event))

    def _on_canceled(self, event: DialCanceled, now: float) -> list[DialOutput]:
        return self._abandon(now, _CANCELED[event.by])

    def _abandon(self, now: float, reason: HangupReason) -> list[DialOutput]:
        """Cancel all branches and settle. Only the caller's own Reason can say "completed elsewhere" here."""
        branch = next(iter(self._fork.undecided), self._fork.most_informative)
        hangups = self._fork.hangup(now, reason, headers=passed_on(self._a_leg.ended))
        return [*hangups, *self._course.settle(now, hung_up_outcome(reason), branch)]

    def _settle_failed(self, now: float) -> list[DialOutput]:
        """Settle after all targets have failed. A Dial without any target counts as a bad number."""
        best = self._fork.most_informative
        outcome = best.outcome if best else None
        return self._course.settle(now, outcome or refused_outcome(NotInvited.BAD_NUMBER), best)
