"""Conference rooms: which legs take part, and what each hears in a tick of 20 ms.

The controller's wish (``SetRoom``) stands, and is judged again at each description of a leg. All rooms are
mixed at the same time, on one desk, which exists from the first room on. A leg in a room gets a packet at
every tick. One that goes back to its worker is sent silence until the worker speaks, at most ``OVERLAP_S``.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

import msgspec

from b2bua.relay.control import (
    LegKey,
    PlayInRoom,
    RecordRoom,
    RoomEntered,
    RoomLeft,
    RoomMember,
    SetRoom,
    StopInRoom,
    VoiceHeard,
)
from b2bua.relay.laws import gain_table
from b2bua.relay.leg import OVERLAP_S, Leg
from b2bua.relay.room_sounds import RoomSounds, Sound
from b2bua.relay.seat import FRAME_S, Desk, Seat, can_mix
from b2bua.relay.tapping import Tapping
from b2bua.relay.taps import RoomTap

__all__ = ["Room", "RoomLoader", "Rooms"]

_EARLY_S: Final = 0.001
_BEHIND_MOST_S: Final = 0.2
"""Ticks that were missed are made up for, as long as they are no older."""


class RoomLoader(Protocol):
    """What rooms need beside packets."""

    def desk(self) -> Desk | None:
        """Return the mixing desk; None: it is being made."""

    def sound(self, path: str) -> Sound:
        """Begin to read a sound."""


class Room:
    """One room; a ``seat.DeskRoom``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.members: dict[LegKey, RoomMember] = {}
        """Those that the controller has listed."""
        self.seats: dict[LegKey, Seat] = {}
        self.voices = False
        self.recordings: dict[str, RoomTap] = {}

    @property
    def recorded(self) -> bool:
        """See ``seat.DeskRoom``."""
        return bool(self.recordings)


class Rooms:
    """All rooms.

    Args:
        named: the legs by the controller's names.
        tapping: takes the recordings.
        loader: makes the mixing desk and reads sounds.
        say: takes what is to be said to the controller.
        part: parts a leg from the one that it is joined with.
        rejoin: joins a leg again if it is to be joined.
        hear: called before each mix with its time, and whether it is the last that is due: gives the legs the
            packets that have waited for it.
    """

    def __init__(
        self,
        named: Mapping[LegKey, Leg],
        tapping: Tapping,
        loader: RoomLoader,
        say: Callable[[msgspec.Struct], None],
        part: Callable[[LegKey, float], None],
        rejoin: Callable[[LegKey, float], None],
        hear: Callable[[float, bool], None],
    ) -> None:
        self._named = named
        self._tapping = tapping
        self._loader = loader
        self._say = say
        self._part = part
        self._rejoin = rejoin
        self._hear = hear
        self._rooms: dict[str, Room] = {}
        self._room_of: dict[LegKey, Room] = {}
        self._seated: dict[LegKey, Leg] = {}
        self._unable: set[LegKey] = set()
        """Listed legs that cannot take part, as the controller has been told."""
        self._waiting: set[LegKey] = set()
        """Those that take part as soon as there is a desk."""
        self._leaving: dict[Leg, tuple[Seat, float]] = {}
        """Legs that hear the last of a room, and until when."""
        self._sounds = RoomSounds(loader.sound, say)
        self._desk: Desk | None = None
        self._changed = False
        self.seats_changed = False
        """As ``_changed``, for the loop."""
        self._ears: list[tuple[Callable[[Seat, bytes, float], None], Seat]] = []
        """Of all seats, in the order of the desk."""
        self._seats_made = 0
        self.next_at = 0.0
        """Time of the next mix; 0: there is nothing to mix."""

    def patient(self) -> Iterable[Leg]:
        """The legs whose parties' packets may wait until the next mix, because they are for nothing else."""
        for leg in self._seated.values():
            seat = leg.seat
            if seat is not None and seat.listens and not leg.taps:
                yield leg

    def prepare(self) -> None:
        """Have the desk made."""
        self._desk = self._desk or self._loader.desk()

    # -- orders ---------------------------------------------------------------------------------------

    def obey(self, order: SetRoom | PlayInRoom | StopInRoom | RecordRoom, now: float) -> None:
        """Carry out an order about a room."""
        match order:
            case SetRoom():
                self._set(order, now)
            case PlayInRoom():
                self._sounds.play(order, known=order.room in self._rooms)
            case StopInRoom():
                self._sounds.stop(order.room, order.sound)
            case RecordRoom():
                self._record(order, now)

    def _set(self, order: SetRoom, now: float) -> None:
        room = self._rooms.get(order.room)
        if not order.members:
            if room is not None:
                self._end(room, now)
            return
        if room is None:
            room = self._made(order.room)
        members = {member.leg: member for member in order.members}
        for leg in room.members.keys() - members.keys():
            self._unlist(leg, now)
        room.voices = order.voices
        self._note_change()
        for leg, member in members.items():
            if self._room_of.get(leg) is not room:
                self._unlist(leg, now)
            self._room_of[leg] = room
            room.members[leg] = member
            self.judge(leg, now)

    def _record(self, order: RecordRoom, now: float) -> None:
        room = self._rooms.get(order.room) or self._made(order.room)
        if order.recording not in room.recordings:
            room.recordings[order.recording] = self._tapping.record_room(order, now)
            self._note_change()

    def stop_recording(self, recording: str) -> None:
        """A recording has been stopped."""
        for room in self._rooms.values():
            if room.recordings.pop(recording, None) is not None:
                self._note_change()

    def repeat(self) -> None:
        """Report the legs as they are, to a controller that has come back."""
        for leg, room in self._room_of.items():
            if leg in self._seated:
                self._say(RoomEntered(room=room.name, leg=leg))
            elif leg in self._unable:
                self._say(RoomLeft(room=room.name, leg=leg))

    def _made(self, name: str) -> Room:
        room = self._rooms[name] = Room(name)
        return room

    def _end(self, room: Room, now: float) -> None:
        for leg in list(room.members):
            self._unlist(leg, now)
        self._sounds.end(room.name)
        for recording in room.recordings:
            self._tapping.stop(recording, now)
        del self._rooms[room.name]
        self._note_change()

    def _unlist(self, name: LegKey, now: float) -> None:
        room = self._room_of.pop(name, None)
        if room is not None:
            del room.members[name]
            self._unable.discard(name)
            self._waiting.discard(name)
            if self._leave(name, room, now):
                self._rejoin(name, now)

    def _note_change(self) -> None:
        self._changed = self.seats_changed = True

    # -- legs -----------------------------------------------------------------------------------------

    def judge(self, name: LegKey, now: float) -> None:
        """Let a leg take part in its room, or not, as its description allows."""
        room, leg = self._room_of.get(name), self._named.get(name)
        if room is None or leg is None or leg.agreement is None:
            return
        if not can_mix(leg.agreement):
            if self._leave(name, room, now) or name not in self._unable:
                self._unable.add(name)
                self._say(RoomLeft(room=room.name, leg=name))
            return
        self._unable.discard(name)
        self._desk = self._desk or self._loader.desk()
        if self._desk is None:
            self._waiting.add(name)
        elif (seat := room.seats.get(name)) is not None:
            seat.describe(leg.agreement)
            seat.assign(room.members[name])
            leg.enter(seat)
            self._note_change()
        else:
            self._enter(name, leg, room, self._desk, now)

    def vacate(self, name: LegKey, now: float) -> None:
        """No leg is called ``name`` any more, or soon another one."""
        room = self._room_of.get(name)
        if room is not None:
            self._leave(name, room, now)

    def forget(self, name: LegKey, now: float) -> None:
        """A leg is over."""
        room = self._room_of.get(name)
        if room is not None:
            self._unlist(name, now)
            self._say(RoomLeft(room=room.name, leg=name))
        leg = self._named.get(name)
        if leg is not None:
            self._leaving.pop(leg, None)

    def _enter(self, name: LegKey, leg: Leg, room: Room, desk: Desk, now: float) -> None:
        assert leg.agreement is not None
        self._part(name, now)
        self._leaving.pop(leg, None)
        self._seats_made += 1
        seat = Seat(str(self._seats_made), leg.agreement, room.members[name], desk.buffer)
        room.seats[name] = seat
        self._seated[name] = leg
        leg.enter(seat)
        self._note_change()
        self._say(RoomEntered(room=room.name, leg=name))

    def _leave(self, name: LegKey, room: Room, now: float) -> bool:
        """Give a leg back to its worker; False: it was not in the room."""
        seat = room.seats.pop(name, None)
        if seat is None:
            return False
        leg = self._seated.pop(name)
        leg.leave(now)
        if leg.hears_room(seat):
            self._leaving[leg] = seat, now + OVERLAP_S
        self._note_change()
        return True

    # -- time -----------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Mix if it is time to."""
        if self._waiting and (desk := self._loader.desk()) is not None:
            self._desk = desk
            waiting, self._waiting = self._waiting, set()
            for name in waiting:
                self.judge(name, now)
        if not (self._seated or self._leaving or self._sounds.playing):
            self.next_at = 0.0
            return
        if now - self.next_at > _BEHIND_MOST_S:
            self.next_at = now
        while self.next_at <= now + _EARLY_S:
            at = self.next_at
            self.next_at += FRAME_S
            self._hear(at, self.next_at > now + _EARLY_S)
            self._mix(at)

    def _mix(self, at: float) -> None:
        if self._leaving:
            self._bridge(at)
        self._sounds.next()
        desk = self._desk
        if desk is None:
            return
        if self._changed:
            self._changed = False
            rooms = [room for room in self._rooms.values() if room.seats or room.recordings]
            desk.arrange(rooms)
            seats = [seat for room in rooms for seat in room.seats.values()]
            self._ears = [(self._seated[seat.leg].hear_room, seat) for seat in seats]
        private = {
            self._rooms[room].seats[leg].key: parts
            for (room, leg), parts in self._sounds.private.items()
            if leg in self._rooms[room].seats
        }
        mix = desk.mix(self._sounds.public, private, at)
        for (hear, seat), payload in zip(self._ears, mix.heard, strict=True):
            if payload is not None:
                if seat.gain_out_db:
                    payload = payload.translate(gain_table(seat.law, seat.gain_out_db))
                hear(seat, payload, at)
        for name, payload in mix.recordings.items():
            for tap in self._rooms[name].recordings.values():
                tap.add_frame(payload, at)
        for seat, voice in mix.voices:
            room = self._room_of[seat.leg]
            self._say(VoiceHeard(room=room.name, leg=seat.leg, voice=voice))

    def _bridge(self, at: float) -> None:
        """Send silence to those that have left a room and do not hear their workers yet."""
        for leg, (seat, until) in list(self._leaving.items()):
            able = leg.agreement is not None and can_mix(leg.agreement)
            if able and at < until and leg.hears_room(seat):
                leg.send_silence(at)
            else:
                del self._leaving[leg]
