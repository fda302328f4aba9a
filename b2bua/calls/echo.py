"""What a caller says comes back to it: the node's own number for trying a phone. Sans I/O."""

from b2bua.calls.verb_run import Step, VerbContext, VerbRun
from b2bua.core.commands import Connection
from b2bua.twiml import verbs

__all__ = ["EchoRun"]


class EchoRun(VerbRun):
    """See the module's docstring; it lasts until the caller hangs up."""

    def __init__(self, verb: verbs.Echo, context: VerbContext) -> None:
        self._media: tuple[Connection, ...] = ()
        self._leg = context.leg.id

    def begin(self, now: float) -> Step:
        """Let the caller hear itself."""
        self._media = (Connection(self._leg, self._leg),)
        return [], None

    def stop(self, now: float) -> Step:
        """Let it hear nothing."""
        self._media = ()
        return [], None

    @property
    def media(self) -> tuple[Connection, ...]:
        """The leg, to itself."""
        return self._media
