"""Outputs of a queue (see ``queue``): what callers and agents hear, bridges, and the result of each."""

from enum import StrEnum
from typing import Literal

import msgspec

from b2bua.core.ids import CallSid
from b2bua.core.queue_inputs import Following, QueueEventName
from b2bua.core.room_inputs import Document
from b2bua.core.room_outputs import OrderRefused

__all__ = [
    "AgentDone",
    "AskWait",
    "BridgeCalls",
    "CallerDone",
    "EndBridge",
    "PlayRingback",
    "PlayWait",
    "QueueEvent",
    "QueueOutput",
    "QueueResult",
    "SayPosition",
    "StartOffer",
    "StopOffer",
    "StopWait",
]


class QueueResult(StrEnum):
    """``QueueResult`` of the action request of an ``<Enqueue>``."""

    BRIDGED = "bridged"
    BRIDGING = "bridging-in-process"
    LEAVE = "leave"
    HANGUP = "hangup"
    REDIRECTED = "redirected"
    REDIRECTED_FROM_BRIDGE = "redirected-from-bridged"
    FULL = "queue-full"
    ERROR = "error"
    SYSTEM_ERROR = "system-error"


class _Output(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class QueueEvent(_Output, frozen=True, kw_only=True, tag=True):
    """Something that a caller's application wants to know."""

    call: CallSid
    name: QueueEventName
    position: int
    """1: the first; its last one when it no longer waits."""
    size: int
    """Callers that wait now."""
    waited_s: int
    agent: CallSid | None = None
    """The agent that takes it out, or had it."""
    result: QueueResult | None = None
    """With ``left``."""
    bridge_s: int = 0


class SayPosition(_Output, frozen=True, kw_only=True, tag=True):
    """Tell a caller its position."""

    call: CallSid
    position: int


class AskWait(_Output, frozen=True, kw_only=True, tag=True):
    """Request a caller's wait document with these parameters.

    ``WaitFetched`` or ``WaitFailed`` is to follow, and ``WaitEnded`` when the document has run out.
    """

    call: CallSid
    document: Document
    following: Following | None = None
    """Requested instead of ``document``: the one before leads to it."""
    position: int
    """1: the first."""
    waited_s: int
    average_s: int
    """Mean wait of those who wait now."""
    estimated_s: int | None = None
    """Mean wait of the last callers that were bridged; None: there was none yet."""
    size: int
    max_size: int


class PlayWait(_Output, frozen=True, kw_only=True, tag=True):
    """Play our music, or nothing, to a caller instead of a document."""

    call: CallSid
    music: bool


class StopWait(_Output, frozen=True, kw_only=True, tag=True):
    """Stop a caller's wait document or music, and any request for one."""

    call: CallSid


class PlayRingback(_Output, frozen=True, kw_only=True, tag=True):
    """Play ringback to an agent until its bridge."""

    agent: CallSid


class StartOffer(_Output, frozen=True, kw_only=True, tag=True):
    """Request and play the document before the bridge to a caller; ``OfferEnded`` is to follow."""

    call: CallSid
    agent: CallSid
    document: Document
    waited_s: int


class StopOffer(_Output, frozen=True, kw_only=True, tag=True):
    """Stop the document before the bridge."""

    call: CallSid


class BridgeCalls(_Output, frozen=True, kw_only=True, tag=True):
    """Let a caller and an agent hear each other."""

    call: CallSid
    agent: CallSid


class EndBridge(_Output, frozen=True, kw_only=True, tag=True):
    """Part them; both are told their result as well."""

    call: CallSid
    agent: CallSid


class CallerDone(_Output, frozen=True, kw_only=True, tag=True):
    """The result of an ``<Enqueue>``. Exactly once for each entrance."""

    call: CallSid
    result: QueueResult
    goes_on: bool
    """The action's document replaces the rest of the caller's; otherwise it is ignored."""
    queued: bool = True
    """It had a place in the queue, so that it has the figures below."""
    waited_s: int = 0
    """Until an agent took it, or until now."""
    position: int = 0
    """1..; its last one."""
    agent: CallSid | None = None
    bridge_s: int = 0


class AgentDone(_Output, frozen=True, kw_only=True, tag=True):
    """The result of a ``<Dial>`` with a ``<Queue>``. Exactly once for each entrance."""

    agent: CallSid
    status: Literal["completed", "no-answer", "failed"]
    number: int = 0
    """Number of the error; 0: none."""
    caller: CallSid | None = None
    """The bridged caller."""
    waited_s: int = 0
    """That caller's time in the queue."""
    bridge_s: int = 0


QueueOutput = (
    QueueEvent
    | SayPosition
    | AskWait
    | PlayWait
    | StopWait
    | PlayRingback
    | StartOffer
    | StopOffer
    | BridgeCalls
    | EndBridge
    | CallerDone
    | AgentDone
    | OrderRefused
)
