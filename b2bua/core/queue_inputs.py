"""Inputs of a queue (see ``queue``): facts about waiting callers and agents, and orders.

A caller waits in the queue by ``<Enqueue>``; an agent is the call whose ``<Dial><Queue>`` takes a caller out.
"""

from enum import StrEnum
from typing import Literal

import msgspec

from b2bua.core.ids import CallSid
from b2bua.core.room_inputs import Document

__all__ = [
    "AgentEntered",
    "AgentLeft",
    "CallerEntered",
    "CallerExit",
    "CallerLeft",
    "CloseQueue",
    "DequeueCaller",
    "Following",
    "OfferEnded",
    "PrioritizeCaller",
    "QueueEventName",
    "QueueInput",
    "ResizeQueue",
    "WaitEnded",
    "WaitFailed",
    "WaitFetched",
]


class CallerExit(StrEnum):
    """The way in which a caller leaves by itself or by an order to its call."""

    LEAVE = "leave"
    """``<Leave>`` in its wait document."""
    HANGUP = "hangup"
    """``<Hangup>`` in its wait document."""
    HUNG_UP = "hung up"
    REDIRECTED = "redirected"
    """REST gave its call another document, or ended it."""
    CRASHED = "crashed"
    """The process of its media has died."""


QueueEventName = Literal["joined", "offered", "bridged", "left"]


class _Input(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class _OfCall(_Input, frozen=True, kw_only=True, tag=True):
    call: CallSid


class CallerEntered(_OfCall, frozen=True, kw_only=True, tag=True):
    """The document of an answered call has reached ``<Enqueue>``."""

    wait: Document = Document()
    priority: int = 0
    """0..999; those with a higher one come first."""
    max_wait_s: float | None = None
    """After this time without an agent it leaves; None: never."""
    say_every_s: float | None = None
    """How often it is told its position, if that is better than the last time; None: never."""
    events: frozenset[QueueEventName] = frozenset()
    """What its application wants to know (``QueueEvent``)."""


class Following(msgspec.Struct, frozen=True, kw_only=True):
    """The document to which a wait document leads, by ``<Redirect>`` or the action of a ``<Gather>``."""

    url: str
    """Absolute."""
    method: Literal["GET", "POST"] = "POST"
    params: tuple[tuple[str, str], ...] = ()
    """Sent besides those of the queue."""
    once: bool = False
    """The request reports a result, which must not be reported twice."""


class WaitFetched(_OfCall, frozen=True, kw_only=True, tag=True):
    """A caller's wait document has been fetched and runs."""


class WaitEnded(_OfCall, frozen=True, kw_only=True, tag=True):
    """A caller's wait document has run out, or leads to another one."""

    following: Following | None = None
    """None: it has run out."""


class WaitFailed(_OfCall, frozen=True, kw_only=True, tag=True):
    """A caller's wait document cannot be had."""


class CallerLeft(_OfCall, frozen=True, kw_only=True, tag=True):
    """A caller has left."""

    exit: CallerExit


class OfferEnded(_OfCall, frozen=True, kw_only=True, tag=True):
    """The caller's document before the bridge has run out, or cannot be had."""


class AgentEntered(_OfCall, frozen=True, kw_only=True, tag=True):
    """The document of an answered call has reached ``<Queue>``."""

    timeout_s: float
    """The longest wait for a caller."""
    offer: Document | None = None
    """Played to the caller before the bridge; None: nothing."""
    caller: CallSid | None = None
    """The caller to take; None: the first one."""


class AgentLeft(_OfCall, frozen=True, kw_only=True, tag=True):
    """An agent has left, in whatever way."""


class DequeueCaller(_Input, frozen=True, kw_only=True, tag=True):
    """Take a caller out, because REST gives its call another document."""

    call: CallSid | None = None
    """None: the first one."""


class PrioritizeCaller(_OfCall, frozen=True, kw_only=True, tag=True):
    """Give a caller that waits another priority."""

    priority: int
    """0..999."""


class ResizeQueue(_Input, frozen=True, kw_only=True, tag=True):
    """Change the number of places; nobody has to leave."""

    max_size: int
    """1..5000."""


class CloseQueue(_Input, frozen=True, kw_only=True, tag=True):
    """End all waiting, because the node shuts down. Bridges last."""


QueueInput = (
    CallerEntered
    | WaitFetched
    | WaitEnded
    | WaitFailed
    | CallerLeft
    | OfferEnded
    | AgentEntered
    | AgentLeft
    | DequeueCaller
    | PrioritizeCaller
    | ResizeQueue
    | CloseQueue
)
