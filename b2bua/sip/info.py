"""INFO within a call: keys in the one spelling that the library can read, and what else such requests get.

pjsip knows ``application/dtmf-relay`` only, takes the code of an event for its first digit, refuses all else
with 500, and aborts its process when the line of the signal is the last one or ends with a mere LF. So
nothing but what is written here reaches it.
Source: RFC 6086, RFC 2976 §2.2 (no body); the two kinds of body are folklore, read as other servers do.
"""

import re
from typing import Final

from b2bua.sip.answers import Refusal
from b2bua.sip.message import Request

__all__ = ["screen_info"]

_KEYS: Final = "0123456789*#ABCD"
"""In the order of their event codes (RFC 4733 §3.2)."""
_CODES: Final = {str(code): key for code, key in enumerate(_KEYS) if code >= 10}
_SIGNAL: Final = re.compile(rb"^[ \t]*signal[ \t]*=([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_ACCEPT: Final = (("Accept", "application/dtmf-relay, application/dtmf"),)


def screen_info(request: Request) -> Refusal | None:
    """Make a key of an INFO readable and return None; or what it is answered without a worker."""
    if not request.body:
        return Refusal(200)
    kinds = {"".join(value.partition(";")[0].split()).lower() for value in request.all("content-type")}
    if "application/dtmf-relay" in kinds:
        found = _SIGNAL.search(request.body)
        key = _key(found[1] if found else b"")
    elif "application/dtmf" in kinds:
        key = _key(request.body)
    elif request.get("info-package") is not None:
        return Refusal(469, "Bad Info Package", (("Recv-Info", ""),))
    else:
        return Refusal(415, "Unsupported Media Type", _ACCEPT)
    if not key:
        return Refusal(400, "No Such Key")
    request.set_body(f"Signal={key}\r\nDuration=160\r\n".encode(), "application/dtmf-relay")
    return None


def _key(written: bytes) -> str:
    """The key that is meant, by itself or by its event code; empty: none."""
    text = written.decode("ascii", "replace").strip().upper()
    return _CODES.get(text) or (text if len(text) == 1 and text in _KEYS else "")
