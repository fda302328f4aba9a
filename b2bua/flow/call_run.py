"""A call that runs documents: its leg, its stack of frames, what is told of it.

The caller's call, one that we make, a callee that is being screened, and one that REST sent elsewhere are all
of this kind: they differ in what the end of their first frame means (``Ends``). Sans I/O; it must never know
of HTTP, sockets or pjsua2, nor of the other calls of its session. What is done when is in ``call_table``.

::

    calling ──the callee answers──> running ──the last frame ends, the leg ends──> ending ──> over

``ending``: what is owed to the application is still sent, and legs of Dials are still ending.
Source: TwiML, "how a document is run"; RFC 3261 for what answers and what refuses.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from b2bua.core.commands import Connection
from b2bua.core.dial_table import CanceledBy
from b2bua.core.events import LegAnswered, LegEnded, LegEvent, LegProgress
from b2bua.core.ids import CallSid, LegId
from b2bua.core.leg import Leg
from b2bua.flow.call_documents import CallDocuments
from b2bua.flow.call_report import CallReport, talked_s
from b2bua.flow.call_table import TRANSITIONS, CallState, Source
from b2bua.flow.caller import Caller
from b2bua.flow.context import SessionContext
from b2bua.flow.dial_run import DialRun
from b2bua.flow.frame import Ends, Frame, FrameEnd, FrameScene
from b2bua.flow.orders import Amended, CallCanceled, CallInput, FetchFailed, Output, Redirected
from b2bua.flow.recordings import CallRecordings
from b2bua.flow.script import Script
from b2bua.flow.steering import ErrorToneRun
from b2bua.flow.transfer_run import TransferRun
from b2bua.flow.verb_run import Callee, Step, VerbRun
from b2bua.twiml import verbs

__all__ = ["CallParts", "CallRun", "OwedAction"]

_REFUSALS = {"node": 503, "fault": 500}
"""What an unanswered caller is told when its call is not ended by REST."""

OwedAction = tuple[Frame, verbs.Dial]
"""A Dial, and the frame that runs it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallParts:
    """What a call is made of."""

    context: SessionContext
    leg: Leg
    report: CallReport
    script: Script
    """Its first document, and the fallback of all."""
    caller: Caller
    """Whom its Dials are from."""
    next_request: Callable[[], int]
    """Numbers for what is asked for; unique in the session."""
    recordings: CallRecordings
    """The session's."""
    time_limit_s: float | None = None
    """From the answer, of a call that we make."""
    ends: Ends = Ends.HANG_UP
    """What the end of its first frame means."""


class CallRun:
    """See the module's docstring."""

    def __init__(self, parts: CallParts) -> None:
        self.leg = parts.leg
        self.report = parts.report
        self.state = CallState.RUNNING
        self.accepted: bool | None = None
        """Of a callee that is screened: whether it takes the call, once that is known."""
        self.unexpected: Counter[str] = Counter()
        """Inputs that do not belong to the state they came in, as ``state source InputName``."""
        self._parts = parts
        self._documents = CallDocuments(parts.script, parts.leg, parts.report, parts.next_request)
        self._lingering: list[VerbRun] = []
        self._scene = FrameScene(
            leg=parts.leg,
            report=parts.report,
            documents=self._documents,
            caller=parts.caller,
            context=parts.context,
            recordings=parts.recordings,
            next_request=parts.next_request,
            screen=self._screening_of,
            lingering=self._lingering,
        )
        self._frames: list[Frame] = [Frame(self._scene, parts.ends, parts.script.url)]
        """From the first to the one that runs."""
        self._transfer: TransferRun | None = None
        """That a callee has asked for, until it is over."""
        self._time_limit_s = parts.time_limit_s
        self._limit_at: float | None = None

    # -- what it is ---------------------------------------------------------------------------------

    @property
    def call_sid(self) -> CallSid:
        """What the application knows the call by."""
        return self.report.call_sid

    @property
    def over(self) -> bool:
        """Nothing more will come of it."""
        return self.state is CallState.OVER

    @property
    def media(self) -> tuple[Connection, ...]:
        """Who is to hear what, now."""
        if self.state in (CallState.ENDING, CallState.OVER):
            return ()
        return tuple(connection for frame in self._frames for connection in frame.media)

    @property
    def open_legs(self) -> list[LegId]:
        """Legs whose end has not been reported: what is lost with their worker."""
        own = [self.leg.id] if self._owns_leg and self.leg.ended is None else []
        runs = (leg for run in self._lingering for leg in run.open_legs)
        return [*own, *(leg for frame in self._frames for leg in frame.open_legs), *runs]

    @property
    def _owns_leg(self) -> bool:
        """The leg of a callee that is screened is its Dial's."""
        return self._parts.ends is not Ends.ACCEPT

    # -- the outside --------------------------------------------------------------------------------

    def call(self, now: float) -> list[Output]:
        """The INVITE of a call that we make goes out; its answer begins the document."""
        self.state = CallState.CALLING
        return [*self.report.stage("initiated", self.leg)]

    def refuse(self, sip_code: int, now: float) -> list[Output]:
        """There is nothing to run."""
        self.report.refusal = sip_code
        return self._hang_up(now) + self._conclude()

    def begin(self, now: float) -> list[Output]:
        """Run the first document."""
        return self._frames[0].begin(now) + self._settle(now)

    def take(self, event: CallInput, now: float) -> list[Output]:
        """Take a fact about one of its legs, what it has asked for, or an order from above."""
        source = Source.of(event, self.leg.id)
        handler = TRANSITIONS.get((self.state, source, type(event)))
        if handler is None:
            self.unexpected[f"{self.state} {source} {type(event).__name__}"] += 1
            return []
        if source is Source.LEG and isinstance(event, LegEvent) and self._owns_leg:
            # What happens to a callee that is being screened has been given to its leg by its Dial.
            if not self.leg.handle(event, now):
                return []
        outputs: list[Output] = getattr(self, handler)(event, now)
        return outputs + self._settle(now)

    def due_at(self) -> float | None:
        """When ``wake`` has something to do, in monotonic seconds; None: never."""
        if self.over:
            return None
        deadlines = [frame.due_at() for frame in self._frames]
        deadlines += [run.due_at() for run in self._lingering]
        deadlines.append(self._limit_at)
        if self._transfer is not None:
            deadlines.append(self._transfer.due_at())
        if self._owns_leg:
            deadlines.append(self.leg.next_deadline())
        return min((at for at in deadlines if at is not None), default=None)

    def wake(self, now: float) -> list[Output]:
        """Do what time has made due."""
        outputs: list[Output] = []
        for run in list(self._lingering):
            outputs += run.wake(now)[0]
        if self._transfer is not None:
            outputs += self._transfer.wake(now)
        for frame in list(self._frames):
            outputs += frame.wake(now)
        if self._owns_leg and _is_due(self.leg.next_deadline(), now):
            outputs += self._overdue(now)
        if _is_due(self._limit_at, now):
            self._limit_at = None
            outputs += self._cancel("node", now)
        return outputs + self._settle(now)

    def fail(self, now: float) -> list[Output]:
        """An error of ours has come up, here or elsewhere in the session: end, and tell it as failed."""
        if self.over:
            return []
        self.report.fail()
        return self._cancel("fault", now) + self._conclude()

    def abandon(self, now: float) -> list[Output]:
        """A screening is over because its leg is: nothing is reported, nothing goes on."""
        self.state = CallState.OVER
        return [output for frame in self._frames for output in frame.stop(now)]

    def report_of(self, call_sid: CallSid) -> CallReport | None:
        """What is told of this call, or of one that it dials."""
        if call_sid == self.call_sid:
            return self.report
        found = (run.report_of(call_sid) for run in self._dials)
        return next((report for report in found if report is not None), None)

    @property
    def owed_action(self) -> OwedAction | None:
        """The Dial that it is at, and the frame that asks for its ``action``."""
        frame = self._frames[-1]
        if self._transfer is not None and self._transfer.is_fetching:
            frame = self._frames[-2]
        return None if frame.dial is None or frame.dial.verb.action is None else (frame, frame.dial.verb)

    # -- callees of its Dials -----------------------------------------------------------------------

    def callee(self, call_sid: CallSid) -> Callee | None:
        """A branch of one of its Dials."""
        found = (run.callee(call_sid) for run in self._dials)
        return next((callee for callee in found if callee is not None), None)

    def hang_up(self, callee: Callee, now: float) -> list[Output]:
        """Hang up one of its callees."""
        return self._order_dial(callee, lambda dial: dial.hang_up(callee, now), now)

    def release(self, callee: Callee, now: float) -> list[Output]:
        """Let go of a callee; its leg's events are not given to this call any more."""
        return self._order_dial(callee, lambda dial: dial.release(callee, now), now)

    @property
    def _dials(self) -> list[DialRun]:
        runs = [*(frame.dial for frame in self._frames), *self._lingering]
        return [run for run in runs if isinstance(run, DialRun)]

    def _order_dial(self, callee: Callee, order: Callable[[DialRun], Step], now: float) -> list[Output]:
        outputs: list[Output] = []
        for frame in list(self._frames):
            if frame.dial is not None and frame.dial.has(callee):
                outputs += frame.follow(order(frame.dial), now)
        for run in self._lingering:
            if isinstance(run, DialRun) and run.has(callee):
                outputs += order(run)[0]
        return outputs + self._settle(now)

    def _screening_of(self, callee: Callee) -> "CallRun":
        """A call that asks a callee whether it takes the call."""
        script = Script(url=callee.screen_url, method=callee.child.noun.method)
        return self.of_callee(callee, script, Ends.ACCEPT)

    def of_callee(self, callee: Callee, script: Script, ends: Ends) -> "CallRun":
        """A call of the same session that runs a document on a callee's leg."""
        parts = self._parts
        return CallRun(
            CallParts(
                context=parts.context,
                leg=callee.leg,
                report=callee.report,
                script=script,
                caller=callee.child.as_caller(),
                next_request=parts.next_request,
                recordings=parts.recordings,
                ends=ends,
            )
        )

    # -- handlers: see call_table -------------------------------------------------------------------

    def _on_nothing(self, event: CallInput, now: float) -> list[Output]:
        return []

    def _on_progress(self, event: LegProgress, now: float) -> list[Output]:
        if self.leg.ringing_at is None or self.report.told("ringing"):
            return []
        return [*self.report.stage("ringing", self.leg)]

    def _on_answered(self, event: LegAnswered, now: float) -> list[Output]:
        self.state = CallState.RUNNING
        self._limit_at = None if self._time_limit_s is None else now + self._time_limit_s
        return [*self.report.stage("answered", self.leg), *self._frames[0].begin(now)]

    def _on_leg_ended(self, event: LegEnded, now: float) -> list[Output]:
        outputs = self._give_up_transfer(now)
        for frame in list(self._frames):
            outputs += frame.notice(event, now)
        return outputs + self._hang_up(now)

    def _on_fetch_failed(self, event: FetchFailed, now: float) -> list[Output]:
        if not self._documents.answered(event.request):
            return self._pass_on(event, now)  # it is a screening's
        text = f"{event.text}: {event.url}" if event.url else event.text
        return [self._documents.note(event.number, text, "error"), *self._pass_on(event, now)]

    def _on_fact(self, event: CallInput, now: float) -> list[Output]:
        return self._pass_on(event, now)

    def _on_canceled(self, event: CallCanceled, now: float) -> list[Output]:
        return self._cancel(event.by, now)

    def _on_redirected(self, event: Redirected, now: float) -> list[Output]:
        """Drop whomever the call is with, and run another document (REST: update of a live call)."""
        outputs = self._give_up_transfer(now)
        base_url = self._frames[-1].base_url
        for frame in self._frames:
            outputs += frame.drop(now)
        other = Frame(self._scene, self._parts.ends, base_url)
        self._frames[:] = [other]
        if event.document is None:
            return outputs + other.fetch(event.url, event.method, now)
        return outputs + other.run(event.document, now)

    def _on_amended(self, event: Amended, now: float) -> list[Output]:
        if event.fallback is not None:
            self._documents.fall_back_to(*event.fallback)
        if event.status_callback is not None:
            self.report.tell(*event.status_callback)
        if event.time_limit_s is not None:
            self._time_limit_s = event.time_limit_s
            if self.state is not CallState.CALLING:  # else the answer sets it
                since = now if self.leg.answered_at is None else self.leg.answered_at
                self._limit_at = since + event.time_limit_s
        return []

    # -- what they share ----------------------------------------------------------------------------

    def _pass_on(self, event: CallInput, now: float) -> list[Output]:
        """To all that may be concerned."""
        outputs: list[Output] = []
        for frame in list(self._frames):
            outputs += frame.notice(event, now)
        for run in list(self._lingering):
            outputs += run.notice(event, now)[0]
        return outputs

    def _cancel(self, by: CanceledBy, now: float) -> list[Output]:
        """All ends, what is owed is sent: REST, a time limit, the node's own end, or an error of ours."""
        outputs = self._give_up_transfer(now)
        for frame in self._frames:
            outputs += frame.cancel_dial(by, now)
        self.report.refusal = _REFUSALS.get(by, self.report.refusal)
        self.report.canceled = by == "api"
        return outputs + self._hang_up(now)

    def _overdue(self, now: float) -> list[Output]:
        """The leg has been in one state for longer than any leg may."""
        if self.leg.live:
            # One that we call has rung out; one that called us has waited for longer than anybody does.
            calling = self.state is CallState.CALLING
            return self._hang_up(now) if calling else self._cancel("node", now)
        self.leg.tick(now)  # its end was never reported: it makes one up
        return [] if self.leg.ended is None else self._on_leg_ended(self.leg.ended, now)

    def _hang_up(self, now: float) -> list[Output]:
        """Run nothing more; a caller who was never answered gets the refusal."""
        if self.state in (CallState.ENDING, CallState.OVER):
            return []
        self.state = CallState.ENDING
        self._limit_at = None
        owed = [output for frame in self._frames for output in frame.stop(now)]
        return [*owed, *self.leg.hangup(now, sip_code=self.report.refusal)]

    def _give_up_transfer(self, now: float) -> list[Output]:
        """The transferee leaves, or is sent elsewhere: a transferor that waits has nobody to go back to."""
        transfer, self._transfer = self._transfer, None
        return [] if transfer is None else transfer.transferee_left(now)

    # -- after each input ---------------------------------------------------------------------------

    def _settle(self, now: float) -> list[Output]:
        """Draw the conclusions: of a transfer, of a frame that has ended, of a call that is over."""
        outputs: list[Output] = []
        while self.state is CallState.RUNNING:
            if self._transfer is not None:
                outputs += self._transfer.look(now)
                self._transfer = None if self._transfer.over else self._transfer
            else:
                outputs += self._look_for_refer(now)
            top = self._frames[-1]
            if top.end is None:
                break
            outputs += self._leave_frame(top, now)
        return outputs + self._conclude()

    def _look_for_refer(self, now: float) -> list[Output]:
        dial = self._frames[-1].dial
        if dial is None or dial.referred is None:
            return []
        referred, dial.referred = dial.referred, None
        if not referred.accepted:
            return [self._documents.note(13802, "a callee's REFER was declined", "warning")]
        self._transfer = TransferRun(referred, self._frames, self._scene, now)
        return self._transfer.begin(now)

    def _leave_frame(self, frame: Frame, now: float) -> list[Output]:
        if frame.ends is Ends.ACCEPT:
            self.accepted = frame.end is FrameEnd.DOCUMENT_ENDED
            return self.abandon(now)
        if frame.end is FrameEnd.FAILED:
            # The caller hears the error, then is hung up.
            announcing = self._frames[-1] = Frame(self._scene, frame.ends, frame.base_url)
            return announcing.run_verb(ErrorToneRun, now)
        return self._hang_up(now)

    def _conclude(self) -> list[Output]:
        """Drop what is done; when nothing is left, say so once."""
        self._lingering[:] = [run for run in self._lingering if run.open_legs]
        # What becomes of a callee that is screened is its Dial's to say.
        changed = self.report.look(self.leg) if self._owns_leg else []
        if self.state is not CallState.ENDING or self.leg.ended is None:
            return [*changed]
        if self._lingering or any(frame.owes for frame in self._frames):
            return [*changed]
        self.state = CallState.OVER
        completed = self.report.stage("completed", self.leg, duration_s=talked_s(self.leg))
        return [*changed, *completed, self.report.over(self.leg)]


def _is_due(at: float | None, now: float) -> bool:
    return at is not None and now >= at
