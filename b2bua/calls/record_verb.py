"""``<Record>``: a beep, then the caller's voice until a key press, silence, the limit or the call's end.

Sans I/O. The action is requested when the recording is complete, so that the application can fetch it at
once. If nothing was said, no action is requested and the document continues.
Source: TwiML ``<Record>`` (read November 2026).
"""

from enum import StrEnum

from b2bua.calls.orders import CallInput, Output, RecordingFinished
from b2bua.calls.recording_plan import RecordingPlan
from b2bua.calls.verb_run import AskFor, Done, GoOn, Step, VerbContext, VerbRun
from b2bua.core.commands import ListenForKeys, StartPrompt, StopPrompt, WatchSilence
from b2bua.core.events import DtmfReceived, PromptEnded, SilenceReached
from b2bua.core.ids import RecordingSid
from b2bua.twiml import verbs

__all__ = ["RecordRun"]

_BEEP_LIMIT_S = 3.0
"""How long to wait for the end of the beep if it is never reported."""
_FINISH_LIMIT_S = 8.0
"""How long to wait for the file; then the action is requested with what is known."""


class _State(StrEnum):
    BEEPING = "beeping"
    RECORDING = "recording"
    FINISHING = "finishing"
    OVER = "over"


class RecordRun(VerbRun):
    """Runs one ``<Record>``."""

    def __init__(self, verb: verbs.Record, context: VerbContext) -> None:
        self._verb = verb
        self._context = context
        self._state = _State.BEEPING
        self._until: float | None = None
        """When the present state ends on its own."""
        self._beep = ""
        self._recording: RecordingSid | None = None
        self._finished_by = ""
        """The key that ended the recording, or ``hangup``; empty otherwise."""
        self._known: tuple[tuple[str, str], ...] = ()
        """The parameters to report if the file is never completed."""

    def begin(self, now: float) -> Step:
        """Beep, or record at once."""
        if not self._verb.play_beep:
            return self._record(now), None
        self._until = now + _BEEP_LIMIT_S
        context = self._context
        self._beep = f"{context.report.call_sid}-beep-{context.next_request()}"
        return [StartPrompt(prompt=self._beep, leg=context.leg.id, file="tone:beep")], None

    def notice(self, event: CallInput, now: float) -> Step:
        """Take the end of the beep, a key press, silence, or the completion of the file."""
        mine = self._context.leg.id
        match event:
            case PromptEnded(prompt=prompt) if prompt == self._beep and self._state is _State.BEEPING:
                return self._record(now), None
            case DtmfReceived(leg=leg, digit=digit) if leg == mine and self._state is _State.RECORDING:
                return (self._finish(digit, now) if digit in self._verb.finish_on_key else []), None
            case SilenceReached(leg=leg) if leg == mine and self._state is _State.RECORDING:
                return self._finish("", now), None
            case RecordingFinished(recording=sid) if sid == self._recording:
                return [], self._finished(event, now)
        return [], None

    def due_at(self) -> float | None:
        """Return when the present state ends at the latest."""
        return self._until

    def wake(self, now: float) -> Step:
        """Proceed to the next state."""
        if self._until is None or now < self._until:
            return [], None
        match self._state:
            case _State.BEEPING:
                return [StopPrompt(prompt=self._beep), *self._record(now)], None
            case _State.RECORDING:
                return self._finish("", now), None
            case _:
                return [], self._done(self._known)

    def stop(self, now: float) -> Step:
        """Stop; a message left by a caller who hangs up is still finished and reported."""
        if self._state is _State.RECORDING:
            return self._finish("hangup", now), None
        if self._state is _State.BEEPING:
            self._state, self._until = _State.OVER, None
            return [StopPrompt(prompt=self._beep)], None
        return [], None

    def _record(self, now: float) -> list[Output]:
        verb, context = self._verb, self._context
        callback, notes = "", list[Output]()
        if verb.recording_status_callback is not None:
            url, notes = context.resolve(verb.recording_status_callback)
            callback = url or ""
        transcribe = ""
        if verb.transcribe_callback is not None:
            url, more = context.resolve(verb.transcribe_callback)
            transcribe, notes = url or "", [*notes, *more]
        plan = RecordingPlan(
            call_sid=context.report.call_sid,
            source="RecordVerb",
            parent=context.leg.id,
            track="inbound",
            trim=verb.trim == "trim-silence",
            callback_url=callback,
            callback_method=verb.recording_status_callback_method,
            callback_events=verb.recording_status_callback_event,
            transcribe_url=transcribe,
            transcribe_params=context.report.standard(context.leg) if transcribe else (),
        )
        self._recording, orders = context.recordings.start(plan, now)
        self._state, self._until = _State.RECORDING, now + verb.max_length
        leg = context.leg.id
        listen: list[Output] = [ListenForKeys(leg=leg, wanted=True)] if verb.finish_on_key else []
        watch: list[Output] = [WatchSilence(leg=leg, timeout_s=verb.timeout)] if verb.timeout else []
        return [*notes, *orders, *listen, *watch]

    def _finish(self, by: str, now: float) -> list[Output]:
        assert self._recording is not None
        self._finished_by = by
        self._known = self._context.recordings.parameters(self._recording, now)
        self._state, self._until = _State.FINISHING, now + _FINISH_LIMIT_S
        leg = self._context.leg
        outputs = self._context.recordings.stop(self._recording, now)
        if leg.live:
            outputs.append(WatchSilence(leg=leg.id, timeout_s=0))
            outputs.append(ListenForKeys(leg=leg.id, wanted=False))
        return outputs

    def _finished(self, event: RecordingFinished, now: float) -> Done:
        """Handle the finished file; the recording ends on its own if its file could no longer be written."""
        if self._state is _State.RECORDING:
            self._finish("", now)
        if event.status == "absent":
            self._state, self._until = _State.OVER, None
            return GoOn()
        known = [each for each in self._known if each[0] != "RecordingDuration"]
        return self._done((*known, ("RecordingDuration", str(round(event.duration_s)))))

    def _done(self, params: tuple[tuple[str, str], ...]) -> Done:
        self._state, self._until = _State.OVER, None
        if self._verb.action is None and self._context.resolve("")[0] is None:
            return GoOn()  # a document of the configuration has no URL to send a request to
        params = (*params, ("Digits", self._finished_by))
        return AskFor(url=self._verb.action or "", method=self._verb.method, params=params, once=True)
