"""Documents that are not a call's own: wait, hold and announcement documents, and what each may contain.

Such a document runs while its caller waits in a room or in a queue. It may contain few verbs; others are left
out with a finding, and the rest of the document runs.
Source: the hosted service's TwiML reference, ``<Conference>``, ``<Queue>`` and ``<Enqueue>`` (read November
2026).
"""

from enum import StrEnum
from typing import Final

from msgspec import structs

from b2bua.twiml import verbs
from b2bua.twiml.attributes import SCHEMA
from b2bua.twiml.findings import Finding, Severity, make_finding

__all__ = ["InnerDocument", "only_allowed"]


class InnerDocument(StrEnum):
    """What a document is for."""

    ROOM = "room"
    """``waitUrl``, ``HoldUrl`` and ``AnnounceUrl`` of a conference room."""
    QUEUE_WAIT = "queue wait"
    """``waitUrl`` of an Enqueue, and the action documents of a Gather in it."""
    QUEUE_OFFER = "queue offer"
    """``url`` of a Queue, for the waiting caller before the bridge."""


_ROOM: Final[tuple[type[verbs.Verb], ...]] = (verbs.Play, verbs.Say, verbs.Pause, verbs.Redirect)

_ALLOWED: Final[dict[InnerDocument, tuple[type[verbs.Verb], ...]]] = {
    InnerDocument.ROOM: _ROOM,
    InnerDocument.QUEUE_WAIT: (*_ROOM, verbs.Hangup, verbs.Leave, verbs.Gather),
    InnerDocument.QUEUE_OFFER: _ROOM,
}

_FOUND: Final[dict[InnerDocument, tuple[int, Severity]]] = {
    InnerDocument.ROOM: (13238, "error"),
    InnerDocument.QUEUE_WAIT: (SCHEMA, "warning"),
    InnerDocument.QUEUE_OFFER: (SCHEMA, "warning"),
}


def only_allowed(
    response: verbs.Response, purpose: InnerDocument
) -> tuple[verbs.Response, tuple[Finding, ...]]:
    """Return the document without the verbs that it may not contain, and a finding for each of those."""
    kept = tuple(verb for verb in response.verbs if isinstance(verb, _ALLOWED[purpose]))
    number, severity = _FOUND[purpose]
    findings = tuple(
        make_finding(
            number,
            f"{type(verb).__name__} is skipped in this document",
            line=verb.line,
            column=verb.column,
            severity=severity,
        )
        for verb in response.verbs
        if verb not in kept
    )
    return structs.replace(response, verbs=kept), findings
