"""``<Record>``: a beep, then what the caller says, until a key, silence, the limit or the end of the call.

Sans I/O. The application is asked when the recording is complete, so that it can fetch it at once; of one in
which nothing was said it is not asked, and the document goes on.
Source: TwiML ``<Record>`` (read November 2026).
"""

from enum import StrEnum

from b2bua.core.commands import ListenForKeys, StartPrompt, StopPrompt, WatchSilence
from b2bua.core.events import DtmfReceived, PromptEnded, SilenceReached
from b2bua.core.ids import RecordingSid
from b2bua.flow.orders import RecordingFinished, SessionOrder
from b2bua.flow.recording_plan import RecordingPlan
from b2bua.flow.verb_run import VerbContext, VerbDone, VerbEvent, VerbOutput
from b2bua.twiml import verbs

__all__ = ["RecordRun"]

_BEEP_LIMIT_S = 3.0
"""For a beep whose end is never told."""
_FINISH_LIMIT_S = 8.0
"""For the file to be made; then the application is asked with what is known."""


class _State(StrEnum):
    BEEPING = "beeping"
    RECORDING = "recording"
    FINISHING = "finishing"
    OVER = "over"


class RecordRun:
    """See the module's docstring, and ``verb_run.VerbRun``."""

    def __init__(self, verb: verbs.Record, context: VerbContext) -> None:
        self._verb = verb
        self._context = context
        self._state = _State.BEEPING
        self._until: float | None = None
        """When the present state ends by itself."""
        self._beep = ""
        self._recording: RecordingSid | None = None
        self._finished_by = ""
        """The key, or ``hangup``."""
        self._known: tuple[tuple[str, str], ...] = ()
        """What the application would be told if the file were never made."""

    def start(self, now: float) -> list[VerbOutput]:
        """See ``VerbRun``."""
        if not self._verb.play_beep:
            return self._record(now)
        self._until = now + _BEEP_LIMIT_S
        context = self._context
        self._beep = f"{context.call_sid}-beep-{context.next_request()}"
        return [StartPrompt(prompt=self._beep, leg=context.leg.id, file="tone:beep")]

    def handle(self, event: VerbEvent, now: float) -> list[VerbOutput]:
        """See ``VerbRun``."""
        mine = self._context.leg.id
        match event:
            case PromptEnded(prompt=prompt) if prompt == self._beep and self._state is _State.BEEPING:
                return self._record(now)
            case DtmfReceived(leg=leg, digit=digit) if leg == mine and self._state is _State.RECORDING:
                return self._finish(digit, now) if digit in self._verb.finish_on_key else []
            case SilenceReached(leg=leg) if leg == mine and self._state is _State.RECORDING:
                return self._finish("", now)
            case RecordingFinished(recording=sid) if sid == self._recording:
                return self._finished(event, now)
        return []

    def next_deadline(self) -> float | None:
        """See ``VerbRun``."""
        return self._until

    def tick(self, now: float) -> list[VerbOutput]:
        """See ``VerbRun``."""
        if self._until is None or now < self._until:
            return []
        match self._state:
            case _State.BEEPING:
                return [StopPrompt(prompt=self._beep), *self._record(now)]
            case _State.RECORDING:
                return self._finish("", now)
            case _:
                return self._done(self._known)

    def stop(self, now: float) -> list[VerbOutput]:
        """See ``VerbRun``: a caller who hangs up has left a message all the same."""
        if self._state is _State.RECORDING:
            return self._finish("hangup", now)
        if self._state is _State.BEEPING:
            self._state, self._until = _State.OVER, None
            return [StopPrompt(prompt=self._beep)]
        return []

    def _record(self, now: float) -> list[VerbOutput]:
        verb, context = self._verb, self._context
        callback, notes = "", list[SessionOrder]()
        if verb.recording_status_callback is not None:
            url, notes = context.resolve(verb.recording_status_callback)
            callback = url or ""
        plan = RecordingPlan(
            call_sid=context.call_sid,
            source="RecordVerb",
            parent=context.leg.id,
            track="inbound",
            trim=verb.trim == "trim-silence",
            callback_url=callback,
            callback_method=verb.recording_status_callback_method,
            callback_events=verb.recording_status_callback_event,
        )
        self._recording, orders = context.recordings.start(plan, now)
        self._state, self._until = _State.RECORDING, now + verb.max_length
        leg = context.leg.id
        listen: list[VerbOutput] = [ListenForKeys(leg=leg, wanted=True)] if verb.finish_on_key else []
        watch: list[VerbOutput] = [WatchSilence(leg=leg, timeout_s=verb.timeout)] if verb.timeout else []
        return [*notes, *orders, *listen, *watch]

    def _finish(self, by: str, now: float) -> list[VerbOutput]:
        assert self._recording is not None
        self._finished_by = by
        self._known = self._context.recordings.parameters(self._recording, now)
        self._state, self._until = _State.FINISHING, now + _FINISH_LIMIT_S
        leg = self._context.leg
        orders: list[VerbOutput] = [*self._context.recordings.stop(self._recording, now)]
        if leg.live:
            orders.append(WatchSilence(leg=leg.id, timeout_s=0))
            orders.append(ListenForKeys(leg=leg.id, wanted=False))
        return orders

    def _finished(self, event: RecordingFinished, now: float) -> list[VerbOutput]:
        """Its file is there; it may have ended by itself, where it could not be written on."""
        if self._state is _State.RECORDING:
            self._finish("", now)
        if event.status == "absent":
            self._state, self._until = _State.OVER, None
            return [VerbDone()]
        known = [each for each in self._known if each[0] != "RecordingDuration"]
        return self._done((*known, ("RecordingDuration", str(round(event.duration_s)))))

    def _done(self, params: tuple[tuple[str, str], ...]) -> list[VerbOutput]:
        self._state, self._until = _State.OVER, None
        told = (*params, ("Digits", self._finished_by))
        if self._verb.action is None and self._context.resolve("")[0] is None:
            return [VerbDone()]  # a document of the configuration: there is nobody to ask
        return [VerbDone(action=self._verb.action or "", method=self._verb.method, params=told)]
