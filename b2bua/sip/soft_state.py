"""A bounded map of expiring entries, for what a stateless proxy remembers during a transaction.

``cachetools.TLRUCache`` has its own clock, whereas the proxy is given the time. It also takes more than twice
as long per operation, and each message needs several.
"""

from typing import Generic, TypeVar

__all__ = ["SoftState"]

Key = TypeVar("Key")
Value = TypeVar("Value")


class SoftState(Generic[Key, Value]):
    """A map whose entries expire; the oldest entry is dropped when the map is full.

    Args:
        limit: maximum number of entries.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: dict[Key, tuple[Value, float]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key, now: float) -> Value | None:
        """Return the value of an entry; None if it is missing or has expired."""
        entry = self._entries.get(key)
        return entry[0] if entry is not None and entry[1] > now else None

    def known(self, key: Key, now: float) -> bool:
        """Whether there is an entry that has not expired."""
        entry = self._entries.get(key)
        return entry is not None and entry[1] > now

    def put(self, key: Key, value: Value, until: float) -> None:
        """Set an entry, which becomes the youngest."""
        self._entries.pop(key, None)
        if len(self._entries) >= self._limit:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = (value, until)

    def keep(self, key: Key, until: float) -> None:
        """Let an existing entry expire at ``until``."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries[key] = (entry[0], until)

    def pop(self, key: Key) -> Value | None:
        """Remove an entry and return its value, expired or not."""
        entry = self._entries.pop(key, None)
        return None if entry is None else entry[0]

    def sweep(self, now: float) -> None:
        """Drop expired entries."""
        ended = [key for key, (_, until) in self._entries.items() if until <= now]
        for key in ended:
            del self._entries[key]
