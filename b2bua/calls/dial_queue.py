"""``<Dial>`` with a ``<Queue>``: an agent takes a caller out of a queue and talks to it. Sans I/O.

The agent hears ringback until the bridge. The queue belongs to the node, which says what happens
(``FromQueue``).
Source: TwiML ``<Dial>``, ``<Queue>`` (read November 2026).
"""

from b2bua.calls.enqueue import pass_on, talk
from b2bua.calls.orders import CallInput, FromQueue, NoteFinding, Output, ToQueue
from b2bua.calls.own_recording import OwnRecording
from b2bua.calls.verb_run import AskFor, Done, GoOn, Step, VerbContext, VerbRun
from b2bua.core.commands import Connection, ListenForKeys
from b2bua.core.events import DtmfReceived
from b2bua.core.ids import CallSid, LegId
from b2bua.core.queue_inputs import AgentEntered, AgentLeft, QueueInput
from b2bua.core.queue_outputs import AgentDone, BridgeCalls, EndBridge, PlayRingback
from b2bua.core.room_inputs import Document
from b2bua.twiml import verbs
from b2bua.twiml.findings import make_finding

__all__ = ["QueueDialRun"]

_PATIENCE_S = 10.0
"""How long a verb that was stopped waits for its result; the queue tells it at once."""


class QueueDialRun(VerbRun):
    """Runs one ``<Dial>`` whose noun is a ``<Queue>``."""

    def __init__(self, verb: verbs.Dial, noun: verbs.Queue, context: VerbContext) -> None:
        self._verb = verb
        self._noun = noun
        self._context = context
        self._entry = context.next_request()
        self._queue_sid = ""
        self._media: tuple[Connection, ...] = ()
        self._bridged = False
        self._partner: LegId | None = None
        """The caller's leg, during the bridge."""
        self._recording = OwnRecording(verb, context)
        self._until: float | None = None
        """The end of the bridge by ``timeLimit``; once the verb was stopped, when it gives up its result."""
        self._leaving = False
        self._over = False

    def begin(self, now: float) -> Step:
        """Ask the queue for a caller."""
        verb, noun, context = self._verb, self._noun, self._context
        notes: list[Output] = []
        offer = None
        if noun.url:
            url, notes = context.resolve(noun.url)
            offer = Document(url, noun.method) if url else None
        wanted = CallSid(noun.call_sid) if noun.call_sid else None
        entered = AgentEntered(
            call=context.report.call_sid, timeout_s=verb.timeout, offer=offer, caller=wanted
        )
        return [*notes, self._tell(entered)], None

    def notice(self, event: CallInput, now: float) -> Step:
        """Take what the queue says, the key that ends the bridge, or one for the caller."""
        if self._over:
            return [], None
        match event:
            case FromQueue(call_sid=call, entry=entry) if (
                call == self._context.report.call_sid and entry == self._entry
            ):
                return self._follow(event, now)
            case DtmfReceived(leg=leg, digit="*") if (
                leg == self._context.leg.id and self._bridged and self._verb.hangup_on_star
            ):
                return self._leave(now), None
            case DtmfReceived(leg=leg) if leg == self._context.leg.id and self._partner is not None:
                return pass_on(event, self._partner), None
        return [], None

    def due_at(self) -> float | None:
        """Return when the bridge has lasted for its time, or when a stopped verb gives up its result."""
        return self._until

    def wake(self, now: float) -> Step:
        """End the bridge at its time limit."""
        if self._until is None or now < self._until:
            return [], None
        if not self._leaving:
            return self._leave(now), None
        self._over, self._until = True, None
        return [], GoOn()

    def stop(self, now: float) -> Step:
        """Leave the queue, or end the bridge; the result is still to come, and is reported."""
        return ([] if self._over else self._leave(now)), None

    @property
    def media(self) -> tuple[Connection, ...]:
        """Ringback, or the connections with the caller."""
        return self._media

    # -- the queue ----------------------------------------------------------------------------------

    def _tell(self, event: QueueInput) -> ToQueue:
        return ToQueue(
            call_sid=self._context.report.call_sid,
            entry=self._entry,
            leg=self._context.leg.id,
            queue=self._noun.name,
            event=event,
        )

    def _leave(self, now: float) -> list[Output]:
        if self._leaving:
            return []
        self._leaving, self._until = True, now + _PATIENCE_S
        self._partner, self._media = None, ()
        return [*self._recording.stop(now), self._tell(AgentLeft(call=self._context.report.call_sid))]

    def _follow(self, event: FromQueue, now: float) -> Step:
        self._queue_sid = event.queue_sid
        leg = self._context.leg.id
        match event.output:
            case AgentDone():
                return self._finish(event.output, now)
            case _ if self._leaving:
                return [], None
            case PlayRingback():
                settings = self._context.context.settings.dial
                self._media = (Connection(f"tone:{self._verb.ring_tone or settings.ringtone}", leg),)
            case BridgeCalls() if event.partner is not None:
                most = self._context.context.settings.dial.max_time_limit_s
                self._bridged, self._until = True, now + min(self._verb.time_limit, most)
                self._partner, self._media = event.partner, talk(leg, event.partner)
                return [*self._listen(True), *self._recording.start(now)], None
            case EndBridge():
                self._partner, self._media, self._until = None, (), None
        return [], None

    def _listen(self, wanted: bool) -> list[Output]:
        if not self._verb.hangup_on_star or not self._context.leg.live:
            return []
        return [ListenForKeys(leg=self._context.leg.id, wanted=wanted)]

    # -- the result ---------------------------------------------------------------------------------

    def _finish(self, done: AgentDone, now: float) -> Step:
        outputs: list[Output] = [*self._recording.stop(now)]
        if self._bridged:
            outputs += self._listen(False)
        self._over, self._until, self._partner, self._media = True, None, None, ()
        if done.number:
            noun = self._noun
            bad = make_finding(
                done.number, "the Dial fails", line=noun.line, column=noun.column, severity="error"
            )
            outputs.append(NoteFinding(call_sid=self._context.report.call_sid, finding=bad))
        return outputs, self._report(done, now)

    def _report(self, done: AgentDone, now: float) -> Done:
        verb = self._verb
        if verb.action is None:
            return GoOn()
        params: list[tuple[str, str]] = [("DialCallStatus", done.status)]
        if done.caller is not None:
            params += [("DialCallSid", done.caller), ("DialCallDuration", str(done.bridge_s))]
        params.append(("DialBridged", "true" if done.status == "completed" else "false"))
        if self._queue_sid:
            params.append(("QueueSid", self._queue_sid))
        if done.caller is not None:
            params.append(("QueueTime", str(done.waited_s)))
        params += self._recording.parameters(now)
        return AskFor(url=verb.action, method=verb.method, params=tuple(params), once=True)
