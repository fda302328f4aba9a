"""A document running on a leg: which verb is running, and which one is next.

A call is a stack of frames, of which the topmost runs. A covered frame keeps its verb (two bridged parties
keep talking while a document is fetched for one of them), but does not proceed to the next verb until it is
uncovered. Sans I/O; a frame must not depend on what a verb does or on what its own end means to the call.

::

    fetching ──a document──> running ──Redirect, an action──> fetching
        │                       └──end of document, Hangup, Reject──> ended
        └──none available──> ended

Source: TwiML, "how a document is run".
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from b2bua.calls.call_documents import CallDocuments
from b2bua.calls.call_report import CallReport
from b2bua.calls.caller import Caller
from b2bua.calls.context import SessionContext
from b2bua.calls.dial_run import DialRun
from b2bua.calls.frame_document import FrameDocument
from b2bua.calls.inner import InnerWish
from b2bua.calls.orders import CallInput, DocumentFetched, FetchFailed, Output
from b2bua.calls.parameters import Parameters
from b2bua.calls.recordings import CallRecordings
from b2bua.calls.running_verb import RunningVerb
from b2bua.calls.verb_run import AskFor, Callee, Done, GoOn, Leave, Screening, Step, VerbContext, VerbRun
from b2bua.calls.verb_runs import VERB_RUNS
from b2bua.core.credentials import without_userinfo
from b2bua.core.dial_table import CanceledBy
from b2bua.core.leg import Leg
from b2bua.core.queue_inputs import Following
from b2bua.twiml import verbs
from b2bua.twiml.attributes import SCHEMA
from b2bua.twiml.inner import InnerDocument, only_allowed
from b2bua.twiml.parse import ParsedDocument, not_yet

__all__ = ["Ends", "Frame", "FrameEnd", "FrameScene", "FrameState"]

_BAD_ADDRESS = 11100
_EMPTY_BODY = 11770
"""The one fetch error that is not a failure: the application has no further instructions."""


_Verdict = tuple[list[Output], bool]
"""Outputs, and whether the next verb is to be run."""


class Ends(StrEnum):
    """What the end of a frame means to its call."""

    HANG_UP = "hang up"
    ACCEPT = "accept"
    """The callee is screened: reaching the end of the document accepts the call, any other end refuses it."""
    GIVE_BACK = "give back"
    """A transfer: the caller returns to the transferor if the document's Dial fails to connect."""
    RETURN = "return"
    """An inner document: the verb beneath is told how it has ended."""


class FrameState(StrEnum):
    """What the frame waits for."""

    FETCHING = "fetching"
    """Waiting for a document."""
    RUNNING = "running"
    """Waiting for the running verb."""
    ENDED = "ended"


class FrameEnd(StrEnum):
    """How a frame has ended; a frame ends only once."""

    DOCUMENT_ENDED = "end of document"
    LEFT = "left"
    """A verb has left the document, or the application had no further instructions."""
    LEFT_QUEUE = "left queue"
    """By ``<Leave>`` in a wait document."""
    LED_ON = "led on"
    """A wait document of a queue leads to another one."""
    FAILED = "no document"
    """Neither the requested document nor its fallback is available."""
    TARGET_FAILED = "target failed"
    """In a ``GIVE_BACK`` frame, the Dial has failed to connect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameScene:
    """The context shared by all frames of a call."""

    leg: Leg
    report: CallReport
    documents: CallDocuments
    caller: Caller
    context: SessionContext
    recordings: CallRecordings
    next_request: Callable[[], int]
    screen: Callable[[Callee], Screening]
    lingering: list[VerbRun]
    """Verbs that are over but still have open legs; the call passes them their events."""


class Frame:
    """Runs the verbs of documents one after the other on a leg.

    Args:
        scene: the context shared by the call's frames.
        ends: what the end of the frame means to the call.
        base_url: base for relative addresses until a document has arrived.
        inner: the inner document that it runs; None: it runs documents of the call.
    """

    def __init__(self, scene: FrameScene, ends: Ends, base_url: str, inner: InnerWish | None = None) -> None:
        self.ends = ends
        self._purpose = None if inner is None else inner.purpose
        self._params: Parameters = () if inner is None else inner.params
        """Sent with each request."""
        self.following: Following | None = None
        """Where a wait document leads that ended so."""
        self.source = FrameDocument(scene.documents, scene.leg, scene.recordings, base_url)
        """The source of the frame's documents."""
        self.state = FrameState.FETCHING
        self.end: FrameEnd | None = None
        self.takes_over = ""
        """The ``VerbContext.takes_over`` of the first Dial that runs."""
        self.held: ParsedDocument | None = None
        """The document that has arrived while ``holds`` is set."""
        self.holds = False
        """Whether an arriving document is kept until ``run`` is called."""
        self._scene = scene
        self._verbs: tuple[verbs.Verb, ...] = ()
        self._position = 0
        self.verb = RunningVerb(scene.lingering)
        self.kept: Done | None = None
        """The end of the frame's verb, if it ended while the frame was covered."""
        self._covered = False

    # -- documents ----------------------------------------------------------------------------------

    def begin(self, now: float, params: Parameters = ()) -> list[Output]:
        """Run the first document of the call's script; ``params`` are sent with a request for it."""
        script = self._scene.documents.script
        if script.document is not None:
            return self.run(script.document, now)
        return self.source.read() if script.file else self.fetch(script.url, script.method, now, params)

    def fetch(
        self, url: str, method: verbs.Method, now: float, params: Parameters = (), *, once: bool = False
    ) -> list[Output]:
        """Request the document at an absolute URL."""
        fetch = self.source.fetch(url, method, now, self._params + params, once=once)
        if fetch is None:
            self._finish(FrameEnd.FAILED)
            circle = "the documents redirect to each other endlessly"
            return [self._scene.documents.note(12400, circle, "error")]
        self._await()
        return fetch

    def run(self, document: ParsedDocument, now: float) -> list[Output]:
        """Run a document from its first verb on."""
        self.holds = False
        findings = (*document.findings, *not_yet(document))
        response = document.response
        if self._purpose is not None:
            response, left_out = only_allowed(response, self._purpose)
            findings += left_out
        self._verbs, self._position = response.verbs, 0
        return [*self.source.notes(findings), *self._next(now)]

    def run_verb(self, make: Callable[[VerbContext], VerbRun], now: float) -> list[Output]:
        """Run a verb that does not come from a document."""
        return self._begin_verb(make(self._verb_context()), now)[0]

    # -- facts --------------------------------------------------------------------------------------

    def notice(self, event: CallInput, now: float) -> list[Output]:
        """Take a fact; facts that do not concern this frame are ignored."""
        match event:
            case DocumentFetched() if self.source.answers(event):
                return self._fetched(event, now)
            case FetchFailed() if self.source.answers(event):
                return self._not_fetched(event, now)
            case _:
                run = self.verb.run
                return [] if run is None else self.follow(run.notice(event, now), now)

    # -- its place in the stack ---------------------------------------------------------------------

    def cover(self) -> None:
        """Note that another frame runs on top of this one."""
        self._covered = True

    def uncover(self, now: float, *, goes_on: bool = True) -> list[Output]:
        """Put the frame on top again; act on the end of its verb if the verb has ended meanwhile.

        Args:
            now: monotonic seconds.
            goes_on: False: the call ends or is redirected, so that no other verb is to begin.
        """
        self._covered = False
        done, self.kept = self.kept, None
        if done is None:
            return []
        outputs, next_is_due = self._end_verb(done, now)
        return [*outputs, *(self._next(now) if next_is_due and goes_on else ())]

    def follow(self, step: Step, now: float) -> list[Output]:
        """Process a step of the frame's verb, caused by a fact or by an order from above."""
        outputs, done = step
        if done is None:
            return outputs
        more, next_is_due = self._end_verb(done, now)
        return [*outputs, *more, *(self._next(now) if next_is_due else ())]

    def cancel_dial(self, by: CanceledBy, now: float) -> list[Output]:
        """End the frame's Dial because an order ends the call; its ``action`` is still requested."""
        outputs, done = self.verb.cancel_dial(by, now)
        return outputs if done is None else outputs + self._end_verb(done, now)[0]

    def stop(self, now: float) -> list[Output]:
        """Stop because the call ends. A verb that still owes the application a request runs to its end."""
        self.source.forget()
        self._finish(FrameEnd.LEFT)
        outputs = self.follow(self.verb.stop(now), now)
        if self.verb.due_at() is None:
            self.verb.end()
        return outputs

    def drop(self, now: float, *, handed_over: bool = False) -> list[Output]:
        """End the frame because another one replaces it; what its verb would have requested is discarded.

        Args:
            now: monotonic seconds.
            handed_over: whether the Dial's caller now talks to another party.
        """
        self.source.forget()
        self.kept = None
        self._finish(FrameEnd.LEFT)
        return self.verb.drop(now, handed_over=handed_over)

    # -- verbs --------------------------------------------------------------------------------------

    def _fetched(self, event: DocumentFetched, now: float) -> list[Output]:
        if self.holds:
            self.held = event.document
            return []
        return self.run(event.document, now)

    def _not_fetched(self, event: FetchFailed, now: float) -> list[Output]:
        if event.number == _EMPTY_BODY and not self.holds:
            self._finish(FrameEnd.LEFT if self._purpose is None else FrameEnd.DOCUMENT_ENDED)
            return []
        return self._fall_back(event, now)

    def _fall_back(self, failed: FetchFailed, now: float) -> list[Output]:
        fallback = self.source.fall_back(failed, now) if self._purpose is None else None
        if fallback is None:
            self._finish(FrameEnd.FAILED)
            return []
        self._await()
        return fallback

    def _await(self) -> None:
        if self.source.awaited and self.end is None:
            self.state = FrameState.FETCHING

    def _next(self, now: float) -> list[Output]:
        """Run verbs until one of them does not end at once, or the document ends."""
        outputs: list[Output] = []
        self.state = FrameState.RUNNING
        while self._position < len(self._verbs):
            verb = self._verbs[self._position]
            self._position += 1
            more, next_is_due = self._start(verb, now)
            outputs += more
            if not next_is_due:
                return outputs
        self._finish(FrameEnd.DOCUMENT_ENDED)
        return outputs

    def _start(self, verb: verbs.Verb, now: float) -> _Verdict:
        if isinstance(verb, verbs.Dial | verbs.Enqueue) and self.ends is Ends.ACCEPT:
            self._finish(FrameEnd.LEFT)
            text = f"{type(verb).__name__} cannot run during screening"
            return [self._scene.documents.note(13201, text, "error")], False
        if isinstance(verb, verbs.Leave) and self._purpose is not InnerDocument.QUEUE_WAIT:
            return [
                self._scene.documents.note(SCHEMA, "Leave outside of a queue is skipped", "warning")
            ], True
        make = VERB_RUNS.get(type(verb))
        if make is None:  # not supported: already warned about; it answers the caller all the same
            return self._answer(now), True
        return self._begin_verb(make(verb, self._verb_context()), now)

    def _begin_verb(self, run: VerbRun, now: float) -> _Verdict:
        if isinstance(run, DialRun):
            self.takes_over = ""
        outputs = self._answer(now) if run.answers else []
        if run.answers and not self._scene.leg.live:
            return outputs, False
        more, done = self.verb.begin(run, now)
        outputs += more
        if done is None:
            return outputs, False
        more, next_is_due = self._end_verb(done, now)
        return outputs + more, next_is_due

    def _end_verb(self, done: Done, now: float) -> _Verdict:
        self.verb.end()
        if self._covered:
            self.kept = done
            return [], False
        return self._act(done, now)

    def _act(self, done: Done, now: float) -> _Verdict:
        """Carry out what the end of a verb asks for."""
        report = self._scene.report
        if done.refusal is not None:
            report.refusal = done.refusal
        match done:
            case Leave():
                report.rejected = report.rejected or done.rejected
                self._finish(FrameEnd.LEFT_QUEUE if done.queue else FrameEnd.LEFT)
                return [], False
            case GoOn() | AskFor() if self.ends is Ends.GIVE_BACK and done.refusal is not None:
                self._finish(FrameEnd.TARGET_FAILED)
                return [], False
            case GoOn():
                return [], self._scene.leg.live and self.end is None
            case AskFor():
                return self._ask(done, now), False

    def _ask(self, ask: AskFor, now: float) -> list[Output]:
        url, outputs = self.source.resolve(ask.url)
        if url is not None and self._purpose is InnerDocument.QUEUE_WAIT:
            self.following = Following(url=url, method=ask.method, params=ask.params, once=ask.once)
            self._finish(FrameEnd.LED_ON)
            return outputs
        if url is not None:
            return [*outputs, *self.fetch(url, ask.method, now, ask.params, once=ask.once)]
        if not self._scene.leg.live or self.end is not None:
            return outputs
        # The address is unusable, which has been noted: treat it like a failed request.
        failed = FetchFailed(request=0, number=_BAD_ADDRESS, text="", url=without_userinfo(ask.url))
        return [*outputs, *self._fall_back(failed, now)]

    def _finish(self, end: FrameEnd) -> None:
        if self.end is None:
            self.state, self.end = FrameState.ENDED, end

    def _answer(self, now: float) -> list[Output]:
        """Answer the caller of an inbound call, unless it is already answered."""
        leg = self._scene.leg
        return [*leg.answer(now)] if leg.unanswered else []

    def _verb_context(self) -> VerbContext:
        scene = self._scene
        return VerbContext(
            leg=scene.leg,
            report=scene.report,
            caller=scene.caller,
            context=scene.context,
            next_request=scene.next_request,
            resolve=self.source.resolve,
            request=self.source.request,
            resolve_sound=self.source.resolve_sound,
            recordings=scene.recordings,
            screen=scene.screen,
            takes_over=self.takes_over,
        )
