"""What the API asks of the node about calls that live, and in which words.

The node implements ``CallControl``; it raises ``NotFound`` for a call it does not have, ``WrongCallState``
for one that is past what was asked, and CapacityError where there is no room for a new one.
"""

from dataclasses import dataclass, field
from typing import Literal, Protocol

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
    """An address of the application."""

    url: str
    """Absolute, http or https."""
    method: Method = "POST"


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentSource:
    """Where a call's next document comes from: one of the two is there."""

    url: Callback | None = None
    twiml: str = ""
    """The document itself; counts only where there is no ``url``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingRequest:
    """How a call is to be recorded."""

    channels: Literal[1, 2] = 1
    track: Literal["inbound", "outbound", "both"] = "both"
    trim: bool = False
    """Leave out silence at the beginning and at the end."""
    status_callback: Callback | None = None
    status_callback_events: tuple[str, ...] = ("completed",)
    """``in-progress``, ``completed``, ``absent``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequest:
    """A call to be made: direction ``outbound-api``."""

    to: str
    """E.164, ``sip:…`` or ``client:…``."""
    from_: str
    """Likewise, or a user's name: the identity the callee sees unless ``caller_id`` is there."""
    document: DocumentSource
    """Run when the callee has answered."""
    fallback: Callback | None = None
    status_callback: Callback | None = None
    status_callback_events: tuple[str, ...] = ("completed",)
    """``initiated``, ``ringing``, ``answered``, ``completed``."""
    timeout_s: int = 60
    """Ringing."""
    time_limit_s: int | None = None
    """From the answer; None: the node's own limit."""
    caller_id: str = ""
    send_digits: str = ""
    """Played when the callee has answered, before the document; ``w`` and ``W`` pause 0.5 and 1 s."""
    sip_auth_username: str = ""
    sip_auth_password: str = field(default="", repr=False)
    call_reason: str = ""
    trunk: str = ""
    """``Byoc``: a trunk's name; empty: by number."""
    recording: RecordingRequest | None = None
    detects_machine: bool = False
    """Whether an answering machine is to be told from a person; it has no effect yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAmendment:
    """What changes in a live call without redirecting it; None: stays."""

    fallback: Callback | None = None
    status_callback: Callback | None = None
    time_limit_s: int | None = None
    """From the answer."""


class CallControl(Protocol):
    """The node, as the API sees it. The row of a call in the directory is right when a method returns."""

    async def create(self, request: CallRequest) -> CallRecord:
        """Begin a call; returns when it is queued.

        Raises:
            ApiError: 21210 caller id not verified, 21211 or 21214 no way to ``to``.
            CapacityError: no room.
        """

    async def redirect(self, sid: str, document: DocumentSource) -> None:
        """Run another document instead of what the call does now."""

    async def amend(self, sid: str, amendment: CallAmendment) -> None:
        """Change what the call does later."""

    async def cancel(self, sid: str) -> None:
        """End a call that is queued or ringing; WrongCallState once it has been answered."""

    async def complete(self, sid: str) -> None:
        """End a call whatever it does."""

    async def start_recording(self, sid: str, request: RecordingRequest) -> RecordingRecord:
        """Record a call that is in progress."""

    async def update_recording(
        self,
        sid: str,
        recording_sid: str | None,
        status: Literal["in-progress", "paused", "stopped"],
        pause_behavior: Literal["silence", "skip"],
    ) -> RecordingRecord:
        """Pause, resume or stop one; ``recording_sid`` None: the one that is running (``Twilio.CURRENT``)."""
