"""Inputs of a conference room (see ``room``): facts about its members, named in the past tense, and orders.

A member is a call that is in the room, or that REST makes for it. The owner of the room (the node's service)
gives every input; it checks formats (labels, URLs, numbers) before.
"""

from enum import StrEnum
from typing import Literal

import msgspec

from b2bua.core.ids import CallSid

__all__ = [
    "AddedEnd",
    "Announce",
    "AnnouncementEnded",
    "Document",
    "EndRoom",
    "Entrant",
    "Exit",
    "KickMember",
    "MemberAdded",
    "MemberAnswered",
    "MemberEntered",
    "MemberFailed",
    "MemberGone",
    "MemberProgressed",
    "RecordRoom",
    "RoomCallback",
    "RoomFact",
    "RoomInput",
    "RoomOrder",
    "RoomRecording",
    "StopRoomRecording",
    "UpdateMember",
    "VoiceChanged",
    "WaitReady",
    "WaitRefused",
    "WatchSpeakers",
]

AddedEnd = Literal["no-answer", "busy", "failed", "canceled"]
"""How a call that REST has made for the room ended without an answer."""


class Exit(StrEnum):
    """The way in which a member leaves on its own or through its call."""

    HUNG_UP = "hung up"
    STAR = "star"
    """``*`` with ``hangupOnStar``."""
    TIME_LIMIT = "time limit"
    CRASHED = "crashed"
    """The process of its media has died."""
    REDIRECTED = "redirected"
    """REST gave its call another document."""
    COMPLETED = "completed"
    """REST ended its call."""
    LOST = "lost"
    """Its far end cannot be reached any more."""


class Document(msgspec.Struct, frozen=True):
    """A document, or a sound, that a member hears alone."""

    url: str | None = None
    """None: our own music; empty: silence."""
    method: Literal["GET", "POST"] = "POST"


class RoomCallback(msgspec.Struct, frozen=True, kw_only=True):
    """Where a room's events are sent."""

    url: str
    method: Literal["GET", "POST"] = "POST"
    events: frozenset[str] = frozenset()
    """Any of start, end, join, leave, mute, hold, modify, speaker, announcement."""


class RoomRecording(msgspec.Struct, frozen=True, kw_only=True):
    """How a room is recorded, and where that is reported."""

    trim: bool = True
    """Without leading and trailing silence."""
    callback_url: str | None = None
    callback_method: Literal["GET", "POST"] = "POST"
    callback_events: frozenset[str] = frozenset(("completed",))
    """Any of in-progress, completed, absent."""
    event_url: str | None = None
    """``eventCallbackUrl``: told at the end if there is no ``callback_url``."""
    by_api: bool = False
    """Started by REST, not by a member's document."""


class Entrant(msgspec.Struct, frozen=True, kw_only=True):
    """A call that wants to be in the room, with the attributes of its ``<Conference>`` or REST request."""

    call: CallSid
    label: str = ""
    """Unique in the room; empty: none."""
    muted: bool = False
    beep_on_enter: bool = True
    beep_on_exit: bool = True
    start_on_enter: bool = True
    end_on_exit: bool = False
    end_as_last: bool = False
    """With ``end_on_exit``: not as long as another member with ``end_on_exit`` is there."""
    exit_grace_s: float = 0.0
    """How long the room goes on after the loss of this member, whose exit ends it."""
    wait: Document = Document()
    """What it hears until the room starts, and whenever it is alone."""
    coach: CallSid | None = None
    """The member that this one coaches."""
    early_media: bool = False
    """Its early media, or ringback, is heard by the others while it rings. Only of a call made by REST."""
    max_participants: int = 250
    """2..250; the first entrant's holds for the room."""
    callback: RoomCallback | None = None
    """The first entrant's holds for the room."""
    recording: RoomRecording | None = None
    """The first one of a connected member holds for the room; None: it asks for none."""


class _Input(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class _OfMember(_Input, frozen=True, kw_only=True, tag=True):
    call: CallSid


# --- facts ---


class MemberEntered(_Input, frozen=True, kw_only=True, tag=True):
    """The document of an answered call has reached ``<Conference>``."""

    entrant: Entrant


class MemberProgressed(_OfMember, frozen=True, kw_only=True, tag=True):
    """A call made by REST has been sent out, or rings."""

    ringing: bool


class MemberAnswered(_OfMember, frozen=True, kw_only=True, tag=True):
    """A call made by REST has been answered."""


class MemberFailed(_OfMember, frozen=True, kw_only=True, tag=True):
    """A call made by REST has ended without an answer."""

    status: AddedEnd


class WaitReady(_OfMember, frozen=True, kw_only=True, tag=True):
    """The wait document of a member that enters has been fetched."""


class WaitRefused(_OfMember, frozen=True, kw_only=True, tag=True):
    """The wait document of a member that enters cannot be had."""

    number: int
    """Number of the error."""


class MemberGone(_OfMember, frozen=True, kw_only=True, tag=True):
    """A member has left by itself, or by an order to its call."""

    exit: Exit


class VoiceChanged(_OfMember, frozen=True, kw_only=True, tag=True):
    """A member's voice has been heard to begin or to cease."""

    voice: bool


class AnnouncementEnded(_Input, frozen=True, kw_only=True, tag=True):
    """An announcement is over."""

    announcement: int
    """Its number from ``PlayAnnouncement``."""
    failure: str = ""
    """Why it could not be played; empty: it was."""


# --- orders ---


class MemberAdded(_Input, frozen=True, kw_only=True, tag=True):
    """REST makes a call for the room. It counts as present from now on."""

    entrant: Entrant


class UpdateMember(_OfMember, frozen=True, kw_only=True, tag=True):
    """Change a member; a field that is None remains as it is."""

    muted: bool | None = None
    hold: bool | None = None
    hold_document: Document | None = None
    """What the member hears while it is held; without one, our music."""
    announce: Document | None = None
    """Played to this member only."""
    wait: Document | None = None
    beep_on_exit: bool | None = None
    end_on_exit: bool | None = None
    end_as_last: bool = False
    """With ``end_on_exit``; see ``Entrant``."""
    volume_in_db: int | None = None
    """-20..10: how much louder the others hear it."""
    volume_out_db: int | None = None
    """-20..10: how much louder it hears the mix."""
    coaching: bool | None = None
    coach: CallSid | None = None
    """The member to coach; alone it means ``coaching`` as well."""


class KickMember(_OfMember, frozen=True, kw_only=True, tag=True):
    """Remove a member."""


class Announce(_Input, frozen=True, kw_only=True, tag=True):
    """Play something to the whole room."""

    document: Document


class EndRoom(_Input, frozen=True, kw_only=True, tag=True):
    """End the room for all: REST completes it, or the node shuts down."""


class WatchSpeakers(_Input, frozen=True, kw_only=True, tag=True):
    """Know from now on who speaks, even if the application is not told."""


class RecordRoom(_Input, frozen=True, kw_only=True, tag=True):
    """Start a recording."""

    recording: RoomRecording


class StopRoomRecording(_Input, frozen=True, kw_only=True, tag=True):
    """Stop the recording."""


RoomFact = (
    MemberEntered
    | MemberProgressed
    | MemberAnswered
    | MemberFailed
    | WaitReady
    | WaitRefused
    | MemberGone
    | VoiceChanged
    | AnnouncementEnded
)
RoomOrder = (
    MemberAdded
    | UpdateMember
    | KickMember
    | Announce
    | EndRoom
    | WatchSpeakers
    | RecordRoom
    | StopRoomRecording
)
RoomInput = RoomFact | RoomOrder
