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


class _TimedRun(VerbRun):
    """Lasts for ``length_s``, and then the call does ``then``."""

    def __init__(self, length_s: float, then: GoOn | Leave) -> None:
        self._length_s = length_s
        self._then = then
        self._until: float | None = None

    def begin(self, now: float) -> Step:
        """Let time pass."""
        self._until = now + self._length_s
        return [], None

    def due_at(self) -> float | None:
        """The end."""
        return self._until

    def wake(self, now: float) -> Step:
        """Go on when the time is over."""
        if self._until is None or now < self._until:
            return [], None
        self._until = None
        return [], self._then

    def stop(self, now: float) -> Step:
        """Wait no longer."""
        self._until = None
        return [], None


class PauseRun(_TimedRun):
    """``<Pause>``: a caller who has not been answered goes on ringing."""

    answers = False

    def __init__(self, verb: verbs.Pause, context: VerbContext) -> None:
        super().__init__(verb.length, GoOn())
        self._leg = context.leg

    def begin(self, now: float) -> Step:
        """Wait."""
        self._leg.allow_ringing(now + self._length_s)
        return super().begin(now)


class ErrorToneRun(_TimedRun):
    """No verb of a document's: what a caller hears when there is no document, before it is hung up."""

    def __init__(self, context: VerbContext) -> None:
        super().__init__(ERROR_TONE_S, Leave())
        self._tone = Connection("tone:error", context.leg.id)

    @property
    def media(self) -> tuple[Connection, ...]:
        """The announcement, as long as it is due."""
        return () if self._until is None else (self._tone,)
