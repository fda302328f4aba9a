"""``<Dial>`` with a ``<Conference>``: a call is in a room, or waits for it to start. Sans I/O.

The room belongs to the node, since it outlives every session; it says what the member hears (``FromRoom``):
the mix, which the relay makes, or a document, which is a frame on top of this verb, or our music.
Source: TwiML ``<Dial>``, ``<Conference>`` (read November 2026).
"""

from b2bua.calls.enqueue import MUSIC
from b2bua.calls.inner import InnerEnd, InnerWish
from b2bua.calls.orders import CallInput, FetchFailed, FromRoom, NoteFinding, Output, ToRoom
from b2bua.calls.own_recording import OwnRecording
from b2bua.calls.parameters import Parameters
from b2bua.calls.verb_run import AskFor, Done, GoOn, Leave, Step, VerbContext, VerbRun
from b2bua.core.commands import Connection, ListenForKeys, room_party
from b2bua.core.events import DtmfReceived
from b2bua.core.ids import CallSid
from b2bua.core.queue_inputs import Following
from b2bua.core.room_inputs import (
    Document,
    Entrant,
    Exit,
    MemberEntered,
    MemberGone,
    RoomCallback,
    RoomFact,
    RoomRecording,
    WaitReady,
    WaitRefused,
)
from b2bua.core.room_outputs import (
    Hears,
    MemberAdmitted,
    MemberDone,
    SetHearing,
    StartDocument,
    StopDocument,
)
from b2bua.twiml import verbs
from b2bua.twiml.findings import make_finding
from b2bua.twiml.inner import InnerDocument

__all__ = ["RoomDialRun"]

_PATIENCE_S = 10.0
"""How long a verb that was stopped waits for its result; the room tells it at once."""
_NOT_FETCHED = 11200

_LOST = {"worker": Exit.CRASHED, "timeout": Exit.LOST, "unreachable": Exit.LOST}
"""Ways to leave by the cause of a leg's end; all others are hanging up."""

_JITTER_MS = {"off": 0, "small": 20, "medium": 40, "large": 60}


class RoomDialRun(VerbRun):
    """Runs one ``<Dial>`` whose noun is a ``<Conference>``."""

    def __init__(self, verb: verbs.Dial, noun: verbs.Conference, context: VerbContext) -> None:
        self._verb = verb
        self._noun = noun
        self._context = context
        self._entry = context.next_request()
        self._recording = OwnRecording(verb, context)
        self._room: tuple[str, str] | None = None
        """Sid and name of the room."""
        self._hears = Hears.WAIT
        self._inner: InnerWish | None = None
        self._music = False
        self._entering = False
        """The room waits to learn whether the wait document can be had."""
        self._failure = _NOT_FETCHED
        """Number of the latest failed request."""
        self._until: float | None = None
        """The end by ``timeLimit``; once the verb was stopped, when it gives up its result."""
        self._leaving = False
        self._over = False

    # -- the verb -----------------------------------------------------------------------------------

    def begin(self, now: float) -> Step:
        """Ask the room to let the call in."""
        entrant, notes = self._entrant()
        most = self._context.context.settings.dial.max_time_limit_s
        self._until = now + min(self._verb.time_limit, most)
        outputs = [*notes, *self._listen(True), *self._recording.start(now)]
        return [*outputs, self._tell(MemberEntered(entrant=entrant))], None

    def notice(self, event: CallInput, now: float) -> Step:
        """Take what the room says, or the key that leaves it."""
        if self._over:
            return [], None
        match event:
            case FromRoom(call_sid=call, entry=entry) if call == self._call and entry == self._entry:
                return self._follow(event, now)
            case FetchFailed():
                self._failure = event.number
            case DtmfReceived(leg=leg, digit="*") if (
                leg == self._context.leg.id and self._verb.hangup_on_star
            ):
                return self._leave(Exit.STAR, now), None
        return [], None

    def due_at(self) -> float | None:
        """Return when the time in the room is over, or when a stopped verb gives up its result."""
        return self._until

    def wake(self, now: float) -> Step:
        """Leave the room at the time limit."""
        if self._until is None or now < self._until:
            return [], None
        if not self._leaving:
            return self._leave(Exit.TIME_LIMIT, now), None
        self._over, self._until = True, None
        return [], GoOn()

    def stop(self, now: float) -> Step:
        """Leave the room; the result is still to come, and is reported."""
        if self._over:
            return [], None
        ended = self._context.leg.ended
        if ended is None:
            way = Exit.REDIRECTED
        else:
            way = _LOST.get(ended.cause, Exit.HUNG_UP)
        return self._leave(way, now), None

    @property
    def media(self) -> tuple[Connection, ...]:
        """The mix, or our music."""
        leg = self._context.leg.id
        if self._over or self._leaving:
            return ()
        if self._hears is Hears.MIX:
            return Connection(room_party(leg), leg), Connection(leg, room_party(leg))
        return (Connection(MUSIC, leg),) if self._music else ()

    # -- documents ----------------------------------------------------------------------------------

    @property
    def inner(self) -> InnerWish | None:
        """The wait or hold document."""
        return self._inner

    def inner_began(self, now: float) -> Step:
        """Tell the room that the wait document can be had."""
        self._music = False
        return self._entered(WaitReady(call=self._call)), None

    def inner_over(self, end: InnerEnd, now: float, following: Following | None = None) -> Step:
        """Play silence after a document, and music instead of one that cannot be had."""
        self._inner = None
        if end is not InnerEnd.FAILED:
            return [], None
        outputs = self._entered(WaitRefused(call=self._call, number=self._failure))
        self._music = not outputs
        return outputs, None

    def _entered(self, event: RoomFact) -> list[Output]:
        if not self._entering:
            return []
        self._entering = False
        return [self._tell(event)]

    # -- the room -----------------------------------------------------------------------------------

    @property
    def _call(self) -> CallSid:
        return self._context.report.call_sid

    def _entrant(self) -> tuple[Entrant, list[Output]]:
        noun, notes = self._noun, list[Output]()

        def absolute(url: str | None) -> str | None:
            if not url:
                return url
            found, more = self._context.resolve(url)
            notes.extend(more)
            return found

        callback = recording = None
        if url := absolute(noun.status_callback):
            events = frozenset(noun.status_callback_event)
            callback = RoomCallback(url=url, method=noun.status_callback_method, events=events)
        if noun.record != "do-not-record":
            recording = RoomRecording(
                trim=noun.trim == "trim-silence",
                callback_url=absolute(noun.recording_status_callback),
                callback_method=noun.recording_status_callback_method,
                callback_events=frozenset(noun.recording_status_callback_event),
                event_url=absolute(noun.event_callback_url),
            )
        entrant = Entrant(
            call=self._call,
            label=noun.participant_label or "",
            muted=noun.muted,
            beep_on_enter=noun.beep in ("true", "onEnter"),
            beep_on_exit=noun.beep in ("true", "onExit"),
            start_on_enter=noun.start_conference_on_enter,
            end_on_exit=noun.end_conference_on_exit is not False,
            end_as_last=noun.end_conference_on_exit == "last",
            exit_grace_s=noun.exit_grace,
            wait=Document(absolute(noun.wait_url), noun.wait_method),
            coach=CallSid(noun.coach) if noun.coach else None,
            max_participants=noun.max_participants,
            callback=callback,
            recording=recording,
        )
        return entrant, notes

    def _tell(self, event: RoomFact) -> ToRoom:
        return ToRoom(
            call_sid=self._call,
            entry=self._entry,
            leg=self._context.leg.id,
            room=self._noun.name,
            jitter_ms=_JITTER_MS[self._noun.jitter_buffer_size],
            params=self._standard() if isinstance(event, MemberEntered) else (),
            event=event,
        )

    def _standard(self) -> Parameters:
        return self._context.report.standard(self._context.leg)

    def _leave(self, way: Exit, now: float) -> list[Output]:
        if self._leaving:
            return []
        self._leaving, self._until = True, now + _PATIENCE_S
        self._inner, self._music = None, False
        return [*self._recording.stop(now), self._tell(MemberGone(call=self._call, exit=way))]

    def _follow(self, event: FromRoom, now: float) -> Step:
        self._room = (event.conference_sid, event.friendly_name)
        match event.output:
            case MemberDone():
                return self._finish(event.output, now)
            case _ if self._leaving:
                return [], None
            case SetHearing():
                self._hears = event.output.hears
            case StartDocument():
                return self._play(event.output, event), None
            case StopDocument():
                self._inner, self._music = None, False
            case MemberAdmitted():
                self._entering = False
        return [], None

    def _play(self, order: StartDocument, event: FromRoom) -> list[Output]:
        document = order.document
        self._inner, self._music, self._entering = None, document.url is None, order.entering
        if not document.url:
            return self._entered(WaitReady(call=self._call))
        self._inner = InnerWish(
            url=document.url,
            method=document.method,
            params=(("ConferenceSid", event.conference_sid), ("FriendlyName", event.friendly_name)),
            purpose=InnerDocument.ROOM,
        )
        return []

    def _listen(self, wanted: bool) -> list[Output]:
        if not self._verb.hangup_on_star or not self._context.leg.live:
            return []
        return [ListenForKeys(leg=self._context.leg.id, wanted=wanted)]

    # -- the result ---------------------------------------------------------------------------------

    def _finish(self, done: MemberDone, now: float) -> Step:
        outputs: list[Output] = [*self._recording.stop(now), *self._listen(False)]
        self._over, self._until, self._inner = True, None, None
        if done.number:
            noun = self._noun
            bad = make_finding(
                done.number, "the Dial fails", line=noun.line, column=noun.column, severity="error"
            )
            outputs.append(NoteFinding(call_sid=self._call, finding=bad))
        if done.hang_up:
            return outputs, Leave()
        return outputs, self._report(done, now)

    def _report(self, done: MemberDone, now: float) -> Done:
        verb = self._verb
        if verb.action is None:
            return GoOn()
        params: list[tuple[str, str]] = [("DialCallStatus", "answered" if done.admitted else "failed")]
        if self._room is not None and self._room[0]:
            params += [("ConferenceSid", self._room[0]), ("FriendlyName", self._room[1])]
        if done.admitted and done.reason is not None:
            params.append(("ReasonParticipantLeft", done.reason))
        params += self._recording.parameters(now)
        return AskFor(url=verb.action, method=verb.method, params=tuple(params), once=True)
