"""The transfers requested by a call's callees, one at a time, each from its REFER to its last NOTIFY."""

from b2bua.calls.call_documents import CallDocuments
from b2bua.calls.call_parts import CallParts
from b2bua.calls.frame_stack import FrameStack
from b2bua.calls.orders import Output
from b2bua.calls.transfer_run import TransferRun

__all__ = ["Transfers"]


class Transfers:
    """Starts transfers and follows the one in progress.

    Args:
        stack: the call's frames.
        parts: the parts of the call.
        documents: the document requests of the call.
    """

    def __init__(self, stack: FrameStack, parts: CallParts, documents: CallDocuments) -> None:
        self._stack = stack
        self._parts = parts
        self._documents = documents
        self._running: TransferRun | None = None

    def look(self, now: float) -> list[Output]:
        """Follow the transfer in progress, or start one that has been requested."""
        if self._running is None:
            return self._look_for_refer(now)
        outputs = self._running.look(now)
        if not self._running.over:
            return outputs
        self._running = None
        return outputs + self._look_for_refer(now)

    def transferee_left(self, now: float) -> list[Output]:
        """Note that the call ends or is redirected: a waiting transferor can no longer rejoin the caller."""
        running, self._running = self._running, None
        return [] if running is None else running.transferee_left(now)

    def due_at(self) -> float | None:
        """Return when ``wake`` is due next, in monotonic seconds; None: never."""
        return None if self._running is None else self._running.due_at()

    def wake(self, now: float) -> list[Output]:
        """Act on deadlines that have passed."""
        return [] if self._running is None else self._running.wake(now)

    def _look_for_refer(self, now: float) -> list[Output]:
        dial = self._stack.top.verb.dial
        if dial is None or dial.referred is None:
            return []
        referred, dial.referred = dial.referred, None
        if not referred.accepted:
            return [self._documents.note(13802, "a callee's REFER was declined", "warning")]
        self._running = TransferRun(referred, self._stack, self._parts, now)
        return self._running.begin(now)
