"""One call's flow: which document runs on its leg, which verb, who is dialled, and where that leads.

The same flow runs on the caller's leg, on a callee's that is being screened, and on one that was sent
elsewhere by REST: they differ in what the end of the document means (``Ending``). Sans I/O; it must never
know of HTTP, sockets or pjsua2, nor of the other flows of its session.

::

    fetching ──DocumentFetched──> a verb ──> dialing | running | pausing | fetching (Redirect) | ... next verb
        └──FetchFailed──> fetching (fallback) | announcing ──> ending
    any ──end of document, Hangup, Reject──> ending ──the leg has ended──> over
    any ──the leg ended──> ending (what is owed to the application is still sent)

Source: TwiML, "how a document is run"; RFC 3261 for what answers and what refuses.
"""

from b2bua.core.commands import Connection, SetMedia
from b2bua.core.credentials import without_userinfo
from b2bua.core.dial import DialCanceled, ScreeningEnded
from b2bua.core.dial_report import BranchReferred
from b2bua.core.events import (
    DtmfReceived,
    LegAnswered,
    LegEnded,
    LegEvent,
    LegProgress,
    LegReferred,
    PromptEnded,
    RecordingStarted,
    RecordingStopped,
    ReferProgress,
    SilenceReached,
)
from b2bua.core.ids import CallSid, LegId
from b2bua.core.outcomes import failure_sip_code
from b2bua.core.transfer import (
    DocumentEnded,
    ReferDocument,
    TargetFailed,
    TransfereeLeft,
    TransferEvent,
    TransferorLeft,
)
from b2bua.flow.action import action_parameters
from b2bua.flow.call_documents import CallDocuments
from b2bua.flow.call_report import CallReport, talked_s
from b2bua.flow.dialing import Callee, Dialing, DialingOutput, DialOver
from b2bua.flow.flow_parts import Ending, FlowOutput, FlowParts, FlowState, ScreeningOver
from b2bua.flow.orders import (
    Amended,
    CallCanceled,
    DocumentFetched,
    FetchFailed,
    FlowInput,
    PromptFailed,
    PromptReady,
    RecordingFinished,
    Redirected,
)
from b2bua.flow.parameters import Parameters
from b2bua.flow.transferring import Place, Transferring
from b2bua.flow.verb_run import VerbContext, VerbDone, VerbEvent, VerbOutput, VerbRun
from b2bua.flow.verb_runs import VERB_RUNS
from b2bua.twiml import verbs
from b2bua.twiml.parse import ParsedDocument, not_yet

__all__ = ["CallFlow"]

ERROR_TONE_S = 3.0
"""How much of the error announcement (special information tone, then reorder) a caller hears."""

_BAD_ADDRESS = 11100
_REFUSALS = {"node": 503, "fault": 500}
"""What an unanswered caller is told when its call is not ended by REST."""
_EMPTY_BODY = 11770
"""The one failed fetch that is no failure: the application has nothing more to say."""


class CallFlow:
    """See the module's docstring."""

    def __init__(self, parts: FlowParts) -> None:
        self.leg = parts.leg
        self.report = parts.report
        self.state = FlowState.FETCHING
        self.ending = parts.ending
        self._context = parts.context
        self._script = parts.script
        self._next_request = parts.next_request
        self.documents = CallDocuments(
            parts.script, parts.leg, parts.report, parts.next_request, parts.recordings
        )
        self._recordings = parts.recordings
        self.dialing = Dialing(
            parts.context, parts.leg, parts.report.call_sid, parts.caller, parts.recordings
        )
        self._time_limit_s = parts.time_limit_s
        self.transfer: Transferring | None = None
        """That a callee has asked for, until it is over."""
        self.takes_over = ""
        """The dialog whose place the document's Dial is to take, instead of ringing anybody."""
        self._run: VerbRun | None = None
        """The verb that the document is at, if it takes time."""
        self._verbs: tuple[verbs.Verb, ...] = ()
        self._position = 0
        self._pause_until: float | None = None
        self._limit_at: float | None = None

    @property
    def call_sid(self) -> CallSid:
        """What the application knows the call by."""
        return self.report.call_sid

    @property
    def over(self) -> bool:
        """Nothing more will come of it."""
        return self.state is FlowState.OVER

    @property
    def open_legs(self) -> list[LegId]:
        """Legs whose end has not been reported: what is lost with their worker."""
        own = [self.leg.id] if self.leg.ended is None else []
        return own + self.dialing.open_legs

    def dials(self, leg: LegId) -> bool:
        """The leg is a branch of one of its Dials."""
        return self.dialing.knows(leg)

    def callee(self, leg: LegId) -> Callee | None:
        """A branch of one of its Dials."""
        return self.dialing.callee(leg)

    def leg_of(self, call_sid: CallSid) -> LegId | None:
        """The leg of a child call."""
        return self.dialing.leg_of(call_sid)

    def report_of(self, call_sid: CallSid) -> CallReport | None:
        """What is told of this call, or of one that it dials."""
        return self.report if call_sid == self.call_sid else self.dialing.report_of(call_sid)

    @property
    def owed_action(self) -> tuple[CallDocuments, verbs.Dial] | None:
        """The Dial that it is at, and what asks for the ``action`` of that."""
        verb = self.dialing.verb
        return None if verb is None or verb.action is None else (self.documents, verb)

    def screened(self, event: ScreeningEnded, now: float) -> list[FlowOutput]:
        """One of its callees was asked whether it takes the call."""
        return self.from_dial(self.dialing.screened(event, now), now) + self._conclude(now)

    def release(self, leg: LegId, now: float) -> list[FlowOutput]:
        """Let go of a callee; its leg's events are not given to this flow any more."""
        return self.from_dial(self.dialing.release(leg, now), now) + self._conclude(now)

    def hang_up(self, leg: LegId, now: float) -> list[FlowOutput]:
        """Hang up one of its callees."""
        return self.from_dial(self.dialing.hang_up(leg, now), now) + self._conclude(now)

    # -- the outside --------------------------------------------------------------------------------

    def call(self, now: float) -> list[FlowOutput]:
        """The INVITE of a call that we make goes out; its answer begins the document."""
        self.state = FlowState.CALLING
        return [*self.report.stage("initiated", self.leg)]

    def refuse(self, sip_code: int, now: float) -> list[FlowOutput]:
        """There is nothing to run."""
        self.report.refusal = sip_code
        return self._end(now)

    def begin(self, now: float) -> list[FlowOutput]:
        """Run the first document."""
        script = self._script
        if script.document is not None:
            return self.run_document(script.document, now)
        if script.file:
            self.state = FlowState.FETCHING
            return [self.documents.read()]
        return self._fetch(script.url, script.method, now)

    def handle(self, event: FlowInput, now: float) -> list[FlowOutput]:
        """Take a fact about one of its legs, what it has asked for, or an order from above."""
        match event:
            case DocumentFetched():
                orders = self._document(event, now)
            case FetchFailed():
                orders = self._no_document(event, now)
            case CallCanceled():
                orders = self._canceled(DialCanceled(by=event.by), now)
            case Redirected():
                orders = self._redirected(event, now)
            case Amended():
                orders = self._amended(event, now)
            case PromptReady() | PromptFailed() | PromptEnded() | SilenceReached():
                orders = self._verb_event(event, now)
            case RecordingStarted() | RecordingStopped() | RecordingFinished():
                orders = self._verb_event(event, now)
            case _:
                orders = self._leg_event(event, now)
        return orders + self._conclude(now)

    def next_deadline(self) -> float | None:
        """When ``tick`` has something to do, in monotonic seconds; None: never."""
        if self.over:
            return None
        deadlines = [self.dialing.next_deadline(), self._pause_until, self._limit_at]
        if self.transfer is not None:
            deadlines.append(self.transfer.machine.next_deadline())
        if self.ending is Ending.HANG_UP:
            deadlines.append(self.leg.next_deadline())
        if self._run is not None:
            deadlines.append(self._run.next_deadline())
        return min((d for d in deadlines if d is not None), default=None)

    def tick(self, now: float) -> list[FlowOutput]:
        """Do what time has made due."""
        orders = self.from_dial(self.dialing.tick(now), now)
        if self.transfer is not None:
            orders += self.transfer.tick(self, now)
        if self._run is not None and _due(self._run.next_deadline(), now):
            orders += self._from_verb(self._run.tick(now), now)
        if self.ending is Ending.HANG_UP and _due(self.leg.next_deadline(), now):
            orders += self._overdue(now)
        if _due(self._limit_at, now):
            self._limit_at = None
            orders += self._canceled(DialCanceled(by="node"), now)
        if _due(self._pause_until, now):
            self._pause_until = None
            announcing = self.state is FlowState.ANNOUNCING
            orders += self._end(now) if announcing else self._go_on(now)
        return orders + self._conclude(now)

    def fail(self, now: float) -> list[FlowOutput]:
        """An error of ours has come up, here or elsewhere in the session: end, and tell it as failed."""
        if self.over:
            return []
        self.report.fail()
        return self._canceled(DialCanceled(by="fault"), now) + self._conclude(now)

    def abandon(self, now: float) -> list[FlowOutput]:
        """A screening is over because its leg is: nothing is reported, nothing goes on."""
        self.state = FlowState.OVER
        self._pause_until = None
        return self._stop_verb(now)

    def _overdue(self, now: float) -> list[FlowOutput]:
        """The leg has been in one state for longer than any leg may."""
        if self.leg.live:
            # One that we call has rung out; one that called us has waited for longer than anybody does.
            rang_out = self.state is FlowState.CALLING
            return self._end(now) if rang_out else self._canceled(DialCanceled(by="node"), now)
        self.leg.tick(now)  # its end was never reported: it makes one up
        ended = self.leg.ended
        return (
            [] if ended is None else [*self.from_dial(self.dialing.handle(ended, now), now), *self._end(now)]
        )

    # -- documents ----------------------------------------------------------------------------------

    def _document(self, event: DocumentFetched, now: float) -> list[FlowOutput]:
        if not self._is_for(event):
            return []
        if self.transfer is not None and self.transfer.machine.fetching:
            self.transfer.document = event.document
            return self._tell(ReferDocument(fetched=True, keep=self.transfer.keeps), now)
        return self.run_document(event.document, now)

    def run_document(self, document: ParsedDocument, now: float) -> list[FlowOutput]:
        """Run a document from its first verb on, instead of what was run."""
        self._verbs, self._position = document.response.verbs, 0
        findings = (*document.findings, *not_yet(document))
        return [*self.documents.notes(findings), *self._go_on(now)]

    def _no_document(self, event: FetchFailed, now: float) -> list[FlowOutput]:
        text = f"{event.text}: {event.url}" if event.url else event.text
        note = self.documents.note(event.number, text, "error")
        if not self._is_for(event):
            return [note]
        transferring = self.transfer is not None and self.transfer.machine.fetching
        if event.number == _EMPTY_BODY and not transferring:
            return [note, *self._end(now)]
        fallback = self.documents.fall_back(event, now)
        if fallback is not None:
            return [note, fallback]
        failed = ReferDocument(fetched=False)
        return [note, *(self._tell(failed, now) if transferring else self._announce_error(now))]

    def _is_for(self, answer: DocumentFetched | FetchFailed) -> bool:
        transferring = self.transfer is not None and self.transfer.machine.fetching
        return (transferring or self.state is FlowState.FETCHING) and self.documents.takes(answer)

    def _fetch(
        self, url: str, method: verbs.Method, now: float, params: Parameters = (), *, once: bool = False
    ) -> list[FlowOutput]:
        fetch = self.documents.fetch(url, method, now, params, once=once)
        if fetch is None:
            circle = self.documents.note(12400, "documents lead to each other without end", "error")
            return [circle, *self._announce_error(now)]
        if self.leg.live:
            self.state = FlowState.FETCHING
        return [fetch]

    def _bad_address(self, written: str, now: float) -> list[FlowOutput]:
        """No request can be made of it, which has been noted: fatal as one that fails."""
        failed = FetchFailed(request=0, number=_BAD_ADDRESS, text="", url=without_userinfo(written))
        fallback = self.documents.fall_back(failed, now)
        if fallback is None:
            return self._announce_error(now)
        self.state = FlowState.FETCHING
        return [fallback]

    def _announce_error(self, now: float) -> list[FlowOutput]:
        """A fatal error: the caller hears it, then is hung up. A callee who is screened is just refused."""
        if self.ending is Ending.ACCEPT:
            return self._end(now)
        self.state = FlowState.ANNOUNCING
        self._pause_until = now + ERROR_TONE_S
        error_tone = Connection("tone:error", self.leg.id)
        return [*self._answer(now), SetMedia(connections=(error_tone,))]

    def _answer(self, now: float) -> list[FlowOutput]:
        """Answer the caller, if it called us and has not been answered."""
        return list(self.leg.answer(now)) if self.leg.unanswered else []

    def _redirected(self, event: Redirected, now: float) -> list[FlowOutput]:
        """Drop whomever the call is with, and run another document (REST: update of a live call)."""
        if self.state in (FlowState.CALLING, FlowState.ENDING, FlowState.OVER):
            return []
        orders = [*self._give_up_transfer(now), *self._drop_document(now)]
        if event.document is None:
            return orders + self._fetch(event.url, event.method, now)
        return orders + self.run_document(event.document, now)

    def _amended(self, event: Amended, now: float) -> list[FlowOutput]:
        if event.fallback is not None:
            self.documents.fall_back_to(*event.fallback)
        if event.status_callback is not None:
            self.report.tell(*event.status_callback)
        if event.time_limit_s is not None:
            self._time_limit_s = event.time_limit_s
            if self.state is not FlowState.CALLING:  # else the answer sets it
                since = now if self.leg.answered_at is None else self.leg.answered_at
                self._limit_at = since + event.time_limit_s
        return []

    def _drop_document(self, now: float) -> list[FlowOutput]:
        """Another document takes its place: nothing that it has begun goes on."""
        orders = [*self._drop_verb(now), *self.dialing.drop(now)]
        self._pause_until = None
        self.takes_over = ""
        self.documents.forget()
        return orders

    # -- verbs --------------------------------------------------------------------------------------

    def _go_on(self, now: float) -> list[FlowOutput]:
        """Run verbs until one of them has to be waited for, or the document ends."""
        orders: list[FlowOutput] = []
        while self._position < len(self._verbs):
            verb = self._verbs[self._position]
            self._position += 1
            done, more = self._start_verb(verb, now)
            orders += more
            if not done:
                return orders
        if self.ending is Ending.ACCEPT:
            return orders + self._screened(now, accepted=True)
        return orders + self._end(now)

    def _start_verb(self, verb: verbs.Verb, now: float) -> tuple[bool, list[FlowOutput]]:
        """Return whether to go on with the next one at once, and orders."""
        match verb:
            case verbs.Dial():
                return self._dial(verb, now)
            case verbs.Hangup():
                return False, [*self._answer(now), *self._end(now)]
            case verbs.Reject():
                return self._reject(verb, now)
            case verbs.Pause():
                return self._pause(verb, now)
            case verbs.Redirect():
                return self._redirect(verb, now)
        make = VERB_RUNS.get(type(verb))
        answer = self._answer(now)
        if make is None:  # not run yet: it was warned about, and the caller is answered as by it
            return True, answer
        if not self.leg.live:
            return False, answer
        self._run = make(verb, self._verb_context())
        self.state = FlowState.RUNNING
        done, orders = self._verb_outputs(self._run.start(now), now)
        return done, answer + orders

    def _reject(self, verb: verbs.Reject, now: float) -> tuple[bool, list[FlowOutput]]:
        self.report.refusal = 486 if verb.reason == "busy" else 404
        self.report.rejected = True
        return False, self._end(now)

    def _pause(self, verb: verbs.Pause, now: float) -> tuple[bool, list[FlowOutput]]:
        self.state = FlowState.PAUSING
        self._pause_until = now + verb.length
        self.leg.allow_ringing(self._pause_until)
        return False, []

    def _redirect(self, verb: verbs.Redirect, now: float) -> tuple[bool, list[FlowOutput]]:
        url, orders = self.documents.resolve(verb.url)
        if url is None:
            return False, [*orders, *self._bad_address(verb.url, now)]
        return False, [*orders, *self._fetch(url, verb.method, now)]

    def _dial(self, verb: verbs.Dial, now: float) -> tuple[bool, list[FlowOutput]]:
        if self.ending is Ending.ACCEPT:
            return False, [self.documents.note(13201, "a Dial within a screening", "error"), *self._end(now)]
        self.state = FlowState.DIALING
        takes_over, self.takes_over = self.takes_over, ""
        return self._dial_outputs(self.dialing.start(verb, self.documents.resolve, now, takes_over), now)

    # -- verbs that take time -----------------------------------------------------------------------

    def _verb_context(self) -> VerbContext:
        return VerbContext(
            leg=self.leg,
            call_sid=self.call_sid,
            account_sid=self._context.account_sid,
            settings=self._context.settings,
            next_request=self._next_request,
            resolve=self.documents.resolve,
            resolve_sound=self.documents.resolve_sound,
            recordings=self._recordings,
        )

    def _verb_event(self, event: VerbEvent, now: float) -> list[FlowOutput]:
        return [] if self._run is None else self._from_verb(self._run.handle(event, now), now)

    def _from_verb(self, outputs: list[VerbOutput], now: float) -> list[FlowOutput]:
        done, orders = self._verb_outputs(outputs, now)
        return orders + (self._go_on(now) if done else [])

    def _verb_outputs(self, outputs: list[VerbOutput], now: float) -> tuple[bool, list[FlowOutput]]:
        """Return whether the next verb is due, and orders."""
        done = False
        orders: list[FlowOutput] = []
        for output in outputs:
            if isinstance(output, VerbDone):
                self._run = None
                done, more = self._act(output.action, output.method, output.params, now)
                orders += more
            else:
                orders.append(output)
        return done, orders

    def _stop_verb(self, now: float) -> list[FlowOutput]:
        """Leave nothing running; a verb that still owes the application something stays until it is told."""
        if self._run is None:
            return []
        orders = self._verb_outputs(self._run.stop(now), now)[1]
        if self._run is not None and self._run.next_deadline() is None:
            self._run = None
        return orders

    def _drop_verb(self, now: float) -> list[FlowOutput]:
        """The document is replaced: what the verb would have asked for is not wanted any more."""
        run, self._run = self._run, None
        return [] if run is None else [o for o in run.stop(now) if not isinstance(o, VerbDone)]

    def _act(
        self, action: str | None, method: verbs.Method, params: Parameters, now: float
    ) -> tuple[bool, list[FlowOutput]]:
        """Ask for the document that replaces the rest of this one, if there is such; else the rest is due."""
        if action is None:
            return self.leg.live, []
        url, orders = self.documents.resolve(action)
        if url is None:
            return False, [*orders, *(self._bad_address(action, now) if self.leg.live else ())]
        return False, [*orders, *self._fetch(url, method, now, params, once=True)]

    # -- Dial ---------------------------------------------------------------------------------------

    def from_dial(self, outputs: list[DialingOutput], now: float) -> list[FlowOutput]:
        """Take what a Dial says; when it is over for the document, go on with the next verb."""
        done, orders = self._dial_outputs(outputs, now)
        return orders + (self._go_on(now) if done else [])

    def _dial_outputs(self, outputs: list[DialingOutput], now: float) -> tuple[bool, list[FlowOutput]]:
        """Return whether the next verb is due, and orders."""
        done = False
        orders: list[FlowOutput] = []
        for output in outputs:
            seen = self.transfer.seen(output) if self.transfer is not None else None
            match output:
                case BranchReferred():
                    orders += self._referred(output.referred, now)
                case DialOver() if self.transfer is not None and output.verb is self.transfer.verb:
                    self.transfer.held = output
                    orders += self._tell(TransferorLeft(), now)
                case DialOver() if isinstance(seen, TargetFailed):
                    pass  # the transferor gets the caller back, instead of what the document says to that
                case DialOver():
                    done, more = self._dial_over(output, now)
                    orders += more
                case _:
                    orders.append(output)
            orders += self._tell(seen, now) if seen is not None else []
        return done, orders

    def _dial_over(self, over: DialOver, now: float) -> tuple[bool, list[FlowOutput]]:
        """Return whether the next verb is due, and orders."""
        verb, result = over.verb, over.result
        if not result.bridged:
            self.report.refusal = failure_sip_code(result.outcome)
        told = (*action_parameters(result), *over.recording)
        return self._act(verb.action, verb.method, told, now)

    # -- a transfer that a callee asks for ----------------------------------------------------------

    def _referred(self, referred: LegReferred, now: float) -> list[FlowOutput]:
        verb = self.dialing.verb
        assert verb is not None
        if not referred.accepted:
            return [self.documents.note(13802, "a callee's REFER was declined", "warning")]
        place = (self._verbs, self._position, self.documents.base_url)
        self.transfer = Transferring(referred, verb, place, now)
        self.transfer.look_for_dialog(self.callee(referred.leg), self._context)
        return self.transfer.start(self, now)

    def _tell(self, event: TransferEvent, now: float) -> list[FlowOutput]:
        return [] if self.transfer is None else self.transfer.tell(self, event, now)

    def go_back(self, place: Place, now: float) -> list[FlowOutput]:
        """Drop the document, and be at the Dial of an earlier one again."""
        orders = self._drop_document(now)
        self._verbs, self._position, self.documents.base_url = place
        self.state = FlowState.DIALING
        return orders

    def _give_up_transfer(self, now: float) -> list[FlowOutput]:
        """The transferee leaves, or is sent elsewhere: a transferor that waits has nobody to go back to."""
        orders = self._tell(TransfereeLeft(), now)
        if self.dialing.parked:
            orders += self.from_dial(self.dialing.replace(now), now)
        return orders

    def _canceled(self, event: DialCanceled, now: float) -> list[FlowOutput]:
        """The node shuts down, or REST ends the call: everything ends, what is owed is sent."""
        orders = self._give_up_transfer(now)
        orders += self._dial_outputs(self.dialing.cancel(event, now), now)[1]
        self.report.refusal = _REFUSALS.get(event.by, self.report.refusal)
        self.report.canceled = event.by == "api"
        return orders + self._end(now)

    # -- legs ---------------------------------------------------------------------------------------

    def _leg_event(self, event: LegEvent, now: float) -> list[FlowOutput]:
        if event.leg != self.leg.id:
            return self.from_dial(self.dialing.handle(event, now), now)
        # What happens to a callee that is being screened has been given to its leg by its Dial.
        if self.ending is Ending.HANG_UP and not self.leg.handle(event, now):
            return []
        if isinstance(event, LegEnded):
            given_up = self._give_up_transfer(now)
            return [*given_up, *self.from_dial(self.dialing.handle(event, now), now), *self._end(now)]
        if self.state is FlowState.CALLING:
            return self._callee_of_ours(event, now)
        orders = self.from_dial(self.dialing.handle(event, now), now)
        if isinstance(event, DtmfReceived | ReferProgress):
            orders += self._verb_event(event, now)
        return orders

    def _callee_of_ours(self, event: LegEvent, now: float) -> list[FlowOutput]:
        """How a call that we make comes along: ringing is told, an answer runs the document."""
        match event:
            case LegProgress() if self.leg.ringing_at is not None and not self.report.told("ringing"):
                return [*self.report.stage("ringing", self.leg)]
            case LegAnswered():
                self._limit_at = None if self._time_limit_s is None else now + self._time_limit_s
                return [*self.report.stage("answered", self.leg), *self.begin(now)]
            case _:
                return []

    # -- the end ------------------------------------------------------------------------------------

    def _end(self, now: float) -> list[FlowOutput]:
        """Hang up; a caller who was never answered gets the refusal, a callee who is screened has refused."""
        if self.state in (FlowState.ENDING, FlowState.OVER):
            return []
        if self.ending is Ending.ACCEPT:
            return self._screened(now, accepted=False)
        told = self._tell(DocumentEnded(), now)
        self.state = FlowState.ENDING
        self._pause_until = None
        owed = self._stop_verb(now)
        return [*told, *owed, *self.leg.hangup(now, sip_code=self.report.refusal)]

    def _screened(self, now: float, *, accepted: bool) -> list[FlowOutput]:
        return [*self.abandon(now), ScreeningOver(leg=self.leg.id, accepted=accepted)]

    def _conclude(self, now: float) -> list[FlowOutput]:
        """Drop what is done; when nothing is left, say so once."""
        self.dialing.forget_done()
        # What becomes of a callee that is screened is its Dial's to say.
        changed = self.report.look(self.leg) if self.ending is Ending.HANG_UP else []
        if self.state is not FlowState.ENDING or self.leg.ended is None:
            return [*changed]
        if not self.dialing.done or self._run is not None:
            return [*changed]
        self.state = FlowState.OVER
        completed = self.report.stage("completed", self.leg, duration_s=talked_s(self.leg))
        return [*changed, *completed, self.report.over(self.leg)]


def _due(at: float | None, now: float) -> bool:
    return at is not None and now >= at
