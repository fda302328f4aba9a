"""The frames of one call, and the verbs that are over while their legs are still ending. Sans I/O.

What happens is given to all of them: each takes what is its own.
"""

from collections.abc import Callable

from b2bua.calls.call_report import CallReport
from b2bua.calls.dial_run import DialRun
from b2bua.calls.frame import Ends, Frame, FrameScene
from b2bua.calls.orders import CallInput, Output
from b2bua.calls.verb_run import Callee, Step
from b2bua.core.commands import Connection
from b2bua.core.dial_table import CanceledBy
from b2bua.core.ids import CallSid, LegId
from b2bua.twiml import verbs

__all__ = ["CalleeOrder", "FrameStack", "OwedAction"]

OwedAction = tuple[Frame, verbs.Dial]
"""A Dial, and the frame that runs it."""

CalleeOrder = Callable[[DialRun, Callee, float], Step]
"""What is to be done about a callee: a method of the Dial."""


class FrameStack:
    """See the module's docstring.

    Args:
        scene: what the frames share.
        ends: what the end of the first one means.
    """

    def __init__(self, scene: FrameScene, ends: Ends) -> None:
        self._scene = scene
        self._frames = [Frame(scene, ends, scene.documents.script.url)]
        """From the first to the one that runs."""

    @property
    def top(self) -> Frame:
        """The one that runs."""
        return self._frames[-1]

    @property
    def frames(self) -> tuple[Frame, ...]:
        """All of them, the one that runs last."""
        return tuple(self._frames)

    # -- its shape ----------------------------------------------------------------------------------

    def push(self, ends: Ends) -> Frame:
        """Cover the topmost frame by a new one, whose addresses resolve as those of that."""
        covered = self.top
        covered.cover()
        self._frames.append(Frame(self._scene, ends, covered.source.base_url))
        return self.top

    def pop(self, now: float) -> list[Output]:
        """Drop the topmost frame; the one beneath goes on."""
        return self._frames.pop().drop(now) + self.top.uncover(now)

    def replace_top(self) -> Frame:
        """Put a new frame in the place of one that has ended."""
        ended = self.top
        self._frames[-1] = Frame(self._scene, ended.ends, ended.source.base_url)
        return self.top

    def remove(self, frame: Frame, now: float, *, handed_over: bool) -> list[Output]:
        """Take a covered frame away; see ``Frame.drop``."""
        self._frames.remove(frame)
        return frame.drop(now, handed_over=handed_over)

    def clear(self, ends: Ends, now: float) -> list[Output]:
        """Drop all frames for a new one."""
        base_url = self.top.source.base_url
        outputs = [output for frame in self._frames for output in frame.drop(now)]
        self._frames = [Frame(self._scene, ends, base_url)]
        return outputs

    # -- what happens -------------------------------------------------------------------------------

    def notice(self, event: CallInput, now: float) -> list[Output]:
        """Give a fact to all."""
        outputs: list[Output] = []
        for frame in self.frames:
            outputs += frame.notice(event, now)
        for run in tuple(self._scene.lingering):
            outputs += run.notice(event, now)[0]
        return outputs

    def due_at(self) -> float | None:
        """When ``wake`` has something to do, in monotonic seconds; None: never."""
        deadlines = [frame.verb.due_at() for frame in self._frames]
        deadlines += [run.due_at() for run in self._scene.lingering]
        return min((at for at in deadlines if at is not None), default=None)

    def wake(self, now: float) -> list[Output]:
        """Do what time has made due."""
        outputs: list[Output] = []
        for run in tuple(self._scene.lingering):
            outputs += run.wake(now)[0]
        for frame in self.frames:
            outputs += frame.follow(frame.verb.wake(now), now)
        return outputs

    def cancel_dials(self, by: CanceledBy, now: float) -> list[Output]:
        """The call ends, by an order from above."""
        return [output for frame in self._frames for output in frame.cancel_dial(by, now)]

    def stop(self, now: float) -> list[Output]:
        """The call ends: nothing goes on but what is owed."""
        return [output for frame in self._frames for output in frame.stop(now)]

    def is_done(self) -> bool:
        """Nothing is owed, and no leg of a verb is left."""
        self._scene.lingering[:] = [run for run in self._scene.lingering if run.open_legs]
        return not self._scene.lingering and not any(frame.verb.is_there for frame in self._frames)

    # -- what there is ------------------------------------------------------------------------------

    @property
    def media(self) -> tuple[Connection, ...]:
        """Who is to hear what, now."""
        return tuple(connection for frame in self._frames for connection in frame.verb.media)

    @property
    def open_legs(self) -> tuple[LegId, ...]:
        """Legs of verbs whose end has not been reported."""
        running = (leg for frame in self._frames for leg in frame.verb.open_legs)
        return (*running, *(leg for run in self._scene.lingering for leg in run.open_legs))

    def callee(self, call_sid: CallSid) -> Callee | None:
        """A branch of one of the Dials."""
        found = (dial.callee(call_sid) for dial in self._dials)
        return next((callee for callee in found if callee is not None), None)

    def report_of(self, call_sid: CallSid) -> CallReport | None:
        """What is told of a branch of one of the Dials."""
        found = (dial.targets.report_of(call_sid) for dial in self._dials)
        return next((report for report in found if report is not None), None)

    def order_dial(self, callee: Callee, order: CalleeOrder, now: float) -> list[Output]:
        """Order something about a branch of one of the Dials."""
        outputs: list[Output] = []
        for frame in self.frames:
            dial = frame.verb.dial
            if dial is not None and callee.leg.id in dial.targets:
                outputs += frame.follow(order(dial, callee, now), now)
        for run in tuple(self._scene.lingering):
            if isinstance(run, DialRun) and callee.leg.id in run.targets:
                outputs += order(run, callee, now)[0]
        return outputs

    @property
    def owed_action(self) -> OwedAction | None:
        """The Dial that the call is at and whose ``action`` is to be asked, with the frame that asks."""
        for frame in reversed(self._frames):
            dial = frame.verb.dial
            if dial is not None and not dial.is_parked and dial.verb.action is not None:
                return frame, dial.verb
        return None

    @property
    def _dials(self) -> list[DialRun]:
        runs = [*(frame.verb.dial for frame in self._frames), *self._scene.lingering]
        return [run for run in runs if isinstance(run, DialRun)]
