"""A peer's messages with their times, shown as a ladder; and waits that quote it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from .wire import Message

PATIENCE_S = 20.0
"""Time limit of waits. Only a failing test waits this long; a busy machine may need it."""
Address = tuple[str, int]
T = TypeVar("T")


class PeerTimeout(AssertionError):
    """Something that a test waited for did not arrive; the text contains the ladder."""


@dataclass(frozen=True)
class Entry:
    """One message on the wire."""

    direction: str
    """One of in, out, dropped (received, but withheld by the test) and lost (never sent)."""
    at: float
    """time.monotonic() of the message."""
    message: Message
    address: Address


ARROWS = {"in": "<--", "out": "-->", "dropped": "x--", "lost": "--x"}


class Log(list[Entry]):
    """Everything a peer sent and received, in order."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.began_at = name, time.monotonic()
        self._waker = Waker()

    def note(self, direction: str, message: Message, address: Address) -> None:
        self.append(Entry(direction, time.monotonic(), message, address))
        self._waker.wake()

    def ladder(self) -> str:
        """Lines with seconds since the beginning, direction, address, message and Call-ID."""
        return "\n".join(map(self._line, self)) or "(nothing was sent or received)"

    def _line(self, entry: Entry) -> str:
        message, (host, port) = entry.message, entry.address
        head = f"{entry.at - self.began_at:8.3f} {ARROWS[entry.direction]} {host}:{port:<5}"
        return f"{head} {message.summary}  [{(message.get('Call-ID') or '')[:10]}]"

    def failure(self, what: str) -> AssertionError:
        """An error that shows the ladder."""
        return PeerTimeout(f"{self.name}: {what}\n{self.ladder()}")

    def found(self, matches: Callable[[Message], bool], direction: str = "in") -> list[Entry]:
        """The entries of one direction whose message matches."""
        return [entry for entry in self if entry.direction == direction and matches(entry.message)]

    async def expect(
        self,
        count: int,
        matches: Callable[[Message], bool],
        direction: str = "in",
        within_s: float = PATIENCE_S,
    ) -> list[Entry]:
        """Wait until this many matching messages are in the log, however they were handled."""
        enough = lambda: len(self.found(matches, direction)) >= count  # noqa: E731
        if not await self._waker.until(enough, within_s):
            raise self.failure(f"no {count} such messages ({direction}) within {within_s} s")
        return self.found(matches, direction)


class Waker:
    """Lets any number of tasks wait for a condition, which is checked again at each `wake`."""

    def __init__(self) -> None:
        self._sleepers: list[asyncio.Event] = []

    def wake(self) -> None:
        for sleeper in self._sleepers:
            sleeper.set()

    async def until(self, met: Callable[[], bool], within_s: float) -> bool:
        """True as soon as the condition holds; False if it does not within the time limit."""
        sleeper, deadline = asyncio.Event(), time.monotonic() + within_s
        self._sleepers.append(sleeper)
        try:
            while not met():
                sleeper.clear()
                await asyncio.wait_for(sleeper.wait(), max(0.0, deadline - time.monotonic()))
            return True
        except TimeoutError:
            return met()
        finally:
            self._sleepers.remove(sleeper)


class Mailbox(Generic[T]):
    """Items that have arrived and that no test has taken yet, with a wait for the first that matches."""

    def __init__(self, fail: Callable[[str], AssertionError]) -> None:
        self.items: list[T] = []
        self._fail = fail
        self._waker = Waker()

    def put(self, item: T) -> None:
        self.items.append(item)
        self._waker.wake()

    async def take(self, matches: Callable[[T], bool], timeout_s: float, what: str) -> T:
        """Wait for the first item that matches and take it out. Raises PeerTimeout with the ladder."""
        if not await self._waker.until(lambda: any(map(matches, self.items)), timeout_s):
            raise self._fail(f"no {what} within {timeout_s} s")
        item = next(filter(matches, self.items))
        self.items.remove(item)
        return item
