"""What a peer sent and received, kept with its time, and shown as a ladder; and waits that quote it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from .wire import Message

Address = tuple[str, int]
T = TypeVar("T")


class PeerTimeout(AssertionError):
    """What a test waited for did not come; its text holds the ladder."""


@dataclass(frozen=True)
class Entry:
    """One message on the wire."""

    direction: str
    """One of in, out, dropped (came, but the test withheld it from us) and lost (never left)."""
    at: float
    """time.monotonic() of the moment."""
    message: Message
    address: Address


ARROWS = {"in": "<--", "out": "-->", "dropped": "x--", "lost": "--x"}


def ladder(entries: list[Entry], began_at: float) -> str:
    """The entries as lines: seconds since the beginning, direction, address, message, Call-ID."""
    lines = []
    for entry in entries:
        message = entry.message
        call = (message.get("Call-ID") or "")[:10]
        lines.append(
            f"{entry.at - began_at:8.3f} {ARROWS[entry.direction]} {entry.address[0]}:{entry.address[1]:<5} "
            f"{message.summary}  [{call}]"
        )
    return "\n".join(lines) or "(nothing was sent or received)"


class Mailbox(Generic[T]):
    """Things that arrived and no test has taken yet, with a wait for the first that matches."""

    def __init__(self, fail: Callable[[str], AssertionError]) -> None:
        self.items: list[T] = []
        self._fail = fail
        self._wakers: list[asyncio.Event] = []

    def put(self, item: T) -> None:
        self.items.append(item)
        for waker in self._wakers:
            waker.set()

    def take_now(self, matches: Callable[[T], bool]) -> T | None:
        """The first item that matches, taken out; None when there is none."""
        for index, item in enumerate(self.items):
            if matches(item):
                return self.items.pop(index)
        return None

    async def take(self, matches: Callable[[T], bool], timeout_s: float, what: str) -> T:
        """Wait for the first item that matches and take it out. Raises PeerTimeout with the ladder."""
        waker = asyncio.Event()
        self._wakers.append(waker)
        deadline = time.monotonic() + timeout_s
        try:
            while (item := self.take_now(matches)) is None:
                waker.clear()
                await asyncio.wait_for(waker.wait(), max(0.0, deadline - time.monotonic()))
            return item
        except TimeoutError:
            raise self._fail(f"no {what} within {timeout_s} s") from None
        finally:
            self._wakers.remove(waker)
