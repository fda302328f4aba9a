"""``<Enqueue>``: a caller waits in a queue, hears documents meanwhile, and is bridged with an agent.

The queue itself belongs to the node, since it outlives every session; it says what happens (``FromQueue``).
Exactly one result is reported to ``action`` for each Enqueue, even if the caller has hung up or REST has
given the call another document: the verb then lingers until the queue has told the result. Sans I/O.
Source: TwiML ``<Enqueue>``, ``<Leave>`` (read November 2026).
"""

from b2bua.calls.inner import InnerEnd, InnerWish
from b2bua.calls.orders import CallInput, FromQueue, NoteFinding, Output, ToQueue
from b2bua.calls.parameters import Parameters
from b2bua.calls.queue_callback import QueueCallback
from b2bua.calls.queue_speech import PositionSpeech
from b2bua.calls.verb_run import AskFor, Done, GoOn, Leave, Step, VerbContext, VerbRun
from b2bua.core.commands import Connection, SendDtmf, away
from b2bua.core.events import DtmfReceived
from b2bua.core.ids import CallSid, LegId
from b2bua.core.queue_inputs import (
    CallerEntered,
    CallerExit,
    CallerLeft,
    Following,
    OfferEnded,
    QueueInput,
    WaitEnded,
    WaitFailed,
    WaitFetched,
)
from b2bua.core.queue_outputs import (
    AskWait,
    BridgeCalls,
    CallerDone,
    EndBridge,
    PlayWait,
    QueueEvent,
    QueueResult,
    SayPosition,
    StartOffer,
    StopOffer,
    StopWait,
)
from b2bua.core.room_inputs import Document
from b2bua.twiml import verbs
from b2bua.twiml.findings import make_finding
from b2bua.twiml.inner import InnerDocument

__all__ = ["MUSIC", "EnqueueRun", "LeaveRun", "pass_on", "talk"]

MUSIC = "tone:music"
"""Our own music, for callers who wait without a document."""
_PATIENCE_S = 10.0
"""How long a verb that was stopped waits for its result; the queue tells it at once."""

_EXITS = {InnerEnd.HANGUP: CallerExit.HANGUP, InnerEnd.LEAVE: CallerExit.LEAVE}


def talk(leg: LegId, partner: LegId) -> tuple[Connection, ...]:
    """Return the media connections of a leg that talks with one of another session."""
    return Connection(away(partner), leg), Connection(leg, away(partner))


def pass_on(key: DtmfReceived, partner: LegId) -> list[Output]:
    """Return the order to send the partner in another session a key that it has not heard or received."""
    heard = key.method == "inband" or key.passed
    return [] if heard else [SendDtmf(leg=away(partner), digits=key.digit)]


class LeaveRun(VerbRun):
    """``<Leave>`` in a caller's wait document."""

    def __init__(self, verb: verbs.Leave, context: VerbContext) -> None:
        pass

    def begin(self, now: float) -> Step:
        """Leave the document, and the queue."""
        return [], Leave(queue=True)


class EnqueueRun(VerbRun):
    """Runs one ``<Enqueue>``."""

    def __init__(self, verb: verbs.Enqueue, context: VerbContext) -> None:
        self._verb = verb
        self._context = context
        self._entry = context.next_request()
        self._queue_sid = ""
        self._callback = QueueCallback(verb, context)
        self._speech = PositionSpeech(verb, context)
        self._inner: InnerWish | None = None
        self._partner: LegId | None = None
        """The agent's leg, during the bridge."""
        self._media: tuple[Connection, ...] = ()
        self._over = False
        """The result is known."""
        self._until: float | None = None
        """If the verb was stopped: when it gives up waiting for its result."""

    # -- the verb -----------------------------------------------------------------------------------

    def begin(self, now: float) -> Step:
        """Enter the queue."""
        verb = self._verb
        if verb.refusal:
            self._over = True
            return [], self._report((("QueueResult", QueueResult.ERROR),))
        wait, notes = Document(verb.wait_url, verb.wait_url_method), list[Output]()
        if verb.wait_url:
            url, notes = self._context.resolve(verb.wait_url)
            wait = Document(url, verb.wait_url_method)
        more, events = self._callback.open()
        entered = CallerEntered(
            call=self._call,
            wait=wait,
            priority=verb.priority,
            max_wait_s=verb.max_wait,
            say_every_s=verb.announce_position,
            events=events,
        )
        return [*notes, *more, self._tell(entered)], None

    def notice(self, event: CallInput, now: float) -> Step:
        """Take what the queue says, or a key for the agent."""
        if (
            isinstance(event, DtmfReceived)
            and event.leg == self._context.leg.id
            and self._partner is not None
        ):
            return pass_on(event, self._partner), None
        if (spoken := self._speech.notice(event, now)) is not None:
            return spoken, None
        mine = isinstance(event, FromQueue) and event.call_sid == self._call and event.entry == self._entry
        if not mine or self._over:
            return [], None
        assert isinstance(event, FromQueue)
        self._queue_sid = event.queue_sid
        match event.output:
            case CallerDone() as done:
                return self._finish(done, now)
            case QueueEvent() as told:
                return self._callback.report(told, event.queue_sid), None
            case SayPosition() as say if self._until is None:
                return self._speech.say(say.position, now), None
            case _ if self._until is None:
                outputs = self._speech.stop() if isinstance(event.output, StopWait) else []
                self._follow(event)
                return outputs, None
        return [], None

    def due_at(self) -> float | None:
        """Return when the announcement is due, or when a verb that was stopped gives up its result."""
        return self._until if self._until is not None else self._speech.due_at()

    def wake(self, now: float) -> Step:
        """Go on with the announcement, or give up a result that was never told."""
        if self._until is None:
            return self._speech.wake(now), None
        if now < self._until:
            return [], None
        self._over, self._until = True, None
        return [], GoOn()

    def stop(self, now: float) -> Step:
        """Leave the queue; the result is still to come, and is reported."""
        if self._over or self._until is not None:
            return [], None
        self._until = now + _PATIENCE_S
        self._inner, self._partner, self._media = None, None, ()
        ended = self._context.leg.ended
        if ended is None:
            way = CallerExit.REDIRECTED
        else:
            way = CallerExit.CRASHED if ended.cause == "worker" else CallerExit.HUNG_UP
        return [*self._speech.stop(), self._tell(CallerLeft(call=self._call, exit=way))], None

    @property
    def media(self) -> tuple[Connection, ...]:
        """Our music, unless the caller is told its position, or the connections with the agent."""
        return () if self._speech.speaks else self._media

    @property
    def lingers(self) -> bool:
        """Whether the verb was stopped and its result is still to come."""
        return self._until is not None

    # -- documents ----------------------------------------------------------------------------------

    @property
    def inner(self) -> InnerWish | None:
        """The wait document, or the document before the bridge."""
        return self._inner

    def inner_began(self, now: float) -> Step:
        """Stop the music: there is a document."""
        if self._inner is not None and self._inner.purpose is InnerDocument.QUEUE_OFFER:
            return [], None
        self._media = ()
        return [self._tell(WaitFetched(call=self._call))], None

    def inner_over(self, end: InnerEnd, now: float, following: Following | None = None) -> Step:
        """Tell the queue how a document has ended."""
        inner, self._inner = self._inner, None
        if inner is None:
            return [], None
        if inner.purpose is InnerDocument.QUEUE_OFFER:
            return [self._tell(OfferEnded(call=self._call))], None
        fact: QueueInput
        if (way := _EXITS.get(end)) is not None:
            fact = CallerLeft(call=self._call, exit=way)
        elif end is InnerEnd.FAILED:
            fact = WaitFailed(call=self._call)
        else:
            fact = WaitEnded(call=self._call, following=following)
        return [self._tell(fact)], None

    # -- the queue ----------------------------------------------------------------------------------

    @property
    def _call(self) -> CallSid:
        return self._context.report.call_sid

    def _tell(self, event: QueueInput) -> ToQueue:
        return ToQueue(
            call_sid=self._context.report.call_sid,
            entry=self._entry,
            leg=self._context.leg.id,
            queue=self._verb.name,
            max_size=self._verb.max_queue_size,
            event=event,
        )

    def _follow(self, event: FromQueue) -> None:
        params: Parameters
        self._partner = None
        match event.output:
            case AskWait() as ask:
                params = (
                    ("QueuePosition", str(ask.position)),
                    ("QueueSid", event.queue_sid),
                    ("QueueTime", str(ask.waited_s)),
                    ("AvgQueueTime", str(ask.average_s)),
                    ("CurrentQueueSize", str(ask.size)),
                    ("MaxQueueSize", str(ask.max_size)),
                )
                if ask.estimated_s is not None:
                    params += (("EstimatedWait", str(ask.estimated_s)),)
                url, method, once = ask.document.url, ask.document.method, False
                if (next_one := ask.following) is not None:
                    url, method, once = next_one.url, next_one.method, next_one.once
                    params += next_one.params
                self._want(Document(url, method), params, InnerDocument.QUEUE_WAIT, once)
            case PlayWait(music=True):
                self._inner, self._media = None, (Connection(MUSIC, self._context.leg.id),)
            case PlayWait() | StopWait() | StopOffer() | EndBridge():
                self._inner, self._media = None, ()
            case StartOffer() as offer:
                params = (
                    ("QueueSid", event.queue_sid),
                    ("QueueTime", str(offer.waited_s)),
                    ("DequeingCallSid", offer.agent),
                )
                self._want(offer.document, params, InnerDocument.QUEUE_OFFER)
            case BridgeCalls() if event.partner is not None:
                self._inner, self._partner = None, event.partner
                self._media = talk(self._context.leg.id, event.partner)
            case _:
                pass

    def _want(
        self, document: Document, params: Parameters, purpose: InnerDocument, once: bool = False
    ) -> None:
        assert document.url
        self._inner = InnerWish(
            url=document.url, method=document.method, params=params, purpose=purpose, once=once
        )

    # -- the result ---------------------------------------------------------------------------------

    def _finish(self, done: CallerDone, now: float) -> Step:
        self._over, stopped = True, self._until is not None
        self._until = self._inner = self._partner = None
        self._media = ()
        params: list[tuple[str, str]] = [("QueueResult", done.result)]
        if done.queued:
            params += [
                ("QueueSid", self._queue_sid),
                ("QueueTime", str(done.waited_s)),
                ("QueuePosition", str(done.position)),
            ]
        if done.agent is not None:
            params.append(("DequeingCallSid", done.agent))
        if done.result in (QueueResult.BRIDGED, QueueResult.REDIRECTED_FROM_BRIDGE):
            params.append(("BridgeDuration", str(done.bridge_s)))
        outputs = self._speech.stop()
        if done.result is QueueResult.FULL:
            verb = self._verb
            full = make_finding(14207, "nobody is queued", line=verb.line, column=verb.column)
            outputs.append(NoteFinding(call_sid=self._context.report.call_sid, finding=full))
        report = self._report(tuple(params))
        if done.goes_on and not stopped:
            return outputs, report
        # The application is told; what it answers would come too late.
        if isinstance(report, AskFor):
            outputs += self._context.request(report, now)
        return outputs, Leave()

    def _report(self, params: Parameters) -> Done:
        verb = self._verb
        if verb.action is None:
            return GoOn()
        return AskFor(url=verb.action, method=verb.method, params=params, once=True)
