"""``<Dial>`` while it is run: what its branches are to the application, who is screened, what is recorded.

Its branches are child calls with status callbacks of their own. How a Dial goes is ``core.dial``'s to decide,
what the document does next the frame's. When the Dial is settled the verb is over; its losers may still be
ending, so that it takes events until it has no open legs. Sans I/O.
Source: TwiML ``<Dial>`` (read November 2026).
"""

from b2bua.calls.action import action_parameters
from b2bua.calls.dial_recording import DialRecording, dial_recording_plan
from b2bua.calls.dial_targets import DialTargets
from b2bua.calls.orders import CallInput, NoteFinding, Output
from b2bua.calls.targets import plan_dial
from b2bua.calls.verb_run import AskFor, Callee, Done, GoOn, Screening, Step, VerbContext, VerbRun
from b2bua.core.commands import Connection, SetMedia
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
from b2bua.core.events import LegEnded, LegEvent, LegReferred
from b2bua.core.ids import CallSid, LegId
from b2bua.core.outcomes import failure_sip_code
from b2bua.twiml import verbs

__all__ = ["DialRun"]


class DialRun(VerbRun):
    """See the module's docstring."""

    answers = False  # core.dial answers, at once or with the bridge

    def __init__(self, verb: verbs.Dial, context: VerbContext) -> None:
        self.verb = verb
        self.rang = False
        """A target rings, or has rung."""
        self.bridged = False
        """The caller talks to a target, or has talked to one."""
        self.is_parked = False
        """The callee waits for what comes of the transfer that it asked for."""
        self.referred: LegReferred | None = None
        """The callee wants the caller to talk to somebody else (REFER); taken away by whoever sees to it."""
        self._context = context
        self.targets = DialTargets(context.context)
        self._screenings: dict[LegId, Screening] = {}
        self._media: tuple[Connection, ...] = ()
        self._done: Done | None = None
        """To be returned by the running step."""
        self._settled = False
        report, leg = context.report, context.leg
        self._planned = plan_dial(verb, report.call_sid, context.caller, context.context, context.takes_over)
        self._dial = Dial(self._planned.plan, leg)
        self._recording: DialRecording | None = None

    # -- the verb -----------------------------------------------------------------------------------

    def begin(self, now: float) -> Step:
        """Ring the targets, or take the place of a dialog."""
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
        """Take a fact about the caller's leg (until it is settled), a branch's, or a screening."""
        outputs: list[Output] = []
        if isinstance(event, LegEvent):
            outputs += [*self._leg_event(event, now), *self._see_to_screenings(now)]
        for screening in list(self._screenings.values()):
            outputs += screening.take(event, now)
        return self._step(outputs + self._see_to_screenings(now))

    def due_at(self) -> float | None:
        """What the Dial and its screenings wait for."""
        deadlines = [self._dial.next_deadline(), *(each.due_at() for each in self._screenings.values())]
        return min((at for at in deadlines if at is not None), default=None)

    def wake(self, now: float) -> Step:
        """Do what is due."""
        outputs = self._follow(self._dial.tick(now), now)
        for screening in list(self._screenings.values()):
            outputs += screening.wake(now)
        return self._step(outputs + self._see_to_screenings(now))

    def stop(self, now: float) -> Step:
        """Hang up whoever rings or talks."""
        return self.cancel("api", now)

    @property
    def media(self) -> tuple[Connection, ...]:
        """What the Dial wants, and what those hear who are screened."""
        return (*self._media, *(c for each in self._screenings.values() for c in each.media))

    @property
    def open_legs(self) -> tuple[LegId, ...]:
        """Branches whose end has not been reported."""
        return self._dial.open_legs

    # -- orders from above --------------------------------------------------------------------------

    def cancel(self, by: CanceledBy, now: float) -> Step:
        """The call ends."""
        return self._order(DialCanceled(by=by), now)

    def park(self, now: float) -> Step:
        """Take the two who talk apart: what comes of a transfer is awaited."""
        self.is_parked = True
        return self._order(DialParked(), now)

    def rejoin(self, now: float) -> Step:
        """Let the two talk again."""
        self.is_parked = False
        return self._order(DialRejoined(), now)

    def hand_over(self, now: float) -> Step:
        """The caller talks to somebody else: hang up the transferor."""
        return self._order(DialReplaced(), now)

    def hang_up(self, callee: Callee, now: float) -> Step:
        """Hang up one callee (REST)."""
        return self._order(BranchCanceled(leg=callee.leg.id), now)

    def release(self, callee: Callee, now: float) -> Step:
        """Let go of a callee: its leg's events are somebody else's from now on."""
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
        """The child call of this sid, while it has a leg."""
        found = (self._callee(leg) for leg in self.targets.legs_of(call_sid))
        return next((callee for callee in found if callee is not None), None)

    # -- what it is made of -------------------------------------------------------------------------

    def _expect_recording(self) -> list[Output]:
        """It may be recorded, when it comes so far."""
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
        return self._follow(self._dial.handle(event, now), now)

    def _order(self, order: DialOrder, now: float) -> Step:
        outputs = self._follow(self._dial.handle(order, now), now)
        return self._step(outputs + self._see_to_screenings(now))

    def _follow(self, dialled: list[DialOutput], now: float) -> list[Output]:
        """Take what the machine says."""
        outputs: list[Output] = []
        for output in dialled:
            if self._recording is not None and isinstance(output, BranchReport | Bridged | DialSettled):
                outputs += self._recording.follow(output)
            match output:
                case SetMedia():
                    self._media = output.connections
                case BranchReport():
                    self.rang = self.rang or output.stage == "ringing"
                    outputs += [output, *self.targets.tell(output)]
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
        """Ask a callee that has picked up whether it takes the call."""
        callee = self._callee(leg)
        assert callee is not None
        screening = self._screenings[leg] = self._context.screen(callee)
        return screening.begin(now)

    def _see_to_screenings(self, now: float) -> list[Output]:
        """Take the answers, and drop those whose leg is no more."""
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
