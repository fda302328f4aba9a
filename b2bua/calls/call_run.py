"""A call that runs documents: its leg, its stack of frames, and its reports.

The caller's call, a call that we make, a callee being screened, and a callee that REST redirected are all of
this kind; they differ in what the end of their first frame means (``Ends``). Sans I/O; the module must not
depend on HTTP, sockets or pjsua2, nor on the other calls of its session. The transitions are in
``call_table``.

::

    calling ──the callee answers──> running ──the last frame ends, the leg ends──> ending ──> over

``ending``: requests owed to the application are still sent, and legs of Dials are still ending.
Source: TwiML, "how a document is run"; RFC 3261 for answering and refusing calls.
"""

from functools import partial

from b2bua.calls.call_documents import CallDocuments
from b2bua.calls.call_parts import CallParts
from b2bua.calls.call_report import talked_s
from b2bua.calls.call_table import PASS_ON, TRANSITIONS, CallState, Source
from b2bua.calls.detection import verdict_parameters
from b2bua.calls.frame import Ends, Frame, FrameEnd, FrameScene
from b2bua.calls.frame_stack import CalleeOrder, FrameStack
from b2bua.calls.inner_frames import InnerFrames
from b2bua.calls.orders import Amended, CallCanceled, CallInput, FetchFailed, Output, Redirected
from b2bua.calls.script import Script
from b2bua.calls.steering import ErrorToneRun
from b2bua.calls.transfers import Transfers
from b2bua.calls.verb_run import Callee
from b2bua.core.commands import Connection
from b2bua.core.deadlines import earliest
from b2bua.core.dial_table import CanceledBy
from b2bua.core.events import LegAnswered, LegEnded, LegEvent, LegProgress, MachineJudged
from b2bua.core.ids import LegId
from b2bua.core.unexpected import UnexpectedEvents

__all__ = ["CallRun", "call_of_callee"]

_REFUSALS = {"node": 503, "fault": 500}
"""The final response to an unanswered caller whose call the node or an internal error ends."""


class CallRun:
    """A call that runs documents on its leg."""

    def __init__(self, parts: CallParts) -> None:
        self.leg = parts.leg
        self.report = parts.report
        self.call_sid = parts.report.call_sid
        """The call's identifier, as the application knows it."""
        self.state = CallState.RUNNING
        self.accepted: bool | None = None
        """For a screened callee: whether it accepts the call; None until that is known."""
        self.unexpected = UnexpectedEvents("call")
        """Inputs not expected in the state in which they arrived, as ``state source InputName``."""
        self.parts = parts
        self._documents = CallDocuments(parts.script, parts.leg, parts.report, parts.next_request)
        scene = FrameScene(
            leg=parts.leg,
            report=parts.report,
            documents=self._documents,
            caller=parts.caller,
            context=parts.context,
            recordings=parts.recordings,
            next_request=parts.next_request,
            screen=partial(_screening, parts),
            lingering=[],
        )
        self.stack = FrameStack(scene, parts.ends)
        self._transfers = Transfers(self.stack, parts, self._documents)
        self._inner = InnerFrames(self.stack)
        self._owns_leg = parts.ends is not Ends.ACCEPT
        """False while a callee is screened: then the leg belongs to its Dial."""
        self._time_limit_s = parts.time_limit_s
        self._limit_at: float | None = None
        self._judged_by: float | None = None
        """Until when the first document waits for the verdict on who has answered; None: it does not."""

    # -- attributes ---------------------------------------------------------------------------------

    @property
    def media(self) -> tuple[Connection, ...]:
        """The media connections that the call wants now."""
        return self.stack.media

    @property
    def open_legs(self) -> list[LegId]:
        """Legs whose end has not been reported; they are lost if their worker is lost."""
        own = [self.leg.id] if self._owns_leg and self.leg.ended is None else []
        return [*own, *self.stack.open_legs]

    # -- interface ----------------------------------------------------------------------------------

    def call(self, now: float) -> list[Output]:
        """Start an outbound call: send its INVITE; its answer starts the document."""
        assert self.parts.attempts
        self.state = CallState.CALLING
        return [self.parts.attempts.first, *self.report.stage("initiated", self.leg)]

    def refuse(self, sip_code: int, now: float) -> list[Output]:
        """Refuse a call that has no document to run."""
        self.report.refusal = sip_code
        return self._hang_up(now) + self._conclude()

    def begin(self, now: float) -> list[Output]:
        """Run the first document."""
        return self.stack.top.begin(now) + self._settle(now)

    def take(self, event: CallInput, now: float) -> list[Output]:
        """Take an event of one of its legs, the answer to a request, or an order from REST or the node."""
        source = Source.of(event, self.leg.id)
        handler = TRANSITIONS.get((self.state, source, type(event)))
        if handler is None:
            self.unexpected.note(f"{self.state} {source} {type(event).__name__}")
            return []
        if source is Source.LEG and isinstance(event, LegEvent) and self._owns_leg:
            # For a callee being screened, the Dial has already passed the event to the leg.
            if not self.leg.handle(event, now):
                return []
        outputs: list[Output] = []
        if handler is PASS_ON:
            outputs = self.stack.notice(event, now)
        elif handler:
            outputs = getattr(self, handler)(event, now)
        return outputs + self._settle(now)

    def due_at(self) -> float | None:
        """Return when ``wake`` is due next, in monotonic seconds; None: never."""
        if self.state is CallState.OVER:
            return None
        own = self.leg.next_deadline() if self._owns_leg else None
        return earliest(self.stack.due_at(), self._transfers.due_at(), self._limit_at, self._judged_by, own)

    def wake(self, now: float) -> list[Output]:
        """Act on deadlines that have passed."""
        outputs = self._transfers.wake(now) + self.stack.wake(now)
        if self._owns_leg and _is_due(self.leg.next_deadline(), now):
            outputs += self._overdue(now)
        if _is_due(self._limit_at, now):
            self._limit_at = None
            outputs += self._cancel("node", now)
        if _is_due(self._judged_by, now):
            since = now if self.leg.answered_at is None else self.leg.answered_at
            took_ms = round((now - since) * 1000)
            unknown = MachineJudged(leg=self.leg.id, at=now, answered_by="unknown", duration_ms=took_ms)
            outputs += self._on_callee(unknown, now)
        return outputs + self._settle(now)

    def fail(self, now: float) -> list[Output]:
        """End the call and report it as failed, after an internal error anywhere in the session."""
        if self.state is CallState.OVER:
            return []
        self.report.fail()
        return self._cancel("fault", now) + self._conclude()

    def abandon(self, now: float) -> list[Output]:
        """Stop a screening whose leg is no longer available; nothing is reported."""
        self.state = CallState.OVER
        return self.stack.stop(now)

    def order_dial(self, callee: Callee, order: CalleeOrder, now: float) -> list[Output]:
        """Carry out an order for a callee of one of the call's Dials."""
        return self.stack.order_dial(callee, order, now) + self._settle(now)

    # -- handlers: see call_table -------------------------------------------------------------------

    def _on_callee(self, event: LegProgress | LegAnswered | MachineJudged, now: float) -> list[Output]:
        """Follow the progress of a call that we make: report it, run the document on answer or verdict."""
        match event:
            case LegProgress():
                is_news = self.leg.ringing_at is not None and not self.report.has_reached("ringing")
                return [*self.report.stage("ringing", self.leg)] if is_news else []
            case MachineJudged() if event.leg != self.leg.id or not self._owns_leg:
                return self.stack.notice(event, now)
            case MachineJudged():
                waits, self._judged_by = self._judged_by is not None, None
                params = verdict_parameters(event)
                return [*self.report.judged(event), *(self.stack.top.begin(now, params) if waits else ())]
        self.state = CallState.RUNNING
        self._limit_at = None if self._time_limit_s is None else now + self._time_limit_s
        outputs: list[Output] = [*self.report.stage("answered", self.leg)]
        if (detection := self.report.detection) is not None:
            outputs.append(detection.watch(self.leg.id))
            if detection.waits:
                self._judged_by = now + detection.wait_s
                return outputs
        return outputs + self.stack.top.begin(now)

    def _on_refused(self, event: LegEnded, now: float) -> list[Output]:
        """Try the next way to the callee of a call that we make, if there is one."""
        assert self.parts.attempts
        return [*self.parts.attempts.after(self.leg, event, now)] or self._on_leg_ended(event, now)

    def _on_leg_ended(self, event: LegEnded, now: float) -> list[Output]:
        outputs = self._transfers.transferee_left(now)
        return outputs + self.stack.notice(event, now) + self._hang_up(now)

    def _on_fetch_failed(self, event: FetchFailed, now: float) -> list[Output]:
        if not self._documents.answered(event.request):
            return self.stack.notice(event, now)  # the request belongs to a screening
        text = f"{event.text}: {event.url}" if event.url else event.text
        return [self._documents.note(event.number, text, "error"), *self.stack.notice(event, now)]

    def _on_canceled(self, event: CallCanceled, now: float) -> list[Output]:
        return self._cancel(event.by, now)

    def _on_redirected(self, event: Redirected, now: float) -> list[Output]:
        """Drop the present counterpart and run another document (REST: update of a live call)."""
        self._judged_by = None
        outputs = self._transfers.transferee_left(now)
        outputs += self._inner.leave(now)
        outputs += self.stack.replace_all(self.parts.ends, now)
        if event.document is None:
            return outputs + self.stack.top.fetch(event.url, event.method, now)
        return outputs + self.stack.top.run(event.document, now)

    def _on_amended(self, event: Amended, now: float) -> list[Output]:
        if event.fallback is not None:
            self._documents.fall_back_to(*event.fallback)
        if event.status_callback is not None:
            self.report.send_callbacks_to(*event.status_callback)
        if event.time_limit_s is not None:
            self._time_limit_s = event.time_limit_s
            if self.state is not CallState.CALLING:  # while calling, the limit is set by the answer
                since = now if self.leg.answered_at is None else self.leg.answered_at
                self._limit_at = since + event.time_limit_s
        return []

    # -- shared by the handlers ---------------------------------------------------------------------

    def _cancel(self, by: CanceledBy, now: float) -> list[Output]:
        """End everything but send what is owed: by REST, time limit, node shutdown or internal error."""
        outputs = self._transfers.transferee_left(now)
        outputs += self.stack.cancel_dials(by, now)
        self.report.refusal = _REFUSALS.get(by, self.report.refusal)
        self.report.canceled = by == "api"
        return outputs + self._hang_up(now)

    def _overdue(self, now: float) -> list[Output]:
        """Handle a leg that has been in one state for longer than its limit."""
        if self.leg.live:
            # A callee has not answered in time; a caller has waited for an answer longer than is plausible.
            calling = self.state is CallState.CALLING
            return self._hang_up(now) if calling else self._cancel("node", now)
        self.leg.tick(now)  # its end was never reported: the leg synthesises one
        return [] if self.leg.ended is None else self._on_leg_ended(self.leg.ended, now)

    def _hang_up(self, now: float) -> list[Output]:
        """Stop running documents and hang up; an unanswered caller receives the refusal."""
        if self.state in (CallState.ENDING, CallState.OVER):
            return []
        self.state = CallState.ENDING
        self._limit_at = self._judged_by = None
        return [
            *self._inner.leave(now),
            *self.stack.stop(now),
            *self.leg.hangup(now, sip_code=self.report.refusal),
        ]

    # -- after each input ---------------------------------------------------------------------------

    def _settle(self, now: float) -> list[Output]:
        """React to a transfer's progress, to a frame that has ended, and to the end of the call."""
        outputs: list[Output] = []
        while self.state is CallState.RUNNING:
            outputs += self._transfers.look(now)
            outputs += self._inner.look(now)
            top = self.stack.top
            if top.end is None:
                break
            outputs += self._leave_frame(top, now)
        return outputs + self._conclude()

    def _leave_frame(self, frame: Frame, now: float) -> list[Output]:
        if frame.ends is Ends.ACCEPT:
            self.accepted = frame.end is FrameEnd.DOCUMENT_ENDED
            return self.abandon(now)
        if frame.end is FrameEnd.FAILED:
            # The caller hears the error, then is hung up.
            return self.stack.replace_top().run_verb(ErrorToneRun, now)
        return self._hang_up(now)

    def _conclude(self) -> list[Output]:
        """Report changes; once nothing is left to do, report the end of the call once."""
        is_done = self.stack.is_done()
        # For a screened callee, its Dial makes the report.
        changed = self.report.look(self.leg) if self._owns_leg else []
        if self.state is not CallState.ENDING or self.leg.ended is None or not is_done:
            return [*changed]
        self.state = CallState.OVER
        completed = self.report.stage("completed", self.leg, duration_s=talked_s(self.leg))
        return [*changed, *completed, self.report.over(self.leg)]


def call_of_callee(parts: CallParts, callee: Callee, script: Script, ends: Ends) -> CallRun:
    """Return a new call of the same session that runs a document on a callee's leg.

    Args:
        parts: the parts of the call whose Dial has reached the callee.
        callee: the branch.
        script: the document to run.
        ends: what the end of the document means.
    """
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


def _screening(parts: CallParts, callee: Callee) -> CallRun:
    """Return a call that asks a callee whether it accepts the Dial's call."""
    script = Script(url=callee.screen_url, method=callee.child.noun.method)
    return call_of_callee(parts, callee, script, Ends.ACCEPT)


def _is_due(at: float | None, now: float) -> bool:
    return at is not None and now >= at
