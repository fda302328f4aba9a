"""Findings about a document: numbers, positions and texts.

The numbers are those of the hosted service, so that an application's monitoring keeps its meaning. Each
finding is kept with the call, logged and counted. A finding never stops a call; a ``TwimlError`` does.
Source: the hosted service's error and warning dictionary (read November 2026).
"""

from typing import Final, Literal

import msgspec

__all__ = ["STANDING_TEXT", "Finding", "Severity", "make_finding"]

Severity = Literal["error", "warning"]
"""``warning``: a default is used or a part is skipped. ``error``: the request cannot be carried out."""

STANDING_TEXT: Final[dict[int, str]] = {
    11100: "bad URL",
    11200: "HTTP status",
    11205: "no HTTP connection",
    11210: "bad host name",
    11215: "too many redirects",
    11220: "TLS handshake failed",
    11750: "document too large",
    11770: "empty document",
    12100: "document cannot be parsed",
    12101: "XML version is not 1.0",
    12102: "root element is not Response",
    12200: "schema",
    12300: "bad Content-Type",
    12400: "internal failure",
    13000: "Conference or Queue with other targets",
    13201: "Dial within screening",
    13210: "Dial: bad method",
    13212: "Dial: bad timeout",
    13213: "Dial: bad hangupOnStar",
    13214: "Dial: bad callerId",
    13215: "Dial: bad nested element",
    13216: "Dial: bad timeLimit",
    13217: "Dial: bad record",
    13218: "Dial: bad sequential",
    13219: "Dial: bad answerOnBridge",
    13220: "Dial: bad ringTone",
    13221: "Number: bad method",
    13222: "Number: bad sendDigits",
    13223: "Dial: no number to dial",
    13224: "Dial: bad number",
    13225: "Dial: number is blocked",
    13226: "Dial: bad country code",
    13230: "Conference: bad muted",
    13231: "Conference: bad endConferenceOnExit",
    13232: "Conference: bad startConferenceOnEnter",
    13233: "Conference: bad waitUrl",
    13234: "Conference: bad waitMethod",
    13235: "Conference: bad beep",
    13236: "Conference: bad sid",
    13237: "Conference: bad name",
    13238: "Conference: bad verb while waiting",
    13239: "Conference: bad trim",
    13240: "Conference: bad coach",
    13241: "Sip: bad method",
    13242: "Sip: bad sendDigits",
    13243: "Sip: bad URI",
    13244: "Sip: not authorised",
    13245: "Sip: not in this version",
    13246: "Sip: not allowed",
    13247: "Dial: bad character in callerId",
    13248: "Dial: callerId too long",
    13249: "Sip: bad username or password",
    13250: "Dial: too many targets",
    13251: "Sip: too many headers",
    13252: "Sip: header not allowed",
    13253: "Sip: headers too long",
    13256: "Conference: bad recordingStatusCallback, or its method or events",
    13310: "Gather: bad finishOnKey",
    13312: "Gather: bad method",
    13313: "Gather: bad timeout",
    13314: "Gather: bad numDigits",
    13320: "Gather: bad nested verb",
    13410: "Play: bad loop",
    13510: "Say: bad loop",
    13511: "Say: bad voice",
    13512: "Say: bad language",
    13520: "Say: nothing to say",
    13610: "Record: bad method",
    13611: "Record: bad timeout",
    13612: "Record: bad maxLength",
    13613: "Record: bad finishOnKey",
    13614: "Record: bad transcribe",
    13616: "Record: bad playBeep",
    13710: "Redirect: bad method",
    13802: "REFER without referUrl",
    13810: "Reject: bad reason",
    13910: "Pause: bad length",
    14201: "Enqueue: bad method",
    14202: "Enqueue: bad waitUrl",
    14203: "Enqueue: bad action",
    14204: "Enqueue: no name",
    14205: "Enqueue: name too long",
    14206: "Enqueue: bad waitUrlMethod",
    14207: "Enqueue: queue is full",
    14210: "Queue: bad method",
    14211: "Queue: bad url",
    14212: "Queue: no name",
    14213: "Queue: name too long",
    14214: "Queue: member is not waiting",
    14215: "Queue: bad reservationSid",
    14222: "Enqueue: bad workflowSid",
    16011: "Conference: status callback refused",
    16020: "Conference: full",
    16023: "Conference: bad participantLabel",
    16025: "Conference: duplicate participantLabel",
    16027: "Conference: coached participant is on hold",
}
"""The fixed text for each number that this node uses."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One fault in a document."""

    number: int
    severity: Severity = "warning"
    text: str
    """One line, for people."""
    line: int = 0
    """1-based; 0 if there is none."""
    column: int = 0
    """1-based; 0 if there is none."""


def make_finding(
    number: int, detail: str, *, line: int = 0, column: int = 0, severity: Severity = "warning"
) -> Finding:
    """Return a finding whose text is the number's fixed text followed by ``detail``."""
    text = f"{STANDING_TEXT[number]}: {detail}"
    return Finding(number=number, severity=severity, text=text, line=line, column=column)
