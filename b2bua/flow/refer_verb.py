"""``<Refer>``: the caller's phone is asked to call somebody else, and says how that went.

Sans I/O. Source: TwiML ``<Refer>`` (read November 2026); RFC 3515.
"""

from b2bua.core.commands import ReferLeg
from b2bua.core.events import ReferProgress
from b2bua.flow.orders import NoteFinding
from b2bua.flow.verb_run import VerbContext, VerbDone, VerbEvent, VerbOutput
from b2bua.twiml import verbs
from b2bua.twiml.sip_noun import parse_sip_target

__all__ = ["ReferRun"]

_LIMIT_S = 180.0
"""The phone may ring the target for so long before it has to have said something."""


class ReferRun:
    """See the module's docstring, and ``verb_run.VerbRun``."""

    def __init__(self, verb: verbs.Refer, context: VerbContext) -> None:
        self._verb = verb
        self._context = context
        self._until: float | None = None
        self._response = 0
        self._notify = 0

    def start(self, now: float) -> list[VerbOutput]:
        """See ``VerbRun``."""
        verb = self._verb
        target = parse_sip_target(verb.uri, line=verb.line, column=verb.column)
        sid = self._context.call_sid
        notes = [NoteFinding(call_sid=sid, finding=finding) for finding in target.findings]
        if not target.uri:
            return [*notes, *self._done()]
        self._until = now + _LIMIT_S
        headers = target.headers
        return [*notes, ReferLeg(leg=self._context.leg.id, refer_to=target.uri, headers=headers)]

    def handle(self, event: VerbEvent, now: float) -> list[VerbOutput]:
        """See ``VerbRun``."""
        if not isinstance(event, ReferProgress) or event.leg != self._context.leg.id or self._until is None:
            return []
        if event.by_notify:
            self._notify = event.status
        else:
            self._response = event.status
        return self._done() if event.final else []

    def next_deadline(self) -> float | None:
        """See ``VerbRun``."""
        return self._until

    def tick(self, now: float) -> list[VerbOutput]:
        """See ``VerbRun``."""
        return self._done() if self._until is not None and now >= self._until else []

    def stop(self, now: float) -> list[VerbOutput]:
        """See ``VerbRun``: a phone that has gone where it was sent to hangs up, which may come first."""
        return self._done() if self._until is not None else []

    def _done(self) -> list[VerbOutput]:
        self._until = None
        if self._verb.action is None:
            return [VerbDone()]
        if self._notify:
            status = "completed" if 200 <= self._notify < 300 else "failed"
        else:
            status = "no-answer" if 200 <= self._response < 300 else "failed"
        params = [("ReferCallStatus", status)]
        if self._response:
            params.append(("ReferSipResponseCode", str(self._response)))
        if self._notify:
            params.append(("NotifySipResponseCode", str(self._notify)))
        return [VerbDone(action=self._verb.action, method=self._verb.method, params=tuple(params))]
