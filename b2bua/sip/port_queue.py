"""Workers' INVITEs that wait for a pair of the relay's ports, in the order of arrival.

The relay grants pairs ahead, and more as they are used; only a burst of calls is faster than that. Meanwhile
the worker gets no 100, so that it sends no CANCEL.
"""

from dataclasses import dataclass
from typing import Final

from b2bua.core.ids import WorkerId
from b2bua.sip.flow import Flow
from b2bua.sip.message import Request

__all__ = ["PortQueue", "Waiting"]

WAIT_S: Final = 3.0
"""A restarted relay grants pairs within a second or two."""
MAX_WAITING: Final = 256


@dataclass(frozen=True, slots=True)
class Waiting:
    """An initial INVITE of a worker."""

    invite: Request
    worker: WorkerId
    came_from: Flow
    to_phone: bool
    """Whether it goes to a registered phone by its binding."""


class PortQueue:
    """The waiting INVITEs. Thread: the edge's loop."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[WorkerId, str], tuple[Waiting, float]] = {}
        """By worker and Call-ID, with the time of giving up."""

    def add(self, waiting: Waiting, now: float) -> bool:
        """Let an INVITE wait, or absorb its retransmission; return False if too many are waiting."""
        key = (waiting.worker, waiting.invite.call_id)
        if len(self._waiting) >= MAX_WAITING and key not in self._waiting:
            return False
        self._waiting.setdefault(key, (waiting, now + WAIT_S))
        return True

    def take(self, now: float, *, free: bool) -> Waiting | None:
        """Remove and return the first INVITE if a pair is free for it or its time is over."""
        for key, (waiting, until) in self._waiting.items():
            if not free and now < until:
                break
            del self._waiting[key]
            return waiting
        return None

    def over(self, worker: WorkerId) -> None:
        """Drop the INVITEs of a worker whose session is over."""
        for key in [key for key in self._waiting if key[0] == worker]:
            del self._waiting[key]
