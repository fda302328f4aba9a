"""The Dials of one flow: the one its document is at, and those that are settled while losers still end.

Knows what a Dial's branches are to the application: child calls with status callbacks of their own. It must
never decide how a Dial goes (``core.dial``), nor what the document does next (``call_flow``).
"""

from dataclasses import dataclass

import msgspec

from b2bua.core.dial import (
    BranchCanceled,
    Dial,
    DialCanceled,
    DialParked,
    DialRejoined,
    DialReplaced,
    ScreeningEnded,
)
from b2bua.core.dial_report import (
    BranchReferred,
    BranchReport,
    Bridged,
    DialOutput,
    DialResult,
    DialSettled,
    ScreenBranch,
)
from b2bua.core.events import LegEnded, LegEvent
from b2bua.core.ids import CallSid, LegId
from b2bua.core.leg import Leg
from b2bua.flow.call_report import CallReport, StatusCallback
from b2bua.flow.caller import Caller
from b2bua.flow.child import Child
from b2bua.flow.context import SessionContext
from b2bua.flow.dial_recording import DialRecording, dial_recording_plan
from b2bua.flow.orders import NoteFinding, SessionOrder
from b2bua.flow.parameters import Parameters
from b2bua.flow.recordings import CallRecordings
from b2bua.flow.redirection import Redirections
from b2bua.flow.targets import plan_dial
from b2bua.flow.verb_run import Resolve
from b2bua.twiml import verbs

__all__ = ["Callee", "DialOver", "Dialing", "DialingOutput"]


class DialOver(msgspec.Struct, frozen=True, kw_only=True):
    """The Dial is over for the document."""

    verb: verbs.Dial
    result: DialResult
    recording: Parameters = ()
    """What ``action`` is told of its recording."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Callee:
    """A branch of a Dial as a call of its own."""

    leg: Leg
    child: Child
    report: CallReport
    screen_url: str
    """Absolute; empty where it is not screened, or there is no such URL."""


DialingOutput = SessionOrder | DialOver | ScreenBranch | BranchReferred


class Dialing:
    """See the module's docstring.

    Args:
        context: the session's.
        leg: the flow's own, which is the caller's in its Dials.
        call_sid: the flow's.
        caller: whom its Dials are from.
        recordings: the session's.
    """

    def __init__(
        self,
        context: SessionContext,
        leg: Leg,
        call_sid: CallSid,
        caller: Caller,
        recordings: CallRecordings,
    ) -> None:
        self._context = context
        self._leg = leg
        self._call_sid = call_sid
        self._caller = caller
        self._recordings = recordings
        self._recorded: dict[Dial, DialRecording] = {}
        self._dials: dict[LegId, Dial] = {}
        """By each of their branches' legs; until they are done."""
        self._current: tuple[verbs.Dial, Dial] | None = None
        self._parked: tuple[verbs.Dial, Dial] | None = None
        """Whose callee waits for what comes of the transfer that it asked for."""
        self._children: dict[LegId, tuple[Child, CallReport, str]] = {}
        """What a branch is to the application, whom that is told to, and where its screening document is."""
        self._redirections: dict[LegId, Redirections] = {}
        """One of each branch, by all of its legs."""

    @property
    def active(self) -> bool:
        """The document is at a Dial."""
        return self._current is not None

    @property
    def verb(self) -> verbs.Dial | None:
        """What the document is at."""
        return None if self._current is None else self._current[0]

    @property
    def parked(self) -> bool:
        """A callee waits."""
        return self._parked is not None

    @property
    def done(self) -> bool:
        """No leg of any Dial is left."""
        return not self._dials

    @property
    def open_legs(self) -> list[LegId]:
        """Legs whose end has not been reported."""
        return [leg for dial in set(self._dials.values()) for leg in dial.open_legs]

    def knows(self, leg: LegId) -> bool:
        """The leg is one of a Dial's branches."""
        return leg in self._dials

    def callee(self, leg: LegId) -> Callee | None:
        """The branch of a leg."""
        dial, known = self._dials.get(leg), self._children.get(leg)
        found = dial.leg(leg) if dial is not None else None
        if found is None or known is None:
            return None
        return Callee(leg=found, child=known[0], report=known[1], screen_url=known[2])

    def leg_of(self, call_sid: CallSid) -> LegId | None:
        """The leg of a child call that has one."""
        legs = (leg for leg, (child, _, _) in self._children.items() if child.call_sid == call_sid)
        return next((leg for leg in legs if self.callee(leg) is not None), None)

    def report_of(self, call_sid: CallSid) -> CallReport | None:
        """What is told of a child call."""
        reports = (report for _, report, _ in self._children.values())
        return next((report for report in reports if report.call_sid == call_sid), None)

    def start(
        self, verb: verbs.Dial, resolve: Resolve, now: float, takes_over: str = ""
    ) -> list[DialingOutput]:
        """Ring its targets; ``takes_over``: or take the place of a dialog."""
        planned = plan_dial(verb, self._call_sid, self._caller, self._context, takes_over)
        dial = Dial(planned.plan, self._leg)
        self._current = (verb, dial)
        notes = [NoteFinding(call_sid=self._call_sid, finding=finding) for finding in planned.findings]
        orders: list[DialingOutput] = [*notes, *self._record(verb, dial, resolve)]
        for branch, child in zip(planned.plan.branches, planned.children, strict=True):
            orders += self._expect(branch.leg, child, resolve)
            invites = () if branch.invite is None else (branch.invite, *branch.alternatives)
            self._know(branch.leg, dial, Redirections(invites, self._context))
        return orders + self._outputs(dial, dial.start(now))

    def _know(self, known: LegId, dial: Dial, redirections: Redirections) -> None:
        """By whatever way it is reached, it is one child call."""
        for leg in (known, *redirections.legs):
            self._dials[leg] = dial
            self._children[leg] = self._children[known]
            self._redirections[leg] = redirections

    def _record(self, verb: verbs.Dial, dial: Dial, resolve: Resolve) -> list[SessionOrder]:
        """It may be recorded, when it comes so far."""
        callback, notes = "", list[SessionOrder]()
        if verb.recording_status_callback is not None:
            url, notes = resolve(verb.recording_status_callback)
            callback = url or ""
        plan = dial_recording_plan(verb, self._call_sid, self._leg.id, callback)
        if plan is None:
            return []
        single = len(dial.plan.branches) == 1
        self._recorded[dial] = DialRecording(verb, plan, self._recordings, single=single)
        return notes

    def _expect(self, leg: LegId, child: Child, resolve: Resolve) -> list[SessionOrder]:
        """Somebody may want to know of this child call."""
        noun = child.noun
        callback, screen_url, notes = StatusCallback(), "", list[SessionOrder]()
        if noun.status_callback is not None:
            url, notes = resolve(noun.status_callback)
            callback = StatusCallback(
                url=url or "", method=noun.status_callback_method, events=noun.status_callback_event
            )
        if noun.url is not None:
            url, more = resolve(noun.url)
            screen_url, notes = url or "", notes + more
        report = CallReport(child.call_sid, child, self._context, callback)
        self._children[leg] = (child, report, screen_url)
        return notes

    def handle(self, event: LegEvent, now: float) -> list[DialingOutput]:
        """Take a fact about the caller's leg (the Dials that are not settled want it) or a branch's."""
        if event.leg == self._leg.id:
            return self._order(event, now)
        dial = self._dials.get(event.leg)
        if dial is None:
            return []
        if isinstance(event, LegEnded):
            redirections = self._redirections[event.leg]
            dial.retarget(event.leg, redirections.follow(event))
            self._know(event.leg, dial, redirections)
        return self._outputs(dial, dial.handle(event, now))

    def cancel(self, event: DialCanceled, now: float) -> list[DialingOutput]:
        """The Dial is to end now."""
        return self._order(event, now)

    def screened(self, event: ScreeningEnded, now: float) -> list[DialingOutput]:
        """A callee was asked."""
        dial = self._dials.get(event.leg)
        return [] if dial is None else self._outputs(dial, dial.handle(event, now))

    def hang_up(self, leg: LegId, now: float) -> list[DialingOutput]:
        """One callee is to be hung up (REST)."""
        dial = self._dials.get(leg)
        return [] if dial is None else self._outputs(dial, dial.handle(BranchCanceled(leg=leg), now))

    def release(self, leg: LegId, now: float) -> list[DialingOutput]:
        """Let go of a callee; its leg's events are somebody else's from now on."""
        dial = self._dials.pop(leg, None)
        if dial is None:
            return []
        _, outputs = dial.release(leg, now)
        return self._outputs(dial, outputs)

    def drop(self, now: float) -> list[SessionOrder]:
        """The document is replaced: the Dial ends, and nobody is told its result."""
        if self._current is None:
            return []
        _, dial = self._current
        self._current = None
        outputs = self._outputs(dial, dial.handle(DialCanceled(by="api"), now))
        inward = DialOver | ScreenBranch | BranchReferred
        return [output for output in outputs if not isinstance(output, inward)]

    # -- a transfer ---------------------------------------------------------------------------------

    def park(self, now: float) -> list[DialingOutput]:
        """Take the two who talk apart; the document may dial somebody else meanwhile."""
        assert self._current is not None
        self._parked, self._current = self._current, None
        dial = self._parked[1]
        return self._outputs(dial, dial.handle(DialParked(), now))

    def rejoin(self, now: float) -> list[DialingOutput]:
        """The two talk again, and the document is at their Dial again."""
        assert self._parked is not None
        self._current, self._parked = self._parked, None
        dial = self._current[1]
        return self._outputs(dial, dial.handle(DialRejoined(), now))

    def replace(self, now: float) -> list[DialingOutput]:
        """The caller was handed over: the transferor is hung up, and nobody is told a result of its Dial."""
        if self._parked is not None:
            (_, dial), self._parked = self._parked, None
        else:
            assert self._current is not None
            (_, dial), self._current = self._current, None
        return self._outputs(dial, dial.handle(DialReplaced(), now))

    # -- time ---------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """When ``tick`` has something to do, in monotonic seconds; None: never."""
        deadlines = [dial.next_deadline() for dial in self._dials.values()]
        return min((d for d in deadlines if d is not None), default=None)

    def tick(self, now: float) -> list[DialingOutput]:
        """Do what time has made due."""
        outputs: list[DialingOutput] = []
        for dial in dict.fromkeys(self._dials.values()):
            outputs += self._outputs(dial, dial.tick(now))
        return outputs

    def forget_done(self) -> None:
        """Let go of what has nothing left to tell."""
        self._dials = {leg: dial for leg, dial in self._dials.items() if not dial.done}
        self._recorded = {dial: each for dial, each in self._recorded.items() if not dial.done}
        if not self._dials:
            self._children.clear()
            self._redirections.clear()

    def _order(self, event: LegEvent | DialCanceled, now: float) -> list[DialingOutput]:
        outputs: list[DialingOutput] = []
        for _, dial in [known for known in (self._parked, self._current) if known is not None]:
            outputs += self._outputs(dial, dial.handle(event, now))
        return outputs

    def _outputs(self, dial: Dial, outputs: list[DialOutput]) -> list[DialingOutput]:
        orders: list[DialingOutput] = []
        recording = self._recorded.get(dial)
        for output in outputs:
            if recording is not None and isinstance(output, BranchReport | Bridged | DialSettled):
                orders += recording.follow(output)
            match output:
                case DialSettled() if self._current is not None and self._current[1] is dial:
                    told = () if recording is None else recording.parameters(output.at)
                    orders.append(DialOver(verb=self._current[0], result=output.result, recording=told))
                    self._current = None
                case DialSettled() if self._parked is not None and self._parked[1] is dial:
                    orders.append(DialOver(verb=self._parked[0], result=output.result))
                    self._parked = None
                case DialSettled():
                    pass  # it was dropped
                case BranchReport():
                    orders += [output, *self._tell(output)]
                case _:
                    orders.append(output)
        return orders

    def _tell(self, branch: BranchReport) -> list[SessionOrder]:
        _, report, _ = self._children[branch.leg]
        told = report.stage(branch.stage, None, outcome=branch.outcome, duration_s=branch.duration_s)
        return [*report.look_at_branch(branch), *told]
