"""TwiML as frozen models: the content of a document with checked values, and the default of each attribute.

Fields have the names of the attributes in snake_case (``answer_on_bridge`` is ``answerOnBridge``). URLs are
kept as written and resolved (``urls``) when they are needed. Nothing here knows of XML or of calls.
Source: the hosted service's TwiML reference, ``<Dial>`` and its nouns and the other voice verbs (read
November 2026).
"""

from typing import Final, Literal

import msgspec

__all__ = [
    "RINGTONE_CODES",
    "Break",
    "Client",
    "Conference",
    "Dial",
    "Echo",
    "Enqueue",
    "Gather",
    "Hangup",
    "Leave",
    "Markup",
    "Method",
    "Noun",
    "Number",
    "Parameter",
    "Pause",
    "Play",
    "Prompt",
    "Queue",
    "Record",
    "Redirect",
    "Refer",
    "Reject",
    "Response",
    "Say",
    "Sip",
    "Verb",
]

Method = Literal["GET", "POST"]
"""How a URL is requested."""

RINGTONE_CODES: Final = (
    "at", "au", "bg", "br", "be", "ch", "cl", "cn", "cz", "de", "dk", "ee", "es", "fi", "fr", "gr", "hu",
    "il", "in", "it", "lt", "jp", "mx", "my", "nl", "no", "nz", "ph", "pl", "pt", "ru", "se", "sg", "th",
    "uk", "us", "us-old", "tw", "ve", "za",
)  # fmt: skip
"""Allowed values of ``ringTone``; each is a row of the ringback table."""


class _Element(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    line: int = 0
    """Line of the start tag, 1-based; 0: the element was made by us, not read."""
    column: int = 0
    """Column of the start tag, 1-based; 0: the element was made by us, not read."""


class _Recorded(_Element, frozen=True, kw_only=True):
    recording_status_callback: str | None = None
    recording_status_callback_method: Method = "POST"
    recording_status_callback_event: tuple[str, ...] = ("completed",)
    """Any of in-progress, completed, absent."""


class _Called(_Element, frozen=True, kw_only=True):
    """The common attributes of Number, Sip and Client."""

    url: str | None = None
    """Screening: URL of a document for the callee before the bridge."""
    method: Method = "POST"
    status_callback: str | None = None
    status_callback_event: tuple[str, ...] = ("completed",)
    """Any of initiated, ringing, answered, completed."""
    status_callback_method: Method = "POST"


class _Detecting(_Called, frozen=True, kw_only=True):
    """The common attributes of Number and Sip."""

    machine_detection: Literal["Enable", "DetectMessageEnd"] | None = None
    machine_detection_timeout: int = 30
    """Seconds, 3..59."""
    machine_detection_speech_threshold: int = 2400
    """Milliseconds, 1000..6000; longer speech is a machine's."""
    machine_detection_speech_end_threshold: int = 1200
    """Milliseconds of silence that end a greeting, 500..5000."""
    machine_detection_silence_timeout: int = 5000
    """Milliseconds of initial silence, 2000..10000, after which the result is unknown."""
    amd_status_callback: str | None = None
    amd_status_callback_method: Method = "POST"


class Number(_Detecting, frozen=True, kw_only=True):
    """A telephone number to ring; plain text in a Dial also becomes a Number."""

    text: str
    """As written, without surrounding blanks."""
    send_digits: str = ""
    """Keys to send between the answer and the bridge: ``0-9 A-D # *``, ``w`` 0.5 s, ``W`` 1 s."""
    byoc: str | None = None
    """Name of the trunk to use."""


class Sip(_Detecting, frozen=True, kw_only=True):
    """A SIP URI to ring."""

    uri: str
    """As written, including headers; ``parse_sip_target`` parses it."""
    username: str | None = None
    """For a digest challenge."""
    password: str | None = None


class Parameter(_Element, frozen=True, kw_only=True):
    """One ``<Parameter>`` of a Client."""

    name: str
    value: str


class Client(_Called, frozen=True, kw_only=True):
    """A registered user to ring."""

    identity: str
    parameters: tuple[Parameter, ...] = ()


class Conference(_Recorded, frozen=True, kw_only=True):
    """A conference room to join."""

    name: str
    """At most 128 characters; ``CF`` and 32 hexadecimal digits: the room with that sid."""
    muted: bool = False
    beep: Literal["true", "false", "onEnter", "onExit"] = "true"
    start_conference_on_enter: bool = True
    end_conference_on_exit: bool | Literal["last"] = False
    """``last`` is our own extension: not as long as another one is there whose exit ends the room."""
    exit_grace: int = 0
    """Our own extension: seconds, 0..600, that the room goes on after the loss of one whose exit ends it."""
    participant_label: str | None = None
    """Unique in the room, at most 128 characters, without ``/``, and not like a CallSid."""
    max_participants: int = 250
    """2..250."""
    wait_url: str | None = None
    """None: our own hold music; empty: silence."""
    wait_method: Method = "POST"
    coach: str | None = None
    """CallSid of the only participant that hears this one."""
    record: Literal["do-not-record", "record-from-start"] = "do-not-record"
    trim: Literal["trim-silence", "do-not-trim"] = "trim-silence"
    status_callback: str | None = None
    status_callback_event: tuple[str, ...] = ()
    """Any of start, end, join, leave, mute, hold, modify, speaker, announcement."""
    status_callback_method: Method = "POST"
    jitter_buffer_size: Literal["off", "small", "medium", "large"] = "large"
    event_callback_url: str | None = None
    """Deprecated. Requested at the end of a recording if there is no ``recording_status_callback``."""


class Queue(_Element, frozen=True, kw_only=True):
    """A queue whose first waiting caller is bridged."""

    name: str
    """1..64 characters."""
    url: str | None = None
    """URL of a document for the waiting caller before the bridge."""
    method: Method = "POST"
    call_sid: str | None = None
    """Our own extension: CallSid of the caller to bridge instead of the first one."""


Noun = Number | Sip | Client | Conference | Queue
"""The targets of a Dial."""


class Dial(_Recorded, frozen=True, kw_only=True):
    """Ring one or more targets, and bridge the caller with the one that answers."""

    children: tuple[Noun, ...] = ()
    """In document order. One Conference, or one Queue, or up to ten others; empty: the Dial fails."""
    action: str | None = None
    """URL requested once when the Dial is over; its document replaces the rest."""
    method: Method = "POST"
    answer_on_bridge: bool = False
    caller_id: str | None = None
    """None: the caller's own number. It is not checked here: the allowed values depend on the target."""
    call_reason: str | None = None
    """At most 50 characters, on one line."""
    hangup_on_star: bool = False
    record: Literal[
        "do-not-record",
        "record-from-answer",
        "record-from-ringing",
        "record-from-answer-dual",
        "record-from-ringing-dual",
    ] = "do-not-record"
    recording_track: Literal["inbound", "outbound", "both"] = "both"
    trim: Literal["trim-silence", "do-not-trim"] = "do-not-trim"
    refer_url: str | None = None
    """URL requested when the callee sends REFER; None: REFER is declined."""
    refer_method: Method = "POST"
    ring_tone: str | None = None
    """One of RINGTONE_CODES; None: the callee's early media, or the configured ringback."""
    sequential: bool = False
    """One target after another instead of all at once."""
    time_limit: int = 14400
    """Seconds, 1..86400, from the bridge; the configuration may allow less."""
    timeout: int = 30
    """Seconds, 5..600, that a target may ring."""
    first_to: Literal["answer", "accept"] = "answer"
    """Our own extension. With screening: the first callee to answer wins, or the first to accept."""


class Hangup(_Element, frozen=True, kw_only=True):
    """Answer if necessary, and hang up."""


class Redirect(_Element, frozen=True, kw_only=True):
    """Continue with another document."""

    url: str
    """Empty: this document again."""
    method: Method = "POST"


class Reject(_Element, frozen=True, kw_only=True):
    """Refuse the call without answering it."""

    reason: Literal["rejected", "busy"] = "rejected"


class Pause(_Element, frozen=True, kw_only=True):
    """Wait for ``length`` seconds."""

    length: int = 1
    """Seconds, 0..14400."""


class Break(_Element, frozen=True, kw_only=True):
    """A pause within a text: ``<break>``, or the end of a ``<p>``."""

    strength: Literal["none", "x-weak", "weak", "medium", "strong", "x-strong"] = "medium"
    time_ms: int | None = None
    """0..10000; None: ``strength`` determines it."""


class Markup(_Element, frozen=True, kw_only=True):
    """A text within a Say that is not spoken like plain text."""

    text: str
    """What a synthesiser without SSML speaks."""
    ssml: str
    """The same with elements of SSML for the synthesiser, well-formed, without a root element."""


class Say(_Element, frozen=True, kw_only=True):
    """Speak a text."""

    text: str
    """The whole text, with blanks collapsed."""
    parts: tuple[str | Break | Markup, ...] = ()
    """The same text with its breaks and markup, in order; empty if there is neither."""
    voice: str | None = None
    language: str | None = None
    loop: int = 1
    """How often; 0: for ever."""


class Play(_Element, frozen=True, kw_only=True):
    """Play a sound, or send keys."""

    url: str
    """Empty if there are only ``digits``."""
    loop: int = 1
    """How often; 0: for ever."""
    digits: str = ""
    """``0-9 A-D # *``, ``w`` 0.5 s, ``W`` 1 s."""


Prompt = Say | Play | Pause
"""The verbs that a Gather may contain."""


class Gather(_Element, frozen=True, kw_only=True):
    """Collect keys."""

    prompts: tuple[Prompt, ...] = ()
    """Played while keys are collected; a key interrupts them."""
    input: Literal["dtmf"] = "dtmf"
    action: str | None = None
    """None: this document's URL."""
    method: Method = "POST"
    timeout: int = 5
    """Seconds, 1..600, between keys."""
    finish_on_key: str = "#"
    """One of ``0-9 * #``; empty: none."""
    num_digits: int | None = None
    """1..1000; None: any number."""
    action_on_empty_result: bool = False


class Record(_Recorded, frozen=True, kw_only=True):
    """Record the caller."""

    action: str | None = None
    """None: this document's URL."""
    method: Method = "POST"
    timeout: int = 5
    """Seconds of silence that end the recording, 0..600; 0: silence does not end it."""
    finish_on_key: str = "1234567890*#"
    """Any of ``0-9 * #``; empty: none."""
    max_length: int = 3600
    """Seconds, 1..14400."""
    play_beep: bool = True
    trim: Literal["trim-silence", "do-not-trim"] = "trim-silence"
    transcribe: bool = False
    """Has no effect of its own: there is no recogniser."""
    transcribe_callback: str | None = None
    """URL that is told, when the recording is complete, that the transcription has failed."""


class Enqueue(_Element, frozen=True, kw_only=True):
    """Wait in a queue."""

    name: str
    """1..64 characters; empty with ``refusal``."""
    refusal: int = 0
    """Number of the error because of which nobody is queued and the result is ``error``; 0: none."""
    action: str | None = None
    """URL requested when the waiting or the bridge is over; None: the next verb follows."""
    method: Method = "POST"
    wait_url: str | None = None
    """None: our own hold music; empty: silence."""
    wait_url_method: Method = "POST"
    max_queue_size: int = 1000
    """1..5000; the size of the queue if this verb makes it."""
    priority: int = 0
    """Our own extension, like those that follow. 0..999; callers with a higher one come first."""
    max_wait: int | None = None
    """Seconds after which the caller leaves the queue; None: it waits on."""
    announce_position: int | None = None
    """Seconds, 5..3600, after which the caller is told its position if it has improved; None: never."""
    announce_text: str = "You are number {position} in the queue."
    """What is said; ``{position}`` stands for the number."""
    announce_language: str | None = None
    status_callback: str | None = None
    status_callback_event: tuple[str, ...] = ("joined", "offered", "bridged", "left")
    status_callback_method: Method = "POST"


class Leave(_Element, frozen=True, kw_only=True):
    """Leave the queue and continue with the verb after Enqueue."""


class Refer(_Element, frozen=True, kw_only=True):
    """Transfer the caller's phone to another target (RFC 3515)."""

    uri: str
    """Text of the ``<Sip>`` in it."""
    action: str | None = None
    method: Method = "POST"


class Echo(_Element, frozen=True, kw_only=True):
    """Play the caller's audio back. No document can contain it: the node's own trial number runs it."""


Verb = (
    Dial | Hangup | Redirect | Reject | Pause | Say | Play | Gather | Record | Enqueue | Leave | Refer | Echo
)
"""The verbs of a document."""


class Response(_Element, frozen=True, kw_only=True):
    """A document."""

    verbs: tuple[Verb, ...] = ()
    """In document order; empty: hang up."""
