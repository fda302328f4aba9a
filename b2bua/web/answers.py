"""Classifies answers of the web application by their content type."""

from typing import Final, Literal

__all__ = ["ERROR_NUMBERS", "AnswerKind", "classify", "is_audio", "media_type"]

AnswerKind = Literal["twiml", "audio", "text", "empty", "unsupported"]
"""``twiml``: a document. ``audio``: play it, then hang up. ``text``: a document if it parses, otherwise text
to speak. ``empty``: an empty body. ``unsupported``: no content type, or one that cannot be run."""

ERROR_NUMBERS: Final[dict[AnswerKind, int]] = {"empty": 11770, "unsupported": 12300}
"""The kinds that are errors, with their error numbers."""

_DOCUMENT_TYPES: Final = frozenset(("text/xml", "application/xml", "text/html"))


def media_type(content_type: str) -> str:
    """Return type and subtype of a Content-Type value in lower case, without parameters."""
    return content_type.partition(";")[0].strip().lower()


def is_audio(content_type: str) -> bool:
    """Return whether the answer is to be played; it is then played from its URL, and its body is not used."""
    return media_type(content_type).startswith("audio/")


def classify(content_type: str, body: bytes) -> AnswerKind:
    """Return the kind of an answer.

    Args:
        content_type: value of the header, or empty.
        body: a body of white space counts as empty.
    """
    if is_audio(content_type):
        return "audio"
    if not body.strip():
        return "empty"
    kind = media_type(content_type)
    if kind in _DOCUMENT_TYPES:
        return "twiml"
    return "text" if kind == "text/plain" else "unsupported"
