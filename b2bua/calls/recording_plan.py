"""The plan of a recording: what is recorded of a call, and where its status is reported.

Source: TwiML ``<Dial record>`` and ``<Record>``, the Recordings resource (read November 2026).
"""

from typing import Literal

import msgspec

from b2bua.core.ids import CallSid, LegId

__all__ = ["PauseBehavior", "PauseSpan", "RecordingPlan", "RecordingSource", "Track"]

RecordingSource = Literal[
    "DialVerb",
    "RecordVerb",
    "StartCallRecordingAPI",
    "OutboundAPI",
    "Conference",
    "StartConferenceRecordingAPI",
]
Track = Literal["inbound", "outbound", "both"]
"""inbound: what the parent leg sends; outbound: what it hears."""
PauseBehavior = Literal["silence", "skip"]
"""How a pause appears in the recording: as silence on both channels, or not at all."""


class RecordingPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What is recorded, in which form, and where the recording's status is reported."""

    call_sid: CallSid
    """The call to which the recording belongs, as reported to the application."""
    conference_sid: str = ""
    """The conference that is recorded, because of the call ``call_sid``; empty: that call is recorded."""
    conference_name: str = ""
    source: RecordingSource
    parent: LegId
    """The leg on the first channel."""
    child: LegId | None = None
    """The leg on the second channel, as in ``StartRecording.child``; may become known later."""
    dual: bool = False
    """Two channels; one track is always mono."""
    track: Track = "both"
    trim: bool = False
    callback_url: str = ""
    """``recordingStatusCallback``, absolute; empty: no callbacks are sent."""
    callback_method: Literal["GET", "POST"] = "POST"
    callback_events: tuple[str, ...] = ("completed",)
    """Any of ``in-progress``, ``completed`` and ``absent``."""
    event_url: str = ""
    """``eventCallbackUrl`` of a conference, which is told when the file is there; empty: nothing is sent."""
    transcribe_url: str = ""
    """``transcribeCallback``, absolute; empty: no transcription is asked for."""
    transcribe_params: tuple[tuple[str, str], ...] = ()
    """The standard parameters of the request to it."""

    def of_child(self, child: LegId) -> "RecordingPlan":
        """Return the plan with this leg on the second channel."""
        return msgspec.structs.replace(self, child=child)

    @property
    def channels(self) -> int:
        """The number of channels of the finished file."""
        return 2 if self.dual and self.track == "both" else 1


class PauseSpan(msgspec.Struct, frozen=True, kw_only=True):
    """A span during which a recording was paused, in seconds since its first frame."""

    start_s: float
    end_s: float | None
    """None: until the end of the recording."""
    behavior: PauseBehavior
