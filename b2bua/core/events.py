"""Events of a leg: facts, named in the past tense.

The worker creates them, the controller's machines handle them, and the wire between the two carries them
unchanged: they are msgspec structs, so that no second set of classes is needed (docs/adr/0002).
``at`` is in CLOCK_MONOTONIC seconds, one clock for all processes of a machine.
"""

from typing import Literal

import msgspec

from b2bua.core.ids import LegId, SipCallId

__all__ = [
    "AnsweredBy",
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
    "MachineJudged",
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
"""What ended a leg: the peer's final response, CANCEL or BYE; our own hangup; a target that cannot be
resolved or connected to; a SIP transaction that timed out; no free slot; the death of the worker."""


AnsweredBy = Literal[
    "human", "machine_start", "machine_end_beep", "machine_end_silence", "machine_end_other", "fax", "unknown"
]
"""Who has answered a call, in the words of the webhooks."""


class _Fact(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    leg: LegId
    at: float
    """Time of the event, in CLOCK_MONOTONIC seconds."""


class LegIncoming(_Fact, frozen=True, kw_only=True, tag=True):
    """An INVITE has arrived; the leg is a UAS in state *incoming* (only 100 has been sent)."""

    sip_call_id: SipCallId
    request_uri: str
    from_header: str
    to_header: str
    headers: Headers
    """All headers of the INVITE."""


class LegProgress(_Fact, frozen=True, kw_only=True, tag=True):
    """A provisional response other than 100 has arrived on a leg where we are UAC."""

    status: int
    """101..199."""
    early_media: bool
    """True if the response carried an SDP answer, so that the callee's own audio may follow."""


class EarlyMediaChanged(_Fact, frozen=True, kw_only=True, tag=True):
    """Early media packets have begun or ceased to arrive on an unanswered leg where we are UAC."""

    coming: bool
    """Packets are arriving. Until the first such event none are, whatever SDP was agreed on."""


class LegAnswered(_Fact, frozen=True, kw_only=True, tag=True):
    """A 200 has arrived on a leg where we are UAC, and ACK has been sent."""

    headers: Headers


class LegConfirmed(_Fact, frozen=True, kw_only=True, tag=True):
    """The ACK for our 200 has arrived on a leg where we are UAS."""


class MediaChanged(_Fact, frozen=True, kw_only=True, tag=True):
    """Media was (re)negotiated: answer, re-INVITE, hold, resume. The worker has already rebuilt the graph."""

    active: bool
    held_by_peer: bool


class MediaMeasured(_Fact, frozen=True, kw_only=True, tag=True):
    """Quality of the peer's media over the leg's lifetime; reported by the relay after the leg has ended."""

    received: int
    """Packets received."""
    lost: int
    """Packets that the peer sent, by their sequence numbers, and that never arrived."""
    jitter_ms: float
    """Mean interarrival jitter (RFC 3550 §6.4.1)."""


class DtmfReceived(_Fact, frozen=True, kw_only=True, tag=True):
    """The peer has pressed a key. There is one event for each key, even if it was sent in several ways."""

    digit: str
    """One of ``0123456789*#ABCD``."""
    method: Literal["rfc4733", "info", "inband"]
    """``inband``: detected in the audio. A party that hears this leg has heard it; do not relay it there."""
    passed: bool = False
    """The party that hears this leg has received it already."""


class LegEnded(_Fact, frozen=True, kw_only=True, tag=True):
    """The leg has ended. Sent exactly once for every leg that was incoming or invited."""

    cause: EndCause
    sip_code: int
    """The peer's final response; 200 if it sent BYE; 487 if it sent CANCEL; otherwise the status that we
    sent, or that stands for the cause (480 unreachable, 408 timeout, 503 capacity and worker)."""
    reason: str
    """The reason phrase, or the value of the Reason header if there is one."""
    headers: Headers
    """Headers of the final response, the BYE or the CANCEL; empty if we ended the leg."""


class LegReferred(_Fact, frozen=True, kw_only=True, tag=True):
    """The peer has sent REFER. It got 202 and is owed NotifyTransfer, or it got 603 (``accepted``)."""

    refer_to: str
    """The raw value, including angle brackets."""
    referred_by: str
    """The raw value; empty if there is none."""
    replaces: str
    """The Replaces header within ``refer_to``, unescaped (RFC 3891); empty: a blind transfer."""
    quiet: bool
    """``Refer-Sub: false`` (RFC 4488): the peer wants no NOTIFY."""
    accepted: bool = True
    """False: the REFER was not allowed (``AllowRefer``), and no NotifyTransfer follows."""


class ReferProgress(_Fact, frozen=True, kw_only=True, tag=True):
    """The progress of a REFER that we have sent."""

    status: int
    """Status of the response to the REFER (300 and above, or 202), or of the NOTIFY's sipfrag."""
    by_notify: bool
    final: bool
    """No further event follows."""


class RecordingStarted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Both sides are being recorded, starting with the same frame."""

    recording: str
    at: float
    """Time of the start, in CLOCK_MONOTONIC seconds; the times of pauses are relative to it."""


class RecordingStopped(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The raw files will not change any more. Sent exactly once, unless the worker dies."""

    recording: str
    at: float
    """Time of the last recorded frame, in CLOCK_MONOTONIC seconds."""
    files: tuple[str, ...]
    """Files of the parent and the child; empty if the recording could not be started."""
    duration_s: float
    """Counted in frames of the bridge; 0 if the recording could not be started."""
    reason: str = ""
    """Why the recording could not be started, or what the files lack; empty: they are complete."""


class PromptEnded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A prompt has ended. Sent exactly once for every StartPrompt, unless the worker dies."""

    prompt: str
    at: float
    """Time of the event, in CLOCK_MONOTONIC seconds."""
    complete: bool
    """The prompt was played to its end. False: it was stopped, its leg ended, or it could not be played."""


class SilenceReached(_Fact, frozen=True, kw_only=True, tag=True):
    """The peer has been quiet for the time given by ``WatchSilence``; the watch is over."""

    heard: bool
    """There was a sound between the start of the watch and the silence."""


class MachineJudged(_Fact, frozen=True, kw_only=True, tag=True):
    """It is known who has answered, as far as it will be; the watch is over (``WatchForMachine``)."""

    answered_by: AnsweredBy
    duration_ms: int
    """Time from the command to the verdict."""


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
"""Events of a session, not of one of its legs."""

SessionEvent = LegEvent | RecordingEvent | PromptEnded | SilenceReached | MachineJudged
"""All events that a worker reports about its session."""
