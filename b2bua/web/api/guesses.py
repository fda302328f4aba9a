"""Wrong credentials, by where they come from: each answer to one comes later than the one before.

The answers to one address come one after another, so that asking in parallel helps nobody. When they are a
minute behind, nothing more of that address is looked at, unless it was right not long ago: then it is a
program of ours that has a guesser beside it, and must not suffer for that. Knows no clock.
"""

from dataclasses import dataclass
from typing import Final

from cachetools import LRUCache

__all__ = ["Guesses"]

_FREE: Final = 3
"""Mistakes that cost nothing."""
_FIRST_WAIT_S: Final = 0.5
_MAX_WAIT_S: Final = 30.0
_MAX_BEHIND_S: Final = 60.0
_FORGET_S: Final = 900.0
_TRUST_S: Final = 3600.0


@dataclass(slots=True)
class _Source:
    wrong: int = 0
    due_at: float = 0.0
    """When the last answer goes."""
    right_at: float | None = None


class Guesses:
    """See the module's docstring. ``now`` is in monotonic seconds.

    Args:
        max_sources: remembered; the one not seen for longest is forgotten.
    """

    def __init__(self, max_sources: int = 1024) -> None:
        self._sources: LRUCache[str, _Source] = LRUCache(max_sources)

    def refuses_for_s(self, address: str, now: float) -> float:
        """For how long nothing of it is looked at; 0: it may try."""
        source = self._sources.get(address)
        if source is None or source.due_at - now <= _MAX_BEHIND_S:
            return 0.0
        is_trusted = source.right_at is not None and now - source.right_at < _TRUST_S
        return 0.0 if is_trusted else source.due_at - now - _MAX_BEHIND_S

    def wrong(self, address: str, now: float) -> float:
        """It was wrong once more; returns after how many seconds it is to be told."""
        source = self._seen(address)
        if now - source.due_at > _FORGET_S:
            source.wrong = 0
        source.wrong += 1
        wait_s = 0.0
        if source.wrong > _FREE:
            wait_s = min(_FIRST_WAIT_S * 2.0 ** min(source.wrong - _FREE - 1, 16), _MAX_WAIT_S)
        due_at = max(now, source.due_at) + wait_s
        if due_at - now > _MAX_BEHIND_S + _MAX_WAIT_S:
            return wait_s  # of a trusted one: it need not wait for all the others
        source.due_at = due_at
        return due_at - now

    def right(self, address: str, now: float) -> None:
        """It was right: all before is forgotten."""
        source = self._seen(address)
        source.wrong, source.due_at, source.right_at = 0, now, now

    def _seen(self, address: str) -> _Source:
        return self._sources.setdefault(address, _Source())
