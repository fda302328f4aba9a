"""Verbs that say where the call goes and are over at once, and those that only let time pass. Sans I/O.

Source: TwiML ``<Hangup>``, ``<Reject>``, ``<Redirect>``, ``<Pause>`` (read November 2026).
"""

from b2bua.calls.verb_run import AskFor, GoOn, Leave, Step, VerbContext, VerbRun
from b2bua.core.commands import Connection
from b2bua.twiml import verbs

__all__ = ["ErrorToneRun", "HangupRun", "PauseRun", "RedirectRun", "RejectRun"]

ERROR_TONE_S = 3.0
"""How much of the error announcement (special information tone, then reorder) a caller hears."""


class HangupRun(VerbRun):
    """``<Hangup>``: a caller who has not been answered is answered first."""

    def __init__(self, verb: verbs.Hangup, context: VerbContext) -> None:
        pass

    def begin(self, now: float) -> Step:
        """Leave."""
        return [], Leave()


class RejectRun(VerbRun):
    """``<Reject>``."""

    answers = False

    def __init__(self, verb: verbs.Reject, context: VerbContext) -> None:
        self._refusal = 486 if verb.reason == "busy" else 404

    def begin(self, now: float) -> Step:
        """Leave."""
        return [], Leave(refusal=self._refusal, rejected=True)


class RedirectRun(VerbRun):
    """``<Redirect>``: a caller who has not been answered goes on ringing."""

    answers = False

    def __init__(self, verb: verbs.Redirect, context: VerbContext) -> None:
        self._ask = AskFor(url=verb.url, method=verb.method)

    def begin(self, now: float) -> Step:
        """Ask for the other document."""
        return [], self._ask


class PauseRun(VerbRun):
    """``<Pause>``: a caller who has not been answered goes on ringing."""

    answers = False

    def __init__(self, verb: verbs.Pause, context: VerbContext) -> None:
        self._leg = context.leg
        self._length_s = verb.length
        self._until: float | None = None

    def begin(self, now: float) -> Step:
        """Wait."""
        self._until = now + self._length_s
        self._leg.allow_ringing(self._until)
        return [], None

    def due_at(self) -> float | None:
        """The end of the pause."""
        return self._until

    def wake(self, now: float) -> Step:
        """Go on when the pause is over."""
        if self._until is None or now < self._until:
            return [], None
        self._until = None
        return [], GoOn()

    def stop(self, now: float) -> Step:
        """Wait no longer."""
        self._until = None
        return [], None


class ErrorToneRun(VerbRun):
    """No verb of a document's: what a caller hears when there is no document, before it is hung up."""

    def __init__(self, context: VerbContext) -> None:
        self._tone = Connection("tone:error", context.leg.id)
        self._until: float | None = None

    def begin(self, now: float) -> Step:
        """Play the announcement."""
        self._until = now + ERROR_TONE_S
        return [], None

    def due_at(self) -> float | None:
        """The end of the announcement."""
        return self._until

    def wake(self, now: float) -> Step:
        """Leave when it has been heard."""
        if self._until is None or now < self._until:
            return [], None
        self._until = None
        return [], Leave()

    def stop(self, now: float) -> Step:
        """Fall silent."""
        self._until = None
        return [], None

    @property
    def media(self) -> tuple[Connection, ...]:
        """The announcement, as long as it is due."""
        return () if self._until is None else (self._tone,)
