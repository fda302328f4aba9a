"""Attribute values: from the text in a document to what a verb holds.

A converter takes the attribute's text and returns ``(value, complaint)``. No complaint: the value is what the
text says. With one, the value is the nearest that will do, or UNSET: then the attribute counts as absent and
the verb's own default stands.
"""

import re
from collections.abc import Callable
from typing import Final

from msgspec import UNSET

from b2bua.twiml.document import one_line

__all__ = [
    "Converter",
    "boolean",
    "call_sid",
    "digits",
    "duration",
    "free",
    "key",
    "keys",
    "method",
    "one_of",
    "plain",
    "secret",
    "some_of",
    "url",
    "wait_url",
    "whole",
]

Converter = Callable[[str], tuple[object, str]]
"""See the module's docstring."""

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}")
_DIGITS: Final = re.compile(r"[0-9A-Da-d#*wW]*")
_KEYS: Final = re.compile(r"[0-9#*]*")
_CALL_SID: Final = re.compile(r"CA[0-9a-fA-F]{32}")
_DURATION: Final = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)(ms|s)")


def boolean(text: str) -> tuple[object, str]:
    """``true`` or ``false``, in any case."""
    match text.strip().lower():
        case "true":
            return True, ""
        case "false":
            return False, ""
    return UNSET, "neither true nor false"


def whole(low: int, high: int, *, least: int | None = None) -> Converter:
    """Return a converter of whole numbers.

    Args:
        low: smaller ones become this.
        high: larger ones become this.
        least: smaller ones are no values at all: nobody who writes ``timeLimit="0"`` wants one second.
    """

    def convert(text: str) -> tuple[object, str]:
        if not _WHOLE.fullmatch(text.strip()):
            return UNSET, "not a whole number"
        value = int(text)
        if least is not None and value < least:
            return UNSET, f"less than {least}"
        nearest = min(max(value, low), high)
        return nearest, "" if nearest == value else f"not between {low} and {high}; {nearest} is used"

    return convert


def one_of(*allowed: str, aliases: dict[str, str] | None = None) -> Converter:
    """Return a converter that takes exactly these words.

    Args:
        allowed: the words.
        aliases: other words, and which of the words each stands for.
    """
    known = {word: word for word in allowed} | (aliases or {})

    def convert(text: str) -> tuple[object, str]:
        value = known.get(text.strip())
        return (UNSET, f"none of {', '.join(allowed)}") if value is None else (value, "")

    return convert


def some_of(*allowed: str) -> Converter:
    """Return a converter of several of these words, separated by blanks; unknown ones are left out."""

    def convert(text: str) -> tuple[object, str]:
        words = text.split()
        known = tuple(word for word in allowed if word in words)
        complaint = "" if words and set(words) <= set(allowed) else f"other than {', '.join(allowed)}"
        return known or UNSET, complaint

    return convert


def method(text: str) -> tuple[object, str]:
    """``GET`` or ``POST``, in any case."""
    value = text.strip().upper()
    return (value, "") if value in ("GET", "POST") else (UNSET, "neither GET nor POST")


def url(text: str) -> tuple[object, str]:
    """An address as written; empty or blank is none. It is judged when it is resolved."""
    return text.strip() or UNSET, ""


def wait_url(text: str) -> tuple[object, str]:
    """An address as written; empty means something: silence."""
    return text.strip(), ""


def plain(longest: int, *, cut: bool = True) -> Converter:
    """Return a converter of texts on one line; an empty one is none, and said to be.

    Args:
        longest: characters.
        cut: longer ones are cut; otherwise they are no values.
    """

    def convert(text: str) -> tuple[object, str]:
        value = one_line(text)
        if not value:
            return UNSET, "empty"
        if len(value) > longest:
            verdict = f"longer than {longest} characters"
            return (value[:longest].rstrip(), verdict + "; it is cut") if cut else (UNSET, verdict)
        return value, ""

    return convert


def free(text: str) -> tuple[object, str]:
    """Any text, also none, on one line."""
    return one_line(text), ""


def secret(text: str) -> tuple[object, str]:
    """A user name or a password: as it is, but what would break a header."""
    # RFC 3261 §25.1: qdtext holds no control characters.
    if 0 < len(text) < 256 and text.isprintable():
        return text, ""
    return UNSET, "empty, longer than 255 characters, or with control characters"


def digits(text: str) -> tuple[object, str]:
    """Keys to send, with ``w`` and ``W`` for pauses."""
    return (text, "") if _DIGITS.fullmatch(text) else (UNSET, "other than 0-9 A-D # * w W")


def keys(text: str) -> tuple[object, str]:
    """Keys that end something; none is allowed."""
    return (text, "") if _KEYS.fullmatch(text) else (UNSET, "other than 0-9 # *")


def key(text: str) -> tuple[object, str]:
    """One key that ends something, or none."""
    return (text, "") if len(text) < 2 and _KEYS.fullmatch(text) else (UNSET, "not one of 0-9 # *")


def call_sid(text: str) -> tuple[object, str]:
    """A CallSid."""
    return (text, "") if _CALL_SID.fullmatch(text) else (UNSET, "not a CallSid")


def duration(text: str) -> tuple[object, str]:
    """A time as CSS writes it, ``1.5s`` or ``300ms``, in milliseconds; 10 s is the most."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        return UNSET, "not a time such as 300ms or 1.5s"
    value = round(float(found[1]) * (1000 if found[2] == "s" else 1))
    return min(value, 10_000), "" if value <= 10_000 else "longer than 10s; 10s is used"
