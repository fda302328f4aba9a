"""``<Gather>``: prompts that a key press interrupts, and the collection of the caller's digits.

Sans I/O. The digits are sent only to the application and never logged.
Source: TwiML ``<Gather>`` (read November 2026).
"""

from collections.abc import Sequence

from b2bua.calls.orders import CallInput, Output
from b2bua.calls.prompt_queue import PromptQueue
from b2bua.calls.verb_run import AskFor, GoOn, Step, VerbContext, VerbRun
from b2bua.core.commands import ListenForKeys
from b2bua.core.events import DtmfReceived
from b2bua.twiml import verbs

__all__ = ["GatherRun"]

_KEYS = frozenset("0123456789*#")
_MAX_DIGITS = 1000


class GatherRun(VerbRun):
    """Runs one ``<Gather>``."""

    def __init__(self, verb: verbs.Gather, context: VerbContext) -> None:
        self._verb = verb
        self._context = context
        self._prompts = PromptQueue(verb.prompts, context)
        self._digits = ""
        self._until: float | None = None
        """When the wait for the next key ends; None while prompts are playing."""
        self._over = False

    def begin(self, now: float) -> Step:
        """Listen for keys, and play the prompts."""
        return [*self._listen(True), *self._after_prompts(self._prompts.begin(now), now)], None

    def notice(self, event: CallInput, now: float) -> Step:
        """Take a key press, or a fact about the prompts."""
        if isinstance(event, DtmfReceived):
            return self._key(event, now)
        return self._after_prompts(self._prompts.notice(event, now), now), None

    def due_at(self) -> float | None:
        """Return the prompts' deadline or, after the prompts, the end of the wait for a key."""
        return self._prompts.due_at() if self._until is None else self._until

    def wake(self, now: float) -> Step:
        """Continue the prompts, or finish because no further key was pressed in time."""
        if self._until is None:
            return self._after_prompts(self._prompts.wake(now), now), None
        return self._finish("") if now >= self._until else ([], None)

    def stop(self, now: float) -> Step:
        """Stop the prompts, and stop listening for keys."""
        self._over, self._until = True, None
        return [*self._prompts.stop(), *self._listen(False)], None

    def _listen(self, wanted: bool) -> list[Output]:
        """Start or stop detecting in-band DTMF tones, used where keys cannot arrive in any other way."""
        leg = self._context.leg
        return [ListenForKeys(leg=leg.id, wanted=wanted)] if leg.live else []

    def _after_prompts(self, outputs: list[Output], now: float) -> list[Output]:
        """Start the timeout for the first key once the last prompt has ended."""
        if self._until is None and self._prompts.done and not self._over:
            self._until = now + self._verb.timeout
        return outputs

    def _key(self, event: DtmfReceived, now: float) -> Step:
        if self._over or event.leg != self._context.leg.id or event.digit not in _KEYS:
            return [], None
        outputs = self._prompts.stop()
        if event.digit in self._verb.finish_on_key:
            return self._finish(event.digit, outputs)
        self._digits += event.digit
        self._until = now + self._verb.timeout
        if len(self._digits) >= (self._verb.num_digits or _MAX_DIGITS):
            return self._finish("", outputs)
        return outputs, None

    def _finish(self, key: str, outputs: Sequence[Output] = ()) -> Step:
        self._over, self._until = True, None
        deaf = [*outputs, *self._listen(False)]
        if not self._digits and not self._verb.action_on_empty_result:
            return deaf, GoOn()
        params = (("Digits", self._digits), ("FinishedOnKey", key))
        action = self._verb.action or ""
        return deaf, AskFor(url=action, method=self._verb.method, params=params, once=True)
