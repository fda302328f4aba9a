"""A caller in a queue is told its position: our music stops meanwhile, other sounds go on. Sans I/O."""

from b2bua.calls.orders import CallInput, Output
from b2bua.calls.prompt_queue import PromptQueue
from b2bua.calls.verb_run import VerbContext
from b2bua.twiml import verbs

__all__ = ["PositionSpeech"]


class PositionSpeech:
    """Speaks positions, one at a time.

    Args:
        verb: the Enqueue.
        context: of its call.
    """

    def __init__(self, verb: verbs.Enqueue, context: VerbContext) -> None:
        self._verb = verb
        self._context = context
        self._prompts: PromptQueue | None = None

    @property
    def speaks(self) -> bool:
        """Whether a position is being said."""
        return self._prompts is not None and self._prompts.playing

    def say(self, position: int, now: float) -> list[Output]:
        """Say a position; what was being said stops."""
        stop = self.stop()
        text = self._verb.announce_text.replace("{position}", str(position))
        prompt = verbs.Say(
            text=text, language=self._verb.announce_language, line=self._verb.line, column=self._verb.column
        )
        self._prompts = PromptQueue((prompt,), self._context)
        return [*stop, *self._prompts.begin(now)]

    def notice(self, event: CallInput, now: float) -> list[Output] | None:
        """Take a fact; None: it does not concern what is said."""
        if self._prompts is None:
            return None
        outputs = self._prompts.notice(event, now)
        if self._prompts.done:
            self._prompts = None
            return outputs
        return outputs or None

    def due_at(self) -> float | None:
        """Return when ``wake`` is due next, in monotonic seconds; None: never."""
        return None if self._prompts is None else self._prompts.due_at()

    def wake(self, now: float) -> list[Output]:
        """Act on a deadline that has passed."""
        return [] if self._prompts is None else self._prompts.wake(now)

    def stop(self) -> list[Output]:
        """Say no more."""
        prompts, self._prompts = self._prompts, None
        return [] if prompts is None else prompts.stop()
