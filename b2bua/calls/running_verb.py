"""The verb that a frame is running, if any: one at a time, and kept while it lingers."""

from b2bua.calls.dial_run import DialRun
from b2bua.calls.orders import Output
from b2bua.calls.verb_run import Step, VerbRun
from b2bua.core.commands import Connection
from b2bua.core.dial_table import CanceledBy
from b2bua.core.ids import LegId

__all__ = ["RunningVerb"]


class RunningVerb:
    """Holds the verb that a frame is running, if any.

    Args:
        lingering: verbs of the call that are over but still linger; such a verb is added when it ends.
    """

    def __init__(self, lingering: list[VerbRun]) -> None:
        self._lingering = lingering
        self.run: VerbRun | None = None

    def begin(self, run: VerbRun, now: float) -> Step:
        """Start running a verb."""
        assert self.run is None
        self.run = run
        return run.begin(now)

    def end(self) -> None:
        """Forget the verb, which is over or dropped; it may linger."""
        run, self.run = self.run, None
        if run is not None and run.lingers:
            self._lingering.append(run)

    def due_at(self) -> float | None:
        """Return when ``wake`` is due next, in monotonic seconds; None: never."""
        return None if self.run is None else self.run.due_at()

    def wake(self, now: float) -> Step:
        """Act on deadlines that have passed."""
        due = self.due_at()
        return ([], None) if self.run is None or due is None or now < due else self.run.wake(now)

    def stop(self, now: float) -> Step:
        """Stop the verb (``VerbRun.stop``)."""
        return ([], None) if self.run is None else self.run.stop(now)

    def cancel_dial(self, by: CanceledBy, now: float) -> Step:
        """End the running verb if it is a Dial."""
        return ([], None) if self.dial is None else self.dial.cancel(by, now)

    def drop(self, now: float, *, handed_over: bool) -> list[Output]:
        """End the verb, and discard the request that it would have made."""
        dial = self.dial
        outputs, _ = dial.hand_over(now) if dial is not None and handed_over else self.stop(now)
        self.end()
        return outputs

    @property
    def is_there(self) -> bool:
        """Whether a verb is running."""
        return self.run is not None

    @property
    def dial(self) -> DialRun | None:
        """The running verb if it is a Dial, else None."""
        return self.run if isinstance(self.run, DialRun) else None

    @property
    def media(self) -> tuple[Connection, ...]:
        """The media connections that the verb wants."""
        return () if self.run is None else self.run.media

    @property
    def open_legs(self) -> tuple[LegId, ...]:
        """Legs of the verb whose end has not been reported."""
        return () if self.run is None else self.run.open_legs
