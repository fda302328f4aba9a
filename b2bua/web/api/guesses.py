"""Delays the answers to wrong credentials, by source address, a little longer each time.

The answers to one address are sent one after another, so that guessing in parallel gains nothing. When they
are a minute behind, further requests from that address are refused unchecked, unless it had right credentials
recently: then a legitimate client shares the address with a guesser, and must not suffer for it. This module
reads no clock.
"""

from dataclasses import dataclass
from typing import Final

from cachetools import LRUCache

__all__ = ["Guesses"]

_FREE: Final = 3
"""Wrong attempts without a delay."""
_FIRST_WAIT_S: Final = 0.5
_MAX_WAIT_S: Final = 30.0
_MAX_BEHIND_S: Final = 60.0
_FORGET_S: Final = 900.0
_TRUST_S: Final = 3600.0


@dataclass(slots=True)
class _Source:
    wrong: int = 0
    due_at: float = 0.0
    """When the last queued answer is sent."""
    right_at: float | None = None


class Guesses:
    """Wrong attempts by source address. ``now`` is in monotonic seconds.

    Args:
        max_sources: sources to remember; the least recently seen one is forgotten.
    """

    def __init__(self, max_sources: int = 1024) -> None:
        self._sources: LRUCache[str, _Source] = LRUCache(max_sources)

    def refuses_for_s(self, address: str, now: float) -> float:
        """Return for how many seconds requests from ``address`` are refused unchecked; 0: it may try."""
        source = self._sources.get(address)
        if source is None or source.due_at - now <= _MAX_BEHIND_S:
            return 0.0
        is_trusted = source.right_at is not None and now - source.right_at < _TRUST_S
        return 0.0 if is_trusted else source.due_at - now - _MAX_BEHIND_S

    def wrong(self, address: str, now: float) -> float:
        """Note wrong credentials; returns the seconds to wait before the answer."""
        source = self._seen(address)
        if now - source.due_at > _FORGET_S:
            source.wrong = 0
        source.wrong += 1
        wait_s = 0.0
        if source.wrong > _FREE:
            wait_s = min(_FIRST_WAIT_S * 2.0 ** min(source.wrong - _FREE - 1, 16), _MAX_WAIT_S)
        due_at = max(now, source.due_at) + wait_s
        if due_at - now > _MAX_BEHIND_S + _MAX_WAIT_S:
            return wait_s  # a trusted address: it need not wait for all the other answers
        source.due_at = due_at
        return due_at - now

    def right(self, address: str, now: float) -> None:
        """Note right credentials; earlier wrong attempts are forgotten."""
        source = self._seen(address)
        source.wrong, source.due_at, source.right_at = 0, now, now

    def _seen(self, address: str) -> _Source:
        return self._sources.setdefault(address, _Source())
