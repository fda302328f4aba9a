"""What has happened to a leg: facts, in the past tense.

The worker makes them, the controller's machines take them, and the wire between the two carries them as
they are: they are msgspec structs, so that no second set of classes has to say the same (docs/adr/0002).
``at`` is CLOCK_MONOTONIC seconds, which is one clock for all processes of a machine.
"""

from typing import Literal

import msgspec

from b2bua.core.ids import LegId, SipCallId

__all__ = [
    "DtmfReceived",
    "EarlyMediaChanged",
    "EndCause",
    "Headers",
    "LegAnswered",
    "LegConfirmed",
    "LegEnded",
    "LegEvent",
    "LegIncoming",
    "LegProgress",
    "LegReferred",
    "MediaChanged",
    "MediaMeasured",
    "PromptEnded",
    "RecordingEvent",
    "RecordingStarted",
    "RecordingStopped",
    "ReferProgress",
    "SessionEvent",
    "SilenceReached",
]

Headers = tuple[tuple[str, str], ...]
"""Header lines in the order of the message, unfolded, compact names spelt out, values stripped."""

EndCause = Literal["peer", "local", "unreachable", "timeout", "capacity", "worker"]
"""Who or what ended a leg: the peer's final response, CANCEL or BYE; our own hangup; a target that cannot
be resolved or connected to; a SIP transaction that timed out; no free slot; the worker's death."""


class _Fact(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    leg: LegId
    at: float
    """When, in CLOCK_MONOTONIC seconds."""


class LegIncoming(_Fact, frozen=True, kw_only=True, tag=True):
    """An INVITE has come; the leg is a UAS in state *incoming* (100 sent, nothing else)."""

    sip_call_id: SipCallId
    request_uri: str
    from_header: str
    to_header: str
    headers: Headers
    """All of the INVITE's headers."""


class LegProgress(_Fact, frozen=True, kw_only=True, tag=True):
    """A provisional response other than 100 has come on a leg where we are UAC."""

    status: int
    """101..199."""
    early_media: bool
    """True when this response carried an SDP answer, so that the callee's own audio may come."""


class EarlyMediaChanged(_Fact, frozen=True, kw_only=True, tag=True):
    """Packets of early media have begun to come, or have ceased to, on an unanswered leg where we are UAC."""

    coming: bool
    """Not before the first such event, whatever was agreed on."""


class LegAnswered(_Fact, frozen=True, kw_only=True, tag=True):
    """A 200 has come on a leg where we are UAC (and ACK has been sent)."""

    headers: Headers


class LegConfirmed(_Fact, frozen=True, kw_only=True, tag=True):
    """The ACK for our 200 has come on a leg where we are UAS."""


class MediaChanged(_Fact, frozen=True, kw_only=True, tag=True):
    """Media was (re)negotiated: answer, re-INVITE, hold, resume. The worker has rebuilt the graph already."""

    active: bool
    held_by_peer: bool


class MediaMeasured(_Fact, frozen=True, kw_only=True, tag=True):
    """How the peer's media came, over all of the leg's life. Just before LegEnded, where there were any."""

    received: int
    """Packets."""
    lost: int
    """Packets that were sent to us, by their sequence numbers, and never came."""
    jitter_ms: float
    """Mean interarrival jitter (RFC 3550 §6.4.1)."""


class DtmfReceived(_Fact, frozen=True, kw_only=True, tag=True):
    """The peer pressed a key; one event a key whatever ways it was sent in."""

    digit: str
    """One of ``0123456789*#ABCD``."""
    method: Literal["rfc4733", "info", "inband"]
    """``inband``: it was heard, by whoever hears this leg as well: not to be sent on to them."""


class LegEnded(_Fact, frozen=True, kw_only=True, tag=True):
    """The leg is over. Comes exactly once for every leg that was incoming or invited."""

    cause: EndCause
    sip_code: int
    """The peer's final response; 200 when it sent BYE; 487 when it sent CANCEL; else what we sent or would
    have been answered (480 unreachable, 408 timeout, 503 capacity and worker)."""
    reason: str
    """The reason phrase, or the Reason header's value if there is one."""
    headers: Headers
    """Of the final response, the BYE or the CANCEL; empty when we ended it."""


class LegReferred(_Fact, frozen=True, kw_only=True, tag=True):
    """The peer has sent REFER. It got 202 and is owed NotifyTransfer, or 603 (``accepted``)."""

    refer_to: str
    """The raw value, angle brackets included."""
    referred_by: str
    """The raw value; empty where there is none."""
    replaces: str
    """The Replaces header within ``refer_to``, unescaped (RFC 3891); empty: a blind transfer."""
    quiet: bool
    """``Refer-Sub: false`` (RFC 4488): it wants no NOTIFY."""
    accepted: bool = True
    """False: there was no leave for it (``AllowRefer``), and all is said."""


class ReferProgress(_Fact, frozen=True, kw_only=True, tag=True):
    """How a REFER that we have sent comes along."""

    status: int
    """Of the response to the REFER (300 and above, or 202), or of the NOTIFY's sipfrag."""
    by_notify: bool
    final: bool
    """Nothing more will come."""


class RecordingStarted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Both sides are being recorded, from the same frame on."""

    recording: str
    at: float
    """When, in CLOCK_MONOTONIC seconds: what pauses are reckoned from."""


class RecordingStopped(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The raw files will not change any more. Comes exactly once, except from a worker that dies."""

    recording: str
    at: float
    """When the last frame was recorded, in CLOCK_MONOTONIC seconds."""
    files: tuple[str, ...]
    """Parent's and child's; none when it could not be started."""
    duration_s: float
    """By the frames of the bridge; 0 when it could not be started."""
    reason: str = ""
    """Why it could not be started, or what is missing of the files; empty: all is there."""


class PromptEnded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A prompt plays no more. Comes exactly once for every StartPrompt, except from a worker that dies."""

    prompt: str
    at: float
    """When, in CLOCK_MONOTONIC seconds."""
    complete: bool
    """It was played to its end: neither stopped, nor its leg ended, nor could it not be played."""


class SilenceReached(_Fact, frozen=True, kw_only=True, tag=True):
    """The peer has been quiet for as long as ``WatchSilence`` said; it is not watched any more."""

    heard: bool
    """There was a sound before, since the watch began."""


LegEvent = (
    LegIncoming
    | LegProgress
    | EarlyMediaChanged
    | LegAnswered
    | LegConfirmed
    | MediaChanged
    | DtmfReceived
    | LegReferred
    | ReferProgress
    | LegEnded
)

RecordingEvent = RecordingStarted | RecordingStopped
"""These are of a session, not of one of its legs."""

SessionEvent = LegEvent | RecordingEvent | PromptEnded | SilenceReached
"""All that a worker tells of its session."""
