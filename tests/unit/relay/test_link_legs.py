"""Link legs: a worker is their party, by the inner socket."""

import pytest

from b2bua.relay.control import LegDescribed, LegsJoined, OpenLeg, Pair, RoomEntered, RoomLeft
from b2bua.relay.ways import InsideLines
from tests.unit.relay.relay_scene import INNER, PCMA, PCMU, FakeLine, FakeLines, Party, Scene, is_contiguous
from tests.unit.relay.room_scene import Room, member

pytestmark = pytest.mark.unit

G722 = ((9, "G722/8000"),)


class LinkParty(Party):
    """A worker that brings the audio of a leg."""

    def __init__(self, scene: Scene, name: str, number: int) -> None:
        super().__init__(scene, name, number)
        scene.relay.legs.pop(self.key)
        self.at = (INNER, 41_000 + number)
        self.inner = FakeLine(scene.sent)
        lines = FakeLines(FakeLine(scene.sent), FakeLine(scene.sent), self.inner)
        order = OpenLeg(leg=self.key, pair=Pair(40_000 + 2 * number, 30_000 + number), inside=True)
        self.leg = scene.relay.open_leg(order, InsideLines(lines), scene.now)
        self.lines.outer = self.inner
        self.worker_at = (INNER, order.pair.inner)
        self.describe(PCMU, rtcp_host=INNER, rtcp_port=0)


def test_it_is_joined_with_a_party_outside() -> None:
    scene = Scene()
    link, other = LinkParty(scene, "link", 9), scene.party("b").describe(PCMA)
    scene.join(link, other)
    assert scene.told(LegsJoined)
    for _ in range(5):
        link.says(b"\xff" * 160)
        other.says(b"\xd5" * 160)
    assert len(link.heard) == len(other.heard) == 5
    assert link.heard[0].kind == 0 and link.inner.hears == link.at
    assert is_contiguous(link.heard) and is_contiguous(other.heard)


def test_only_its_worker_is_heard() -> None:
    scene = Scene()
    link, other = LinkParty(scene, "link", 9), scene.party("b").describe(PCMA)
    scene.join(link, other)
    link.says()
    heard = len(other.heard)
    link.brings(b"\x80" + bytes(171), (INNER, 50_000))
    assert len(other.heard) == heard


def test_nothing_comes_back_to_it_while_it_is_with_nobody() -> None:
    scene = Scene()
    link = LinkParty(scene, "link", 9)
    link.says()
    assert scene.sent == []


def test_keys_pass_both_ways() -> None:
    scene = Scene()
    link, other = LinkParty(scene, "link", 9), scene.party("b").describe(PCMA)
    scene.join(link, other)
    for sender, hearer in ((link, other), (other, link)):
        sender.says()
        sender.presses("7")
        kinds = {packet.kind for packet in hearer.heard}
        assert next(n for n, name in hearer.formats if name.startswith("telephone")) in kinds


def test_it_takes_part_in_a_room() -> None:
    room = Room(2)
    link = LinkParty(room.scene, "link", 9)
    room.parties.append(link)
    room.bring_all()
    assert [told.leg for told in room.scene.told(RoomEntered)] == [party.key for party in room.parties]
    room.talk(50)
    assert room.hears(2) == {0, 1}
    assert room.hears(0) == {1, 2}


@pytest.mark.parametrize(
    ("formats", "changes", "meets", "talks"),
    [
        (PCMA, {}, "all", True),
        (PCMA, {"ptime_ms": 30}, "alike", True),
        (PCMA, {"max_ptime_ms": 10}, "alike", True),
        (G722, {}, "alike", True),
        (PCMA, {"plain": False}, "none", True),
        (((18, "G729/8000"),), {}, "none", True),
        (PCMA, {"direction": "sendonly"}, "none", False),
    ],
)
def test_the_controller_learns_whom_a_leg_can_meet(
    formats: object, changes: object, meets: str, talks: bool
) -> None:
    scene = Scene()
    scene.party("a").describe(formats, **changes)  # type: ignore[arg-type]
    [told] = scene.told(LegDescribed)
    assert (told.meets, told.talks) == (meets, talks)


@pytest.mark.parametrize("formats", [PCMA, G722])
def test_what_meets_all_is_never_refused_by_a_link_leg_or_a_room(formats: object) -> None:
    scene = Scene()
    link, other = LinkParty(scene, "link", 9), scene.party("b").describe(formats)
    all_ = scene.told(LegDescribed)[-1].meets == "all"
    scene.join(link, other)
    assert bool(scene.told(LegsJoined)) == all_
    room = Room(1)
    room.parties[0].describe(formats)
    room.bring(member(room.parties[0]))
    assert bool(room.scene.told(RoomLeft)) != all_
