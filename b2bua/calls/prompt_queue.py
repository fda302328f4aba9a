"""Plays a sequence of Say, Play and Pause on a leg, on their own or within a Gather.

The next sound is prepared while the present one plays, so that a caller waits only for the first. Sans I/O.
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
"""Guards against a lost answer; the preparation of prompts has its own, shorter limits."""
_TONE_S = 10.0
"""No cadence of a built-in tone is longer."""
_LATE_END_S = 30.0
"""How much later than its length suggests the end of a prompt may be reported."""


@dataclass(slots=True)
class _Item:
    """One prompt of the queue."""

    prompt: verbs.Prompt
    request: int | None = None
    """The number of the request that prepares it; None: not requested yet."""
    answer: PromptReady | PromptFailed | None = None
    notes: list[Output] = field(default_factory=list)


class PromptQueue:
    """Plays prompts one after the other on a leg.

    Args:
        prompts: the prompts in order.
        context: provides the leg and the means to request sounds.
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
        """Whether all prompts have been played or stopped."""
        return self._at >= len(self._items)

    @property
    def playing(self) -> bool:
        """Whether a sound plays."""
        return self._playing is not None

    def begin(self, now: float) -> list[Output]:
        """Begin with the first prompt."""
        return self._go_on(now)

    def notice(self, event: CallInput, now: float) -> list[Output]:
        """Take a fact; facts about other prompts are ignored."""
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
        """Return when ``wake`` is due next, in monotonic seconds; None: never."""
        return None if self.done else self._deadline

    def wake(self, now: float) -> list[Output]:
        """Send the key that is due, or continue after a pause or after an answer that never arrived."""
        if self.done or self._deadline is None or now < self._deadline:
            return []
        if self._keys is not None:
            return self._press(now)
        stop: list[Output] = [StopPrompt(prompt=self._playing)] if self._playing else []
        return stop + self._next(now)

    def stop(self) -> list[Output]:
        """Stop the present prompt and skip the remaining ones."""
        self._at = len(self._items)
        playing, self._playing = self._playing, None
        self._keys = self._deadline = None
        return [StopPrompt(prompt=playing)] if playing else []

    # -- sequence -----------------------------------------------------------------------------------

    @property
    def _is_waiting(self) -> bool:
        """Whether the present prompt is still being prepared."""
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
        """Request the sound at this position, if there is one and it was not requested yet."""
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
                if where.startswith("tone:"):  # the worker has the tone built in
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
    """``<Say>`` or ``<Play>`` on its own."""

    def __init__(self, verb: verbs.Say | verbs.Play, context: VerbContext) -> None:
        self._queue = PromptQueue((verb,), context)

    def begin(self, now: float) -> Step:
        """Play the prompt."""
        return self._step(self._queue.begin(now))

    def notice(self, event: CallInput, now: float) -> Step:
        """Take a fact about the prompt."""
        return self._step(self._queue.notice(event, now))

    def due_at(self) -> float | None:
        """Return the prompt's deadline."""
        return self._queue.due_at()

    def wake(self, now: float) -> Step:
        """Continue when a deadline has passed."""
        return self._step(self._queue.wake(now))

    def stop(self, now: float) -> Step:
        """Stop playing."""
        return self._queue.stop(), None

    def _step(self, outputs: list[Output]) -> Step:
        return outputs, GoOn() if self._queue.done else None
