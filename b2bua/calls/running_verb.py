"""The verb that a frame runs, or none: one at a time, and never forgotten while legs of it are open."""

from b2bua.calls.dial_run import DialRun
from b2bua.calls.orders import CallInput, Output
from b2bua.calls.verb_run import Step, VerbRun
from b2bua.core.commands import Connection
from b2bua.core.dial_table import CanceledBy
from b2bua.core.ids import LegId

__all__ = ["RunningVerb"]


class RunningVerb:
    """See the module's docstring.

    Args:
        lingering: verbs of the call that are over and whose legs are not; one that ends so is added.
    """

    def __init__(self, lingering: list[VerbRun]) -> None:
        self._lingering = lingering
        self._run: VerbRun | None = None

    def begin(self, run: VerbRun, now: float) -> Step:
        """Run a verb."""
        assert self._run is None
        self._run = run
        return run.begin(now)

    def end(self) -> None:
        """The verb is over, or is dropped."""
        run, self._run = self._run, None
        if run is not None and run.open_legs:
            self._lingering.append(run)

    def notice(self, event: CallInput, now: float) -> Step:
        """Take a fact."""
        return ([], None) if self._run is None else self._run.notice(event, now)

    def due_at(self) -> float | None:
        """When ``wake`` has something to do, in monotonic seconds; None: never."""
        return None if self._run is None else self._run.due_at()

    def wake(self, now: float) -> Step:
        """Do what time has made due."""
        due = self.due_at()
        return ([], None) if self._run is None or due is None or now < due else self._run.wake(now)

    def stop(self, now: float) -> Step:
        """Leave nothing running; see ``VerbRun.stop``."""
        return ([], None) if self._run is None else self._run.stop(now)

    def cancel_dial(self, by: CanceledBy, now: float) -> Step:
        """End the Dial that is run, if it is one."""
        return ([], None) if self.dial is None else self.dial.cancel(by, now)

    def drop(self, now: float, *, handed_over: bool) -> list[Output]:
        """End it without asking for what it would have asked for."""
        dial = self.dial
        outputs, _ = dial.hand_over(now) if dial is not None and handed_over else self.stop(now)
        self.end()
        return outputs

    @property
    def is_there(self) -> bool:
        """A verb is run."""
        return self._run is not None

    @property
    def dial(self) -> DialRun | None:
        """The Dial that is run."""
        return self._run if isinstance(self._run, DialRun) else None

    @property
    def media(self) -> tuple[Connection, ...]:
        """What it lets whom hear."""
        return () if self._run is None else self._run.media

    @property
    def open_legs(self) -> tuple[LegId, ...]:
        """Legs of it whose end has not been reported."""
        return () if self._run is None else self._run.open_legs
