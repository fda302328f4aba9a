"""The inputs and outputs of a session, other than events of legs and commands to legs.

They are plain frozen data, so that a session can be tested, logged and replayed without any I/O.
"""

from typing import Literal

import msgspec

from b2bua.calls.recording_plan import PauseBehavior, PauseSpan, RecordingPlan, RecordingSource, Track
from b2bua.core.commands import LegCommand
from b2bua.core.dial_report import BranchReport, Bridged
from b2bua.core.events import AnsweredBy, SessionEvent
from b2bua.core.ids import CallSid, LegId, RecordingSid
from b2bua.core.outcomes import Outcome
from b2bua.core.queue_inputs import QueueInput
from b2bua.core.queue_outputs import QueueOutput
from b2bua.core.room_inputs import RoomFact
from b2bua.core.room_outputs import RoomOutput
from b2bua.twiml.findings import Finding
from b2bua.twiml.parse import ParsedDocument
from b2bua.twiml.verbs import Say

__all__ = [
    "Amended",
    "CallCanceled",
    "CallChanged",
    "CallInput",
    "CallOver",
    "ChangeRecording",
    "Command",
    "DocumentFetched",
    "Fact",
    "FetchDocument",
    "FetchFailed",
    "FinishRecording",
    "FollowRecording",
    "FromQueue",
    "FromRoom",
    "KeepRecording",
    "NoteFinding",
    "Order",
    "Output",
    "PreparePrompt",
    "PromptFailed",
    "PromptReady",
    "RecordCall",
    "RecordingFinished",
    "Redirected",
    "ReportStatus",
    "SessionInput",
    "ToQueue",
    "ToRoom",
]


class _Plain(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class FetchDocument(_Plain, frozen=True, kw_only=True):
    """Fetch a document; answered by ``DocumentFetched`` or ``FetchFailed`` with the same ``request``."""

    request: int
    """Counts up within a session; a frame ignores an answer to any request but its latest."""
    url: str
    """Absolute, http or https; empty if ``file`` is set."""
    method: Literal["GET", "POST"] = "POST"
    file: str = ""
    """Path of a TwiML file named by the configuration."""
    params: tuple[tuple[str, str], ...] = ()
    once: bool = False
    """True for an action: it carries an idempotency token, and is sent even if the answer is not awaited."""
    expects_document: bool = True
    """False if the caller has hung up and the answer is ignored."""


class ReportStatus(_Plain, frozen=True, kw_only=True):
    """Send a status callback; retried until delivered, in order with the call's other reports."""

    call_sid: CallSid
    """The call that is reported on."""
    url: str
    method: Literal["GET", "POST"]
    params: tuple[tuple[str, str], ...]
    """Without ``Timestamp``, which needs a wall clock."""
    last: bool = False
    """Whether this is the call's last report."""


class PreparePrompt(_Plain, frozen=True, kw_only=True):
    """Prepare a sound file; answered by ``PromptReady`` or ``PromptFailed`` with the same ``request``."""

    request: int
    """Numbered from the same counter as ``FetchDocument.request``."""
    say: Say | None = None
    """The text to speak, without repetitions."""
    url: str = ""
    """The sound to play: an absolute http or https URL, or a path in the configuration's folder."""


class Redirected(_Plain, frozen=True, kw_only=True):
    """Make a call run another document now; the parties it is dialling or talking to are dropped."""

    call_sid: CallSid | None = None
    """A child call; None: the parent call."""
    url: str = ""
    method: Literal["GET", "POST"] = "POST"
    document: ParsedDocument | None = None
    """A document to run instead of the one at ``url``."""


class CallCanceled(_Plain, frozen=True, kw_only=True):
    """End a call now, by order of REST or because the node shuts down."""

    call_sid: CallSid | None = None
    """A child call; None: the parent call, and all others with it."""
    by: Literal["api", "node"]


class Amended(_Plain, frozen=True, kw_only=True):
    """Change settings of a live call (REST); fields that are None leave the setting as it is."""

    call_sid: CallSid
    fallback: tuple[str, Literal["GET", "POST"]] | None = None
    status_callback: tuple[str, Literal["GET", "POST"]] | None = None
    time_limit_s: int | None = None
    """Counted from the answer, or from now if an inbound call is not answered yet."""


class NoteFinding(_Plain, frozen=True, kw_only=True):
    """Record this warning or error with the call, and log it."""

    call_sid: CallSid
    finding: Finding


class KeepRecording(_Plain, frozen=True, kw_only=True):
    """Write down a recording that is about to begin, so that it is finished whatever happens."""

    recording: RecordingSid
    plan: RecordingPlan
    stem: str
    """Folder and beginning of the names of its raw files, as in ``StartRecording``."""


class FollowRecording(_Plain, frozen=True, kw_only=True):
    """Update a recording that has begun, was paused or resumed, or was stopped by REST."""

    recording: RecordingSid
    status: Literal["in-progress", "paused", "stopped"]
    pauses: tuple[PauseSpan, ...]
    """All pauses so far."""
    began_at: float | None
    """The time of its first frame, in monotonic seconds; None: it has none yet."""


class FinishRecording(_Plain, frozen=True, kw_only=True):
    """Make the finished recording from its raw files, which no longer change, and report it.

    Issued exactly once for each ``KeepRecording``; answered by ``RecordingFinished``.
    """

    recording: RecordingSid
    pauses: tuple[PauseSpan, ...]
    duration_s: float
    """The duration of the raw files; 0: unknown."""
    reason: str
    """Why the recording could not start or is incomplete; empty: it is complete."""


class ToQueue(_Plain, frozen=True, kw_only=True):
    """Tell a queue of the node what a call does there. ``FromQueue`` says what follows."""

    call_sid: CallSid
    entry: int
    """Numbers the entrances of the session's calls; returned with all that follows from this one."""
    leg: LegId
    """The call's leg."""
    queue: str
    """Name of the queue."""
    max_size: int = 1000
    """Its places if it has to be made; 1..5000."""
    event: QueueInput


class FromQueue(_Plain, frozen=True, kw_only=True):
    """What a queue of the node wants of a call, or the call's result there."""

    call_sid: CallSid
    entry: int
    """As in ``ToQueue``."""
    queue_sid: str
    """``QU`` and 32 hexadecimal digits; empty: there is no such queue."""
    output: QueueOutput
    partner: LegId | None = None
    """With ``BridgeCalls``: the leg of the other call, which is in another session."""


class ToRoom(_Plain, frozen=True, kw_only=True):
    """Tell a conference room of the node what a call does there. ``FromRoom`` says what follows."""

    call_sid: CallSid
    entry: int
    """As in ``ToQueue``."""
    leg: LegId
    """The call's leg."""
    room: str
    """Name of the room, or the sid of a live one."""
    jitter_ms: int
    """Fixed part of the jitter buffer."""
    params: tuple[tuple[str, str], ...] = ()
    """With ``MemberEntered``: the standard parameters of the call."""
    event: RoomFact


class FromRoom(_Plain, frozen=True, kw_only=True):
    """What a conference room of the node wants of a call, or the call's result there."""

    call_sid: CallSid
    entry: int
    """As in ``ToRoom``."""
    conference_sid: str
    """``CF`` and 32 hexadecimal digits; empty: there is no such room."""
    friendly_name: str
    output: RoomOutput


class CallChanged(_Plain, frozen=True, kw_only=True):
    """The record of a call: issued before its first document is requested and at each change of status."""

    call_sid: CallSid
    parent_sid: CallSid | None
    from_: str
    to: str
    direction: str
    status: str
    """The present CallStatus."""
    forwarded_from: str | None = None
    caller_name: str | None = None
    leg: LegId | None = None
    """None: the call never had a leg."""
    sip_call_id: str = ""
    ended: bool = False
    """Whether this is the last record of the call."""
    duration_s: float = 0.0
    """If ended: seconds from the answer to the end."""
    outcome: Outcome | None = None
    """If a child call has ended: its outcome."""
    answered_by: AnsweredBy | None = None
    """Who has answered, if that was to be found out and is known."""


class CallOver(_Plain, frozen=True, kw_only=True):
    """The final report of a call: its own leg and all legs that it dialled have ended.

    Issued for the caller's call, and for a child call that was redirected to its own document. ``EndSession``
    follows when no call is left.
    """

    call_sid: CallSid
    status: str
    """The final CallStatus."""
    duration_s: float
    """Seconds from the answer (200) to the end; 0 if it was never answered."""
    timeline: dict[str, float]
    """Seconds since the INVITE, by name of the signalling event."""


class DocumentFetched(_Plain, frozen=True, kw_only=True):
    """A document has arrived and could be parsed."""

    request: int
    url: str
    """The base of its relative addresses; empty for a file."""
    document: ParsedDocument


class FetchFailed(_Plain, frozen=True, kw_only=True):
    """A document could not be fetched, or is not TwiML."""

    request: int
    number: int
    text: str
    url: str


class PromptReady(_Plain, frozen=True, kw_only=True):
    """A sound file is ready to be played (``StartPrompt``)."""

    request: int
    file: str
    """A mono 16-bit WAV at the bridge's clock rate; the player must not change or remove it."""
    duration_s: float


class PromptFailed(_Plain, frozen=True, kw_only=True):
    """A prompt could not be made, fetched or decoded; the document continues without it."""

    request: int
    number: int
    """The number of the warning."""
    text: str


class RecordingFinished(_Plain, frozen=True, kw_only=True):
    """The file of a recording is complete, or it is certain that there will be none."""

    recording: RecordingSid
    status: Literal["completed", "absent"]
    duration_s: float
    """The duration of the file, without trimmed or skipped parts; 0 if there is no file."""


class RecordCall(_Plain, frozen=True, kw_only=True):
    """Record a live call (REST). Produces ``KeepRecording`` unless the call is unanswered or over."""

    call_sid: CallSid
    source: RecordingSource = "StartCallRecordingAPI"
    dual: bool
    track: Track
    trim: bool
    callback_url: str = ""
    callback_method: Literal["GET", "POST"] = "POST"
    callback_events: tuple[str, ...] = ("completed",)


class ChangeRecording(_Plain, frozen=True, kw_only=True):
    """Pause, resume or stop a recording (REST). Produces no orders if nothing changes."""

    call_sid: CallSid
    recording: RecordingSid | None
    """None: all recordings of the call."""
    status: Literal["in-progress", "paused", "stopped"]
    behavior: PauseBehavior = "silence"


CallInput = (
    SessionEvent
    | DocumentFetched
    | FetchFailed
    | PromptReady
    | PromptFailed
    | RecordingFinished
    | FromQueue
    | FromRoom
    | CallCanceled
    | Redirected
    | Amended
)
"""The inputs of a call."""

SessionInput = CallInput | RecordCall | ChangeRecording

Fact = NoteFinding | BranchReport | Bridged | CallChanged | CallOver
"""Something that has happened, to be stored, counted or displayed."""

Order = (
    FetchDocument
    | PreparePrompt
    | ReportStatus
    | KeepRecording
    | FollowRecording
    | FinishRecording
    | ToQueue
    | ToRoom
    | Fact
)
"""An action for the node to carry out on behalf of a session."""

Command = LegCommand
"""An action for legs and media."""

Output = Command | Order
"""One result of an input; results are carried out in the order in which they are returned."""
