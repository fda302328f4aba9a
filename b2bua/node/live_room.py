"""One conference room of the node that has not ended: who is in it, and what the relay knows of it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from b2bua.calls.orders import SessionInput, ToRoom
from b2bua.core.ids import CallSid
from b2bua.core.room import Room
from b2bua.core.room_inputs import Entrant
from b2bua.core.room_outputs import SetRoomMix
from b2bua.relay.control import PlayInRoom, SetRoom
from b2bua.store.records import ConferenceRow

__all__ = ["LiveRoom", "Place", "RoomSession"]


class RoomSession(Protocol):
    """A session whose calls are in rooms."""

    def bring(self, event: SessionInput) -> None:
        """Give the session what a room has to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A call that is in a room."""

    session: RoomSession
    order: ToRoom
    """The one by which it entered."""


@dataclass(slots=True, kw_only=True)
class LiveRoom:
    """One room that has not ended."""

    row: ConferenceRow
    first: Entrant
    """The one that has fixed where the events are sent."""
    machine: Room = field(default_factory=Room)
    places: dict[CallSid, Place] = field(default_factory=dict)
    since: dict[CallSid, datetime] = field(default_factory=dict)
    """When each of those present came."""
    mix: SetRoomMix = field(default_factory=SetRoomMix)
    told: SetRoom | None = None
    """What the relay was told last."""
    sounds: int = 0
    """Beeps so far."""
    beeps: list[PlayInRoom] = field(default_factory=list)
    """Those that wait until all who are to hear them do hear the room."""
