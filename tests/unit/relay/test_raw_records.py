"""Taps write what passes, and when, into records that ``media`` reads."""

import pytest

from b2bua.relay.control import CloseLeg, HoldKeys, LegMeasured, LegReplaced, RecordTaps, StopTaps, Tap
from media.relay_file import CHILD, PARENT
from tests.unit.media.relay_files import read_records
from tests.unit.relay.relay_scene import PCMA, PCMU, Party, Scene

pytestmark = pytest.mark.unit

Record = tuple[int, int, float, int, int, int, bytes]
"""Side, payload type, time, SSRC, timestamp, sequence number, payload."""


def records(scene: Scene, name: str = "r") -> list[Record]:
    scene.relay.flush()
    return [
        (one.side, one.payload_type, one.at, one.ssrc, one.timestamp, one.sequence, one.payload)
        for one in read_records(scene.files.pieces.get(name, b""))
    ]


def record(scene: Scene, parent: Tap | None, child: Tap | None) -> None:
    scene.order(RecordTaps(recording="r", path="/there", parent=parent, child=child))


def test_both_sides_are_recorded_in_every_mode() -> None:
    scene = Scene()
    a, b = scene.two()
    record(scene, Tap(a.key), Tap(b.key))
    assert scene.files.begun == {"r": "/there"}
    a.says(b"\x01" * 160)
    scene.join(a, b)
    scene.passes(0.02)
    b.says(b"\x02" * 160)
    scene.part(a, b)
    scene.passes(0.02)
    a.says(b"\x03" * 160)
    found = records(scene)
    assert [(side, kind, payload[0]) for side, kind, *_, payload in found] == [
        (PARENT, 8, 1),
        (CHILD, 8, 2),
        (PARENT, 8, 3),
    ]
    assert [(ssrc, ts, seq) for *_, ssrc, ts, seq, _ in found[-1:]] == [(a.ssrc, a.ts, a.seq)]
    assert [time for _, _, time, *_ in found] == pytest.approx([1000.0, 1000.02, 1000.04])


def test_what_a_party_hears_is_recorded_as_it_is_sent() -> None:
    scene = Scene()
    a = scene.party("a").describe(PCMU)
    b = scene.party("b").describe(PCMA)
    record(scene, None, Tap(a.key, heard=True))
    a.worker_says(b"\x09" * 160)
    scene.join(a, b)
    b.says(b"\xd5" * 160)
    assert [
        (side, kind, seq, ts, ssrc, payload) for side, kind, _, ssrc, ts, seq, payload in records(scene)
    ] == [(CHILD, packet.kind, packet.seq, packet.ts, packet.ssrc, packet.payload) for packet in a.heard]
    assert a.heard[-1].kind == 0


def test_keys_and_what_is_not_g711_are_not_recorded() -> None:
    scene = Scene()
    a, b = scene.joined()
    record(scene, Tap(a.key), Tap(b.key))
    scene.order(HoldKeys(leg=a.key, digits=""))
    a.presses("5")
    a.says(kind=13)
    assert records(scene) == []


def test_padding_contributors_and_extensions_are_left_out() -> None:
    scene = Scene()
    a, _ = scene.joined()
    record(scene, Tap(a.key), None)
    plain = b"\x80\x08\x00\x05\x00\x00\x00\x09\x00\x00\x00\x07"
    contributor, extension = b"\x00\x00\x00\x01", b"\xbe\xde\x00\x01abcd"
    a.brings(b"\xb1" + plain[1:] + contributor + extension + b"\x55" * 8 + b"\x00\x00\x03")
    assert records(scene)[0][-1] == b"\x55" * 8


def test_sides_change_and_one_leg_may_be_in_two_recordings() -> None:
    scene = Scene()
    a, b = scene.two()
    record(scene, Tap(a.key), None)
    scene.order(RecordTaps(recording="s", path="/s", parent=None, child=Tap(a.key)))
    a.says(b"\x01" * 160)
    record(scene, Tap(b.key), None)
    a.says(b"\x02" * 160)
    b.says(b"\x03" * 160)
    assert [one[-1][0] for one in records(scene)] == [1, 3]
    assert [one[-1][0] for one in records(scene, "s")] == [1, 2]
    assert scene.files.begun == {"r": "/there", "s": "/s"}


def test_a_recording_waits_for_its_leg_and_follows_its_heir() -> None:
    scene = Scene()
    a = scene.party("a")
    record(scene, Tap(a.key), None)
    a.describe()
    a.says(b"\x01" * 160)
    heir = scene.party("heir").describe()
    scene.order(LegReplaced(leg=heir.key, old=a.key))
    heir.says(b"\x02" * 160)
    a.says(b"\x03" * 160)
    scene.relay.obey(CloseLeg(leg=a.key), "edge", scene.now)
    heir.says(b"\x04" * 160)
    assert [one[-1][0] for one in records(scene)] == [1, 2, 4]


def test_a_recording_and_what_was_received_follow_the_heir_of_an_heir() -> None:
    scene = Scene()
    a = scene.party("a").describe()
    record(scene, Tap(a.key), None)
    a.says(b"\x01" * 160)
    for n, name in enumerate(("second", "third"), 2):
        heir = scene.party(name).describe()
        scene.order(LegReplaced(leg=heir.key, old=a.key))
        heir.says(bytes((n,)) * 160)
    scene.relay.obey(CloseLeg(leg=a.key), "edge", scene.now)
    assert [one[-1][0] for one in records(scene)] == [1, 2, 3]
    assert scene.order(CloseLeg(leg=a.key)) is heir.leg
    (measured,) = scene.told(LegMeasured)
    assert (measured.leg, measured.received) == (a.key, 3)


def test_what_the_second_of_three_says_is_not_recorded() -> None:
    scene = Scene()
    a = scene.party("a").describe()
    record(scene, Tap(a.key), None)
    second, third = scene.party("second").describe(), scene.party("third").describe()
    scene.order(LegReplaced(leg=second.key, old=a.key))
    scene.order(LegReplaced(leg=third.key, old=a.key))
    second.says(b"\x02" * 160)
    third.says(b"\x03" * 160)
    assert [one[-1][0] for one in records(scene)] == [3]


def test_an_ended_recording_has_all_and_gets_no_more() -> None:
    scene = Scene()
    a = scene.party("a").describe()
    record(scene, Tap(a.key), None)
    a.says()
    scene.order(StopTaps(recording="r"))
    a.says()
    assert scene.files.ended == ["r"]
    assert len(records(scene)) == 1


def test_a_burst_larger_than_the_room_is_complete(a_lot: int = 500) -> None:
    scene = Scene()
    a: Party = scene.party("a").describe()
    record(scene, Tap(a.key), None)
    for n in range(a_lot):
        a.says(bytes((n & 0xFF,)) * 160)
    assert [one[-1] for one in records(scene)] == [bytes((n & 0xFF,)) * 160 for n in range(a_lot)]
