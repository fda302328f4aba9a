"""A conference room that has not ended, with what the node knows of it besides its machine."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from b2bua.calls.orders import SessionInput, ToRoom
from b2bua.core.ids import CallSid
from b2bua.core.room_inputs import AnnouncementEnded, Entrant, Exit, MemberFailed, MemberGone, RoomInput
from b2bua.core.room_outputs import PlayAnnouncement, PlayBeep, SetRoomMix, StopAnnouncement
from b2bua.core.room_table import RoomState
from b2bua.node.machine_log import FoundMachine, LoggedRoom, recall_room
from b2bua.relay.control import PlayInRoom, SetRoom
from b2bua.store.records import ConferenceRow

__all__ = ["LiveRoom", "Place", "RoomSession", "room_again"]


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
    machine: LoggedRoom
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


def room_again(
    found: FoundMachine,
    entered: Mapping[CallSid, tuple[RoomSession, ToRoom, datetime]],
    calls: Iterable[CallSid],
) -> tuple[LiveRoom, list[RoomInput]] | None:
    """Make a room again.

    Args:
        found: its log.
        entered: the entrances of restored calls that have no result yet.
        calls: all calls that go on.

    Returns:
        The room, and what has happened to it meanwhile; None: it has ended.
    """
    header = found.header
    assert header.room is not None and header.first is not None
    room = LiveRoom(row=header.room, first=header.first, machine=LoggedRoom(found.notes))
    playing: dict[int, None] = {}
    for output in recall_room(room.machine, found.steps):
        match output:
            case SetRoomMix():
                room.mix = output
            case PlayBeep():
                room.sounds += 1
            case PlayAnnouncement():
                playing[output.announcement] = None
            case StopAnnouncement():
                playing.pop(output.announcement, None)
            case _:
                pass
    for step in found.steps:
        if isinstance(step.given, AnnouncementEnded):
            playing.pop(step.given.announcement, None)
    if room.machine.state is RoomState.COMPLETED:
        return None
    inputs: list[RoomInput] = [AnnouncementEnded(announcement=each, failure="") for each in playing]
    live = set(calls)
    for member in room.machine.members:
        if (place := entered.get(member.call)) is not None:
            session, order, at = place
            room.places[member.call] = Place(session=session, order=order)
            room.since[member.call] = at
        elif member.here:
            inputs.append(MemberGone(call=member.call, exit=Exit.CRASHED))
        elif member.call not in live:
            inputs.append(MemberFailed(call=member.call, status="failed"))
    return room, inputs
