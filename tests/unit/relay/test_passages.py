"""Two legs that are each other's party, as an attended transfer makes them: no socket between them."""

from random import Random

import pytest

from b2bua.relay.control import CloseLeg, ForeignPackets, RecordTaps, Tap
from tests.unit.media.relay_files import read_records
from tests.unit.relay.relay_scene import PCMA, PCMU, Party, Scene, is_contiguous

pytestmark = pytest.mark.unit

OURS = "192.0.2.250"
TICK_S = 0.005


class Transferred(Scene):
    """``a`` and ``x`` are joined, and so are ``y`` and ``b``; ``x`` and ``y`` are one call."""

    def __init__(self, there: object = PCMA) -> None:
        super().__init__()
        self.relay.passages.own_host = OURS
        self.a, self.b = self.party("a").describe(), self.party("b").describe(there)
        self.x, self.y = self.party("x"), self.party("y")
        self.turn(self.x, self.y)
        self.turn(self.y, self.x)
        self.join(self.a, self.x)
        self.join(self.y, self.b)

    def turn(self, one: Party, other: Party) -> None:
        """The party of ``one`` says that it is to be found at the ports of ``other``."""
        one.describe(PCMA, host=OURS, port=other.leg.pair.outer, rtcp_host=OURS)

    def between(self) -> int:
        """How many packets went by the sockets between the two."""
        ports = {self.x.leg.pair.outer, self.y.leg.pair.outer}
        return sum(address[0] == OURS and address[1] in ports for address, _ in self.sent)

    def talk(self, count: int = 5) -> None:
        for n in range(count):
            self.a.says(bytes((n,)) * 160)
            self.b.says(bytes((100 + n,)) * 160)
            self.passes(0.02)


def test_both_are_heard_in_the_same_tick_by_no_socket() -> None:
    scene = Transferred()
    scene.a.says(b"\x07" * 160)
    scene.passes(TICK_S)
    assert [packet.payload for packet in scene.b.heard] == [b"\x07" * 160]
    scene.talk()
    for party, first in ((scene.a, 100), (scene.b, 0)):
        assert [packet.payload[0] for packet in party.heard][-5:] == list(range(first, first + 5))
        assert is_contiguous(party.heard)
    assert scene.between() == 0


def test_the_laws_are_translated_where_they_differ() -> None:
    scene = Transferred(PCMU)
    scene.talk()
    assert {packet.kind for packet in scene.b.heard} == {0}
    assert {packet.kind for packet in scene.a.heard} == {8}


def test_keys_and_recordings_are_those_of_each_half() -> None:
    scene = Transferred()
    sides = Tap(scene.y.key), Tap(scene.b.key)
    scene.order(RecordTaps(recording="r", path="/r", parent=sides[0], child=sides[1]))
    scene.talk()
    scene.a.presses("5")
    scene.passes(0.02)
    assert {packet.kind for packet in scene.b.heard} == {8, 101}
    scene.relay.flush()
    found = read_records(scene.files.pieces["r"])
    assert [one.payload[0] for one in found if one.side == 0] == list(range(5))
    assert [one.payload[0] for one in found if one.side == 1] == list(range(100, 105))


def test_a_worker_that_transcodes_is_heard_at_the_other_leg() -> None:
    scene = Transferred()
    scene.part(scene.a, scene.x)
    scene.x.worker_says(b"\x09" * 160)
    scene.passes(TICK_S)
    assert [packet.payload[0] for packet in scene.b.heard] == [9]


def test_strangers_are_not_heard_and_are_counted() -> None:
    scene = Transferred()
    for _ in range(5):
        scene.y.says(b"\x66" * 160)  # from an address that nobody has stated
    scene.passes(TICK_S)
    assert scene.b.heard == []
    assert [(told.leg, told.count) for told in scene.told(ForeignPackets)] == [(scene.y.key, 5)]


def test_one_that_names_a_port_of_ours_which_does_not_name_it_is_not_let_in() -> None:
    scene = Transferred()
    thief = scene.party("thief")
    scene.turn(thief, scene.b)
    thief.worker_says()
    scene.passes(TICK_S)
    assert scene.b.leg not in scene.relay.passages._facing
    scene.talk()
    assert scene.b.heard


def test_a_leg_that_is_described_elsewhere_is_sent_to_by_its_socket() -> None:
    scene = Transferred()
    scene.talk()
    scene.x.describe(PCMA)
    before = len(scene.b.heard)
    scene.a.says(b"\x21" * 160)
    scene.passes(TICK_S)
    assert [packet.payload[0] for packet in scene.x.heard] == [0x21]
    assert len(scene.b.heard) == before
    scene.b.says()
    assert scene.between() == 1  # where the other one is still told to send
    scene.turn(scene.x, scene.y)
    scene.a.says(b"\x22" * 160)
    scene.passes(TICK_S)
    assert scene.b.heard[-1].payload[0] == 0x22
    assert scene.between() == 1


def test_a_leg_that_is_over_is_handed_nothing() -> None:
    scene = Transferred()
    scene.a.says()
    scene.order(CloseLeg(leg=scene.y.key))
    scene.passes(0.02)
    assert scene.b.heard == []
    scene.a.says()
    assert scene.between() == 1


def test_a_circle_ends_nothing() -> None:
    scene = Scene()
    scene.relay.passages.own_host = OURS
    x, y = scene.party("x"), scene.party("y")
    for one, other in ((x, y), (y, x)):
        one.describe(PCMA, host=OURS, port=other.leg.pair.outer)
    scene.join(x, y)  # each is the other's party too
    scene.passes(2.0)
    assert len(scene.relay.passages._waiting) < 10


@pytest.mark.parametrize("seed", range(20))
def test_any_order_of_descriptions_and_ends(seed: int) -> None:
    random = Random(seed)
    scene = Transferred()
    legs = [scene.x, scene.y, scene.a, scene.b]
    for _ in range(60):
        one, other = random.sample(legs, 2)
        match random.randrange(4):
            case 0:
                scene.turn(one, other)
            case 1:
                one.describe(PCMA)
            case 2 if one.key in scene.relay.legs:
                scene.order(CloseLeg(leg=one.key))
            case _:
                scene.talk(1)
        facing = scene.relay.passages._facing
        assert all(facing[there] is here for here, there in facing.items())
        assert all(leg.key in scene.relay.legs for leg in facing)
