"""The journal of a node: each fact of a call is published once, to all who keep, count, log or show it.

Who publishes knows no subscriber, and no subscriber knows another. Subscribers are called in the order of
their subscription, before ``publish`` returns, so that a fact is kept before its call goes on. They must be
quick: they run in the loop, within the step of a call. Thread: the controller's loop.
"""

import logging
from collections.abc import Callable
from typing import Protocol

import msgspec

from b2bua.core.ids import CallSid, HostId
from b2bua.node.facts import JournalFact

__all__ = ["Entry", "Journal", "Subscriber"]

log = logging.getLogger(__name__)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One fact and where it belongs."""

    at: float
    """Monotonic seconds."""
    fact: JournalFact
    session: CallSid | None = None
    """The session that it is of, by its first call; None: it names its call, whose session may be over."""
    host: HostId | None = None
    """With ``CallChanged``: where the call's leg is."""


class Subscriber(Protocol):
    """Who wants to know."""

    def note(self, entry: Entry) -> None:
        """Take a fact. Of facts of one session the order is that in which they happened."""


class Journal:
    """See the module's docstring.

    Args:
        on_fault: told the name of a subscriber that has raised; must not raise itself.
    """

    def __init__(self, on_fault: Callable[[str], None]) -> None:
        self._on_fault = on_fault
        self._subscribers: list[tuple[str, Subscriber]] = []

    def subscribe(self, name: str, subscriber: Subscriber) -> None:
        """Give ``subscriber`` all facts from now on; ``name``: for log and metrics."""
        self._subscribers.append((name, subscriber))

    def publish(self, entry: Entry) -> bool:
        """Tell all subscribers, whatever becomes of one; an error of theirs is no error of the call's.

        Returns:
            Whether all of them have taken it: asked by whoever may only go on when it is kept.
        """
        faulty = []
        for name, subscriber in self._subscribers:
            try:
                subscriber.note(entry)
            except Exception:
                facts = {"call_sid": entry.session, "subscriber": name, "fact": type(entry.fact).__name__}
                log.exception("a fact is lost", extra=facts)
                faulty.append(name)
        for name in faulty:
            self._on_fault(name)
        return not faulty
