"""The transition table of the Dial machine (see ``dial``): states, events and handlers.

Source: TwiML ``<Dial>``.
"""

from enum import StrEnum
from typing import Literal

import msgspec

from b2bua.core.events import (
    DtmfReceived,
    EarlyMediaChanged,
    LegAnswered,
    LegConfirmed,
    LegEnded,
    LegEvent,
    LegProgress,
    LegReferred,
    MediaChanged,
    ReferProgress,
)
from b2bua.core.ids import LegId

__all__ = [
    "TRANSITIONS",
    "BranchCanceled",
    "CanceledBy",
    "DialCanceled",
    "DialEvent",
    "DialOrder",
    "DialParked",
    "DialRejoined",
    "DialReplaced",
    "DialState",
    "KeysDue",
    "RingTimedOut",
    "ScreeningEnded",
    "ScreeningTimedOut",
    "Side",
    "TimeLimitReached",
]


class DialState(StrEnum):
    """The state of a Dial."""

    NEW = "new"
    RINGING = "ringing"
    BRIDGED = "bridged"
    CLOSING = "closing"
    """The Dial is settled; legs are still ending."""
    DONE = "done"


class Side(StrEnum):
    """The origin of an event."""

    A_LEG = "a_leg"
    B_LEG = "b_leg"
    OWNER = "owner"
    """The session, or the Dial's own clock."""


CanceledBy = Literal["api", "node", "fault"]


class DialCanceled(msgspec.Struct, frozen=True, kw_only=True):
    """End the Dial now: REST cancels or redirects it, the node shuts down, or the node has made an error."""

    by: CanceledBy


class ScreeningEnded(msgspec.Struct, frozen=True, kw_only=True):
    """A screened callee (``ScreenBranch``) has accepted or refused the call."""

    leg: LegId
    accepted: bool


class BranchCanceled(msgspec.Struct, frozen=True, kw_only=True):
    """Hang up one target (REST: update of a child call)."""

    leg: LegId


class DialParked(msgspec.Struct, frozen=True, kw_only=True):
    """Separate the bridged parties without hanging up: a transfer is in progress."""


class DialRejoined(msgspec.Struct, frozen=True, kw_only=True):
    """Bridge the separated parties again."""


class DialReplaced(msgspec.Struct, frozen=True, kw_only=True):
    """Hang up the callee: the caller has been transferred to another party."""


class RingTimedOut(msgspec.Struct, frozen=True, kw_only=True):
    """The ring timeout of a branch has passed. Created by ``tick``."""

    leg: LegId


class KeysDue(msgspec.Struct, frozen=True, kw_only=True):
    """The next key for a branch that has answered is due. Created by ``tick``."""

    leg: LegId


class ScreeningTimedOut(msgspec.Struct, frozen=True, kw_only=True):
    """The screening of a callee has timed out. Created by ``tick``."""

    leg: LegId


class TimeLimitReached(msgspec.Struct, frozen=True, kw_only=True):
    """The time limit of the bridge has passed. Created by ``tick``."""


DialOrder = DialCanceled | ScreeningEnded | BranchCanceled | DialParked | DialRejoined | DialReplaced
"""Requests from the owner of the Dial."""
DialEvent = LegEvent | DialOrder | RingTimedOut | KeysDue | ScreeningTimedOut | TimeLimitReached
Handler = str
"""Name of the handler in ``DialRinging`` or ``DialBridge``; empty: the event is legal and changes nothing."""

_RINGING, _BRIDGED, _CLOSING = DialState.RINGING, DialState.BRIDGED, DialState.CLOSING
_A, _B, _OWNER = Side.A_LEG, Side.B_LEG, Side.OWNER

TRANSITIONS: dict[tuple[DialState, Side, type[DialEvent]], Handler] = {
    (_RINGING, _A, LegConfirmed): "",
    (_RINGING, _A, MediaChanged): "",
    (_RINGING, _A, DtmfReceived): "",  # there is no callee to relay it to yet
    (_RINGING, _A, LegEnded): "_on_caller_gone",
    (_RINGING, _B, LegProgress): "_on_progress",
    (_RINGING, _B, EarlyMediaChanged): "_on_early_media",
    (_RINGING, _B, LegAnswered): "_on_picked_up",
    (_RINGING, _B, MediaChanged): "",
    (_RINGING, _B, DtmfReceived): "",
    (_RINGING, _B, LegEnded): "_on_failed",
    (_RINGING, _OWNER, RingTimedOut): "_on_ring_timeout",
    (_RINGING, _OWNER, KeysDue): "_on_keys_due",
    (_RINGING, _OWNER, ScreeningEnded): "_on_screened",
    (_RINGING, _OWNER, ScreeningTimedOut): "_on_screening_timeout",
    (_RINGING, _OWNER, BranchCanceled): "_on_branch_canceled",
    (_RINGING, _OWNER, DialCanceled): "_on_canceled",
    (_BRIDGED, _A, LegConfirmed): "",
    (_BRIDGED, _A, MediaChanged): "",
    (_BRIDGED, _A, DtmfReceived): "_on_caller_dtmf",
    (_BRIDGED, _A, LegReferred): "",
    (_BRIDGED, _A, ReferProgress): "",
    (_BRIDGED, _A, LegEnded): "_on_caller_left",
    (_BRIDGED, _B, LegProgress): "",  # from a losing branch that is closing, like the next two
    (_BRIDGED, _B, EarlyMediaChanged): "",
    (_BRIDGED, _B, LegAnswered): "",
    (_BRIDGED, _B, MediaChanged): "",
    (_BRIDGED, _B, DtmfReceived): "_on_callee_dtmf",
    (_BRIDGED, _B, LegReferred): "_on_referred",
    (_BRIDGED, _B, ReferProgress): "",
    (_BRIDGED, _B, LegEnded): "_on_ended_in_bridge",
    (_BRIDGED, _OWNER, TimeLimitReached): "_on_time_limit",
    (_BRIDGED, _OWNER, ScreeningEnded): "",
    (_BRIDGED, _OWNER, BranchCanceled): "_on_branch_canceled_in_bridge",
    (_BRIDGED, _OWNER, DialParked): "_on_parked",
    (_BRIDGED, _OWNER, DialRejoined): "_on_rejoined",
    (_BRIDGED, _OWNER, DialReplaced): "_on_replaced",
    (_BRIDGED, _OWNER, DialCanceled): "_on_canceled_in_bridge",
    (_CLOSING, _A, LegConfirmed): "",
    (_CLOSING, _A, MediaChanged): "",
    (_CLOSING, _A, DtmfReceived): "",
    (_CLOSING, _A, LegEnded): "",
    (_CLOSING, _B, LegProgress): "",
    (_CLOSING, _B, EarlyMediaChanged): "",
    (_CLOSING, _B, LegAnswered): "",
    (_CLOSING, _B, MediaChanged): "",
    (_CLOSING, _B, DtmfReceived): "",
    (_CLOSING, _B, LegReferred): "",
    (_CLOSING, _B, ReferProgress): "",
    (_CLOSING, _B, LegEnded): "_on_closed",
    (_CLOSING, _OWNER, DialCanceled): "",
    (_CLOSING, _OWNER, DialReplaced): "",
    (_CLOSING, _OWNER, BranchCanceled): "",
    (_CLOSING, _OWNER, ScreeningEnded): "",
}
"""The handler for each state, side and event. A b_leg's event is dispatched only if its Leg accepts it."""
