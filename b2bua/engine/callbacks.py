"""What callbacks of the library may do: shells for them, and where a leg's put what they have seen.

Thread: the SIP thread.
"""

import functools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import pjsua2 as pj

from b2bua.core.events import LegEvent, LegReferred, MediaMeasured
from b2bua.core.ids import LegId
from b2bua.sip.message import Message

if TYPE_CHECKING:
    from b2bua.engine.pjleg import PjLeg

__all__ = ["LegSink", "callback"]

log = logging.getLogger(__name__)


class LegSink(Protocol):
    """Where a leg's callbacks put what they have seen."""

    def post(self, event: LegEvent | MediaMeasured) -> None:
        """Take an event; called inside pj callbacks, so it must only append."""

    def media_changed(self, leg: LegId) -> None:
        """The leg's media was (re)built: its place in the bridge may be another now."""

    def take_refer(self, referred: LegReferred) -> pj.Call | int:
        """The call that the library may place for a REFER, or the status that declines it.

        Once it was placed, ``referred`` is told.
        """

    def last_notify_answered(self, leg: LegId) -> None:
        """Of a REFER that was taken from it."""

    def replaced(self, leg: "PjLeg", pj_id: int, invite: Message) -> "PjLeg":
        """A call has taken the place of this one (RFC 3891); returns its wrapper, which is the leg now."""

    def replaced_gone(self, leg: "PjLeg") -> None:
        """What was replaced has ended."""

    def is_from_edge(self, request: Message) -> bool:
        """Whether a request is from our edge, and no other process's of this machine."""

    def fault(self, where: str) -> None:
        """A callback raised; the worker is no longer to be trusted with a next session."""


def callback(method: Callable[..., None]) -> Callable[..., None]:
    """Shell of every pj callback: the wrapper prints an exception and goes on as if nothing had happened."""

    @functools.wraps(method)
    def shell(self: Any, prm: Any) -> None:
        try:
            method(self, prm)
        except Exception:
            log.exception("a pj callback failed", extra={"callback": method.__name__})
            self.sink.fault(method.__name__)

    shell.is_pj_callback = True  # type: ignore[attr-defined]
    return shell
