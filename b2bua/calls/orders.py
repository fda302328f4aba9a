"""What a session asks of the world besides commands to legs, and what it is told besides events of legs.

Frozen plain data, so that a session can be tested, logged and replayed without any of the world.
"""

from typing import Literal

import msgspec

from b2bua.calls.recording_plan import PauseBehavior, PauseSpan, RecordingPlan, RecordingSource, Track
from b2bua.core.commands import LegCommand
from b2bua.core.dial_report import BranchReport, Bridged
from b2bua.core.events import SessionEvent
from b2bua.core.ids import CallSid, LegId, RecordingSid
from b2bua.core.outcomes import Outcome
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
]


class _Plain(msgspec.Struct, frozen=True, kw_only=True):
    pass


class FetchDocument(_Plain, frozen=True, kw_only=True):
    """Get a document; ``DocumentFetched`` or ``FetchFailed`` with the same ``request`` answers."""

    request: int
    """Counts up within a session; an answer to any but the last is late and ignored."""
    url: str
    """Absolute, http or https; empty where ``file`` is set."""
    method: Literal["GET", "POST"] = "POST"
    file: str = ""
    """Path of a TwiML file of the configuration."""
    params: tuple[tuple[str, str], ...] = ()
    once: bool = False
    """An action: carries an idempotency token, and is sent whether or not anybody waits for the answer."""
    expects_document: bool = True
    """False when the caller has gone and the answer is ignored."""


class ReportStatus(_Plain, frozen=True, kw_only=True):
    """Tell the application; retried until it takes it, in order with the other reports of the call."""

    call_sid: CallSid
    """The call that it is about."""
    url: str
    method: Literal["GET", "POST"]
    params: tuple[tuple[str, str], ...]
    """Without ``Timestamp``, which is a wall clock's."""
    last: bool = False
    """There is no other of the call."""


class PreparePrompt(_Plain, frozen=True, kw_only=True):
    """Make something that can be heard; ``PromptReady`` or ``PromptFailed`` with ``request`` answers."""

    request: int
    """From the same count as ``FetchDocument.request``."""
    say: Say | None = None
    """What to speak, one round of it."""
    url: str = ""
    """The sound to play: absolute, http or https, or a path of the configuration's folder."""


class Redirected(_Plain, frozen=True, kw_only=True):
    """A call is to run another document now; whomever it is dialling or talking to is dropped."""

    call_sid: CallSid | None = None
    """A child's; None: the parent's."""
    url: str = ""
    method: Literal["GET", "POST"] = "POST"
    document: ParsedDocument | None = None
    """Instead of ``url``."""


class CallCanceled(_Plain, frozen=True, kw_only=True):
    """A call is to end now: REST, or the node shuts down."""

    call_sid: CallSid | None = None
    """A child's; None: the parent's, and with it all."""
    by: Literal["api", "node"]


class Amended(_Plain, frozen=True, kw_only=True):
    """What a live call does later is changed; None: stays (REST)."""

    call_sid: CallSid
    fallback: tuple[str, Literal["GET", "POST"]] | None = None
    status_callback: tuple[str, Literal["GET", "POST"]] | None = None
    time_limit_s: int | None = None
    """From the answer, or from now where the caller has none yet."""


class NoteFinding(_Plain, frozen=True, kw_only=True):
    """Keep this warning or error with the call, and log it."""

    call_sid: CallSid
    finding: Finding


class KeepRecording(_Plain, frozen=True, kw_only=True):
    """A recording is about to begin: note it, so that it is finished whatever happens."""

    recording: RecordingSid
    plan: RecordingPlan
    stem: str
    """Of its raw files, as in ``StartRecording``."""


class FollowRecording(_Plain, frozen=True, kw_only=True):
    """A recording has begun, was paused, goes on, or was stopped by REST."""

    recording: RecordingSid
    status: Literal["in-progress", "paused", "stopped"]
    pauses: tuple[PauseSpan, ...]
    """All there were."""
    began_at: float | None
    """Its first frame, in monotonic seconds; None: it was paused before that."""


class FinishRecording(_Plain, frozen=True, kw_only=True):
    """Its raw files will not change any more: make the recording of them, and tell.

    Comes exactly once for each ``KeepRecording``; ``RecordingFinished`` answers.
    """

    recording: RecordingSid
    pauses: tuple[PauseSpan, ...]
    duration_s: float
    """Of the raw files; 0: unknown."""
    reason: str
    """Why it could not be begun, or what is missing; empty: all is there."""


class CallChanged(_Plain, frozen=True, kw_only=True):
    """What is known of a call: before it asks for its first document, then whenever its status is another."""

    call_sid: CallSid
    parent_sid: CallSid | None
    from_: str
    to: str
    direction: str
    status: str
    """CallStatus."""
    forwarded_from: str | None = None
    caller_name: str | None = None
    leg: LegId | None = None
    """None: it never had one."""
    sip_call_id: str = ""
    ended: bool = False
    """There will be no other."""
    duration_s: float = 0.0
    """With its end: from the answer."""
    outcome: Outcome | None = None
    """Of a child call, with its end."""


class CallOver(_Plain, frozen=True, kw_only=True):
    """The last word about a call: its leg has ended, and what it dialled.

    Of the caller's, or of a child that went on by itself; ``EndSession`` comes when there is no other.
    """

    call_sid: CallSid
    status: str
    """CallStatus at the end."""
    duration_s: float
    """From our 200 to the end; 0 where there was none."""
    timeline: dict[str, float]
    """Seconds since the INVITE came, by name of the signalling event."""


class DocumentFetched(_Plain, frozen=True, kw_only=True):
    """A document has come and could be parsed."""

    request: int
    url: str
    """What its relative addresses resolve against; empty for a file."""
    document: ParsedDocument


class FetchFailed(_Plain, frozen=True, kw_only=True):
    """It could not be had, or is not TwiML."""

    request: int
    number: int
    text: str
    url: str


class PromptReady(_Plain, frozen=True, kw_only=True):
    """It can be played (``StartPrompt``)."""

    request: int
    file: str
    """A mono 16 bit WAV at the bridge's clock rate; not to be changed or removed by the player."""
    duration_s: float


class PromptFailed(_Plain, frozen=True, kw_only=True):
    """It could not be made, fetched or decoded; the document goes on without it."""

    request: int
    number: int
    """Of the warning."""
    text: str


class RecordingFinished(_Plain, frozen=True, kw_only=True):
    """The file of a recording is there, or it is known that there will be none."""

    recording: RecordingSid
    status: Literal["completed", "absent"]
    duration_s: float
    """Of the file: without what was trimmed or skipped; 0 where there is none."""


class RecordCall(_Plain, frozen=True, kw_only=True):
    """Record a live call (REST). ``KeepRecording`` is among the orders, unless it is not answered or over."""

    call_sid: CallSid
    source: RecordingSource = "StartCallRecordingAPI"
    dual: bool
    track: Track
    trim: bool
    callback_url: str = ""
    callback_method: Literal["GET", "POST"] = "POST"
    callback_events: tuple[str, ...] = ("completed",)


class ChangeRecording(_Plain, frozen=True, kw_only=True):
    """Pause, resume or stop a recording (REST). There are no orders where that changes nothing."""

    call_sid: CallSid
    recording: RecordingSid | None
    """None: all that the call has."""
    status: Literal["in-progress", "paused", "stopped"]
    behavior: PauseBehavior = "silence"


CallInput = (
    SessionEvent
    | DocumentFetched
    | FetchFailed
    | PromptReady
    | PromptFailed
    | RecordingFinished
    | CallCanceled
    | Redirected
    | Amended
)
"""What a call may be given."""

SessionInput = CallInput | RecordCall | ChangeRecording

Fact = NoteFinding | BranchReport | Bridged | CallChanged | CallOver
"""What has happened, for whoever keeps, counts or shows it."""

Order = (
    FetchDocument | PreparePrompt | ReportStatus | KeepRecording | FollowRecording | FinishRecording | Fact
)
"""What the world is to do for a session."""

Command = LegCommand
"""What legs and media are to do."""

Output = Command | Order
"""What comes of an input, in the order in which it is to be done."""
