"""The bridged phase of a Dial (see ``dial``), and the legs that are still ending after it.

Sources: TwiML ``<Dial>``; RFC 3261 §15; RFC 3515.
"""

from b2bua.core.commands import AllowRefer, Connection
from b2bua.core.dial_course import COMPLETED_ELSEWHERE, DialCourse
from b2bua.core.dial_report import BranchReferred, Bridged, DialOutput
from b2bua.core.dial_table import (
    BranchCanceled,
    CanceledBy,
    DialCanceled,
    DialParked,
    DialRejoined,
    DialReplaced,
    DialState,
    TimeLimitReached,
)
from b2bua.core.events import DtmfReceived, Headers, LegEnded, LegReferred
from b2bua.core.fork import Branch
from b2bua.core.outcomes import HangupReason, hung_up_outcome, left_reason, talked_outcome
from b2bua.core.reasons import passed_on

__all__ = ["DialBridge"]

_ENDED: dict[CanceledBy, HangupReason] = {
    "api": HangupReason.ENDED_BY_API,
    "node": HangupReason.ENDED_BY_NODE,
    "fault": HangupReason.FAULT,
}


class DialBridge:
    """Handles the events of a Dial from its bridge until its last leg has ended.

    Args:
        course: the Dial's shared state.
    """

    def __init__(self, course: DialCourse) -> None:
        self._course = course
        self._plan, self._a_leg, self._fork = course.plan, course.a_leg, course.fork

    def form(self, winner: Branch, now: float) -> list[DialOutput]:
        """Bridge the caller with this branch and hang up the others."""
        self._course.state, self._course.winner = DialState.BRIDGED, winner
        self._course.time_limit_at = now + self._plan.time_limit_s
        assert winner.leg
        return [
            *(self._a_leg.answer(now) if self._a_leg.unanswered else ()),
            *self._join(),
            *self._fork.hangup(now, HangupReason.ELSEWHERE, but=winner, headers=COMPLETED_ELSEWHERE),
            *winner.answered(now),
            *((AllowRefer(leg=winner.leg.id, allowed=True),) if self._plan.allow_refer else ()),
            Bridged(leg=winner.leg.id, at=now),
        ]

    def _join(self) -> list[DialOutput]:
        assert self._course.winner and self._course.winner.leg
        a, b = self._a_leg.id, self._course.winner.leg.id
        return [*self._course.want_media((Connection(a, b), Connection(b, a))), *self._course.listen(True)]

    def _on_parked(self, event: DialParked, now: float) -> list[DialOutput]:
        self._course.parked = True
        return [*self._course.want_media(()), *self._course.listen(False)]

    def _on_rejoined(self, event: DialRejoined, now: float) -> list[DialOutput]:
        self._course.parked = False
        return self._join() if self._a_leg.live else []

    def _on_replaced(self, event: DialReplaced, now: float) -> list[DialOutput]:
        return self._unbridge(now, HangupReason.TRANSFERRED)

    def _on_referred(self, event: LegReferred, now: float) -> list[DialOutput]:
        if self._course.branch(event) is not self._course.winner or self._course.parked:
            return []
        return [BranchReferred(referred=event)]

    def _on_branch_canceled_in_bridge(self, event: BranchCanceled, now: float) -> list[DialOutput]:
        if self._course.winner is not self._fork.find(event.leg):
            return []
        return self._unbridge(now, HangupReason.ENDED_BY_API)

    def _on_caller_dtmf(self, event: DtmfReceived, now: float) -> list[DialOutput]:
        if self._course.parked:
            return []  # the key is for the document or party that has the caller meanwhile
        if event.digit == "*" and self._plan.hangup_on_star:
            return self._unbridge(now, HangupReason.CALLER_LEFT)
        if event.method == "inband" or event.passed:
            return []  # the callee has heard it, or received it
        assert self._course.winner and self._course.winner.leg
        return [*self._course.winner.leg.send_dtmf(event.digit)]

    def _on_callee_dtmf(self, event: DtmfReceived, now: float) -> list[DialOutput]:
        if self._course.branch(event) is not self._course.winner or self._course.parked or event.passed:
            return []
        return [*self._a_leg.send_dtmf(event.digit)]

    def _on_caller_left(self, event: LegEnded, now: float) -> list[DialOutput]:
        return self._unbridge(now, left_reason(event), passed_on(event))

    def _on_time_limit(self, event: TimeLimitReached, now: float) -> list[DialOutput]:
        return self._unbridge(now, HangupReason.TIME_LIMIT)

    def _on_canceled_in_bridge(self, event: DialCanceled, now: float) -> list[DialOutput]:
        return self._unbridge(now, _ENDED[event.by])

    def _unbridge(self, now: float, reason: HangupReason, headers: Headers = ()) -> list[DialOutput]:
        assert self._course.winner
        # Normally only the winner is undecided; after an error other branches may be too.
        hangups = self._fork.hangup(now, reason, headers=headers)
        return [*hangups, *self._course.settle(now, hung_up_outcome(reason), self._course.winner)]

    def _on_ended_in_bridge(self, event: LegEnded, now: float) -> list[DialOutput]:
        branch = self._course.branch(event)
        if branch is not self._course.winner:
            return branch.complete(now)
        branch.outcome = talked_outcome(event)
        return [*branch.complete(now), *self._course.settle(now, branch.outcome, branch)]

    def _on_closed(self, event: LegEnded, now: float) -> list[DialOutput]:
        self._course.close()
        return self._course.branch(event).complete(now)
