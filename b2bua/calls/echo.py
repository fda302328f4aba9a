"""Plays the caller's audio back to it: the node's own test number for phones. Sans I/O."""

from b2bua.calls.verb_run import Step, VerbContext, VerbRun
from b2bua.core.commands import Connection
from b2bua.twiml import verbs

__all__ = ["EchoRun"]


class EchoRun(VerbRun):
    """Echoes the caller's audio until the caller hangs up."""

    def __init__(self, verb: verbs.Echo, context: VerbContext) -> None:
        self._media: tuple[Connection, ...] = ()
        self._leg = context.leg.id

    def begin(self, now: float) -> Step:
        """Connect the leg to itself."""
        self._media = (Connection(self._leg, self._leg),)
        return [], None

    def stop(self, now: float) -> Step:
        """Disconnect the leg from itself."""
        self._media = ()
        return [], None

    @property
    def media(self) -> tuple[Connection, ...]:
        """The connection of the leg to itself, while it echoes."""
        return self._media
