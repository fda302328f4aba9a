"""INFO within a call: rewrites DTMF keys into the one form that the library can read, and answers the rest.

pjsip reads ``application/dtmf-relay`` only, takes the first digit of an event code for the key, refuses all
other bodies with 500, and aborts its process if the signal line is the last one or ends with a bare LF. So
only bodies written here reach it.
Source: RFC 6086, RFC 2976 §2.2 (no body); both DTMF bodies are non-standard and read as other servers do.
"""

import re
from typing import Final

from b2bua.sip.answers import Refusal
from b2bua.sip.message import Request

__all__ = ["screen_info"]

_KEYS: Final = "0123456789*#ABCD"
"""Keys in the order of their event codes (RFC 4733 §3.2)."""
_CODES: Final = {str(code): key for code, key in enumerate(_KEYS) if code >= 10}
_SIGNAL: Final = re.compile(rb"^[ \t]*signal[ \t]*=([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_ACCEPT: Final = (("Accept", "application/dtmf-relay, application/dtmf"),)


def screen_info(request: Request) -> Refusal | None:
    """Rewrite the key of an INFO for the library and return None, or return the answer without a worker."""
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
    """Return the key that is given as a character or as an event code; empty if there is none."""
    text = written.decode("ascii", "replace").strip().upper()
    return _CODES.get(text) or (text if len(text) == 1 and text in _KEYS else "")
