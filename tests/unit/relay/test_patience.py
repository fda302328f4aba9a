"""Whose packets wait until the rooms are mixed, and what a loop that is late makes of them."""

from random import Random

import pytest

from b2bua.relay.control import RecordTaps, SetRoom, StopTaps, Tap
from b2bua.relay.machine import Relay
from tests.unit.relay.relay_scene import PCMA, Party, Scene
from tests.unit.relay.room_scene import Room, member

pytestmark = pytest.mark.unit


def patient(room: Room) -> set[int]:
    return {n for n, party in enumerate(room.parties) if party.leg in set(room.scene.relay.patient())}


def test_parties_are_patient_whom_only_a_room_hears() -> None:
    room = Room(3)
    a, b, c = room.parties
    assert patient(room) == set()
    room.bring_all()
    assert room.scene.relay.patience_changed()
    assert not room.scene.relay.patience_changed()
    assert patient(room) == {0, 1, 2}
    room.bring(member(a), member(b), member(c, listens=False))  # it hears its worker
    assert patient(room) == {0, 1}
    room.scene.order(RecordTaps(recording="x", path="p", parent=Tap(leg=a.key), child=None))
    assert room.scene.relay.patience_changed()
    assert patient(room) == {1}
    room.scene.order(StopTaps(recording="x"))
    assert room.scene.relay.patience_changed()
    assert patient(room) == {0, 1}
    room.bring(member(a))
    assert room.scene.relay.patience_changed()
    assert patient(room) == {0}
    room.bring()
    assert room.scene.relay.patience_changed()
    assert patient(room) == set()


def test_a_relay_whose_parties_are_patient_rests_until_the_next_mix() -> None:
    room = Room(2)
    room.bring_all()
    room.scene.passes(0.02)
    now = room.scene.now
    assert now < room.scene.relay.rests_until <= now + 0.021


class LateScene(Scene):
    """A loop that reads the parties' packets when the rooms are mixed."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[float, bool]] = []
        self.queues: list[tuple[Party, list[bytes]]] = []
        self.relay = Relay(self.files, self.packet, self.loader, Random(7), self._hear)

    def _hear(self, at: float, last: bool) -> None:
        self.heard.append((at, last))
        for party, queue in self.queues:
            for _ in range(4 if last else 1):
                if queue:
                    self.now, now = at, self.now
                    party.says(queue.pop(0))
                    self.now = now


@pytest.mark.parametrize("stall", [1, 3, 8])
def test_a_stall_of_the_loop_is_no_jitter_of_the_parties(stall: int) -> None:
    scene = LateScene()
    a, b = scene.party("a").describe(PCMA), scene.party("b").describe(PCMA)
    scene.order(SetRoom(room="r", members=(member(a), member(b))))
    queue: list[bytes] = []
    scene.queues.append((a, queue))
    start = scene.now
    for number in range(200):
        queue.append(bytes((number,)) * 160)
        if not 100 <= number < 100 + stall:
            scene.now = start + number * 0.02
            scene.relay.tick(scene.now)
    assert len(scene.heard) == 200
    late = scene.heard[100 : 100 + stall + 1]
    assert [last for _, last in late] == [False] * stall + [True]
    assert [round((at - start) / 0.02) for at, _ in late] == list(range(100, 101 + stall))
    assert len(b.heard) == 200
    frames = a.leg.seat and a.leg.seat.frames
    assert frames is not None
    assert (frames.concealed, frames.dropped, frames.repeated) == (0, 0, 0)  # type: ignore[attr-defined]
    assert frames.played == 199  # type: ignore[attr-defined]
