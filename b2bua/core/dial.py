"""``<Dial>``: rings targets, lets one win, bridges it with the caller, and settles exactly once.

The machine decides when each target is invited, what the caller hears meanwhile, which branch wins, and the
outcome. It must not know of TwiML, webhooks, trunks or media slots. It owns the b_legs; the caller's leg
belongs to the session, which passes events to that leg *before* it passes them to the Dial.

::

    new ──start──> ringing ──a 200──> bridged ──an end──> closing ──last leg ended──> done
                      └───── all failed, timeout, caller gone, canceled ────^

In ``closing`` the Dial is settled: the document goes on while losing branches still end. Between its 200 and
the bridge a branch may be sent keys and be screened (``fork.Phase``); the Dial is still ringing then, and the
caller hears ringback. By default the other branches are cancelled at the answer, with ``first_to_accept`` at
the bridge. ``dial_table`` holds the transitions; ``dial_ringing`` and ``dial_bridge`` hold the handlers.
Sources: TwiML ``<Dial>``; RFC 3261 §13.2.2.4, §15, §16.7; RFC 3326; RFC 3960.
"""

from b2bua.core.commands import InviteLeg
from b2bua.core.deadlines import earliest
from b2bua.core.dial_bridge import DialBridge
from b2bua.core.dial_course import DialCourse
from b2bua.core.dial_plan import DialPlan
from b2bua.core.dial_report import DialOutput, DialResult
from b2bua.core.dial_ringing import DialRinging
from b2bua.core.dial_table import (
    TRANSITIONS,
    BranchCanceled,
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
    LegEvent,
)
from b2bua.core.fork import Branch
from b2bua.core.ids import LegId
from b2bua.core.leg import Leg
from b2bua.core.outcomes import (
    HangupReason,
    hung_up_outcome,
)
from b2bua.core.unexpected import UnexpectedEvents

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


class Dial:
    """One Dial, from ``start`` until ``done``.

    Args:
        plan: targets and rules.
        a_leg: the caller's leg. The Dial sends commands through it; the session passes events to it.
    """

    def __init__(self, plan: DialPlan, a_leg: Leg) -> None:
        self.plan = plan
        self.a_leg = a_leg
        self.unexpected = UnexpectedEvents("dial")
        """Events of unknown legs, or not legal in the Dial's state, as ``state side EventName``."""
        self._course = DialCourse(plan, a_leg)
        self._bridge = DialBridge(self._course)
        self._ringing = DialRinging(self._course, self._bridge)

    @property
    def state(self) -> DialState:
        """The state of the Dial."""
        return self._course.state

    @property
    def result(self) -> DialResult | None:
        """The result; None until the Dial is settled."""
        return self._course.result

    @property
    def done(self) -> bool:
        """Whether the Dial is settled and all its legs have ended."""
        return self.state is DialState.DONE

    @property
    def open_legs(self) -> tuple[LegId, ...]:
        """Legs whose end has not been reported yet."""
        return tuple(branch.leg.id for branch in self._course.fork.branches if branch.leg and branch.open)

    def start(self, now: float) -> list[DialOutput]:
        """Send 180, 183 or 200 to the caller, and the INVITEs to the targets.

        Raises:
            LocalStateError: the Dial was started before.
        """
        if self.state is not DialState.NEW:
            raise LocalStateError("a Dial can start only once")
        self._course.state = DialState.RINGING
        return self._ringing.start(now)

    def leg(self, leg: LegId) -> Leg | None:
        """Return the leg with this id if it belongs to a branch."""
        branch = self._course.fork.find(leg)
        return branch.leg if branch else None

    def retarget(self, leg: LegId, invites: tuple[InviteLeg, ...]) -> None:
        """Add the targets of a 3xx with which the peer of this branch is about to end its leg."""
        branch = self._course.fork.find(leg)
        if branch is not None and branch.undecided:
            branch.retarget(invites)

    def release(self, leg: LegId, now: float) -> tuple[Leg | None, list[DialOutput]]:
        """Give a branch's leg to the owner without hanging it up; its end is no longer passed to the Dial.

        If the branch was the winner, the Dial settles; if it was still ringing, the others go on.
        """
        branch = self._course.fork.find(leg)
        if branch is None or not branch.undecided or self.state not in (DialState.RINGING, DialState.BRIDGED):
            return None, []
        branch.outcome = hung_up_outcome(HangupReason.ENDED_BY_API)
        if branch is self._course.winner:
            output = self._course.settle(now, branch.outcome, branch, released=True)
            released = branch.release()
            self._course.close()
            return released, output
        branch.outcome = hung_up_outcome(HangupReason.CANCELED_BY_API)
        return branch.release(), self._ringing.go_on(now) if self.state is DialState.RINGING else []

    def handle(self, event: LegEvent | DialOrder, now: float) -> list[DialOutput]:
        """Handle a fact about a leg, or a request from the owner.

        Events of unknown legs, and events not legal in the current state, are counted and change nothing.
        """
        if isinstance(event, DialOrder):
            return self._dispatch(Side.OWNER, event, now)
        if event.leg == self.a_leg.id:
            return self._dispatch(Side.A_LEG, event, now)
        branch = self._course.fork.find(event.leg)
        if branch is None or branch.leg is None or not branch.leg.handle(event, now):
            return self._count(Side.B_LEG, event)
        return self._dispatch(Side.B_LEG, event, now)

    def next_deadline(self) -> float | None:
        """Return when ``tick`` has something to do (monotonic seconds); None when done.

        The a_leg's own deadline is not included.
        """
        deadlines = [self._course.time_limit_at]
        for branch in self._course.fork.branches:
            deadlines.append(branch.leg.next_deadline() if branch.leg else None)
            if branch.undecided and self.state is DialState.RINGING:
                deadlines += [branch.keys_due_at, branch.screen_until]
        return earliest(*deadlines)

    def tick(self, now: float) -> list[DialOutput]:
        """Handle what is due: time limit, keys, screening and ring timeouts, ends never reported."""
        output: list[DialOutput] = []
        if self._course.time_limit_at is not None and now >= self._course.time_limit_at:
            output += self._dispatch(Side.OWNER, TimeLimitReached(), now)
        for branch in self._course.fork.branches:
            output += self._tick_branch(branch, now)
        return output

    # --- the machine ---

    def _dispatch(self, side: Side, event: DialEvent, now: float) -> list[DialOutput]:
        handler = TRANSITIONS.get((self.state, side, type(event)))
        if handler is None:
            return self._count(side, event)
        phase = self._ringing if self.state is DialState.RINGING else self._bridge
        output: list[DialOutput] = getattr(phase, handler)(event, now) if handler else []
        return output

    def _count(self, side: Side, event: DialEvent) -> list[DialOutput]:
        self.unexpected.note(f"{self.state} {side} {type(event).__name__}")
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
            # The leg is answered and has outlived the limit for any leg, whatever the plan allows.
            return self._dispatch(Side.OWNER, TimeLimitReached(), now)
        leg.tick(now)
        assert leg.ended
        return self._dispatch(Side.B_LEG, leg.ended, now)
