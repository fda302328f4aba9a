"""The shell around every library callback, and the sink that a leg's callbacks report to.

Thread: the SIP thread.
"""

import functools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import pjsua2 as pj

from b2bua.core.events import LegEvent, LegReferred
from b2bua.core.ids import LegId
from b2bua.sip.message import Message

if TYPE_CHECKING:
    from b2bua.engine.pjleg import PjLeg

__all__ = ["LegSink", "callback"]

log = logging.getLogger(__name__)


class LegSink(Protocol):
    """Receives what a leg's callbacks have observed."""

    def post(self, event: LegEvent) -> None:
        """Take an event; called inside pj callbacks, so it must only append."""

    def media_changed(self, leg: LegId) -> None:
        """The leg's media was (re)built: its slot in the bridge may have changed."""

    def take_refer(self, referred: LegReferred) -> pj.Call | int:
        """Return the call that the library may place for a REFER, or the status that declines it.

        ``referred`` is reported once the call has been placed.
        """

    def last_notify_answered(self, leg: LegId) -> None:
        """The leg has answered the last NOTIFY for a REFER that we accepted from it."""

    def replacing(self, leg: LegId) -> None:
        """The library is about to take a call that replaces this leg's."""

    def replaced(self, leg: "PjLeg", pj_id: int, invite: Message) -> "PjLeg":
        """Replace this call by another (RFC 3891); returns the new call's wrapper, which is the leg now."""

    def dialog_gone(self, leg: "PjLeg") -> None:
        """A call that is no leg any more has ended."""

    def is_from_edge(self, request: Message) -> bool:
        """Whether a request comes from our edge and not from another process on this machine."""

    def fault(self, where: str) -> None:
        """A callback raised: the worker must not be given another session."""


def callback(method: Callable[..., None]) -> Callable[..., None]:
    """Wrap a pj callback: log an exception and report the fault.

    Without this, pjsua2's Python wrapper prints the exception and continues as if nothing had happened.
    """

    @functools.wraps(method)
    def shell(self: Any, prm: Any) -> None:
        try:
            method(self, prm)
        except Exception:
            log.exception("a pj callback failed", extra={"callback": method.__name__})
            self.sink.fault(method.__name__)

    shell.is_pj_callback = True  # type: ignore[attr-defined]
    return shell
