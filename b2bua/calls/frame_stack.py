"""The frames of one call, and the verbs that are over while their legs are still ending. Sans I/O.

Every fact is passed to all of them; each handles those that concern it.
"""

from collections.abc import Callable

from b2bua.calls.call_report import CallReport
from b2bua.calls.dial_run import DialRun
from b2bua.calls.frame import Ends, Frame, FrameScene
from b2bua.calls.inner import InnerWish
from b2bua.calls.orders import CallInput, Output
from b2bua.calls.verb_run import Callee, Step
from b2bua.core.commands import Connection
from b2bua.core.deadlines import earliest
from b2bua.core.dial_table import CanceledBy
from b2bua.core.ids import CallSid, LegId
from b2bua.twiml import verbs

__all__ = ["CalleeOrder", "FrameStack", "OwedAction"]

OwedAction = tuple[Frame, verbs.Dial]
"""A Dial, and the frame that runs it."""

CalleeOrder = Callable[[DialRun, Callee, float], Step]
"""An order for a callee: a method of the Dial."""


class FrameStack:
    """The stack of frames of one call.

    Args:
        scene: the context shared by the frames.
        ends: what the end of the first frame means to the call.
    """

    def __init__(self, scene: FrameScene, ends: Ends) -> None:
        self._scene = scene
        self._frames = [Frame(scene, ends, scene.documents.script.url)]
        """From the first frame to the running one."""

    @property
    def top(self) -> Frame:
        """The running frame."""
        return self._frames[-1]

    @property
    def frames(self) -> tuple[Frame, ...]:
        """All frames; the running frame is last."""
        return tuple(self._frames)

    # -- structure ----------------------------------------------------------------------------------

    def push(self, ends: Ends, inner: InnerWish | None = None) -> Frame:
        """Cover the topmost frame with a new one, which inherits its base URL."""
        covered = self.top
        covered.cover()
        self._frames.append(Frame(self._scene, ends, covered.source.base_url, inner))
        return self.top

    def pop(self, now: float, *, goes_on: bool = True) -> list[Output]:
        """Drop the topmost frame and uncover the one beneath (``Frame.uncover``)."""
        return self._frames.pop().drop(now) + self.top.uncover(now, goes_on=goes_on)

    def replace_top(self) -> Frame:
        """Replace the topmost frame, which has ended, with a new one."""
        ended = self.top
        self._frames[-1] = Frame(self._scene, ended.ends, ended.source.base_url)
        return self.top

    def remove(self, frame: Frame, now: float, *, handed_over: bool) -> list[Output]:
        """Remove a covered frame from the stack (``Frame.drop``)."""
        self._frames.remove(frame)
        return frame.drop(now, handed_over=handed_over)

    def replace_all(self, ends: Ends, now: float) -> list[Output]:
        """Replace all frames with a new one."""
        base_url = self.top.source.base_url
        outputs = [output for frame in self._frames for output in frame.drop(now)]
        self._frames = [Frame(self._scene, ends, base_url)]
        return outputs

    # -- facts --------------------------------------------------------------------------------------

    def notice(self, event: CallInput, now: float) -> list[Output]:
        """Pass a fact to all frames and lingering verbs."""
        outputs: list[Output] = []
        for frame in self.frames:
            outputs += frame.notice(event, now)
        for run in tuple(self._scene.lingering):
            outputs += run.notice(event, now)[0]
        return outputs

    def due_at(self) -> float | None:
        """Return when ``wake`` is due next, in monotonic seconds; None: never."""
        deadlines = [frame.verb.due_at() for frame in self._frames]
        deadlines += [run.due_at() for run in self._scene.lingering]
        return earliest(*deadlines)

    def wake(self, now: float) -> list[Output]:
        """Act on deadlines that have passed."""
        outputs: list[Output] = []
        for run in tuple(self._scene.lingering):
            outputs += run.wake(now)[0]
        for frame in self.frames:
            outputs += frame.follow(frame.verb.wake(now), now)
        return outputs

    def cancel_dials(self, by: CanceledBy, now: float) -> list[Output]:
        """End all Dials because an order ends the call."""
        return [output for frame in self._frames for output in frame.cancel_dial(by, now)]

    def stop(self, now: float) -> list[Output]:
        """Stop all frames because the call ends; only verbs that still owe a request continue."""
        return [output for frame in self._frames for output in frame.stop(now)]

    def is_done(self) -> bool:
        """Return whether nothing is owed and no verb lingers."""
        if self._scene.lingering:
            self._scene.lingering[:] = [run for run in self._scene.lingering if run.lingers]
        return not self._scene.lingering and not any([frame.verb.is_there for frame in self._frames])

    # -- contents -----------------------------------------------------------------------------------

    @property
    def media(self) -> tuple[Connection, ...]:
        """The media connections that the running verbs want now."""
        return tuple([connection for frame in self._frames for connection in frame.verb.media])

    @property
    def open_legs(self) -> tuple[LegId, ...]:
        """Legs of verbs, where the end of the leg has not been reported."""
        running = (leg for frame in self._frames for leg in frame.verb.open_legs)
        return (*running, *(leg for run in self._scene.lingering for leg in run.open_legs))

    def callee(self, call_sid: CallSid) -> Callee | None:
        """Return the branch of a Dial with this sid; None if there is none."""
        found = (dial.callee(call_sid) for dial in self._dials)
        return next((callee for callee in found if callee is not None), None)

    def report_of(self, call_sid: CallSid) -> CallReport | None:
        """Return the report of the branch with this sid; None if there is none."""
        found = (dial.targets.report_of(call_sid) for dial in self._dials)
        return next((report for report in found if report is not None), None)

    def order_dial(self, callee: Callee, order: CalleeOrder, now: float) -> list[Output]:
        """Carry out an order for a branch of one of the Dials."""
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
        """The present Dial whose ``action`` is still to be requested, with the frame that requests it."""
        for frame in reversed(self._frames):
            dial = frame.verb.dial
            if dial is not None and not dial.is_parked and dial.verb.action is not None:
                return frame, dial.verb
        return None

    @property
    def _dials(self) -> list[DialRun]:
        runs = [*(frame.verb.dial for frame in self._frames), *self._scene.lingering]
        return [run for run in runs if isinstance(run, DialRun)]
