"""Events that are illegal in the current state of a machine: each is counted and changes nothing.

They come from errors of a peer or of our own; many of them mean that something is wrong. A machine only
counts them; the process watches the counts through ``watch_unexpected``, for metrics and log.
"""

from collections import Counter
from collections.abc import Callable

__all__ = ["UnexpectedEvents", "watch_unexpected"]

Watcher = Callable[[str, str], None]
"""Called with the kind of the machine and with ``state EventName``."""

_watchers: list[Watcher] = []


def watch_unexpected(watcher: Watcher) -> Callable[[], None]:
    """Call ``watcher`` for every unexpected event in this process; return a function that stops that."""
    _watchers.append(watcher)

    def unwatch() -> None:
        if watcher in _watchers:
            _watchers.remove(watcher)

    return unwatch


class UnexpectedEvents(Counter[str]):
    """The unexpected events of one machine, counted by ``state EventName``.

    Args:
        machine: kind of the machine: ``leg``, ``dial`` …
    """

    def __init__(self, machine: str) -> None:
        super().__init__()
        self._machine = machine

    def note(self, what: str) -> None:
        """Count one event and notify the watchers."""
        self[what] += 1
        for watcher in _watchers:
            watcher(self._machine, what)
