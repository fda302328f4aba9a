"""All calls of one session: the parent call, and callees that were redirected to their own documents.

A session passes inputs to its calls, combines the media connections that they want into one graph, and
determines when the last of them is over. Sans I/O: ``handle(input, now)`` and ``tick(now)`` return outputs;
documents and prompts are requested by number and arrive as inputs; ids are supplied from outside. A session
must not depend on HTTP, sockets or pjsua2, nor on what a verb does.
"""

from itertools import count

from b2bua.calls.call_parts import CallParts
from b2bua.calls.call_report import CallReport, StatusCallback
from b2bua.calls.call_run import CallRun, call_of_callee
from b2bua.calls.call_table import CallState
from b2bua.calls.caller import Caller
from b2bua.calls.context import SessionContext
from b2bua.calls.dial_run import DialRun
from b2bua.calls.frame import Ends
from b2bua.calls.frame_stack import OwedAction
from b2bua.calls.orders import (
    Amended,
    CallCanceled,
    ChangeRecording,
    Output,
    RecordCall,
    Redirected,
    SessionInput,
)
from b2bua.calls.outbound import OutboundAttempts, OutboundCall
from b2bua.calls.recording_plan import RecordingPlan
from b2bua.calls.recordings import CallRecordings, heard_by
from b2bua.calls.script import Script
from b2bua.calls.verb_run import Callee
from b2bua.core.admission import AdmittedCall
from b2bua.core.commands import Connection, EndSession, SetMedia
from b2bua.core.deadlines import earliest
from b2bua.core.events import LegEnded, LegIncoming, RecordingStarted, RecordingStopped
from b2bua.core.ids import CallSid, LegId
from b2bua.core.leg import Leg, Role

__all__ = ["Session"]

MAX_RECORDINGS = 8
"""Open recordings at a time, over all calls of a session, beyond which REST cannot start another. A worker's
library has 32 recorders, and each recording needs two."""


class Session:
    """The calls, recordings and media graph of one session.

    Args:
        context: configuration, ids and the script of the called number.
        opening: the INVITE received, or the call to be made.
        now: monotonic seconds.
    """

    def __init__(self, context: SessionContext, opening: AdmittedCall | OutboundCall, now: float) -> None:
        self._context = context
        outbound = opening if isinstance(opening, OutboundCall) else None
        if isinstance(opening, OutboundCall):
            self.caller = opening.caller
            leg = Leg(opening.leg, Role.UAC, now, opening.timeout_s)
        else:
            self.caller = Caller.of(opening, context)
            leg = Leg(opening.invite.leg, Role.UAS, now)
            leg.rings_with_media = _wants_offer_reliably(opening.invite)
        self.recordings = CallRecordings(context)
        self._graph: tuple[Connection, ...] = ()
        script = context.script or Script()
        call_sid = context.ids.call_sid()
        detection = outbound.detection if outbound else None
        report = CallReport(call_sid, self.caller, context, _callback(script), detection)
        self._parent = CallRun(
            CallParts(
                context=context,
                leg=leg,
                report=report,
                script=script,
                caller=self.caller,
                next_request=count(1).__next__,
                recordings=self.recordings,
                attempts=OutboundAttempts(outbound, call_sid, context, now) if outbound else None,
                time_limit_s=outbound.time_limit_s if outbound else None,
            )
        )
        self._calls: list[CallRun] = [self._parent]
        """The parent call, and redirected callees. A callee being screened belongs to its Dial."""
        self._ended = False

    # -- interface ----------------------------------------------------------------------------------

    @property
    def call_sid(self) -> CallSid:
        """The identifier of the parent call."""
        return self._parent.call_sid

    @property
    def a_leg(self) -> Leg:
        """The parent call's leg."""
        return self._parent.leg

    def start(self, now: float) -> list[Output]:
        """Request the first document, or send the INVITE. An unassigned number is refused with 404."""
        parent = self._parent
        outputs: list[Output] = [*parent.report.look(parent.leg)]
        if self._context.script is None:
            outputs += parent.refuse(404, now)
        elif parent.parts.attempts is not None:
            outputs += parent.call(now)
        else:
            outputs += parent.begin(now)
        return self._compose(outputs) + self._conclude()

    def handle(self, event: SessionInput, now: float) -> list[Output]:
        """Take an event of a leg, the answer to a request, or an order from REST or the node."""
        outputs: list[Output] = []
        if isinstance(event, RecordingStarted | RecordingStopped | LegEnded):
            outputs += self.recordings.handle(event, now)
        match event:
            case RecordCall():
                outputs += self._record(event, now)
            case ChangeRecording():
                outputs += self.recordings.change(event, now)
            case Redirected() | CallCanceled() | Amended():
                outputs += self._order(event, now)
            case _:
                for call in list(self._calls):
                    outputs += call.take(event, now)
        return self._compose(outputs) + self._conclude()

    def next_deadline(self) -> float | None:
        """Return when ``tick`` is due next, in monotonic seconds; None: never, or the session is over."""
        if self._ended:
            return None
        return earliest(self.recordings.next_deadline(), *[call.due_at() for call in self._calls])

    def tick(self, now: float) -> list[Output]:
        """Act on deadlines that have passed."""
        outputs = self.recordings.tick(now)
        for call in list(self._calls):
            outputs += call.wake(now)
        return self._compose(outputs) + self._conclude()

    def live_legs(self) -> list[LegId]:
        """Return the legs whose end has not been reported; they are lost if their worker is lost."""
        return list(dict.fromkeys(leg for call in self._calls for leg in call.open_legs))

    # -- internal errors ----------------------------------------------------------------------------

    def fail(self, now: float) -> list[Output]:
        """End all calls and report them as failed, after one of the session's machines has raised.

        The orders of the failed step are lost; the code that calls ``fail`` makes up for them (``Owed``).
        """
        self._ended = False
        outputs: list[Output] = []
        for call in list(self._calls):
            outputs += call.fail(now)
        for recording in self.recordings.open:
            outputs += self.recordings.stop(recording, now)
        return self._compose(outputs) + self._conclude()

    def report_of(self, call_sid: CallSid) -> CallReport | None:
        """Return the report of a call of the session; None if there is none."""
        own = (call.report for call in self._calls if call.call_sid == call_sid)
        dialled = (call.stack.report_of(call_sid) for call in self._calls)
        return next((report for report in (*own, *dialled) if report is not None), None)

    def owed_actions(self) -> dict[CallSid, OwedAction]:
        """Return the Dials whose ``action`` must be requested when they end, by the call that runs them."""
        owed = {call.call_sid: call.stack.owed_action for call in self._calls}
        return {call_sid: action for call_sid, action in owed.items() if action is not None}

    # -- orders from above --------------------------------------------------------------------------

    def _order(self, order: Redirected | CallCanceled | Amended, now: float) -> list[Output]:
        """Pass an order to the call that it names; for a child call of a Dial, the Dial carries it out."""
        call_sid = order.call_sid or self.call_sid
        named = [call for call in self._calls if call.call_sid == call_sid]
        if named:
            return named[0].take(order, now)
        outputs: list[Output] = []
        for call in list(self._calls):
            callee = call.stack.callee(call_sid)
            if callee is not None and isinstance(order, CallCanceled):
                outputs += call.order_dial(callee, DialRun.hang_up, now)
            elif callee is not None and isinstance(order, Redirected):
                outputs += self._send_elsewhere(call, callee, order, now)
        return outputs

    def _send_elsewhere(self, call: CallRun, callee: Callee, order: Redirected, now: float) -> list[Output]:
        """Make a child call run its own document; the Dial continues without it."""
        if callee.leg.answered_at is None or not callee.leg.live:
            return []
        outputs = call.order_dial(callee, DialRun.release, now)
        own = call_of_callee(call.parts, callee, Script(), Ends.HANG_UP)
        self._calls.append(own)
        return outputs + own.take(order, now)

    def _record(self, event: RecordCall, now: float) -> list[Output]:
        """Record an answered call: what its party says, and everything that it hears."""
        if len(self.recordings.open) >= MAX_RECORDINGS:
            return []
        legs = [call.leg for call in self._calls if call.call_sid == event.call_sid]
        callees = (call.stack.callee(event.call_sid) for call in self._calls)
        legs += [callee.leg for callee in callees if callee is not None]
        leg = next((leg for leg in legs if leg.live and leg.answered_at is not None), None)
        if leg is None:
            return []
        plan = RecordingPlan(
            call_sid=event.call_sid,
            source=event.source,
            parent=leg.id,
            child=heard_by(leg.id),
            dual=event.dual,
            track=event.track,
            trim=event.trim,
            callback_url=event.callback_url,
            callback_method=event.callback_method,
            callback_events=event.callback_events,
        )
        return self.recordings.start(plan, now)[1]

    # -- after each input ---------------------------------------------------------------------------

    def _compose(self, outputs: list[Output]) -> list[Output]:
        """Prepend the combined media graph of all calls, if it has changed."""
        graph = tuple(dict.fromkeys([wanted for call in self._calls for wanted in call.media]))
        if graph == self._graph:
            return outputs
        self._graph = graph
        return [SetMedia(connections=graph), *outputs]

    def _conclude(self) -> list[Output]:
        """Drop the calls that are over; once nothing is left, end the session."""
        live = [call for call in self._calls if call.state is not CallState.OVER]
        self._calls = live if self._parent in live else [self._parent, *live]
        if self._ended or self.recordings.open or live:
            return []
        self._ended = True
        return [EndSession()]


def _callback(script: Script) -> StatusCallback:
    return StatusCallback(
        url=script.status_callback,
        method=script.status_callback_method,
        events=script.status_callback_events,
    )


def _wants_offer_reliably(incoming: LegIncoming) -> bool:
    """Return whether the INVITE carries no offer but requires reliable provisional responses."""
    values = [(name.lower(), value.lower()) for name, value in incoming.headers]
    has_body = any(name == "content-type" for name, _ in values)
    return not has_body and any(name == "require" and "100rel" in value for name, value in values)
