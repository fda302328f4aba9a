"""One call: which document runs, which verb, who is dialled, what is reported, and when it is over.

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

from collections import deque
from enum import StrEnum

from b2bua.core.commands import Connection, EndSession, SetMedia
from b2bua.core.dial import Dial, DialCanceled
from b2bua.core.dial_report import DialOutput, DialSettled
from b2bua.core.events import (
    LegAnswered,
    LegEnded,
    LegEvent,
    LegIncoming,
    LegProgress,
    PromptEnded,
    RecordingStarted,
    RecordingStopped,
)
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
    PromptFailed,
    PromptReady,
    Redirected,
    ReportStatus,
    SessionInput,
    SessionOrder,
)
from b2bua.flow.outbound import OutboundCall, outbound_status
from b2bua.flow.parameters import CallStatus, standard_parameters
from b2bua.flow.script import Script
from b2bua.flow.targets import plan_dial
from b2bua.twiml import verbs
from b2bua.twiml.findings import Finding, Severity
from b2bua.twiml.parse import ParsedDocument, not_yet
from b2bua.twiml.urls import resolve_url

__all__ = ["Session", "SessionState"]

ERROR_TONE_S = 3.0
"""How much of the error announcement (special information tone, then reorder) a caller hears."""

_EMPTY_BODY = 11770
"""The one failed fetch that is no failure: the application has nothing more to say."""

_MAX_DOCUMENTS = 60
_MAX_DOCUMENTS_IN_S = 10.0
"""More documents than these in so many seconds lead to each other in a circle."""

_STATUS_OF_REFUSAL: dict[int, CallStatus] = {486: "busy", 600: "busy", 480: "no-answer", 408: "no-answer"}


class SessionState(StrEnum):
    """What the session is waiting for."""

    CALLING = "calling"
    """For the callee of a call that we make."""
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
        opening: the INVITE that came, or the call that is to be made.
        now: monotonic seconds.
    """

    def __init__(self, context: SessionContext, opening: LegIncoming | OutboundCall, now: float) -> None:
        self._context = context
        self._script = context.script or Script()
        self.call_sid = context.ids.call_sid()
        self.state = SessionState.FETCHING
        self._outbound = opening if isinstance(opening, OutboundCall) else None
        if isinstance(opening, OutboundCall):
            self.caller = opening.caller
            self.a_leg = Leg(opening.leg, Role.UAC, now, opening.timeout_s)
        else:
            self.caller = Caller.of(opening, context)
            self.a_leg = Leg(opening.leg, Role.UAS, now)
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
        self._reports = 0
        self._limit_at: float | None = None
        self._fetched_at: deque[float] = deque(maxlen=_MAX_DOCUMENTS)

    # -- the outside --------------------------------------------------------------------------------

    def start(self, now: float) -> list[SessionOrder]:
        """Ask for the document, or send the INVITE. A number that is nobody's is 404."""
        if self._context.script is None:
            self._refusal = 404
            return self._end(now)
        if self._outbound is not None:
            self.state = SessionState.CALLING
            invite = self._outbound.invite(self.call_sid, self._context)
            return [invite, *self._report("initiated")]
        return self._begin(now)

    def _begin(self, now: float) -> list[SessionOrder]:
        """Run the first document."""
        script = self._script
        self._base_url = script.url
        if script.document is not None:
            return self._run_document(script.document, now)
        if script.file:
            self._request += 1
            self.state = SessionState.FETCHING
            return [FetchDocument(request=self._request, url="", file=script.file)]
        return self._fetch(script.url, script.method, now)

    def handle(self, event: SessionInput, now: float) -> list[SessionOrder]:
        """Take a fact about a leg, a document, or an order from above."""
        match event:
            case DocumentFetched():
                orders = self._document(event, now)
            case FetchFailed():
                orders = self._no_document(event, now)
            case DialCanceled():
                orders = self._canceled(event, now)
            case Redirected():
                orders = self._redirected(event, now)
            case RecordingStarted() | RecordingStopped() | PromptEnded() | PromptReady() | PromptFailed():
                orders = []
            case _:
                orders = self._leg_event(event, now)
        return orders + self._conclude(now)

    def next_deadline(self) -> float | None:
        """When ``tick`` has something to do, in monotonic seconds; None: never."""
        deadlines = [dial.next_deadline() for dial in self._dials.values()]
        deadlines += [self.a_leg.next_deadline(), self._pause_until, self._limit_at]
        return min((d for d in deadlines if d is not None), default=None)

    def tick(self, now: float) -> list[SessionOrder]:
        """Do what time has made due."""
        orders: list[SessionOrder] = []
        for dial in set(self._dials.values()):
            orders += self._advance(dial.tick(now), now)
        overdue = self.a_leg.next_deadline()
        if overdue is not None and now >= overdue:
            orders += self._overdue(now)
        if self._limit_at is not None and now >= self._limit_at:
            self._limit_at = None
            orders += self._canceled(DialCanceled(by="node"), now)
        if self._pause_until is not None and now >= self._pause_until:
            self._pause_until = None
            announcing = self.state is SessionState.ANNOUNCING
            orders += self._end(now) if announcing else self._run(now)
        return orders + self._conclude(now)

    def _overdue(self, now: float) -> list[SessionOrder]:
        """The caller's leg has been in one state for longer than any leg may."""
        if self.a_leg.live:
            return self._canceled(DialCanceled(by="node"), now)
        self.a_leg.tick(now)  # its end was never reported: it makes one up
        ended = self.a_leg.ended
        return self._a_leg_ended(ended, now) if ended is not None else []

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
        return self._run_document(event.document, now)

    def _run_document(self, document: ParsedDocument, now: float) -> list[SessionOrder]:
        self._verbs, self._position = document.response.verbs, 0
        findings = (*document.findings, *not_yet(document))
        return [*(NoteFinding(finding=f) for f in findings), *self._run(now)]

    def _no_document(self, event: FetchFailed, now: float) -> list[SessionOrder]:
        note = self._note(event.number, f"{event.text}: {event.url}" if event.url else event.text, "error")
        if event.request != self._request or self.state is not SessionState.FETCHING:
            return [note]
        if event.number == _EMPTY_BODY:
            return [note, *self._end(now)]
        script = self._script
        if not script.fallback_url or self._falling_back:
            return [note, *self._announce_error(now)]
        self._falling_back = True
        what = (("ErrorCode", str(event.number)), ("ErrorUrl", event.url))
        return [note, *self._fetch(script.fallback_url, script.fallback_method, now, what)]

    def _fetch(
        self,
        url: str,
        method: verbs.Method,
        now: float,
        params: tuple[tuple[str, str], ...] = (),
        *,
        once: bool = False,
    ) -> list[SessionOrder]:
        if len(self._fetched_at) == _MAX_DOCUMENTS and now - self._fetched_at[0] < _MAX_DOCUMENTS_IN_S:
            loop = self._note(12400, "documents lead to each other without end", "error")
            return [loop, *self._announce_error(now)]
        self._fetched_at.append(now)
        self.state = SessionState.FETCHING
        self._request += 1
        fetch = FetchDocument(
            request=self._request,
            url=url,
            method=method,
            params=self._standard() + params,
            once=once,
            expects_document=self.a_leg.live,
        )
        return [fetch]

    def _announce_error(self, now: float) -> list[SessionOrder]:
        """A fatal error: the caller hears it, then is hung up."""
        self.state = SessionState.ANNOUNCING
        self._pause_until = now + ERROR_TONE_S
        error_tone = Connection("tone:error", self.a_leg.id)
        return [*self._answer(now), SetMedia(connections=(error_tone,))]

    def _answer(self, now: float) -> list[SessionOrder]:
        """Answer the caller, if it called us and has not been answered."""
        return list(self.a_leg.answer(now)) if self.a_leg.unanswered else []

    def _redirected(self, event: Redirected, now: float) -> list[SessionOrder]:
        """Drop whomever the call is with, and run another document (REST: update of a live call)."""
        if self.state in (SessionState.ENDING, SessionState.OVER):
            return []
        orders: list[SessionOrder] = []
        if self._dial is not None:
            _, dial = self._dial
            self._dial = None
            orders += [o for o in dial.handle(DialCanceled(by="api"), now) if not isinstance(o, DialSettled)]
        self._pause_until = None
        self._falling_back = False
        if event.document is None:
            return orders + self._fetch(event.url, event.method, now)
        self._request += 1  # what is being fetched is late now
        return orders + self._run_document(event.document, now)

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
        return False, [*self._answer(now), *self._end(now)]

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
        return False, [*orders, *self._fetch(url, verb.method, now)]

    def _skip(self, verb: verbs.Verb, now: float) -> tuple[bool, list[SessionOrder]]:
        """A verb that is not run yet: it was warned about, and the caller is answered as by it."""
        return True, self._answer(now)

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
            if not self.a_leg.handle(event, now):
                return []
            if isinstance(event, LegEnded):
                return self._a_leg_ended(event, now)
            if self._dial is not None:
                orders += self._advance(self._dial[1].handle(event, now), now)
            if self._outbound is not None:
                orders += self._callee_of_ours(event, now)
        elif (dial := self._dials.get(event.leg)) is not None:
            orders += self._advance(dial.handle(event, now), now)
        return orders

    def _a_leg_ended(self, event: LegEnded, now: float) -> list[SessionOrder]:
        orders: list[SessionOrder] = []
        if self._dial is not None:
            orders += self._advance(self._dial[1].handle(event, now), now)
        return orders + self._end(now)

    def _callee_of_ours(self, event: LegEvent, now: float) -> list[SessionOrder]:
        """How a call that we make comes along: ringing is told, an answer runs the document."""
        if self.state is not SessionState.CALLING:
            return []
        match event:
            case LegProgress() if self.a_leg.ringing_at is not None and self._reports == 1:
                return self._report("ringing")
            case LegAnswered():
                assert self._outbound is not None
                self._limit_at = now + self._outbound.time_limit_s
                return [*self._report("answered"), *self._begin(now)]
            case _:
                return []

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
        params = action_parameters(result)
        return False, [*orders, *self._fetch(url, verb.method, now, params, once=True)]

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
        return [EndSession(), *self._report("completed"), self._call_over()]

    def _report(self, stage: str) -> list[SessionOrder]:
        """A status callback, if that stage is wanted; every stage counts in the sequence."""
        script, number = self._script, self._reports
        self._reports += 1
        if not script.status_callback or stage not in script.status_callback_events:
            return []
        duration = (("CallDuration", str(round(self._duration_s()))),) if stage == "completed" else ()
        params = (
            *self._standard(),
            *duration,
            ("CallbackSource", "call-progress-events"),
            ("SequenceNumber", str(number)),
        )
        return [ReportStatus(url=script.status_callback, method=script.status_callback_method, params=params)]

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
        if self._outbound is not None:
            return outbound_status(leg)
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
