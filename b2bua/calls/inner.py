"""A document that a running verb wants its call to run meanwhile: what a caller hears while it waits.

The verb keeps running; the document is a frame on top of it (``inner_frames``). Sans I/O.
"""

from enum import StrEnum

import msgspec

from b2bua.calls.parameters import Parameters
from b2bua.twiml.inner import InnerDocument
from b2bua.twiml.verbs import Method

__all__ = ["InnerEnd", "InnerWish"]


class InnerEnd(StrEnum):
    """How an inner document has ended."""

    RAN_OUT = "ran out"
    HANGUP = "hangup"
    """By ``<Hangup>``."""
    LEAVE = "leave"
    """By ``<Leave>``."""
    LED_ON = "led on"
    """The wait document of a queue leads to another one, for which the queue has new figures."""
    FAILED = "failed"
    """It, or a document that followed it, could not be had."""


class InnerWish(msgspec.Struct, frozen=True, kw_only=True):
    """A document to run. Another object with the same contents is another wish."""

    url: str
    """Absolute, http or https."""
    method: Method
    params: Parameters = ()
    """Sent in addition to the standard parameters, with each request."""
    once: bool = False
    """The first request reports a result, which must not be reported twice."""
    purpose: InnerDocument
