"""Say, Play and Pause one after the other on a leg: by themselves, or within a Gather.

The next sound is made while the present one plays, so that a caller waits only for the first. Sans I/O.
Source: TwiML ``<Say>``, ``<Play>``, ``<Pause>`` (read November 2026).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from b2bua.calls.orders import CallInput, NoteFinding, Output, PreparePrompt, PromptFailed, PromptReady
from b2bua.calls.verb_run import GoOn, Step, VerbContext, VerbRun
from b2bua.core.commands import StartPrompt, StopPrompt
from b2bua.core.digits import Keys
from b2bua.core.events import PromptEnded
from b2bua.twiml import verbs
from b2bua.twiml.findings import Finding

__all__ = ["PromptQueue", "PromptRun"]

_PREPARE_LIMIT_S = 60.0
"""Whoever makes prompts has limits of its own, which are shorter: this is for an answer that is lost."""
_TONE_S = 10.0
"""No cadence of a tone of the node's is longer."""
_LATE_END_S = 30.0
"""How much later than by its length the end of a prompt may be told."""


@dataclass(slots=True)
class _Item:
    """One prompt of the queue."""

    prompt: verbs.Prompt
    request: int | None = None
    """Under which it is being made, or was."""
    answer: PromptReady | PromptFailed | None = None
    notes: list[Output] = field(default_factory=list)


class PromptQueue:
    """See the module's docstring.

    Args:
        prompts: in their order.
        context: the leg, and how to ask for sounds.
    """

    def __init__(self, prompts: Sequence[verbs.Prompt], context: VerbContext) -> None:
        self._context = context
        self._items = [_Item(prompt) for prompt in prompts]
        self._at = 0
        self._playing: str | None = None
        self._keys: Keys | None = None
        self._deadline: float | None = None

    @property
    def done(self) -> bool:
        """All has been heard, or was stopped."""
        return self._at >= len(self._items)

    def begin(self, now: float) -> list[Output]:
        """Begin with the first."""
        return self._go_on(now)

    def notice(self, event: CallInput, now: float) -> list[Output]:
        """Take a fact; those of other prompts change nothing."""
        match event:
            case PromptReady() | PromptFailed():
                for item in self._items:
                    if item.request == event.request and item.answer is None:
                        item.answer = event
                        return self._go_on(now) if self._is_waiting else []
            case PromptEnded() if event.prompt == self._playing:
                return self._next(now)
        return []

    def due_at(self) -> float | None:
        """When ``wake`` has something to do, in monotonic seconds; None: never."""
        return None if self.done else self._deadline

    def wake(self, now: float) -> list[Output]:
        """Send the key that is due, or go on after a pause, or without what never came."""
        if self.done or self._deadline is None or now < self._deadline:
            return []
        if self._keys is not None:
            return self._press(now)
        stop: list[Output] = [StopPrompt(prompt=self._playing)] if self._playing else []
        return stop + self._next(now)

    def stop(self) -> list[Output]:
        """Nothing more is to be heard."""
        self._at = len(self._items)
        playing, self._playing = self._playing, None
        self._keys = self._deadline = None
        return [StopPrompt(prompt=playing)] if playing else []

    # -- one after the other ------------------------------------------------------------------------

    @property
    def _is_waiting(self) -> bool:
        """For the present one to be made."""
        return not self.done and self._playing is None and self._items[self._at].request is not None

    def _next(self, now: float) -> list[Output]:
        self._at += 1
        self._playing = self._keys = self._deadline = None
        return self._go_on(now)

    def _go_on(self, now: float) -> list[Output]:
        orders: list[Output] = []
        while not self.done:
            item = self._items[self._at]
            match item.prompt:
                case verbs.Pause():
                    self._deadline = now + item.prompt.length
                    return orders + self._prepare(self._at + 1)
                case verbs.Play(url="", digits=digits):
                    self._keys = Keys(digits * max(1, item.prompt.loop), now)
                    return orders + self._prepare(self._at + 1) + self._press(now)
            orders += self._prepare(self._at)
            orders += item.notes
            match item.answer:
                case None:
                    self._deadline = now + _PREPARE_LIMIT_S
                    return orders
                case PromptFailed():
                    orders.append(self._failed(item))
                    self._at += 1
                case PromptReady():
                    return orders + self._play(item, item.answer, now) + self._prepare(self._at + 1)
        return orders

    def _press(self, now: float) -> list[Output]:
        assert self._keys is not None
        keys = self._keys.take(now)
        orders: list[Output] = [*self._context.leg.send_dtmf(keys)] if keys else []
        self._deadline = self._keys.due_at
        return orders if self._deadline is not None else orders + self._next(now)

    def _prepare(self, at: int) -> list[Output]:
        """Have a sound made, if there is one at this place and it was not asked for yet."""
        if at >= len(self._items) or self._items[at].request is not None:
            return []
        item = self._items[at]
        match item.prompt:
            case verbs.Say():
                item.request = self._context.next_request()
                return [PreparePrompt(request=item.request, say=item.prompt)]
            case verbs.Play(url=str() as url) if url:
                item.request = self._context.next_request()
                where, item.notes = self._context.resolve_sound(url)
                if where is None:
                    item.answer = PromptFailed(request=item.request, number=11100, text="it is not played")
                    return []
                if where.startswith("tone:"):  # the worker has it
                    item.answer = PromptReady(request=item.request, file=where, duration_s=_TONE_S)
                    return []
                return [PreparePrompt(request=item.request, url=where)]
            case _:
                return []

    def _play(self, item: _Item, ready: PromptReady, now: float) -> list[Output]:
        self._playing = f"{self._context.report.call_sid}-{ready.request}"
        loops = item.prompt.loop if isinstance(item.prompt, verbs.Say | verbs.Play) else 1
        self._deadline = now + ready.duration_s * loops + _LATE_END_S if loops else None
        leg = self._context.leg.id
        return [StartPrompt(prompt=self._playing, leg=leg, file=ready.file, loops=loops)]

    def _failed(self, item: _Item) -> NoteFinding:
        assert isinstance(item.answer, PromptFailed)
        finding = Finding(
            number=item.answer.number,
            severity="warning",
            text=item.answer.text,
            line=item.prompt.line,
            column=item.prompt.column,
        )
        return NoteFinding(call_sid=self._context.report.call_sid, finding=finding)


class PromptRun(VerbRun):
    """``<Say>`` or ``<Play>`` by itself."""

    def __init__(self, verb: verbs.Say | verbs.Play, context: VerbContext) -> None:
        self._queue = PromptQueue((verb,), context)

    def begin(self, now: float) -> Step:
        """Play it."""
        return self._step(self._queue.begin(now))

    def notice(self, event: CallInput, now: float) -> Step:
        """Take what concerns the prompt."""
        return self._step(self._queue.notice(event, now))

    def due_at(self) -> float | None:
        """What the prompt waits for."""
        return self._queue.due_at()

    def wake(self, now: float) -> Step:
        """Go on without what never came."""
        return self._step(self._queue.wake(now))

    def stop(self, now: float) -> Step:
        """Fall silent."""
        return self._queue.stop(), None

    def _step(self, outputs: list[Output]) -> Step:
        return outputs, GoOn() if self._queue.done else None
