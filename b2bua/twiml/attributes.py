"""The table of all attributes: the converter for each value, and the number of the warning for a bad one.

Defaults are in the models (``verbs``), next to the fields that they apply to. An attribute whose converter
finds no value leaves the model's default in place.
Source: the hosted service's TwiML reference and its error and warning dictionary (read November 2026).
"""

import re
from dataclasses import dataclass, replace
from typing import Final

from b2bua.twiml.findings import Severity
from b2bua.twiml.values import (
    Converter,
    boolean,
    boolean_or,
    call_sid,
    digits,
    duration,
    free,
    gather_input,
    key,
    keys,
    label,
    method,
    one_of,
    plain,
    secret,
    some_of,
    unsupported,
    url,
    wait_url,
    whole,
)
from b2bua.twiml.verbs import RINGTONE_CODES

__all__ = ["ATTRIBUTES", "MAX_TIME_LIMIT_S", "SCHEMA", "WITHOUT_FIELD", "Attribute", "field_of"]

SCHEMA: Final = 12200
"""Number of every finding without a number of its own."""

MAX_TIME_LIMIT_S: Final = 14_400
"""Four hours: the longest time a document can ask for, except by ``timeLimit``."""

LONGEST_DIAL_S: Final = 86_400
"""The maximum of ``timeLimit``, which only applies if the configuration allows more than by default."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """How one attribute is read."""

    convert: Converter
    number: int = SCHEMA
    """Number of the finding for a bad value."""
    severity: Severity = "warning"
    """Severity of that finding."""
    refuses: bool = False
    """A bad value makes the whole element invalid: a noun is left out, and its Dial fails."""


def field_of(name: str) -> str:
    """Return the model's field for an attribute: ``answer_on_bridge`` for ``answerOnBridge``."""
    return re.sub(r"[A-Z]", lambda capital: "_" + capital[0].lower(), name)


_TRIM: Final = one_of("trim-silence", "do-not-trim")

_RECORDING_CALLBACK: Final = {
    "recordingStatusCallback": Attribute(url),
    "recordingStatusCallbackMethod": Attribute(method),
    "recordingStatusCallbackEvent": Attribute(some_of("in-progress", "completed", "absent")),
}

_STATUS_CALLBACK: Final = {
    "statusCallback": Attribute(url),
    "statusCallbackEvent": Attribute(some_of("initiated", "ringing", "answered", "completed")),
    "statusCallbackMethod": Attribute(method),
}

_DETECTION: Final = {
    "machineDetection": Attribute(one_of("Enable", "DetectMessageEnd")),
    "machineDetectionTimeout": Attribute(whole(3, 59)),
    "machineDetectionSpeechThreshold": Attribute(whole(1000, 6000)),
    "machineDetectionSpeechEndThreshold": Attribute(whole(500, 5000)),
    "machineDetectionSilenceTimeout": Attribute(whole(2000, 10_000)),
    "amdStatusCallback": Attribute(url),
    "amdStatusCallbackMethod": Attribute(method),
}

ATTRIBUTES: Final[dict[str, dict[str, Attribute]]] = {
    "Response": {},
    "Dial": {
        "action": Attribute(url),
        "method": Attribute(method, 13210),
        "answerOnBridge": Attribute(boolean, 13219),
        "callerId": Attribute(free),  # checked where the target and the verified numbers are known
        "callReason": Attribute(plain(50)),
        "hangupOnStar": Attribute(boolean, 13213),
        "record": Attribute(
            one_of(
                "do-not-record",
                "record-from-answer",
                "record-from-ringing",
                "record-from-answer-dual",
                "record-from-ringing-dual",
                aliases={"true": "record-from-answer", "false": "do-not-record"},
            ),
            13217,
        ),
        **_RECORDING_CALLBACK,
        "recordingTrack": Attribute(one_of("inbound", "outbound", "both")),
        "trim": Attribute(_TRIM),
        "referUrl": Attribute(url),
        "referMethod": Attribute(method),
        "ringTone": Attribute(one_of(*RINGTONE_CODES), 13220),
        "sequential": Attribute(boolean, 13218),
        "timeLimit": Attribute(whole(1, LONGEST_DIAL_S, least=1), 13216),
        "timeout": Attribute(whole(5, 600), 13212),
        "firstTo": Attribute(one_of("answer", "accept")),
        "events": Attribute(free),
    },
    "Number": {
        "url": Attribute(url),
        "method": Attribute(method, 13221),
        "sendDigits": Attribute(digits, 13222),
        "byoc": Attribute(plain(64)),
        **_STATUS_CALLBACK,
        **_DETECTION,
    },
    "Sip": {
        "url": Attribute(url),
        "method": Attribute(method, 13241),
        "username": Attribute(secret, 13249),
        "password": Attribute(secret, 13249),
        **_STATUS_CALLBACK,
        **_DETECTION,
    },
    "Client": {"url": Attribute(url), "method": Attribute(method), **_STATUS_CALLBACK},
    "Identity": {},
    "Parameter": {"name": Attribute(plain(128, cut=False)), "value": Attribute(free)},
    "Conference": {
        "muted": Attribute(boolean, 13230),
        "beep": Attribute(one_of("true", "false", "onEnter", "onExit"), 13235),
        "startConferenceOnEnter": Attribute(boolean, 13232),
        "endConferenceOnExit": Attribute(boolean_or("last"), 13231, "error"),
        "exitGrace": Attribute(whole(0, 600)),
        "participantLabel": Attribute(label, 16023, "error", refuses=True),
        "maxParticipants": Attribute(whole(2, 250, least=1)),
        "waitUrl": Attribute(wait_url, 13233),
        "waitMethod": Attribute(method, 13234),
        "coach": Attribute(call_sid, 13240, "error", refuses=True),
        "record": Attribute(
            one_of(
                "do-not-record",
                "record-from-start",
                aliases={"true": "record-from-start", "false": "do-not-record"},
            )
        ),
        "trim": Attribute(
            one_of(
                "trim-silence",
                "do-not-trim",
                aliases={"true": "trim-silence", "false": "do-not-trim"},
            ),
            13239,
            "error",
        ),
        "statusCallback": Attribute(url),
        "statusCallbackEvent": Attribute(
            some_of("start", "end", "join", "leave", "mute", "hold", "modify", "speaker", "announcement")
        ),
        "statusCallbackMethod": Attribute(method),
        **{name: replace(row, number=13256) for name, row in _RECORDING_CALLBACK.items()},
        "jitterBufferSize": Attribute(one_of("off", "small", "medium", "large")),
        "eventCallbackUrl": Attribute(url),
        "region": Attribute(free),
        "recordingConfigurationId": Attribute(free),
    },
    "Queue": {
        "url": Attribute(url, 14211, "error"),
        "method": Attribute(method, 14210),
        "callSid": Attribute(call_sid, 14214, "error", refuses=True),
        "reservationSid": Attribute(unsupported, 14215, "error", refuses=True),
        "postWorkActivitySid": Attribute(free),
    },
    "Hangup": {},
    "Redirect": {"method": Attribute(method, 13710)},
    "Reject": {"reason": Attribute(one_of("rejected", "busy"), 13810)},
    "Pause": {"length": Attribute(whole(0, MAX_TIME_LIMIT_S), 13910)},
    "Say": {
        "voice": Attribute(plain(64, cut=False)),
        "language": Attribute(plain(35, cut=False)),
        "loop": Attribute(whole(0, 1000), 13510),
    },
    "break": {
        "strength": Attribute(one_of("none", "x-weak", "weak", "medium", "strong", "x-strong")),
        "time": Attribute(duration),
    },
    "Play": {"loop": Attribute(whole(0, 1000), 13410), "digits": Attribute(digits)},
    "Gather": {
        "input": Attribute(gather_input),
        "action": Attribute(url),
        "method": Attribute(method, 13312),
        "timeout": Attribute(whole(1, 600), 13313),
        "finishOnKey": Attribute(key, 13310),
        "numDigits": Attribute(whole(1, 1000, least=1), 13314),
        "actionOnEmptyResult": Attribute(boolean),
    },
    "Record": {
        "action": Attribute(url),
        "method": Attribute(method, 13610),
        "timeout": Attribute(whole(0, 600), 13611),
        "finishOnKey": Attribute(keys, 13613),
        "maxLength": Attribute(whole(1, MAX_TIME_LIMIT_S, least=1), 13612),
        "playBeep": Attribute(boolean, 13616),
        "trim": Attribute(_TRIM),
        "transcribe": Attribute(boolean, 13614),
        "transcribeCallback": Attribute(url),
        **_RECORDING_CALLBACK,
    },
    "Enqueue": {
        "action": Attribute(url, 14203),
        "method": Attribute(method, 14201),
        "waitUrl": Attribute(wait_url, 14202),
        "waitUrlMethod": Attribute(method, 14206),
        "maxQueueSize": Attribute(whole(1, 5000, least=1)),
        "priority": Attribute(whole(0, 999)),
        "maxWait": Attribute(whole(1, MAX_TIME_LIMIT_S, least=1)),
        "announcePosition": Attribute(whole(5, 3600, least=1)),
        "announceText": Attribute(plain(200)),
        "announceLanguage": Attribute(plain(35, cut=False)),
        "statusCallback": Attribute(url),
        "statusCallbackEvent": Attribute(some_of("joined", "offered", "bridged", "left")),
        "statusCallbackMethod": Attribute(method),
        "workflowSid": Attribute(free),
    },
    "Leave": {},
    "Refer": {"action": Attribute(url), "method": Attribute(method)},
}
"""Rows by element and attribute. Each field of a model that an attribute can set has its row here. The only
other rows are those in ``WITHOUT_FIELD`` and ``time``, which sets ``time_ms``.

The number and severity in the row of a URL are for one that cannot be requested; the converter takes any."""

WITHOUT_FIELD: Final = frozenset(
    (
        "events",
        "postWorkActivitySid",
        "recordingConfigurationId",
        "region",
        "reservationSid",
        "workflowSid",
    )
)
"""Attributes that are known and set no field: this node has nothing that they could configure."""
