"""A running ``<Dial>``: its branches as child calls, their screening, and the recording.

Each branch is a child call with its own status callbacks. ``core.dial`` decides how the Dial proceeds, and
the frame decides what the document does next. The verb is over when the Dial is settled; losing branches may
still be ending then, so the run takes events until it has no open legs. Sans I/O.
Source: TwiML ``<Dial>`` (read November 2026).
"""

from b2bua.calls.action import action_parameters
from b2bua.calls.dial_recording import DialRecording, dial_recording_plan
from b2bua.calls.dial_targets import DialTargets
from b2bua.calls.orders import CallInput, NoteFinding, Output
from b2bua.calls.targets import plan_dial
from b2bua.calls.verb_run import AskFor, Callee, Done, GoOn, Screening, Step, VerbContext, VerbRun
from b2bua.core.commands import Connection, SetMedia
from b2bua.core.deadlines import earliest
from b2bua.core.dial import (
    BranchCanceled,
    Dial,
    DialCanceled,
    DialOrder,
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
    DialSettled,
    ScreenBranch,
)
from b2bua.core.dial_table import CanceledBy
from b2bua.core.events import LegAnswered, LegEnded, LegEvent, LegReferred, MachineJudged
from b2bua.core.ids import CallSid, LegId
from b2bua.core.outcomes import failure_sip_code
from b2bua.twiml import verbs

__all__ = ["DialRun"]


class DialRun(VerbRun):
    """Runs one ``<Dial>``."""

    answers = False  # core.dial answers, at once or with the bridge

    def __init__(self, verb: verbs.Dial, context: VerbContext) -> None:
        self.verb = verb
        self.rang = False
        """Whether any target has rung."""
        self.bridged = False
        """Whether the caller has been bridged to a target."""
        self.is_parked = False
        """Whether the callee waits for the result of the transfer that it requested."""
        self.referred: LegReferred | None = None
        """The callee's request to transfer the caller (REFER); reset by the code that handles it."""
        self._context = context
        self.targets = DialTargets(context.context)
        self._screenings: dict[LegId, Screening] = {}
        self._media: tuple[Connection, ...] = ()
        self._done: Done | None = None
        """The end of the verb, to be returned by the present step."""
        self._settled = False
        report, leg = context.report, context.leg
        self._planned = plan_dial(verb, report.call_sid, context.caller, context.context, context.takes_over)
        self._dial = Dial(self._planned.plan, leg)
        self._recording: DialRecording | None = None

    # -- the verb -----------------------------------------------------------------------------------

    def begin(self, now: float) -> Step:
        """Ring the targets, or replace an existing dialog."""
        planned, context = self._planned, self._context
        outputs: list[Output] = [
            NoteFinding(call_sid=context.report.call_sid, finding=finding) for finding in planned.findings
        ]
        outputs += self._expect_recording()
        for branch, child in zip(planned.plan.branches, planned.children, strict=True):
            invites = () if branch.invite is None else (branch.invite, *branch.alternatives)
            outputs += self.targets.expect(branch.leg, child, invites, context.resolve)
        return self._step([*outputs, *self._follow(self._dial.start(now), now)])

    def notice(self, event: CallInput, now: float) -> Step:
        """Take an event of the caller's leg (until the Dial is settled), a branch, or a screening."""
        outputs: list[Output] = []
        if isinstance(event, LegEvent):
            outputs += [*self._leg_event(event, now), *self._see_to_screenings(now)]
        if isinstance(event, MachineJudged):
            outputs += self.targets.judged(event)
        for screening in list(self._screenings.values()):
            outputs += screening.take(event, now)
        return self._step(outputs + self._see_to_screenings(now))

    def due_at(self) -> float | None:
        """Return the earliest deadline of the Dial and its screenings."""
        return earliest(self._dial.next_deadline(), *[each.due_at() for each in self._screenings.values()])

    def wake(self, now: float) -> Step:
        """Act on deadlines that have passed."""
        outputs = self._follow(self._dial.tick(now), now)
        for screening in list(self._screenings.values()):
            outputs += screening.wake(now)
        return self._step(outputs + self._see_to_screenings(now))

    def stop(self, now: float) -> Step:
        """Hang up all branches, ringing or bridged."""
        return self.cancel("api", now)

    @property
    def media(self) -> tuple[Connection, ...]:
        """The media connections of the Dial and of its screenings."""
        return (*self._media, *(c for each in self._screenings.values() for c in each.media))

    @property
    def open_legs(self) -> tuple[LegId, ...]:
        """Legs of branches whose end has not been reported."""
        return self._dial.open_legs

    # -- orders from above --------------------------------------------------------------------------

    def cancel(self, by: CanceledBy, now: float) -> Step:
        """End the Dial because the call ends."""
        return self._order(DialCanceled(by=by), now)

    def park(self, now: float) -> Step:
        """Separate the two bridged parties while a transfer is pending."""
        self.is_parked = True
        return self._order(DialParked(), now)

    def rejoin(self, now: float) -> Step:
        """Bridge the two parties again."""
        self.is_parked = False
        return self._order(DialRejoined(), now)

    def hand_over(self, now: float) -> Step:
        """Hang up the transferor, since the caller now talks to the transfer target."""
        return self._order(DialReplaced(), now)

    def hang_up(self, callee: Callee, now: float) -> Step:
        """Hang up one callee (REST)."""
        return self._order(BranchCanceled(leg=callee.leg.id), now)

    def release(self, callee: Callee, now: float) -> Step:
        """Release a callee: from now on another call handles the events of its leg."""
        leg = callee.leg.id
        outputs: list[Output] = []
        screening = self._screenings.pop(leg, None)
        if screening is not None:
            outputs += screening.abandon(now)
        _, released = self._dial.release(leg, now)
        outputs += self._follow(released, now)
        self.targets.forget(leg)
        return self._step(outputs)

    def callee(self, call_sid: CallSid) -> Callee | None:
        """Return the child call with this sid; None if it has no leg."""
        found = (self._callee(leg) for leg in self.targets.legs_of(call_sid))
        return next((callee for callee in found if callee is not None), None)

    # -- parts --------------------------------------------------------------------------------------

    def _expect_recording(self) -> list[Output]:
        """Prepare the recording, if the Dial asks for one."""
        verb, context = self.verb, self._context
        callback, notes = "", list[Output]()
        if verb.recording_status_callback is not None:
            url, notes = context.resolve(verb.recording_status_callback)
            callback = url or ""
        plan = dial_recording_plan(verb, context.report.call_sid, context.leg.id, callback)
        if plan is None:
            return []
        single = len(self._planned.plan.branches) == 1
        self._recording = DialRecording(verb, plan, context.recordings, single=single)
        return notes

    def _callee(self, leg: LegId) -> Callee | None:
        return self.targets.callee(leg, self._dial.leg(leg))

    # -- the machine --------------------------------------------------------------------------------

    def _leg_event(self, event: LegEvent, now: float) -> list[Output]:
        if event.leg == self._context.leg.id:
            return [] if self._settled else self._follow(self._dial.handle(event, now), now)
        if event.leg not in self.targets:
            return []
        if isinstance(event, LegEnded):
            self._dial.retarget(event.leg, self.targets.redirect(event))
        outputs = self._follow(self._dial.handle(event, now), now)
        if isinstance(event, LegAnswered) and (leg := self._dial.leg(event.leg)) is not None:
            outputs += self.targets.watch(leg)
        return outputs

    def _order(self, order: DialOrder, now: float) -> Step:
        outputs = self._follow(self._dial.handle(order, now), now)
        return self._step(outputs + self._see_to_screenings(now))

    def _follow(self, dialled: list[DialOutput], now: float) -> list[Output]:
        """Process the outputs of the Dial machine."""
        outputs: list[Output] = []
        for output in dialled:
            if self._recording is not None and isinstance(output, BranchReport | Bridged | DialSettled):
                outputs += self._recording.follow(output)
            match output:
                case SetMedia():
                    self._media = output.connections
                case BranchReport():
                    self.rang = self.rang or output.stage == "ringing"
                    outputs += [output, *self.targets.report(output)]
                case Bridged():
                    self.bridged = True
                    outputs.append(output)
                case ScreenBranch():
                    outputs += self._screen(output.leg, now)
                case BranchReferred():
                    self.referred = output.referred
                case DialSettled():
                    self._settle(output)
                case _:
                    outputs.append(output)
        return outputs

    def _settle(self, settled: DialSettled) -> None:
        self._settled = True
        verb, result = self.verb, settled.result
        refusal = None if result.bridged else failure_sip_code(result.outcome)
        if verb.action is None:
            self._done = GoOn(refusal=refusal)
            return
        recorded = () if self._recording is None else self._recording.parameters(settled.at)
        params = (*action_parameters(result), *recorded)
        self._done = AskFor(url=verb.action, method=verb.method, params=params, once=True, refusal=refusal)

    def _step(self, outputs: list[Output]) -> Step:
        done, self._done = self._done, None
        return outputs, done

    # -- screening ----------------------------------------------------------------------------------

    def _screen(self, leg: LegId, now: float) -> list[Output]:
        """Start the screening of a callee that has answered."""
        callee = self._callee(leg)
        assert callee is not None
        screening = self._screenings[leg] = self._context.screen(callee)
        return screening.begin(now)

    def _see_to_screenings(self, now: float) -> list[Output]:
        """Pass on the results of screenings, and drop screenings whose leg has ended."""
        outputs: list[Output] = []
        for leg, screening in list(self._screenings.items()):
            callee = self._callee(leg)
            if screening.accepted is not None:
                del self._screenings[leg]
                ended = ScreeningEnded(leg=leg, accepted=screening.accepted)
                outputs += self._follow(self._dial.handle(ended, now), now)
            elif callee is None or not callee.leg.live:
                del self._screenings[leg]
                outputs += screening.abandon(now)
        return outputs
