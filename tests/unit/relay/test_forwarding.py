"""Legs that hear their workers, and legs that hear each other."""

import itertools

import pytest

from b2bua.relay.control import (
    CloseLeg,
    LegClosed,
    LegMeasured,
    LegsJoined,
    LegsParted,
    RoomMember,
    SetRoom,
)
from tests.unit.relay.relay_scene import G711, PCMA, PCMU, Scene, is_contiguous, rtp

pytestmark = pytest.mark.unit


def test_nothing_goes_anywhere_before_the_first_description() -> None:
    scene = Scene()
    a = scene.party("a")
    a.says()
    a.worker_says()
    assert scene.sent == []


def test_a_party_and_its_worker_hear_each_other() -> None:
    scene = Scene()
    a = scene.party("a").describe()
    for _ in range(3):
        scene.passes(0.02)
        a.says(b"\x11" * 160)
        a.worker_says(b"\x22" * 160)
    assert [packet.payload for packet in a.heard] == [b"\x22" * 160] * 3
    assert is_contiguous(a.heard)
    assert a.heard[0].ssrc not in (a.ssrc, a.worker_ssrc)
    assert [(packet.seq, packet.ts, packet.ssrc) for packet in a.worker_heard] == [
        (a.seq - n, a.ts - 160 * n, a.ssrc) for n in (2, 1, 0)
    ]


def test_joined_parties_hear_each_other_and_not_their_workers() -> None:
    scene = Scene()
    a, b = scene.joined()
    assert scene.told(LegsJoined) == [LegsJoined(one=a.key, other=b.key)]
    for _ in range(3):
        scene.passes(0.02)
        a.says(b"\x11" * 160)
        b.says(b"\x22" * 160)
        a.worker_says()
    assert [packet.payload for packet in b.heard] == [b"\x11" * 160] * 3
    assert [packet.payload for packet in a.heard] == [b"\x22" * 160] * 3
    assert a.worker_heard == b.worker_heard == []


def test_a_wish_waits_for_both_legs_and_their_descriptions() -> None:
    scene = Scene()
    a = scene.party("a").describe()
    b_key_only = scene.party("b")
    scene.join(a, b_key_only)
    assert scene.told(LegsJoined) == []
    b_key_only.describe()
    assert len(scene.told(LegsJoined)) == 1


def test_a_wish_that_cannot_be_followed_at_once_is_answered() -> None:
    scene = Scene()
    a, b = scene.joined()
    assert scene.told(LegsParted) == []
    scene.part(a, b)
    b.describe(direction="sendonly")
    scene.join(a, b)
    assert scene.told(LegsParted) == [LegsParted(one=a.key, other=b.key)]


def test_hold_parts_and_its_end_joins_again() -> None:
    scene = Scene()
    a, b = scene.joined()
    b.describe(direction="sendonly")
    assert scene.told(LegsParted) == [LegsParted(one=b.key, other=a.key)]
    b.describe()
    assert len(scene.told(LegsJoined)) == 2


def test_laws_of_g711_are_translated() -> None:
    scene = Scene()
    a = scene.party("a").describe(PCMA)
    b = scene.party("b").describe(PCMU)
    scene.join(a, b)
    a.says(bytes([0xD5, 0x55]) * 80)
    assert b.heard[0].kind == 0
    assert b.heard[0].payload == bytes([0xFE, 0x7E]) * 80
    b.says(bytes([0xFF, 0x7F]) * 80)
    assert a.heard[0].kind == 8
    assert a.heard[0].payload == bytes([0xD5, 0x55]) * 80


def test_another_common_format_than_the_first_is_translated_too() -> None:
    scene = Scene()
    a = scene.party("a").describe(G711)
    b = scene.party("b").describe(PCMA)
    scene.join(a, b)
    a.says(b"\xff" * 160, kind=0)
    assert (b.heard[0].kind, b.heard[0].payload) == (8, b"\xd5" * 160)


@pytest.mark.parametrize(
    "change",
    [
        {"direction": "sendonly"},
        {"direction": "inactive"},
        {"port": 0},
        {"host": "0.0.0.0"},
        {"plain": False},
        {"ptime_ms": 30},
        {"max_ptime_ms": 10},
        {"formats": ((18, "G729/8000"),)},
        {"formats": ((9, "G722/8000"),)},
    ],
)
def test_legs_that_cannot_be_joined_stay_with_their_workers(change: dict[str, object]) -> None:
    scene = Scene()
    formats = change.pop("formats", PCMA)
    a = scene.party("a").describe(formats, **change)
    b = scene.party("b").describe()
    scene.join(a, b)
    a.says()
    assert scene.told(LegsJoined) == []
    assert b.heard == []


def test_the_old_source_is_heard_until_the_first_packet_of_the_new_one() -> None:
    scene = Scene()
    a, b = scene.two()
    a.worker_says(b"\x01" * 160)
    scene.join(a, b)
    scene.passes(0.02)
    a.worker_says(b"\x02" * 160)
    scene.passes(0.01)
    b.says(b"\x03" * 160)
    scene.passes(0.01)
    a.worker_says(b"\x04" * 160)
    assert [packet.payload[0] for packet in a.heard] == [1, 2, 3]
    scene.part(a, b)
    scene.passes(0.01)
    b.says(b"\x05" * 160)
    scene.passes(0.01)
    a.worker_says(b"\x06" * 160)
    scene.passes(0.01)
    b.says(b"\x07" * 160)
    assert [packet.payload[0] for packet in a.heard] == [1, 2, 3, 5, 6]
    assert is_contiguous(a.heard)
    assert [b.ts - a.ts for a, b in itertools.pairwise(a.heard)] == [160] * 4


def test_what_a_party_has_said_to_another_one_meanwhile_is_not_missing() -> None:
    scene = Scene()
    a, b = scene.joined()
    c = scene.party("c").describe()
    for partner in (b, c, b):
        scene.join(a, partner)
        scene.passes(0.02)
        a.says()
    assert [len(party.heard) for party in (b, c)] == [2, 1]
    assert [packet.seq - b.heard[0].seq & 0xFFFF for packet in b.heard] == [0, 1]


def test_what_a_worker_has_said_encrypted_meanwhile_is_not_missing() -> None:
    scene = Scene()
    a = scene.party("a").describe()
    for plain in (True, False, True):
        a.describe(plain=plain)
        scene.passes(0.02)
        a.worker_says()
    ours = [packet for packet in a.heard if packet.ssrc != a.worker_ssrc]
    assert [packet.seq - ours[0].seq & 0xFFFF for packet in ours] == [0, 1]


def test_what_a_worker_has_said_to_nobody_meanwhile_is_not_missing() -> None:
    """The party was in a room, and left it before it heard it."""
    scene = Scene()
    a = scene.party("a").describe()
    for members in ((), (RoomMember(leg=a.key, talks=False),), ()):
        scene.order(SetRoom(room="r", members=members))
        a.worker_says()
    assert [packet.seq - a.heard[0].seq & 0xFFFF for packet in a.heard] == [0, 1]


def test_the_old_source_is_heard_for_60_ms_at_most() -> None:
    scene = Scene()
    a, b = scene.two()
    a.worker_says()
    scene.join(a, b)
    scene.passes(0.065)
    a.worker_says()
    assert len(a.heard) == 1
    b.says()
    scene.part(a, b)
    scene.passes(0.065)
    b.says()
    assert len(a.heard) == 2


def test_two_sources_with_one_ssrc_are_two_sources() -> None:
    scene = Scene()
    a, b = scene.two()
    a.worker_ssrc, a.worker_seq, a.worker_ts = b.ssrc, b.seq + 3, b.ts
    a.worker_says()
    scene.join(a, b)
    scene.passes(0.02)
    b.says()
    scene.part(a, b)
    scene.passes(0.02)
    a.worker_says()
    assert is_contiguous(a.heard)
    assert [later.ts - earlier.ts for earlier, later in itertools.pairwise(a.heard)] == [160, 160]


def test_a_former_partner_is_not_heard_in_a_format_that_the_party_takes_no_more() -> None:
    scene = Scene()
    a, b = scene.joined()
    a.says()
    b.describe(PCMU, direction="sendonly")
    a.says()
    assert len(b.heard) == 1


def test_timestamps_go_on_by_the_clock_where_nobody_sent() -> None:
    scene = Scene()
    a = scene.party("a").describe()
    a.worker_says()
    scene.passes(1.0)
    a.worker_ssrc += 1
    a.worker_seq, a.worker_ts = 5, 5
    a.worker_says()
    first, second = a.heard
    assert (second.seq - first.seq, second.ts - first.ts) == (1, 8000)
    assert second.marker


def test_encrypted_packets_pass_unchanged_both_ways() -> None:
    scene = Scene()
    a = scene.party("a").describe(plain=False)
    to_worker, to_far = rtp(8, 1, 2, 3, b"secret"), rtp(8, 4, 5, 6, b"hidden")
    report = bytes([0x80, 200, 0, 6]) + b"x" * 24
    a.brings(to_worker)
    a.worker_brings(to_far)
    a.brings_report(report)
    a.worker_brings(report)
    assert scene.sent == [
        (a.worker_at, to_worker),
        (a.at, to_far),
        (a.worker_at, report),
        (a.control_at, report),
    ]


def test_a_closed_leg_is_measured_and_its_partner_hears_its_worker() -> None:
    scene = Scene()
    a, b = scene.joined()
    for _ in range(10):
        scene.passes(0.02)
        a.says()
    a.seq += 2
    a.says()
    assert scene.order(CloseLeg(leg=a.key)) is a.leg
    (measured,) = scene.told(LegMeasured)
    assert (measured.leg, measured.received, measured.lost) == (a.key, 11, 2)
    assert scene.relay.to_edge == [LegClosed(leg=a.key)]
    b.worker_says(b"\x77" * 160)
    assert b.heard[-1].payload == b"\x77" * 160
    assert scene.order(CloseLeg(leg=a.key)) is None
