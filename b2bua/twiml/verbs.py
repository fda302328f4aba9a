"""TwiML as frozen models: what a document says, each value fit for use, each attribute with its default.

Names are the attributes' own in snake_case (``answer_on_bridge`` is ``answerOnBridge``). URLs are as the
document has them: they are resolved (``urls``) when they are wanted. Nothing here knows of XML or of calls.
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
"""What ``ringTone`` may say; each is a row of the ringback table."""


class _Element(msgspec.Struct, frozen=True, kw_only=True):
    line: int = 0
    """Of its start tag, 1-based; 0: made by us, not read."""
    column: int = 0
    """Likewise."""


class _Recorded(_Element, frozen=True, kw_only=True):
    recording_status_callback: str | None = None
    recording_status_callback_method: Method = "POST"
    recording_status_callback_event: tuple[str, ...] = ("completed",)
    """Of in-progress, completed, absent."""


class _Called(_Element, frozen=True, kw_only=True):
    """What Number, Sip and Client have in common."""

    url: str | None = None
    """Screening: a document for the callee before the bridge."""
    method: Method = "POST"
    status_callback: str | None = None
    status_callback_event: tuple[str, ...] = ("completed",)
    """Of initiated, ringing, answered, completed."""
    status_callback_method: Method = "POST"


class _Detecting(_Called, frozen=True, kw_only=True):
    """What Number and Sip have in common."""

    machine_detection: Literal["Enable", "DetectMessageEnd"] | None = None
    machine_detection_timeout: int = 30
    """Seconds, 3..59."""
    machine_detection_speech_threshold: int = 2400
    """Milliseconds, 1000..6000: speech longer than this is a machine's."""
    machine_detection_speech_end_threshold: int = 1200
    """Milliseconds, 500..5000: silence that ends a greeting."""
    machine_detection_silence_timeout: int = 5000
    """Milliseconds, 2000..10000: silence at the beginning, after which nothing is known."""
    amd_status_callback: str | None = None
    amd_status_callback_method: Method = "POST"


class Number(_Detecting, frozen=True, kw_only=True):
    """A telephone number to ring; also what plain text in a Dial becomes."""

    text: str
    """As written, without surrounding blanks."""
    send_digits: str = ""
    """Keys after the answer and before the bridge: ``0-9 A-D # *``, ``w`` 0.5 s, ``W`` 1 s."""
    byoc: str | None = None
    """Name of the trunk to use."""


class Sip(_Detecting, frozen=True, kw_only=True):
    """A SIP URI to ring."""

    uri: str
    """As written, headers included; ``parse_sip_target`` takes it apart."""
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
    muted: bool = False
    beep: Literal["true", "false", "onEnter", "onExit"] = "true"
    start_conference_on_enter: bool = True
    end_conference_on_exit: bool = False
    participant_label: str | None = None
    """Unique in the room, at most 128 characters."""
    max_participants: int = 250
    """2..250."""
    wait_url: str | None = None
    """None: our own hold music; empty: silence."""
    wait_method: Method = "POST"
    coach: str | None = None
    """CallSid of the participant who alone hears this one."""
    record: Literal["do-not-record", "record-from-start"] = "do-not-record"
    trim: Literal["trim-silence", "do-not-trim"] = "trim-silence"
    status_callback: str | None = None
    status_callback_event: tuple[str, ...] = ()
    """Of start, end, join, leave, mute, hold, modify, speaker, announcement."""
    status_callback_method: Method = "POST"
    jitter_buffer_size: Literal["off", "small", "medium", "large"] = "large"
    event_callback_url: str | None = None


class Queue(_Element, frozen=True, kw_only=True):
    """A queue whose first waiting caller is joined."""

    name: str
    url: str | None = None
    """A document for the waiting caller before the bridge."""
    method: Method = "POST"
    reservation_sid: str | None = None


Noun = Number | Sip | Client | Conference | Queue
"""What a Dial can lead to."""


class Dial(_Recorded, frozen=True, kw_only=True):
    """Ring one target or many, and bridge the caller with the one that answers."""

    children: tuple[Noun, ...] = ()
    """In the document's order. Either one Conference, or one Queue, or up to ten others; empty: it fails."""
    action: str | None = None
    """Asked once when all is over; its document replaces the rest."""
    method: Method = "POST"
    answer_on_bridge: bool = False
    caller_id: str | None = None
    """None: the caller's own. Not checked here: what is allowed depends on the target."""
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
    """Asked when the callee sends REFER; None: REFER is declined."""
    refer_method: Method = "POST"
    ring_tone: str | None = None
    """One of RINGTONE_CODES; None: early media of the callee, or the configured ringback."""
    sequential: bool = False
    """One target after another instead of all at once."""
    time_limit: int = 14400
    """Seconds, 1..86400, from the bridge; the configuration may allow less."""
    timeout: int = 30
    """Seconds, 5..600, that a target may ring."""
    first_to: Literal["answer", "accept"] = "answer"
    """Our own extension. With screening: the first to pick up wins, or the first to accept."""


class Hangup(_Element, frozen=True, kw_only=True):
    """Answer if need be, and hang up."""


class Redirect(_Element, frozen=True, kw_only=True):
    """Go on with another document."""

    url: str
    """Empty: this document once more."""
    method: Method = "POST"


class Reject(_Element, frozen=True, kw_only=True):
    """Refuse the call without answering it."""

    reason: Literal["rejected", "busy"] = "rejected"


class Pause(_Element, frozen=True, kw_only=True):
    """Wait."""

    length: int = 1
    """Seconds, 0..14400."""


class Break(_Element, frozen=True, kw_only=True):
    """A pause within a text: ``<break>``, or the end of a ``<p>``."""

    strength: Literal["none", "x-weak", "weak", "medium", "strong", "x-strong"] = "medium"
    time_ms: int | None = None
    """0..10000; None: as ``strength`` says."""


class Say(_Element, frozen=True, kw_only=True):
    """Speak a text."""

    text: str
    """All of it, blanks collapsed."""
    parts: tuple[str | Break, ...] = ()
    """The same with its breaks, in order; empty where there are none."""
    voice: str | None = None
    language: str | None = None
    loop: int = 1
    """0: for ever."""


class Play(_Element, frozen=True, kw_only=True):
    """Play a sound, or send keys."""

    url: str
    """Empty where there are only ``digits``."""
    loop: int = 1
    """0: for ever."""
    digits: str = ""
    """``0-9 A-D # *``, ``w`` 0.5 s, ``W`` 1 s."""


Prompt = Say | Play | Pause
"""What may be within a Gather."""


class Gather(_Element, frozen=True, kw_only=True):
    """Collect keys."""

    prompts: tuple[Prompt, ...] = ()
    """Played meanwhile; a key interrupts them."""
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
    """Seconds of silence, 0..600, that end it; 0: none do."""
    finish_on_key: str = "1234567890*#"
    """Any of ``0-9 * #``; empty: none."""
    max_length: int = 3600
    """Seconds, 1..14400."""
    play_beep: bool = True
    trim: Literal["trim-silence", "do-not-trim"] = "trim-silence"


class Enqueue(_Element, frozen=True, kw_only=True):
    """Wait in a queue."""

    name: str
    """1..64 characters."""
    action: str | None = None
    method: Method = "POST"
    wait_url: str | None = None
    """None: our own hold music."""
    wait_url_method: Method = "POST"


class Leave(_Element, frozen=True, kw_only=True):
    """Leave the queue: on with the verb after Enqueue."""


class Refer(_Element, frozen=True, kw_only=True):
    """Send the caller's phone elsewhere (RFC 3515)."""

    uri: str
    """Text of its ``<Sip>``."""
    action: str | None = None
    method: Method = "POST"


class Echo(_Element, frozen=True, kw_only=True):
    """What the caller says comes back. In no document: the node's own trial number runs it."""


Verb = (
    Dial | Hangup | Redirect | Reject | Pause | Say | Play | Gather | Record | Enqueue | Leave | Refer | Echo
)
"""What a document is made of."""


class Response(_Element, frozen=True, kw_only=True):
    """A document."""

    verbs: tuple[Verb, ...] = ()
    """In the document's order; empty: hang up."""
