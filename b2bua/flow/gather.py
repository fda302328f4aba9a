"""``<Gather>``: prompts that a key interrupts, and the keys that a caller presses.

Sans I/O. What was pressed goes to the application and nowhere else: never into a log.
Source: TwiML ``<Gather>`` (read November 2026).
"""

from b2bua.core.commands import ListenForKeys
from b2bua.core.events import DtmfReceived
from b2bua.flow.orders import SessionOrder
from b2bua.flow.prompt_queue import PromptQueue
from b2bua.flow.verb_run import VerbContext, VerbDone, VerbEvent, VerbOutput
from b2bua.twiml import verbs

__all__ = ["GatherRun"]

_KEYS = frozenset("0123456789*#")
_MAX_DIGITS = 1000


class GatherRun:
    """See the module's docstring, and ``verb_run.VerbRun``."""

    def __init__(self, verb: verbs.Gather, context: VerbContext) -> None:
        self._verb = verb
        self._context = context
        self._prompts = PromptQueue(verb.prompts, context)
        self._digits = ""
        self._until: float | None = None
        """When nobody waits for a key any more; None while prompts are heard."""
        self._over = False

    def start(self, now: float) -> list[VerbOutput]:
        """See ``VerbRun``."""
        return [*self._listen(True), *self._after_prompts(self._prompts.start(now), now)]

    def handle(self, event: VerbEvent, now: float) -> list[VerbOutput]:
        """See ``VerbRun``."""
        if isinstance(event, DtmfReceived):
            return self._key(event, now)
        return self._after_prompts(self._prompts.handle(event, now), now)

    def next_deadline(self) -> float | None:
        """See ``VerbRun``."""
        return self._prompts.next_deadline() if self._until is None else self._until

    def tick(self, now: float) -> list[VerbOutput]:
        """See ``VerbRun``."""
        if self._until is None:
            return self._after_prompts(self._prompts.tick(now), now)
        return self._finish("") if now >= self._until else []

    def stop(self, now: float) -> list[VerbOutput]:
        """See ``VerbRun``."""
        self._over, self._until = True, None
        return [*self._prompts.stop(), *self._listen(False)]

    def _listen(self, wanted: bool) -> list[VerbOutput]:
        """For keys that come as tones, where they can come no other way."""
        leg = self._context.leg
        return [ListenForKeys(leg=leg.id, wanted=wanted)] if leg.live else []

    def _after_prompts(self, orders: list[SessionOrder], now: float) -> list[VerbOutput]:
        """After the last prompt the time for the first key begins."""
        if self._until is None and self._prompts.done and not self._over:
            self._until = now + self._verb.timeout
        return [*orders]

    def _key(self, event: DtmfReceived, now: float) -> list[VerbOutput]:
        if self._over or event.leg != self._context.leg.id or event.digit not in _KEYS:
            return []
        orders: list[VerbOutput] = [*self._prompts.stop()]
        if event.digit in self._verb.finish_on_key:
            return orders + self._finish(event.digit)
        self._digits += event.digit
        self._until = now + self._verb.timeout
        if len(self._digits) >= (self._verb.num_digits or _MAX_DIGITS):
            return orders + self._finish("")
        return orders

    def _finish(self, key: str) -> list[VerbOutput]:
        self._over, self._until = True, None
        if not self._digits and not self._verb.action_on_empty_result:
            return [*self._listen(False), VerbDone()]
        params = (("Digits", self._digits), ("FinishedOnKey", key))
        done = VerbDone(action=self._verb.action or "", method=self._verb.method, params=params)
        return [*self._listen(False), done]
