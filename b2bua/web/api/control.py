"""The interface through which the API controls live calls of the node.

The node implements ``CallControl``. It raises ``NotFound`` for a call that it does not have,
``WrongCallState`` if the state of the call no longer allows the request, and CapacityError if it has no
capacity for a new call.
"""

from dataclasses import dataclass, field
from typing import Literal, Protocol

from b2bua.calls.detection import Detection
from b2bua.web.api.directory import CallRecord, RecordingRecord

__all__ = [
    "CallAmendment",
    "CallControl",
    "CallRequest",
    "Callback",
    "DocumentSource",
    "Method",
    "RecordingRequest",
]

Method = Literal["GET", "POST"]


@dataclass(frozen=True, slots=True)
class Callback:
    """A URL of the application, with its method."""

    url: str
    """Absolute, http or https."""
    method: Method = "POST"


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentSource:
    """The source of a call's next document: ``url`` or ``twiml`` is set."""

    url: Callback | None = None
    twiml: str = ""
    """The document itself; used only without ``url``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingRequest:
    """The options of a recording."""

    channels: Literal[1, 2] = 1
    track: Literal["inbound", "outbound", "both"] = "both"
    trim: bool = False
    """Whether to remove silence at the beginning and at the end."""
    status_callback: Callback | None = None
    status_callback_events: tuple[str, ...] = ("completed",)
    """``in-progress``, ``completed``, ``absent``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequest:
    """A call to make, with direction ``outbound-api``."""

    to: str
    """E.164, ``sip:…`` or ``client:…``."""
    from_: str
    """In the same forms, or a user's name: the identity shown to the callee unless ``caller_id`` is set."""
    document: DocumentSource
    """The document to run when the callee has answered."""
    fallback: Callback | None = None
    status_callback: Callback | None = None
    status_callback_events: tuple[str, ...] = ("completed",)
    """``initiated``, ``ringing``, ``answered``, ``completed``."""
    timeout_s: int = 60
    """Limit for ringing."""
    time_limit_s: int | None = None
    """Limit from the answer on; None: the node's own limit."""
    caller_id: str = ""
    send_digits: str = ""
    """Played when the callee has answered, before the document; ``w`` and ``W`` pause 0.5 and 1 s."""
    sip_auth_username: str = ""
    sip_auth_password: str = field(default="", repr=False)
    call_reason: str = ""
    trunk: str = ""
    """``Byoc``: name of the trunk; empty: chosen by number."""
    recording: RecordingRequest | None = None
    detection: Detection | None = None
    """How to find out who answers; None: not at all."""

    @property
    def detects_machine(self) -> bool:
        """Whether to distinguish an answering machine from a person."""
        return self.detection is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAmendment:
    """Changes to a live call without redirecting it; None: unchanged."""

    fallback: Callback | None = None
    status_callback: Callback | None = None
    time_limit_s: int | None = None
    """Limit from the answer on."""


class CallControl(Protocol):
    """The node, as the API sees it. When a method returns, the call's row in the directory is up to date."""

    async def create(self, request: CallRequest) -> CallRecord:
        """Begin a call; returns when it is queued.

        Raises:
            ApiError: 21210 caller ID not verified, 21211 or 21214 no route to ``to``.
            CapacityError: the node has no capacity left.
        """

    async def redirect(self, sid: str, document: DocumentSource) -> None:
        """Run another document in place of what the call does now."""

    async def amend(self, sid: str, amendment: CallAmendment) -> None:
        """Change what the call does later."""

    async def cancel(self, sid: str) -> None:
        """End a call that is queued or ringing; raises WrongCallState once it has been answered."""

    async def complete(self, sid: str) -> None:
        """End a call in any state."""

    async def start_recording(self, sid: str, request: RecordingRequest) -> RecordingRecord:
        """Record a call that is in progress."""

    async def update_recording(
        self,
        sid: str,
        recording_sid: str | None,
        status: Literal["in-progress", "paused", "stopped"],
        pause_behavior: Literal["silence", "skip"],
    ) -> RecordingRecord:
        """Pause, resume or stop a recording; ``recording_sid`` None: the running one (``Twilio.CURRENT``)."""
