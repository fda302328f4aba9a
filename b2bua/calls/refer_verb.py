"""``<Refer>``: the caller's phone is asked to call somebody else, and says how that went.

Sans I/O. Source: TwiML ``<Refer>`` (read November 2026); RFC 3515.
"""

from b2bua.calls.orders import CallInput, NoteFinding, Output
from b2bua.calls.verb_run import AskFor, Done, GoOn, Step, VerbContext, VerbRun
from b2bua.core.commands import ReferLeg
from b2bua.core.events import ReferProgress
from b2bua.twiml import verbs
from b2bua.twiml.sip_noun import parse_sip_target

__all__ = ["ReferRun"]

_LIMIT_S = 180.0
"""The phone may ring the target for so long before it has to have said something."""


class ReferRun(VerbRun):
    """See the module's docstring."""

    def __init__(self, verb: verbs.Refer, context: VerbContext) -> None:
        self._verb = verb
        self._context = context
        self._until: float | None = None
        self._response = 0
        self._notify = 0

    def begin(self, now: float) -> Step:
        """Send the REFER."""
        verb = self._verb
        target = parse_sip_target(verb.uri, line=verb.line, column=verb.column)
        sid = self._context.report.call_sid
        outputs: list[Output] = [NoteFinding(call_sid=sid, finding=finding) for finding in target.findings]
        if not target.uri:
            return outputs, self._done()
        self._until = now + _LIMIT_S
        refer = ReferLeg(leg=self._context.leg.id, refer_to=target.uri, headers=target.headers)
        return [*outputs, refer], None

    def notice(self, event: CallInput, now: float) -> Step:
        """Take what the phone says."""
        if not isinstance(event, ReferProgress) or event.leg != self._context.leg.id or self._until is None:
            return [], None
        if event.by_notify:
            self._notify = event.status
        else:
            self._response = event.status
        return [], self._done() if event.final else None

    def due_at(self) -> float | None:
        """When the phone has been silent for too long."""
        return self._until

    def wake(self, now: float) -> Step:
        """Wait no longer."""
        return [], self._done() if self._until is not None and now >= self._until else None

    def stop(self, now: float) -> Step:
        """A phone that has gone where it was sent to hangs up, which may come before what it says."""
        return [], self._done() if self._until is not None else None

    def _done(self) -> Done:
        self._until = None
        verb = self._verb
        if verb.action is None:
            return GoOn()
        if self._notify:
            status = "completed" if 200 <= self._notify < 300 else "failed"
        else:
            status = "no-answer" if 200 <= self._response < 300 else "failed"
        params = [("ReferCallStatus", status)]
        if self._response:
            params.append(("ReferSipResponseCode", str(self._response)))
        if self._notify:
            params.append(("NotifySipResponseCode", str(self._notify)))
        return AskFor(url=verb.action, method=verb.method, params=tuple(params), once=True)
