"""Conversion of attribute values from the text in a document to the values in a verb.

A converter takes the attribute's text and returns ``(value, complaint)``. Without a complaint the value is
what the text says. With a complaint it is the nearest valid value, or UNSET: then the attribute counts as
absent and the verb's own default applies.
"""

import re
from collections.abc import Callable
from typing import Final

from msgspec import UNSET

from b2bua.twiml.document import one_line

__all__ = [
    "Converter",
    "boolean",
    "boolean_or",
    "call_sid",
    "digits",
    "duration",
    "free",
    "gather_input",
    "key",
    "keys",
    "label",
    "method",
    "one_of",
    "plain",
    "secret",
    "some_of",
    "unsupported",
    "url",
    "wait_url",
    "whole",
]

Converter = Callable[[str], tuple[object, str]]
"""Takes an attribute's text and returns ``(value, complaint)``; the complaint may be empty."""

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}")
_DIGITS: Final = re.compile(r"[0-9A-Da-d#*wW]*")
_KEYS: Final = re.compile(r"[0-9#*]*")
_CALL_SID: Final = re.compile(r"CA[0-9a-fA-F]{32}")
_LABEL_LIKE_A_PATH: Final = re.compile(r"/|%2f", re.IGNORECASE)
_DURATION: Final = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)(ms|s)")


def boolean(text: str) -> tuple[object, str]:
    """Convert ``true`` or ``false``, in any case."""
    match text.strip().lower():
        case "true":
            return True, ""
        case "false":
            return False, ""
    return UNSET, "neither true nor false"


def boolean_or(word: str) -> Converter:
    """Return a converter of ``true``, ``false`` or ``word``."""

    def convert(text: str) -> tuple[object, str]:
        if text.strip() == word:
            return word, ""
        value, complaint = boolean(text)
        return value, complaint and f"{complaint} nor {word}"

    return convert


def whole(low: int, high: int, *, least: int | None = None) -> Converter:
    """Return a converter of whole numbers.

    Args:
        low: replaces smaller numbers.
        high: replaces larger numbers.
        least: smaller numbers are invalid instead of replaced: ``timeLimit="0"`` does not mean one second.
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
        aliases: further words, each mapped to the allowed word that it stands for.
    """
    known = {word: word for word in allowed} | (aliases or {})

    def convert(text: str) -> tuple[object, str]:
        value = known.get(text.strip())
        verdict = "not one of " if len(allowed) > 1 else "not "
        return (UNSET, verdict + ", ".join(allowed)) if value is None else (value, "")

    return convert


def gather_input(text: str) -> tuple[object, str]:
    """Convert what a Gather listens for: keys, and nothing else, for there is no recogniser."""
    words = text.split()
    if words == ["dtmf"]:
        return "dtmf", ""
    if "speech" in words and set(words) <= {"dtmf", "speech"}:
        return UNSET, "there is no speech recogniser here; only keys are taken"
    return UNSET, "neither dtmf nor speech; keys are taken"


def some_of(*allowed: str) -> Converter:
    """Return a converter of one or more of these words, separated by blanks; unknown words are dropped."""

    def convert(text: str) -> tuple[object, str]:
        words = text.split()
        known = tuple(word for word in allowed if word in words)
        complaint = "" if words and set(words) <= set(allowed) else f"other than {', '.join(allowed)}"
        return known or UNSET, complaint

    return convert


def method(text: str) -> tuple[object, str]:
    """Convert ``GET`` or ``POST``, in any case."""
    value = text.strip().upper()
    return (value, "") if value in ("GET", "POST") else (UNSET, "neither GET nor POST")


def url(text: str) -> tuple[object, str]:
    """Convert a URL as written; an empty or blank one is absent. It is checked when it is resolved."""
    return text.strip() or UNSET, ""


def wait_url(text: str) -> tuple[object, str]:
    """Convert a URL as written; an empty one is a value and means silence."""
    return text.strip(), ""


def plain(longest: int, *, cut: bool = True) -> Converter:
    """Return a converter of text on one line; empty text is invalid.

    Args:
        longest: maximum number of characters.
        cut: longer text is cut; otherwise it is invalid.
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
    """Convert any text, which may be empty, to one line."""
    return one_line(text), ""


def secret(text: str) -> tuple[object, str]:
    """Convert a user name or password as written; one that would break a header is invalid."""
    # qdtext allows no control characters (RFC 3261 §25.1).
    if 0 < len(text) < 256 and text.isprintable():
        return text, ""
    return UNSET, "empty, longer than 255 characters, or with control characters"


def digits(text: str) -> tuple[object, str]:
    """Convert keys to send, with ``w`` and ``W`` for pauses."""
    return (text, "") if _DIGITS.fullmatch(text) else (UNSET, "other than 0-9 A-D # * w W")


def keys(text: str) -> tuple[object, str]:
    """Convert a set of terminating keys, which may be empty."""
    return (text, "") if _KEYS.fullmatch(text) else (UNSET, "other than 0-9 # *")


def key(text: str) -> tuple[object, str]:
    """Convert one terminating key, or none."""
    return (text, "") if len(text) < 2 and _KEYS.fullmatch(text) else (UNSET, "not one of 0-9 # *")


def call_sid(text: str) -> tuple[object, str]:
    """Convert a CallSid."""
    return (text, "") if _CALL_SID.fullmatch(text) else (UNSET, "not a CallSid")


def label(text: str) -> tuple[object, str]:
    """Convert the label of a participant, which is a part of a path in the REST API."""
    value, complaint = plain(128, cut=False)(text)
    if complaint:
        return UNSET, complaint
    if _LABEL_LIKE_A_PATH.search(str(value)):
        return UNSET, "with a slash"
    return (UNSET, "like a CallSid") if _CALL_SID.fullmatch(str(value)) else (value, "")


def unsupported(text: str) -> tuple[object, str]:
    """Refuse any value: the attribute asks for something that this node does not have."""
    return UNSET, "not supported"


def duration(text: str) -> tuple[object, str]:
    """Convert a time in CSS notation, ``1.5s`` or ``300ms``, to milliseconds; the maximum is 10 s."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        return UNSET, "not a time such as 300ms or 1.5s"
    value = round(float(found[1]) * (1000 if found[2] == "s" else 1))
    return min(value, 10_000), "" if value <= 10_000 else "longer than 10s; 10s is used"
