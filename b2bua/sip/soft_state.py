"""A map that forgets: what a stateless proxy remembers for a transaction's time, and no more than fits.

``cachetools.TLRUCache`` would do, but it has a clock of its own, where the proxy is told the time, and takes
more than twice as long, several times for each message.
"""

from typing import Generic, TypeVar

__all__ = ["SoftState"]

Key = TypeVar("Key")
Value = TypeVar("Value")


class SoftState(Generic[Key, Value]):
    """Entries with an end each; the oldest goes when there are too many.

    Args:
        limit: entries at most.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: dict[Key, tuple[Value, float]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key, now: float) -> Value | None:
        """The entry unless it has ended."""
        entry = self._entries.get(key)
        return entry[0] if entry is not None and entry[1] > now else None

    def known(self, key: Key, now: float) -> bool:
        """Whether there is an entry that has not ended."""
        entry = self._entries.get(key)
        return entry is not None and entry[1] > now

    def put(self, key: Key, value: Value, until: float) -> None:
        """Set an entry; it becomes the youngest."""
        self._entries.pop(key, None)
        if len(self._entries) >= self._limit:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = (value, until)

    def keep(self, key: Key, until: float) -> None:
        """Let an entry that is there end at ``until``."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries[key] = (entry[0], until)

    def pop(self, key: Key) -> Value | None:
        """Take an entry out, ended or not."""
        entry = self._entries.pop(key, None)
        return None if entry is None else entry[0]

    def sweep(self, now: float) -> None:
        """Drop what has ended."""
        ended = [key for key, (_, until) in self._entries.items() if until <= now]
        for key in ended:
            del self._entries[key]
