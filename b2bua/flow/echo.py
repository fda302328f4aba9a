"""What a caller says comes back to it: the node's own number for trying a phone. Sans I/O."""

from b2bua.core.commands import Connection, SetMedia
from b2bua.flow.verb_run import VerbContext, VerbEvent, VerbOutput
from b2bua.twiml import verbs

__all__ = ["EchoRun"]


class EchoRun:
    """See the module's docstring, and ``verb_run.VerbRun``; it lasts until the caller hangs up."""

    def __init__(self, verb: verbs.Echo, context: VerbContext) -> None:
        self._leg = context.leg.id

    def start(self, now: float) -> list[VerbOutput]:
        """See ``VerbRun``."""
        return [SetMedia(connections=(Connection(self._leg, self._leg),))]

    def handle(self, event: VerbEvent, now: float) -> list[VerbOutput]:
        """See ``VerbRun``."""
        return []

    def next_deadline(self) -> float | None:
        """See ``VerbRun``."""
        return None

    def tick(self, now: float) -> list[VerbOutput]:
        """See ``VerbRun``."""
        return []

    def stop(self, now: float) -> list[VerbOutput]:
        """See ``VerbRun``."""
        return [SetMedia(connections=())]
