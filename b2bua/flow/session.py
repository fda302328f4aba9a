"""One inbound call: which document runs, which verb, who is dialled, what is reported, and when it is over.

Sans I/O: ``handle(input, now)`` and ``tick(now)`` return what to do; documents are asked for with a number
and come back as inputs; ids come from outside. It owns the caller's leg and the Dials, one at a time
running and any number still closing. It must never know of HTTP, sockets or pjsua2.

::

    fetching ──DocumentFetched──> a verb ──> dialing | pausing | fetching (Redirect) | ... next verb
        └──FetchFailed──> fetching (fallback) | announcing ──> ending
    any ──end of document, Hangup, Reject──> ending ──last leg ended──> over
    any ──the caller's leg ended──> ending (what is owed to the application is still sent)

Source: TwiML, "how a document is run"; RFC 3261 for what answers and what refuses.
"""

from enum import StrEnum

from b2bua.core.commands import Connection, EndSession, SetMedia
from b2bua.core.dial import Dial, DialCanceled
from b2bua.core.dial_report import DialOutput, DialSettled
from b2bua.core.events import LegEnded, LegEvent, LegIncoming
from b2bua.core.ids import LegId
from b2bua.core.leg import Leg, Role
from b2bua.core.outcomes import failure_sip_code
from b2bua.flow.action import action_parameters
from b2bua.flow.caller import Caller
from b2bua.flow.context import SessionContext
from b2bua.flow.orders import (
    CallOver,
    DocumentFetched,
    FetchDocument,
    FetchFailed,
    NoteFinding,
    ReportStatus,
    SessionInput,
    SessionOrder,
)
from b2bua.flow.parameters import CallStatus, standard_parameters
from b2bua.flow.targets import plan_dial
from b2bua.twiml import verbs
from b2bua.twiml.findings import Finding, Severity
from b2bua.twiml.parse import not_yet
from b2bua.twiml.urls import resolve_url

__all__ = ["Session", "SessionState"]

ERROR_TONE_S = 3.0
"""How much of the error announcement (special information tone, then reorder) a caller hears."""

_STATUS_OF_REFUSAL: dict[int, CallStatus] = {486: "busy", 600: "busy", 480: "no-answer", 408: "no-answer"}


class SessionState(StrEnum):
    """What the session is waiting for."""

    FETCHING = "fetching"
    DIALING = "dialing"
    PAUSING = "pausing"
    ANNOUNCING = "announcing"
    ENDING = "ending"
    """For its legs to end."""
    OVER = "over"


class Session:
    """See the module's docstring.

    Args:
        context: configuration, ids and the number that was called.
        incoming: the INVITE.
        now: monotonic seconds.
    """

    def __init__(self, context: SessionContext, incoming: LegIncoming, now: float) -> None:
        self._context = context
        self.caller = Caller.of(incoming, context)
        self.call_sid = context.ids.call_sid()
        self.state = SessionState.FETCHING
        self.a_leg = Leg(incoming.leg, Role.UAS, now)
        self._dials: dict[LegId, Dial] = {}
        """By each of their branches' legs; until they are done."""
        self._dial: tuple[verbs.Dial, Dial] | None = None
        """The one the document is at."""
        self._verbs: tuple[verbs.Verb, ...] = ()
        self._position = 0
        self._base_url = ""
        self._request = 0
        self._falling_back = False
        self._pause_until: float | None = None
        self._refusal = 480
        """What an unanswered caller is told when the document ends."""
        self._reported = 0

    # -- the outside --------------------------------------------------------------------------------

    def start(self, now: float) -> list[SessionOrder]:
        """Ask for the number's document; a number we do not know is 404."""
        number = self._context.number
        if number is None:
            self._refusal = 404
            return self._end(now)
        self._request += 1
        if number.twiml is not None:
            self._base_url = number.voice_url or ""
            return [FetchDocument(request=self._request, url="", file=str(number.twiml))]
        return [
            FetchDocument(
                request=self._request,
                url=number.voice_url or "",
                method=number.voice_method,
                params=self._standard(),
            )
        ]

    def handle(self, event: SessionInput, now: float) -> list[SessionOrder]:
        """Take a fact about a leg, a document, or an order from above."""
        match event:
            case DocumentFetched():
                orders = self._document(event, now)
            case FetchFailed():
                orders = self._no_document(event, now)
            case DialCanceled():
                orders = self._canceled(event, now)
            case _:
                orders = self._leg_event(event, now)
        return orders + self._conclude(now)

    def next_deadline(self) -> float | None:
        """When ``tick`` has something to do, in monotonic seconds; None: never."""
        deadlines = [dial.next_deadline() for dial in self._dials.values()]
        deadlines += [self.a_leg.next_deadline(), self._pause_until]
        return min((d for d in deadlines if d is not None), default=None)

    def tick(self, now: float) -> list[SessionOrder]:
        """Do what time has made due."""
        orders: list[SessionOrder] = []
        for dial in set(self._dials.values()):
            orders += self._advance(dial.tick(now), now)
        orders += self.a_leg.tick(now)
        if self._pause_until is not None and now >= self._pause_until:
            self._pause_until = None
            announcing = self.state is SessionState.ANNOUNCING
            orders += self._end(now) if announcing else self._run(now)
        return orders + self._conclude(now)

    def live_legs(self) -> list[LegId]:
        """Legs whose end has not been reported: what is lost with their worker."""
        a_leg = [self.a_leg.id] if self.a_leg.ended is None else []
        return a_leg + [leg for dial in set(self._dials.values()) for leg in dial.open_legs]

    # -- documents ----------------------------------------------------------------------------------

    def _document(self, event: DocumentFetched, now: float) -> list[SessionOrder]:
        if event.request != self._request or self.state is not SessionState.FETCHING:
            return []
        self._falling_back = False
        self._base_url = event.url or self._base_url
        self._verbs, self._position = event.document.response.verbs, 0
        findings = (*event.document.findings, *not_yet(event.document))
        return [*(NoteFinding(finding=f) for f in findings), *self._run(now)]

    def _no_document(self, event: FetchFailed, now: float) -> list[SessionOrder]:
        note = self._note(event.number, f"{event.text}: {event.url}" if event.url else event.text, "error")
        if event.request != self._request or self.state is not SessionState.FETCHING:
            return [note]
        number = self._context.number
        if number is None or not number.fallback_url or self._falling_back:
            return [note, *self._announce_error(now)]
        self._falling_back = True
        what = (("ErrorCode", str(event.number)), ("ErrorUrl", event.url))
        return [note, self._fetch(number.fallback_url, number.fallback_method, what)]

    def _fetch(
        self, url: str, method: verbs.Method, params: tuple[tuple[str, str], ...] = (), *, once: bool = False
    ) -> FetchDocument:
        self.state = SessionState.FETCHING
        self._request += 1
        return FetchDocument(
            request=self._request,
            url=url,
            method=method,
            params=self._standard() + params,
            once=once,
            expects_document=self.a_leg.live,
        )

    def _announce_error(self, now: float) -> list[SessionOrder]:
        """A fatal error: the caller hears it, then is hung up."""
        self.state = SessionState.ANNOUNCING
        self._pause_until = now + ERROR_TONE_S
        error_tone = Connection("tone:error", self.a_leg.id)
        return [*self.a_leg.answer(now), SetMedia(connections=(error_tone,))]

    # -- verbs --------------------------------------------------------------------------------------

    def _run(self, now: float) -> list[SessionOrder]:
        """Run verbs until one of them has to be waited for, or the document ends."""
        orders: list[SessionOrder] = []
        while self._position < len(self._verbs):
            verb = self._verbs[self._position]
            self._position += 1
            handler = _VERBS.get(type(verb), "_skip")
            done, more = getattr(self, handler)(verb, now)
            orders += more
            if not done:
                return orders
        return orders + self._end(now)

    def _hangup(self, verb: verbs.Hangup, now: float) -> tuple[bool, list[SessionOrder]]:
        return False, [*self.a_leg.answer(now), *self._end(now)]

    def _reject(self, verb: verbs.Reject, now: float) -> tuple[bool, list[SessionOrder]]:
        self._refusal = 486 if verb.reason == "busy" else 404
        return False, self._end(now)

    def _pause(self, verb: verbs.Pause, now: float) -> tuple[bool, list[SessionOrder]]:
        self.state = SessionState.PAUSING
        self._pause_until = now + verb.length
        self.a_leg.allow_ringing(self._pause_until)
        return False, []

    def _redirect(self, verb: verbs.Redirect, now: float) -> tuple[bool, list[SessionOrder]]:
        url, orders = self._resolve(verb.url)
        if url is None:
            return False, [*orders, *self._announce_error(now)]
        return False, [*orders, self._fetch(url, verb.method)]

    def _skip(self, verb: verbs.Verb, now: float) -> tuple[bool, list[SessionOrder]]:
        """A verb that is not run yet: it was warned about, and the caller is answered as by it."""
        return True, list(self.a_leg.answer(now))

    def _start_dial(self, verb: verbs.Dial, now: float) -> tuple[bool, list[SessionOrder]]:
        plan, findings = plan_dial(verb, self.caller, self._context)
        dial = Dial(plan, self.a_leg)
        self.state = SessionState.DIALING
        self._dial = (verb, dial)
        self._dials.update((branch.leg, dial) for branch in plan.branches)
        notes: list[SessionOrder] = [NoteFinding(finding=f) for f in findings]
        done, orders = self._from_dial(dial.start(now), now)
        return done, notes + orders

    def _resolve(self, value: str) -> tuple[str | None, list[SessionOrder]]:
        """Return the absolute URL, or None where there is none."""
        url, finding = resolve_url(self._base_url or None, value)
        notes: list[SessionOrder] = [NoteFinding(finding=finding)] if finding else []
        return (url or None), notes

    # -- Dial ---------------------------------------------------------------------------------------

    def _leg_event(self, event: LegEvent, now: float) -> list[SessionOrder]:
        orders: list[SessionOrder] = []
        if event.leg == self.a_leg.id:
            self.a_leg.handle(event, now)
            if self._dial is not None:
                orders += self._advance(self._dial[1].handle(event, now), now)
            if isinstance(event, LegEnded):
                orders += self._end(now)
        elif (dial := self._dials.get(event.leg)) is not None:
            orders += self._advance(dial.handle(event, now), now)
        return orders

    def _advance(self, outputs: list[DialOutput], now: float) -> list[SessionOrder]:
        """Take what a Dial says; when it is over for the document, go on with the next verb."""
        done, orders = self._from_dial(outputs, now)
        return orders + (self._run(now) if done else [])

    def _from_dial(self, outputs: list[DialOutput], now: float) -> tuple[bool, list[SessionOrder]]:
        """Return whether the next verb is due, and orders."""
        done = False
        orders: list[SessionOrder] = []
        for output in outputs:
            if isinstance(output, DialSettled):
                done, more = self._settled(output, now)
                orders += more
            else:
                orders.append(output)
        return done, orders

    def _settled(self, settled: DialSettled, now: float) -> tuple[bool, list[SessionOrder]]:
        assert self._dial is not None
        verb, _ = self._dial
        self._dial = None
        result = settled.result
        if not result.bridged:
            self._refusal = failure_sip_code(result.outcome)
        if verb.action is None:
            return self.a_leg.live, []
        url, orders = self._resolve(verb.action)
        if url is None:
            return False, orders + (self._announce_error(now) if self.a_leg.live else [])
        return False, [*orders, self._fetch(url, verb.method, action_parameters(result), once=True)]

    def _canceled(self, event: DialCanceled, now: float) -> list[SessionOrder]:
        """The node shuts down, or REST ends the call: everything ends, what is owed is sent."""
        orders: list[SessionOrder] = []
        if self._dial is not None:
            orders += self._from_dial(self._dial[1].handle(event, now), now)[1]
        if event.by == "node":
            self._refusal = 503
        return orders + self._end(now)

    # -- the end ------------------------------------------------------------------------------------

    def _end(self, now: float) -> list[SessionOrder]:
        """Hang the caller up; a caller who was never answered gets the refusal."""
        if self.state in (SessionState.ENDING, SessionState.OVER):
            return []
        self.state = SessionState.ENDING
        self._pause_until = None
        return list(self.a_leg.hangup(now, sip_code=self._refusal))

    def _conclude(self, now: float) -> list[SessionOrder]:
        """Drop what is done; when nothing is left, say so once."""
        self._dials = {leg: dial for leg, dial in self._dials.items() if not dial.done}
        if self.state is not SessionState.ENDING or self.a_leg.ended is None or self._dials:
            return []
        self.state = SessionState.OVER
        return [EndSession(), *self._status_callback(), self._call_over()]

    def _status_callback(self) -> list[SessionOrder]:
        number = self._context.number
        if number is None or not number.status_callback:
            return []
        params = (
            *self._standard(),
            ("CallDuration", str(round(self._duration_s()))),
            ("CallbackSource", "call-progress-events"),
            ("SequenceNumber", "0"),
        )
        return [ReportStatus(url=number.status_callback, method=number.status_callback_method, params=params)]

    def _call_over(self) -> CallOver:
        leg = self.a_leg
        moments = {
            "ringing": leg.ringing_at,
            "early": leg.early_at,
            "answered": leg.answered_at,
            "confirmed": leg.confirmed_at,
            "ended": leg.ended_at,
        }
        return CallOver(
            call_sid=self.call_sid,
            status=self._status(),
            duration_s=self._duration_s(),
            timeline={n: round(at - leg.invited_at, 4) for n, at in moments.items() if at is not None},
        )

    def _duration_s(self) -> float:
        leg = self.a_leg
        if leg.answered_at is None or leg.ended_at is None:
            return 0.0
        return leg.ended_at - leg.answered_at

    # -- facts --------------------------------------------------------------------------------------

    def _standard(self) -> tuple[tuple[str, str], ...]:
        return standard_parameters(self.caller.facts(self.call_sid, self._status(), self._context))

    def _status(self) -> CallStatus:
        leg = self.a_leg
        if leg.answered_at is not None:
            return "completed" if leg.ended is not None or not leg.live else "in-progress"
        if leg.hangup_command is not None:
            if isinstance(self._current_verb(), verbs.Reject) and self._refusal == 404:
                return "no-answer"
            return _STATUS_OF_REFUSAL.get(self._refusal, "failed")
        return "ringing" if leg.ended is None else "canceled"

    def _current_verb(self) -> verbs.Verb | None:
        return self._verbs[self._position - 1] if self._position else None

    def _note(self, number: int, text: str, severity: Severity) -> NoteFinding:
        return NoteFinding(finding=Finding(number=number, severity=severity, text=text, line=0, column=0))


_VERBS: dict[type, str] = {
    verbs.Dial: "_start_dial",
    verbs.Hangup: "_hangup",
    verbs.Reject: "_reject",
    verbs.Pause: "_pause",
    verbs.Redirect: "_redirect",
}
"""Method of the session that runs a verb: it returns whether to go on at once, and orders."""
