"""All calls that share a worker: the caller's, callees that are being screened or were sent elsewhere.

A session gives each of its flows what concerns it, makes one media graph of what they want, and knows when
the last of them is over. Sans I/O: ``handle(input, now)`` and ``tick(now)`` return what to do; documents and
prompts are asked for with a number and come back as inputs; ids come from outside. It must never know of
HTTP, sockets or pjsua2, nor what a verb does.
"""

from collections.abc import Callable
from itertools import count

from b2bua.core.commands import Connection, EndSession, SetMedia
from b2bua.core.dial import ScreeningEnded
from b2bua.core.dial_report import ScreenBranch
from b2bua.core.events import (
    LegEnded,
    LegIncoming,
    PromptEnded,
    RecordingStarted,
    RecordingStopped,
    SilenceReached,
)
from b2bua.core.ids import CallSid, LegId
from b2bua.core.leg import Leg, Role
from b2bua.flow.call_documents import CallDocuments
from b2bua.flow.call_flow import CallFlow
from b2bua.flow.call_report import CallReport, StatusCallback
from b2bua.flow.caller import Caller
from b2bua.flow.context import SessionContext
from b2bua.flow.dialing import Callee
from b2bua.flow.flow_parts import Ending, FlowOutput, FlowParts, FlowState, ScreeningOver
from b2bua.flow.orders import (
    Amended,
    CallCanceled,
    ChangeRecording,
    DocumentFetched,
    FetchDocument,
    FetchFailed,
    FlowInput,
    PreparePrompt,
    PromptFailed,
    PromptReady,
    RecordCall,
    RecordingFinished,
    Redirected,
    SessionInput,
    SessionOrder,
)
from b2bua.flow.outbound import OutboundCall
from b2bua.flow.recording_plan import RecordingPlan
from b2bua.flow.recordings import CallRecordings, heard_by
from b2bua.flow.script import Script
from b2bua.twiml import verbs

__all__ = ["Session"]

MAX_RECORDINGS = 8
"""Of all calls of a session at a time; REST begins none beyond it. A worker's library has 32 recorders, and
each recording needs two."""


class Session:
    """See the module's docstring.

    Args:
        context: configuration, ids and the number that was called.
        opening: the INVITE that came, or the call that is to be made.
        now: monotonic seconds.
    """

    def __init__(self, context: SessionContext, opening: LegIncoming | OutboundCall, now: float) -> None:
        self._context = context
        self._outbound = opening if isinstance(opening, OutboundCall) else None
        if isinstance(opening, OutboundCall):
            self.caller = opening.caller
            leg = Leg(opening.leg, Role.UAC, now, opening.timeout_s)
        else:
            self.caller = Caller.of(opening, context)
            leg = Leg(opening.leg, Role.UAS, now)
            leg.rings_with_media = _wants_offer_reliably(opening)
        self.recordings = CallRecordings(context)
        self._next_request: Callable[[], int] = count(1).__next__
        self._asked: dict[int, CallFlow] = {}
        """Who waits for the answer to which request."""
        self._media: dict[LegId, tuple[Connection, ...]] = {}
        """What each flow wants, by its leg."""
        self._graph: tuple[Connection, ...] = ()
        script = context.script or Script()
        report = CallReport(context.ids.call_sid(), self.caller, context, _callback(script))
        self._parent = CallFlow(
            FlowParts(
                context=context,
                leg=leg,
                report=report,
                script=script,
                caller=self.caller,
                next_request=self._next_request,
                recordings=self.recordings,
                time_limit_s=self._outbound.time_limit_s if self._outbound else None,
            )
        )
        self._flows: dict[LegId, CallFlow] = {leg.id: self._parent}
        """Of all calls that run a document, by their legs."""
        self._ended = False

    # -- the outside --------------------------------------------------------------------------------

    @property
    def call_sid(self) -> CallSid:
        """The caller's call."""
        return self._parent.call_sid

    @property
    def a_leg(self) -> Leg:
        """The caller's leg."""
        return self._parent.leg

    @property
    def state(self) -> FlowState:
        """What the caller's call is waiting for."""
        return self._parent.state

    def start(self, now: float) -> list[SessionOrder]:
        """Ask for the document, or send the INVITE. A number that is nobody's is 404."""
        parent = self._parent
        known: list[SessionOrder] = [*parent.report.look(parent.leg)]
        if self._context.script is None:
            return known + self._from(parent, parent.refuse(404, now), now)
        if self._outbound is not None:
            known.append(self._outbound.invite(self.call_sid, self._context))
            return known + self._from(parent, parent.call(now), now)
        return known + self._from(parent, parent.begin(now), now)

    def handle(self, event: SessionInput, now: float) -> list[SessionOrder]:
        """Take a fact about a leg, the answer to a request, or an order from above."""
        orders: list[SessionOrder] = []
        if isinstance(event, RecordingStarted | RecordingStopped | LegEnded):
            orders += self.recordings.handle(event, now)
        match event:
            case RecordCall():
                orders += self._record(event, now)
            case ChangeRecording():
                orders += self.recordings.change(event, now)
            case Redirected(call_sid=str() as sid) if not self._running(CallSid(sid)):
                orders += self._send_elsewhere(CallSid(sid), event, now)
            case CallCanceled(call_sid=str() as sid) if not self._running(CallSid(sid)):
                for flow, leg in self._callees(CallSid(sid)):
                    orders += self._from(flow, flow.hang_up(leg, now), now)
            case _:
                for flow in self._concerned(event):
                    orders += self._from(flow, flow.handle(event, now), now)
        return orders + self._conclude(now)

    def next_deadline(self) -> float | None:
        """When ``tick`` has something to do, in monotonic seconds; None: never, or it is over."""
        if self._ended:
            return None
        deadlines = [flow.next_deadline() for flow in self._flows.values()]
        deadlines.append(self.recordings.next_deadline())
        return min((d for d in deadlines if d is not None), default=None)

    def tick(self, now: float) -> list[SessionOrder]:
        """Do what time has made due."""
        orders = self.recordings.tick(now)
        for flow in list(self._flows.values()):
            orders += self._from(flow, flow.tick(now), now)
        return orders + self._conclude(now)

    def live_legs(self) -> list[LegId]:
        """Legs whose end has not been reported: what is lost with their worker."""
        legs = [leg for flow in self._flows.values() for leg in flow.open_legs]
        return list(dict.fromkeys(legs))

    # -- an error of ours ---------------------------------------------------------------------------

    def fail(self, now: float) -> list[SessionOrder]:
        """One of its machines has raised: all of its calls end, and are told as failed.

        What the step that failed would have ordered is lost; who calls this makes up for it (``Owed``).
        """
        self._ended = False
        orders: list[SessionOrder] = []
        for flow in list(self._flows.values()):
            orders += self._from(flow, flow.fail(now), now)
        for recording in self.recordings.open:
            orders += self.recordings.stop(recording, now)
        return orders + self._conclude(now)

    def report_of(self, call_sid: CallSid) -> CallReport | None:
        """What is told of a call of the session."""
        found = (flow.report_of(call_sid) for flow in self._flows.values())
        return next((report for report in found if report is not None), None)

    def owed_actions(self) -> dict[CallSid, tuple[CallDocuments, verbs.Dial]]:
        """Dials whose ``action`` is to be asked for when they end, by the call that runs them."""
        owed = {flow.call_sid: flow.owed_action for flow in self._flows.values()}
        return {call_sid: action for call_sid, action in owed.items() if action is not None}

    # -- flows --------------------------------------------------------------------------------------

    def _concerned(self, event: FlowInput) -> list[CallFlow]:
        """Whom an input is for."""
        match event:
            case DocumentFetched() | FetchFailed() | PromptReady() | PromptFailed():
                asked = self._asked.pop(event.request, None)
                return [asked] if asked is not None else []
            case PromptEnded() | RecordingStarted() | RecordingStopped() | RecordingFinished():
                return list(self._flows.values())
            case SilenceReached():
                return [self._flows[event.leg]] if event.leg in self._flows else []
            case Redirected() | CallCanceled() | Amended():
                return self._running(event.call_sid or self.call_sid)
            case _:
                # A branch's leg is its Dial's first, and then the flow's that screens it.
                own = self._flows.get(event.leg)
                return [*self._dialing(event.leg), *([own] if own is not None else [])]

    def _dialing(self, leg: LegId) -> list[CallFlow]:
        """Whose Dial a branch's leg is of."""
        return [flow for flow in self._flows.values() if flow.dials(leg)]

    def _running(self, call_sid: CallSid) -> list[CallFlow]:
        """The flow of a call that runs a document, whole: of one that is screened only its Dial disposes."""
        return [
            flow
            for flow in self._flows.values()
            if flow.call_sid == call_sid and flow.ending is Ending.HANG_UP
        ]

    def _callees(self, call_sid: CallSid) -> list[tuple[CallFlow, LegId]]:
        """The flow that dials a child call, and the leg of that."""
        found = [(flow, flow.leg_of(call_sid)) for flow in self._flows.values()]
        return [(flow, leg) for flow, leg in found if leg is not None]

    # -- recordings by REST -------------------------------------------------------------------------

    def _record(self, event: RecordCall, now: float) -> list[SessionOrder]:
        """Record a call that has been answered: what its party says, and all that it hears."""
        if len(self.recordings.open) >= MAX_RECORDINGS:
            return []
        legs = [flow.leg for flow in self._running(event.call_sid)]
        callees = (flow.callee(leg) for flow, leg in self._callees(event.call_sid))
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

    # -- calls of their own -------------------------------------------------------------------------

    def _screen(self, dialing: CallFlow, leg: LegId, now: float) -> list[SessionOrder]:
        """Ask a callee that has picked up whether it takes the call."""
        callee = dialing.callee(leg)
        assert callee is not None
        noun = callee.child.noun
        script = Script(url=callee.screen_url, method=noun.method)
        flow = self._flow_of(callee, script, Ending.ACCEPT)
        return self._from(flow, flow.begin(now), now)

    def _send_elsewhere(self, call_sid: CallSid, event: Redirected, now: float) -> list[SessionOrder]:
        """A child call runs a document of its own; the Dial that it was of goes on without it."""
        orders: list[SessionOrder] = []
        for flow, leg in self._callees(call_sid):
            callee = flow.callee(leg)
            if callee is None or callee.leg.answered_at is None or not callee.leg.live:
                continue
            screening = self._flows.pop(leg, None)
            if screening is not None:
                orders += self._from(screening, screening.abandon(now), now)
            orders += self._from(flow, flow.release(leg, now), now)
            own = self._flow_of(callee, Script(), Ending.HANG_UP)
            orders += self._from(own, own.handle(event, now), now)
        return orders

    def _flow_of(self, callee: Callee, script: Script, ending: Ending) -> CallFlow:
        child = callee.child
        parts = FlowParts(
            context=self._context,
            leg=callee.leg,
            report=callee.report,
            script=script,
            caller=child.as_caller(),
            next_request=self._next_request,
            recordings=self.recordings,
            ending=ending,
        )
        flow = self._flows[callee.leg.id] = CallFlow(parts)
        return flow

    def _from(self, flow: CallFlow, outputs: list[FlowOutput], now: float) -> list[SessionOrder]:
        """Take what a flow says; return what is for the world."""
        orders: list[SessionOrder] = []
        for output in outputs:
            match output:
                case SetMedia():
                    self._media[flow.leg.id] = output.connections
                    orders += self._compose()
                case FetchDocument() | PreparePrompt():
                    self._asked[output.request] = flow
                    orders.append(output)
                case ScreenBranch():
                    orders += self._screen(flow, output.leg, now)
                case ScreeningOver():
                    ended = ScreeningEnded(leg=output.leg, accepted=output.accepted)
                    for dialing in self._dialing(output.leg):
                        orders += self._from(dialing, dialing.screened(ended, now), now)
                case _:
                    orders.append(output)
        return orders

    def _compose(self) -> list[SessionOrder]:
        """One graph of what all flows want."""
        graph = tuple(dict.fromkeys(c for wanted in self._media.values() for c in wanted))
        if graph == self._graph:
            return []
        self._graph = graph
        return [SetMedia(connections=graph)]

    def _conclude(self, now: float) -> list[SessionOrder]:
        """Drop the flows that are over; when nothing is left, say so once."""
        orders: list[SessionOrder] = []
        for leg, flow in list(self._flows.items()):
            if flow.ending is Ending.ACCEPT and not flow.leg.live and not flow.over:
                orders += self._from(flow, flow.abandon(now), now)
            if flow.over and flow is not self._parent:
                del self._flows[leg]
                self._media.pop(leg, None)
        if self._ended or self.recordings.open or not all(flow.over for flow in self._flows.values()):
            return orders
        self._ended = True
        return [*orders, EndSession()]


def _callback(script: Script) -> StatusCallback:
    return StatusCallback(
        url=script.status_callback,
        method=script.status_callback_method,
        events=script.status_callback_events,
    )


def _wants_offer_reliably(incoming: LegIncoming) -> bool:
    """The caller makes no offer, and insists on reliable provisional responses."""
    values = [(name.lower(), value.lower()) for name, value in incoming.headers]
    has_body = any(name == "content-type" for name, _ in values)
    return not has_body and any(name == "require" and "100rel" in value for name, value in values)
