"""Reason headers: why a peer ended an INVITE or a call, and which of its reasons are passed on.

The reader tolerates small violations of the grammar. No header is passed on verbatim: the one for the other
peer is built from a protocol, a number and a short text. Source: RFC 3326.
"""

import re
from collections.abc import Iterable

import msgspec

from b2bua.core.events import Headers, LegEnded

__all__ = ["Reason", "passed_on", "read_reasons"]

_QUOTED = r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)'
_PIECE = re.compile(rf'((?:{_QUOTED}|[^",;])*)([,;]|\Z)', re.S)
"""The text up to the next comma or semicolon outside quotes. The pattern matches at every position, so it
never backtracks."""
_QUOTED_PAIR = re.compile(r"\\(.)", re.S)
_TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]{1,32}")
_CAUSE = re.compile(r"[0-9]{1,3}")

MAX_TEXT = 128
"""Characters of a reason's text; a longer text is not passed on to the other peer."""
MAX_REASONS = 4
"""How many reasons of one message are passed on to the other peer."""


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One value of a Reason header: ``Q.850;cause=16;text="Normal call clearing"``."""

    protocol: str
    """As received; compare it without regard to case."""
    cause: int
    """1..999; 0 if the cause is missing or not a number of one to three digits."""
    text: str
    """Without quotes and escapes; empty if there is none."""


def read_reasons(values: Iterable[str]) -> list[Reason]:
    """Return all readable reasons in the values of Reason headers, in order."""
    found: list[Reason] = []
    for value in values:
        parts: list[str] = []
        for piece in _PIECE.finditer(value):
            parts.append(piece[1].strip())
            if piece[2] != ";":
                found += _reason(*parts)
                parts = []
    return found


def passed_on(ended: LegEnded | None) -> Headers:
    """Return Reason headers that tell a callee why its caller gave up or left: the caller's valid reasons.

    Args:
        ended: how the caller's leg ended; None: it has not ended.
    """
    if ended is None or ended.cause != "peer":
        return ()
    values = (value for name, value in ended.headers if name.lower() == "reason")
    kept: dict[str, str] = {}
    for reason in read_reasons(values):
        if reason.cause:  # RFC 3326 §2: one for each protocol
            kept.setdefault(reason.protocol.upper(), _written(reason))
    return tuple(("Reason", value) for value in list(kept.values())[:MAX_REASONS])


def _reason(protocol: str, *params: str) -> list[Reason]:
    if not _TOKEN.fullmatch(protocol):
        return []
    given: dict[str, str] = {}
    for param in params:
        name, _, value = param.partition("=")
        given.setdefault(name.strip().lower(), _unquoted(value.strip()))
    cause = given.get("cause", "")
    return [
        Reason(
            protocol=protocol,
            cause=int(cause) if _CAUSE.fullmatch(cause) else 0,
            text=given.get("text", ""),
        )
    ]


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    return _QUOTED_PAIR.sub(r"\1", value[1:].removesuffix('"'))


def _written(reason: Reason) -> str:
    head = f"{reason.protocol};cause={reason.cause}"
    if not reason.text or len(reason.text) > MAX_TEXT or not reason.text.isprintable():
        return head
    text = reason.text.replace("\\", "\\\\").replace('"', '\\"')
    return f'{head};text="{text}"'
