"""The journal of a node: each fact about a call is published once, to all that store, count, log or show it.

Publishers know no subscriber, and subscribers do not know each other. Subscribers are called in the order of
their subscription, before ``publish`` returns, so that a fact is stored before its call goes on. They must be
quick: they run in the loop, within the step of a call. Thread: the controller's loop.
"""

import logging
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import msgspec

from b2bua.core.ids import CallSid, HostId
from b2bua.node.facts import JournalFact

__all__ = ["Entry", "Journal", "Subscriber"]

log = logging.getLogger(__name__)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One fact and the session and host that it belongs to."""

    at: float
    """Monotonic seconds."""
    fact: JournalFact
    session: CallSid | None = None
    """The session, identified by its first call; None: the fact names its call, whose session may be over."""
    host: HostId | None = None
    """With ``CallChanged``: the host of the call's leg."""


class Subscriber(Protocol):
    """A receiver of all facts."""

    def note(self, entry: Entry) -> None:
        """Take a fact. The facts of one session arrive in the order in which they happened."""


@runtime_checkable
class Rememberer(Protocol):
    """A subscriber that keeps state of calls that go on."""

    def recall(self, entry: Entry) -> None:
        """Take a fact of an earlier run again: remember it, and tell nobody."""


class Journal:
    """Distributes facts to its subscribers.

    Args:
        on_fault: called with the name of a subscriber that has raised; must not raise itself.
    """

    def __init__(self, on_fault: Callable[[str], None]) -> None:
        self._on_fault = on_fault
        self._subscribers: list[tuple[str, Subscriber]] = []

    def subscribe(self, name: str, subscriber: Subscriber) -> None:
        """Give ``subscriber`` all facts from now on; ``name`` identifies it in the log and in metrics."""
        self._subscribers.append((name, subscriber))

    def recall(self, entry: Entry) -> None:
        """Tell a fact of an earlier run again, to those that keep state of calls that go on."""
        for name, subscriber in self._subscribers:
            if isinstance(subscriber, Rememberer):
                try:
                    subscriber.recall(entry)
                except Exception:
                    log.exception("a fact cannot be recalled", extra={"subscriber": name})

    def publish(self, entry: Entry) -> bool:
        """Give an entry to all subscribers, even if some of them raise; their errors do not affect the call.

        Returns:
            Whether all of them have taken it, for callers that may continue only once the fact is stored.
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
