"""A conference room driven by hand, with a witness that objects to what no room may do."""

from typing import Any, TypeVar

from b2bua.core.ids import CallSid
from b2bua.core.room import Room
from b2bua.core.room_inputs import (
    Document,
    Entrant,
    Exit,
    MemberAdded,
    MemberAnswered,
    MemberEntered,
    MemberGone,
    MemberProgressed,
    RoomCallback,
    RoomInput,
    UpdateMember,
)
from b2bua.core.room_outputs import (
    Hears,
    MemberAdmitted,
    MemberDone,
    OrderRefused,
    PlayAnnouncement,
    RoomEnded,
    RoomEvent,
    RoomOutput,
    SetHearing,
    SetRoomMix,
    StartDocument,
    StartRoomRecording,
    StopAnnouncement,
    StopDocument,
    StopRecording,
)
from b2bua.core.room_table import RoomState

A, B, C, D = CallSid("CA-a"), CallSid("CA-b"), CallSid("CA-c"), CallSid("CA-d")
EVERY_EVENT = frozenset(
    ("start", "end", "join", "leave", "mute", "hold", "modify", "speaker", "announcement")
)
CALLBACK = RoomCallback(url="https://app.example/room", events=EVERY_EVENT)
MUSIC = Document("https://app.example/music")

T = TypeVar("T")


class Witness:
    """Follows a room's outputs, and fails on what must not be."""

    def __init__(self) -> None:
        self.expected: dict[CallSid, int] = {}
        """Results owed to each call."""
        self.admitted: set[CallSid] = set()
        self.hears: dict[CallSid, Hears] = {}
        self.documents: dict[CallSid, Hears] = {}
        self.mix = SetRoomMix()
        self.sequence = 0
        self.ended = 0
        self.recording = False
        self.playing: dict[CallSid | None, int] = {}

    def saw(self, event: RoomInput, output: list[RoomOutput], room: Room) -> None:
        if isinstance(event, MemberEntered | MemberAdded) and not any(
            isinstance(each, OrderRefused) for each in output
        ):
            self._owe(event)
        for each in output:
            self._one(each)
        if self.ended and output:
            assert isinstance(output[-1], RoomEnded) or self._late(output)
        self._state(room)

    def _owe(self, event: MemberEntered | MemberAdded) -> None:
        call = event.entrant.call
        if not self.expected.get(call):  # otherwise it is in the room already
            self.expected[call] = 1

    def _late(self, output: list[RoomOutput]) -> bool:
        return all(isinstance(each, OrderRefused | MemberDone) for each in output)

    def _one(self, output: RoomOutput) -> None:
        match output:
            case MemberAdmitted():
                assert output.call not in self.admitted
                self.admitted.add(output.call)
            case MemberDone():
                assert self.expected[output.call] == 1, "told twice"
                self.expected[output.call] = 0
                assert output.admitted == (output.call in self.admitted)
                self.admitted.discard(output.call)
                self.hears.pop(output.call, None)
                self.documents.pop(output.call, None)
                self.playing.pop(output.call, None)
            case SetHearing():
                assert self.hears.get(output.call) is not output.hears
                self.hears[output.call] = output.hears
            case StartDocument():
                assert output.call not in self.documents
                self.documents[output.call] = output.kind
            case StopDocument():
                del self.documents[output.call]
            case SetRoomMix():
                assert output != self.mix
                self.mix = output
            case RoomEvent():
                assert not self.ended
                self.sequence += 1
                assert output.sequence == self.sequence
            case RoomEnded():
                self.ended += 1
            case StartRoomRecording():
                assert not self.recording
                self.recording = True
            case StopRecording():
                assert self.recording
                self.recording = False
            case PlayAnnouncement():
                assert self.playing.get(output.call, 0) < output.announcement
                self.playing[output.call] = output.announcement
            case StopAnnouncement():
                self.playing = {
                    call: number for call, number in self.playing.items() if number != output.announcement
                }

    def _state(self, room: Room) -> None:
        """What every member hears is one thing, and nobody who is out is in the mix."""
        connected = {member.call: member for member in room.members if member.connected}
        mix = self.mix
        in_mix = {*mix.talkers, *mix.listeners, *(call for pair in mix.coaches for call in pair)}
        assert in_mix <= connected.keys()
        assert len(set(mix.listeners)) == len(mix.listeners)
        assert set(mix.talkers) == self.talking(room)
        assert not set(mix.talkers) & {coach for coach, _ in mix.coaches}
        for member in room.members:
            assert self.expected[member.call] == 1, "lost"
            if not member.here:
                assert member.call not in self.hears
                continue
            hears = self.hears[member.call]
            assert (hears is Hears.MIX) == (member.call in mix.listeners)
            assert (hears is Hears.HOLD) == member.held
            alone = room.state is RoomState.INIT or len(connected) == 1
            wanted = Hears.HOLD if member.held else Hears.WAIT if alone else None
            assert self.documents.get(member.call) is wanted
        owed = {call for call, count in self.expected.items() if count}
        assert owed == {member.call for member in room.members}
        assert (room.state is RoomState.COMPLETED) == (self.ended == 1)
        assert self.ended <= 1
        if self.ended:
            assert not room.members
            assert not self.recording
            assert room.next_deadline() is None
        assert self.recording == room.recorded

    def talking(self, room: Room) -> set[CallSid]:
        connected = [member for member in room.members if member.connected]
        if room.state is not RoomState.IN_PROGRESS or len(connected) == 1:
            return set()
        return {
            member.call
            for member in room.members
            if member.connected and not member.muted and not member.held and not member.coaching
        }


class Scene:
    """One room; every step returns what the room has put out in it."""

    def __init__(self) -> None:
        self.room = Room()
        self.now = 0.0
        self.witness = Witness()
        self.output: list[RoomOutput] = []

    def send(self, event: RoomInput, at: float | None = None) -> list[RoomOutput]:
        self.now = self.now + 1.0 if at is None else at
        output = self.room.handle(event, self.now)
        self.witness.saw(event, output, self.room)
        self.output += output
        return output

    def enter(self, call: CallSid, **attributes: Any) -> list[RoomOutput]:
        attributes.setdefault("callback", CALLBACK)
        return self.send(MemberEntered(entrant=Entrant(call=call, **attributes)))

    def add(self, call: CallSid, **attributes: Any) -> list[RoomOutput]:
        attributes.setdefault("callback", CALLBACK)
        return self.send(MemberAdded(entrant=Entrant(call=call, **attributes)))

    def rings(self, call: CallSid) -> list[RoomOutput]:
        return self.send(MemberProgressed(call=call, ringing=True))

    def answers(self, call: CallSid) -> list[RoomOutput]:
        return self.send(MemberAnswered(call=call))

    def leaves(self, call: CallSid, way: Exit = Exit.HUNG_UP) -> list[RoomOutput]:
        return self.send(MemberGone(call=call, exit=way))

    def update(self, call: CallSid, **fields: Any) -> list[RoomOutput]:
        return self.send(UpdateMember(call=call, **fields))

    def tick(self, at: float) -> list[RoomOutput]:
        self.now = at
        output = self.room.tick(at)
        for each in output:
            self.witness._one(each)
        return output

    def hears(self, call: CallSid) -> Hears | None:
        return self.witness.hears.get(call)


def talking(*calls: CallSid, **attributes: Any) -> Scene:
    """A room in which these calls talk."""
    scene = Scene()
    for call in calls:
        scene.enter(call, **attributes)
    return scene


def find(output: list[RoomOutput], kind: type[T]) -> list[T]:
    return [each for each in output if isinstance(each, kind)]


def names(output: list[RoomOutput]) -> list[str]:
    """The events in an output, each with the call that it is about."""
    events = find(output, RoomEvent)
    return [
        " ".join(filter(None, (event.name, dict(event.fields).get("CallSid", "")[3:]))) for event in events
    ]


def refused(output: list[RoomOutput]) -> tuple[int, int] | None:
    found = find(output, OrderRefused)
    return (found[0].status, found[0].code) if found else None
