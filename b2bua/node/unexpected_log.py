"""What becomes of events that machines did not expect: counted in metrics, the first of each kind logged."""

import logging

from b2bua.core.unexpected import watch_unexpected
from b2bua.web.metrics import Metrics

__all__ = ["UnexpectedLog"]

log = logging.getLogger(__name__)


class UnexpectedLog:
    """See the module's docstring; from now until ``close``.

    Args:
        metrics: where they are counted.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._seen: set[tuple[str, str]] = set()
        """There are as many as machines have states and events: a few hundred at most."""
        self.close = watch_unexpected(self._take)

    def _take(self, machine: str, what: str) -> None:
        self._metrics.unexpected(machine)
        if (machine, what) not in self._seen:
            self._seen.add((machine, what))
            log.warning("unexpected event", extra={"machine": machine, "event_in_state": what})
