"""The fork of a Dial and its branches: their plans, legs, outcomes and reports.

A branch guarantees that the first cause of its end decides the outcome and that ``completed`` is reported
exactly once. It may need several INVITEs, one after the other; all of them belong to the same child call.
"""

from enum import StrEnum

from b2bua.core.attempts import Attempts
from b2bua.core.commands import InviteLeg
from b2bua.core.dial_plan import BranchPlan, DialPlan
from b2bua.core.dial_report import BranchReport, BranchStage, DialOutput, ScreenBranch
from b2bua.core.digits import Keys
from b2bua.core.events import Headers, LegEnded
from b2bua.core.ids import LegId
from b2bua.core.leg import Leg, Role
from b2bua.core.outcomes import HangupReason, Outcome, hung_up_outcome, rank

__all__ = ["Branch", "Fork", "Phase"]


class Phase(StrEnum):
    """How far a branch has come on its way into the bridge."""

    RINGING = "ringing"
    KEYING = "keying"
    """The callee has answered and we send it keys."""
    SCREENING = "screening"
    """The callee has answered and is asked whether it accepts the call."""


class Branch:
    """The state of one target from its INVITE on."""

    def __init__(self, plan: BranchPlan) -> None:
        self.plan = plan
        self.leg: Leg | None = None
        """None until the INVITE is sent, and again after ``release``."""
        self.outcome: Outcome | None = None
        """Set when the end is decided, possibly before the leg has ended."""
        self.phase = Phase.RINGING
        self._attempts = Attempts(plan.alternatives, 0.0)
        self._keys: Keys | None = None
        self._screen_until: float | None = None
        self._reported: set[BranchStage] = set()

    @property
    def undecided(self) -> bool:
        """Whether the branch was invited and neither we nor the peer has ended it."""
        return self.leg is not None and self.outcome is None

    @property
    def open(self) -> bool:
        """Whether the end of the branch's leg has not been reported yet."""
        return self.leg is not None and self.leg.ended is None

    def attempt(self, now: float, ring_timeout_s: float) -> list[DialOutput]:
        """Send the INVITE, or report a refused target as completed."""
        if self.plan.invite is None:
            self.outcome = self.plan.refused
            return self.complete(now)
        self._attempts.until = now + ring_timeout_s
        self.leg = Leg(self.plan.leg, Role.UAC, now, ring_timeout_s)
        return [self.plan.invite, self.report("initiated", now)]

    def retarget(self, invites: tuple[InviteLeg, ...]) -> None:
        """Put the targets of the peer's imminent 3xx before all other alternatives."""
        self._attempts.put_first(invites)

    def try_next(self, ended: LegEnded, now: float) -> list[DialOutput]:
        """Send another INVITE if the route caused the end, or if the peer has named another target (3xx)."""
        assert self.leg
        invite = self._attempts.take_next(self.leg, ended, now)
        if invite is None:
            return []
        self.leg = Leg(invite.leg, Role.UAC, now, self._attempts.until - now)
        return [invite]

    def hangup(self, now: float, reason: HangupReason, headers: Headers = ()) -> list[DialOutput]:
        """End the branch, which must be undecided, for ``reason``."""
        assert self.leg and self.outcome is None
        self.outcome = hung_up_outcome(reason)
        return [*self.leg.hangup(now, headers=headers)]

    def release(self) -> Leg:
        """Give the leg away to another owner; the branch no longer follows it."""
        assert self.leg
        leg, self.leg = self.leg, None
        return leg

    # --- between the answer and the bridge ---

    def pick_up(self, now: float, screening_limit_s: float) -> list[DialOutput]:
        """Begin what comes between the answer and the bridge: keys, then screening."""
        self._screen_until = now + screening_limit_s if self.plan.screened else None
        self._keys = Keys(self.plan.send_digits, now) if self.plan.send_digits else None
        self.phase = Phase.KEYING if self._keys else Phase.RINGING
        return [*self.answered(now), *self.advance(now)]

    def advance(self, now: float) -> list[DialOutput]:
        """Send the keys that are due; after the last one, begin screening."""
        assert self.leg
        output: list[DialOutput] = []
        if self._keys is not None:
            keys = self._keys.take(now)
            output += self.leg.send_dtmf(keys) if keys else []
            if self._keys.due_at is not None:
                return output
            self._keys = None
        if self._screen_until is None or self.phase is Phase.SCREENING:
            return output
        self.phase = Phase.SCREENING
        return [*output, ScreenBranch(leg=self.leg.id, child=self.plan.child)]

    @property
    def ready(self) -> bool:
        """Whether no keys are left to send and no screening is pending."""
        return self._keys is None and self._screen_until is None

    @property
    def keys_due_at(self) -> float | None:
        """When the next key is due."""
        return self._keys.due_at if self._keys is not None else None

    @property
    def screen_until(self) -> float | None:
        """When the screening times out; None before it begins."""
        return self._screen_until if self.phase is Phase.SCREENING else None

    # --- reports ---

    def ringing(self, now: float) -> list[DialOutput]:
        """Report ``ringing`` when the leg rings for the first time."""
        if self.leg is None or self.leg.ringing_at is None:
            return []
        return self._once("ringing", now)

    def answered(self, now: float) -> list[DialOutput]:
        """Report ``answered``, once."""
        return self._once("answered", now)

    def complete(self, now: float) -> list[DialOutput]:
        """Report ``completed``, once."""
        assert "completed" not in self._reported
        return self._once("completed", now)

    def _once(self, stage: BranchStage, now: float) -> list[DialOutput]:
        if stage in self._reported:
            return []
        self._reported.add(stage)
        return [self.report(stage, now)]

    def report(self, stage: BranchStage, now: float) -> BranchReport:
        """Return a report of this branch."""
        completed = stage == "completed"
        return BranchReport(
            leg=self.plan.leg,
            child=self.plan.child,
            stage=stage,
            at=now,
            outcome=self.outcome if completed else None,
            duration_s=self.talked_s(now) if completed else 0.0,
        )

    def talked_s(self, now: float) -> float:
        """Return the seconds from the answer to the end (to now while it lasts); 0 without an answer."""
        if self.leg is None or self.leg.answered_at is None:
            return 0.0
        return max(0.0, self._until(self.leg, now) - self.leg.answered_at)

    def rang_s(self, now: float) -> float:
        """Return the seconds from the first 180 or 183 to the answer or the end; 0 if it never rang."""
        if self.leg is None or self.leg.ringing_at is None:
            return 0.0
        until = self._until(self.leg, now) if self.leg.answered_at is None else self.leg.answered_at
        return max(0.0, until - self.leg.ringing_at)

    @property
    def headers(self) -> Headers:
        """Headers of the peer's answer and of its end."""
        if self.leg is None:
            return ()
        return (*self.leg.answer_headers, *(self.leg.ended.headers if self.leg.ended else ()))

    @staticmethod
    def _until(leg: Leg, now: float) -> float:
        # For the billed duration our hangup is the end, not the 200 to our BYE.
        if leg.hung_up_at is not None:
            return leg.hung_up_at
        return now if leg.ended_at is None else leg.ended_at


class Fork:
    """All branches of a Dial, in the order of its plan."""

    def __init__(self, plan: DialPlan) -> None:
        self._plan = plan
        self.branches = tuple(Branch(branch) for branch in plan.branches)
        self._tried = 0

    @property
    def undecided(self) -> list[Branch]:
        """Branches that may still answer, and the winner while it is bridged."""
        return [branch for branch in self.branches if branch.undecided]

    @property
    def open(self) -> bool:
        """Whether the end of any leg has not been reported yet."""
        return any(branch.open for branch in self.branches)

    @property
    def early_media(self) -> Leg | None:
        """The leg whose early media the caller hears while packets arrive; None: it hears ringback."""
        legs = [branch.leg for branch in self.undecided if self._plan.may_pass_early_media]
        return next((leg for leg in legs if leg and leg.early_media and leg.unanswered), None)

    @property
    def most_informative(self) -> Branch | None:
        """The branch with the most informative outcome, the first of equals; None if none was tried."""
        decided = [branch for branch in self.branches if branch.outcome]
        return max(decided, key=lambda branch: rank(branch.outcome) if branch.outcome else 0, default=None)

    def find(self, leg: LegId) -> Branch | None:
        """Return the branch whose current leg this is."""
        return next((branch for branch in self.branches if branch.leg and branch.leg.id == leg), None)

    def attempt(self, now: float) -> list[DialOutput]:
        """Invite all targets, or if sequential the next one that can be invited."""
        output: list[DialOutput] = []
        for branch in self.branches[self._tried :]:
            self._tried += 1
            output += branch.attempt(now, self._plan.ring_timeout_s)
            if self._plan.sequential and branch.undecided:
                break
        return output

    def hangup(
        self, now: float, reason: HangupReason, *, but: Branch | None = None, headers: Headers = ()
    ) -> list[DialOutput]:
        """End all undecided branches except ``but``."""
        output: list[DialOutput] = []
        for branch in self.undecided:
            if branch is not but:
                output += branch.hangup(now, reason, headers)
        return output
