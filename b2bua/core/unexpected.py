"""Events that a machine is given in a state in which they may not come: each is counted, and changes nothing.

They are other people's errors or our own, and too many of them mean that something is wrong. A machine only
counts; whoever runs the process may watch what is counted (``watch_unexpected``), for metrics and log.
"""

from collections import Counter
from collections.abc import Callable

__all__ = ["UnexpectedEvents", "watch_unexpected"]

Watcher = Callable[[str, str], None]
"""Given the kind of the machine, and what has come: its state and the event's name."""

_watchers: list[Watcher] = []


def watch_unexpected(watcher: Watcher) -> Callable[[], None]:
    """Be told of every unexpected event in this process; returns what ends that."""
    _watchers.append(watcher)

    def unwatch() -> None:
        if watcher in _watchers:
            _watchers.remove(watcher)

    return unwatch


class UnexpectedEvents(Counter[str]):
    """Those of one machine, by ``state EventName``.

    Args:
        machine: its kind: ``leg``, ``dial`` …
    """

    def __init__(self, machine: str) -> None:
        super().__init__()
        self._machine = machine

    def note(self, what: str) -> None:
        """Count one."""
        self[what] += 1
        for watcher in _watchers:
            watcher(self._machine, what)
