"""What is to be recorded of a call, and who wants to know of it.

Source: TwiML ``<Dial record>`` and ``<Record>``, the Recordings resource (read November 2026).
"""

from typing import Literal

import msgspec

from b2bua.core.ids import CallSid, LegId

__all__ = ["PauseBehavior", "PauseSpan", "RecordingPlan", "RecordingSource", "Track"]

RecordingSource = Literal["DialVerb", "RecordVerb", "StartCallRecordingAPI", "OutboundAPI"]
Track = Literal["inbound", "outbound", "both"]
"""inbound: what the parent leg says; outbound: what it hears."""
PauseBehavior = Literal["silence", "skip"]
"""What becomes of the time of a pause: both channels silent, or left out."""


class RecordingPlan(msgspec.Struct, frozen=True, kw_only=True):
    """See the module's docstring."""

    call_sid: CallSid
    """Whose recording it is to the application."""
    source: RecordingSource
    parent: LegId
    """First channel."""
    child: LegId | None = None
    """Second channel, as ``StartRecording.child``; may be known later."""
    dual: bool = False
    """Two channels; one track is always mono."""
    track: Track = "both"
    trim: bool = False
    callback_url: str = ""
    """``recordingStatusCallback``, absolute; empty: nobody is told."""
    callback_method: Literal["GET", "POST"] = "POST"
    callback_events: tuple[str, ...] = ("completed",)
    """Of ``in-progress completed absent``."""

    @property
    def channels(self) -> int:
        """Of the finished file."""
        return 2 if self.dual and self.track == "both" else 1


class PauseSpan(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which a recording was paused, in seconds since its first frame."""

    start_s: float
    end_s: float | None
    """None: until its end."""
    behavior: PauseBehavior
