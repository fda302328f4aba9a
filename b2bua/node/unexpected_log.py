"""Counts events that state machines did not expect, and logs the first of each kind."""

import logging

from b2bua.core.unexpected import watch_unexpected
from b2bua.web.metrics import Metrics

__all__ = ["UnexpectedLog"]

log = logging.getLogger(__name__)


class UnexpectedLog:
    """Watches for unexpected events from its construction until ``close``.

    Args:
        metrics: counts the events.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._seen: set[tuple[str, str]] = set()
        """Bounded by the states and events of the machines: a few hundred at most."""
        self.close = watch_unexpected(self._take)

    def _take(self, machine: str, what: str) -> None:
        self._metrics.unexpected(machine)
        if (machine, what) not in self._seen:
            self._seen.add((machine, what))
            log.warning("unexpected event", extra={"machine": machine, "event_in_state": what})
