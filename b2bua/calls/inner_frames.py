"""The inner document of a call: runs what the verb beneath wants, and tells that verb how it went.

Sans I/O.
"""

from b2bua.calls.frame import Ends, Frame, FrameEnd, FrameState
from b2bua.calls.frame_stack import FrameStack
from b2bua.calls.inner import InnerEnd, InnerWish
from b2bua.calls.orders import Output

__all__ = ["InnerFrames"]

_ENDS = {
    FrameEnd.DOCUMENT_ENDED: InnerEnd.RAN_OUT,
    FrameEnd.LEFT: InnerEnd.HANGUP,
    FrameEnd.LEFT_QUEUE: InnerEnd.LEAVE,
    FrameEnd.LED_ON: InnerEnd.LED_ON,
    FrameEnd.FAILED: InnerEnd.FAILED,
}


class InnerFrames:
    """Covers the frame whose verb wants an inner document with a frame that runs it; one at a time.

    Args:
        stack: the call's frames.
    """

    def __init__(self, stack: FrameStack) -> None:
        self._stack = stack
        self._host: Frame | None = None
        """The frame beneath."""
        self._wish: InnerWish | None = None
        """What runs on top of it."""
        self._began = False

    def look(self, now: float) -> list[Output]:
        """Follow what verb and document have come to; the topmost frame has no end to be acted on here."""
        outputs: list[Output] = []
        while (more := self._advance(now)) is not None:
            outputs += more
        return outputs

    def leave(self, now: float) -> list[Output]:
        """Drop the document, if there is one; the verb beneath is not told, and no other verb begins."""
        return self._pop(now, goes_on=False)

    def forget(self) -> None:
        """Note that all frames have been replaced."""
        self._host = self._wish = None

    def _pop(self, now: float, *, goes_on: bool) -> list[Output]:
        if self._host is None:
            return []
        self.forget()
        return self._stack.pop(now, goes_on=goes_on)

    def _advance(self, now: float) -> list[Output] | None:
        """Take one step; None: there is nothing to do."""
        host, top = self._host, self._stack.top
        if host is None:
            return self._begin(top, now)
        run = host.verb.run
        if run is None or run.inner is not self._wish:
            return self._pop(now, goes_on=True)
        if not self._began and top.state is not FrameState.FETCHING and top.end is not FrameEnd.FAILED:
            self._began = True
            return host.follow(run.inner_began(now), now)
        if top.end is None:
            return None
        outputs = self._pop(now, goes_on=True)
        return outputs + host.follow(run.inner_over(_ENDS[top.end], now, top.following), now)

    def _begin(self, top: Frame, now: float) -> list[Output] | None:
        wish = None if top.verb.run is None or top.end is not None else top.verb.run.inner
        if wish is None:
            return None
        self._host, self._wish, self._began = top, wish, False
        frame = self._stack.push(Ends.RETURN, wish)
        return frame.fetch(wish.url, wish.method, now, once=wish.once)
