"""``<Refer>``: asks the caller's phone to call another party, and takes its reports of the result.

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
"""How long the phone may ring the target before it must have reported a result."""


class ReferRun(VerbRun):
    """Runs one ``<Refer>``."""

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
        """Take the phone's response or NOTIFY."""
        if not isinstance(event, ReferProgress) or event.leg != self._context.leg.id or self._until is None:
            return [], None
        if event.by_notify:
            self._notify = event.status
        else:
            self._response = event.status
        return [], self._done() if event.final else None

    def due_at(self) -> float | None:
        """Return when the wait for the phone's report ends."""
        return self._until

    def wake(self, now: float) -> Step:
        """End the verb if the phone has not reported in time."""
        return [], self._done() if self._until is not None and now >= self._until else None

    def stop(self, now: float) -> Step:
        """End the verb: a phone that has been transferred hangs up, perhaps before its final NOTIFY."""
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
