"""Verbs that decide where the call goes and are over at once, and verbs that only wait. Sans I/O.

Source: TwiML ``<Hangup>``, ``<Reject>``, ``<Redirect>``, ``<Pause>`` (read November 2026).
"""

from b2bua.calls.verb_run import AskFor, GoOn, Leave, Step, VerbContext, VerbRun
from b2bua.core.commands import Connection
from b2bua.twiml import verbs

__all__ = ["ErrorToneRun", "HangupRun", "PauseRun", "RedirectRun", "RejectRun"]

ERROR_TONE_S = 3.0
"""How much of the error announcement (special information tone, then reorder) a caller hears."""


class HangupRun(VerbRun):
    """``<Hangup>``: an unanswered caller is answered first."""

    def __init__(self, verb: verbs.Hangup, context: VerbContext) -> None:
        pass

    def begin(self, now: float) -> Step:
        """Leave the document."""
        return [], Leave()


class RejectRun(VerbRun):
    """``<Reject>``: refuses an unanswered caller."""

    answers = False

    def __init__(self, verb: verbs.Reject, context: VerbContext) -> None:
        self._refusal = 486 if verb.reason == "busy" else 404

    def begin(self, now: float) -> Step:
        """Leave the document."""
        return [], Leave(refusal=self._refusal, rejected=True)


class RedirectRun(VerbRun):
    """``<Redirect>``: an unanswered caller keeps ringing."""

    answers = False

    def __init__(self, verb: verbs.Redirect, context: VerbContext) -> None:
        self._ask = AskFor(url=verb.url, method=verb.method)

    def begin(self, now: float) -> Step:
        """Request the other document."""
        return [], self._ask


class _TimedRun(VerbRun):
    """Lasts for ``length_s``, and then ends with ``then``."""

    def __init__(self, length_s: float, then: GoOn | Leave) -> None:
        self._length_s = length_s
        self._then = then
        self._until: float | None = None

    def begin(self, now: float) -> Step:
        """Start waiting."""
        self._until = now + self._length_s
        return [], None

    def due_at(self) -> float | None:
        """Return when the wait ends."""
        return self._until

    def wake(self, now: float) -> Step:
        """End the verb when the time is over."""
        if self._until is None or now < self._until:
            return [], None
        self._until = None
        return [], self._then

    def stop(self, now: float) -> Step:
        """Stop waiting."""
        self._until = None
        return [], None


class PauseRun(_TimedRun):
    """``<Pause>``: an unanswered caller keeps ringing."""

    answers = False

    def __init__(self, verb: verbs.Pause, context: VerbContext) -> None:
        super().__init__(verb.length, GoOn())
        self._leg = context.leg

    def begin(self, now: float) -> Step:
        """Start waiting."""
        self._leg.allow_ringing(now + self._length_s)
        return super().begin(now)


class ErrorToneRun(_TimedRun):
    """The error announcement before hanging up when no document is available; not a verb of documents."""

    def __init__(self, context: VerbContext) -> None:
        super().__init__(ERROR_TONE_S, Leave())
        self._tone = Connection("tone:error", context.leg.id)

    @property
    def media(self) -> tuple[Connection, ...]:
        """The announcement's connection, while it plays."""
        return () if self._until is None else (self._tone,)
