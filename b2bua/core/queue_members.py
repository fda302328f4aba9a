"""Callers and agents of a queue (see ``queue``)."""

from b2bua.core.ids import CallSid
from b2bua.core.queue_inputs import AgentEntered, CallerEntered
from b2bua.core.queue_table import RETRY_S, Stage

__all__ = ["Agent", "Caller"]


class Caller:
    """A call in ``<Enqueue>``.

    Args:
        entered: its entrance.
        now: monotonic seconds.
    """

    def __init__(self, entered: CallerEntered, now: float) -> None:
        self.call = entered.call
        self.wait = entered.wait
        self.entered_at = now
        self.priority = entered.priority
        self.leave_at = None if entered.max_wait_s is None else now + entered.max_wait_s
        self.say_at = None if entered.say_every_s is None else now + entered.say_every_s
        """When it may be told its position next."""
        self.events = entered.events
        self._say_every_s = entered.say_every_s or 0.0
        self._said = 0
        """The position that it was told last; 0: none."""
        self.stage = Stage.WAITING
        self.agent: CallSid | None = None
        """The agent that has it, once it is offered."""
        self.position = 0
        """Its last position while it waited."""
        self.picked_at: float | None = None
        self.bridged_at: float | None = None
        self.ask_at: float | None = None
        """When its wait document is requested next."""
        self._asked_at: float | None = None
        self._fetched = False
        self._failures = 0

    def waited_s(self, now: float) -> float:
        """Return the seconds in the queue, until an agent took it."""
        return (now if self.picked_at is None else self.picked_at) - self.entered_at

    def ask_soon(self, now: float) -> None:
        """Plan the next request of the wait document: at most one a second."""
        self.ask_at = now if self._asked_at is None else max(now, self._asked_at + 1.0)

    def may_say(self, position: int, now: float) -> bool:
        """Return whether it is to be told its position now: it is time, and the position has improved."""
        if self.say_at is None or now < self.say_at:
            return False
        self.say_at = now + self._say_every_s
        better = self._said == 0 or position < self._said
        self._said = position if better else self._said
        return better

    def asked(self, now: float) -> None:
        """Note that the document is requested."""
        self.ask_at, self._asked_at = None, now

    def fetched(self) -> None:
        """Note that the document was had."""
        self._fetched, self._failures = True, 0

    def failed(self, now: float) -> bool:
        """Plan another try; return False if no document was ever had."""
        if self._fetched:
            self.ask_at = now + RETRY_S[min(self._failures, len(RETRY_S) - 1)]
            self._failures += 1
        return self._fetched


class Agent:
    """A call in ``<Dial><Queue>``.

    Args:
        entered: its entrance.
        now: monotonic seconds.
    """

    def __init__(self, entered: AgentEntered, now: float) -> None:
        self.call = entered.call
        self.offer = entered.offer
        self.wanted = entered.caller
        """The only caller it takes; None: any."""
        self.stage = Stage.WAITING
        self.caller: CallSid | None = None
        self.until = now + entered.timeout_s
        """End of its wait for a caller."""
        self._left_s = 0.0

    def pause(self, now: float) -> None:
        """Stop the time of its wait."""
        self._left_s = self.until - now

    def resume(self, now: float) -> None:
        """Go on waiting for the time that was left."""
        self.stage, self.caller, self.until = Stage.WAITING, None, now + self._left_s
