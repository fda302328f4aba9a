"""Keys by RFC 4733 of joined parties, and keys that are sent to them."""

import itertools

import pytest

from b2bua.relay.control import HoldKeys, KeyPressed, SendKeys
from tests.unit.relay.relay_scene import G711, PCMA, PCMU, Party, Rtp, Scene, is_contiguous, rtp

pytestmark = pytest.mark.unit

NO_KEYS = ((8, "PCMA/8000"),)


def events(party: Party, kind: int = 101) -> list[Rtp]:
    return [packet for packet in party.heard if packet.kind == kind]


def test_a_key_is_reported_once_and_passed_on_with_the_partners_type() -> None:
    scene = Scene()
    a = scene.party("a").describe(PCMA)
    b = scene.party("b").describe(PCMU)
    scene.join(a, b)
    a.says()
    began = scene.now + 0.02
    a.presses("5", packets=5)
    a.says()
    (key,) = scene.told(KeyPressed)
    assert key == KeyPressed(leg=a.key, at=key.at, digit="5", duration_ms=100, passed=True)
    assert key.at == pytest.approx(began)
    assert [(p.payload[0], p.payload[1], p.marker) for p in events(b, 96)] == [
        *((5, 0, n == 0) for n in range(4)),
        *((5, 0x80, False),) * 3,
    ]
    assert is_contiguous(b.heard)
    assert a.worker_heard == []


@pytest.mark.parametrize("digit", "0123456789*#ABCD")
def test_each_key_has_its_digit(digit: str) -> None:
    scene = Scene()
    a, _ = scene.joined()
    a.presses(digit)
    assert [key.digit for key in scene.told(KeyPressed)] == [digit]


def test_a_held_back_key_is_reported_and_leaves_no_hole() -> None:
    scene = Scene()
    a, b = scene.joined()
    scene.order(HoldKeys(leg=a.key, digits="*#"))
    a.says()
    a.presses("*")
    a.says()
    a.presses("1")
    a.says()
    assert [(key.digit, key.passed) for key in scene.told(KeyPressed)] == [("*", False), ("1", True)]
    assert {packet.payload[0] for packet in events(b)} == {1}
    assert is_contiguous(b.heard)
    scene.order(HoldKeys(leg=a.key, digits=""))
    a.presses("*")
    assert scene.told(KeyPressed)[-1].passed


def test_keys_to_be_held_may_be_told_before_the_leg_exists() -> None:
    scene = Scene()
    b = scene.party("b").describe()
    a = Party(scene, "a", 9)
    scene.order(HoldKeys(leg=a.key, digits="*"))
    a.describe()
    scene.join(a, b)
    a.presses("*")
    assert not scene.told(KeyPressed)[0].passed


def test_a_partner_without_telephone_events_gets_none() -> None:
    scene = Scene()
    a = scene.party("a").describe(PCMA)
    b = scene.party("b").describe(NO_KEYS)
    scene.join(a, b)
    a.says()
    a.presses("7")
    a.says()
    assert [key.passed for key in scene.told(KeyPressed)] == [False]
    assert [packet.kind for packet in b.heard] == [8, 8]
    assert is_contiguous(b.heard)


def test_a_key_held_for_long_is_reported_after_a_second() -> None:
    scene = Scene()
    a, _ = scene.joined()
    a.presses("9", packets=100, ends=0)
    (key,) = scene.told(KeyPressed)
    assert 980 <= key.duration_ms <= 1060


def test_a_key_whose_end_is_lost_is_reported_when_its_packets_stop() -> None:
    scene = Scene()
    a, _ = scene.joined()
    a.presses("9", packets=4, ends=0)
    assert scene.told(KeyPressed) == []
    scene.passes(0.35)
    assert [(key.digit, key.duration_ms) for key in scene.told(KeyPressed)] == [("9", 60)]


def test_the_next_key_reports_one_whose_end_is_lost() -> None:
    scene = Scene()
    a, _ = scene.joined()
    a.presses("1", packets=4, ends=0)
    a.presses("2")
    assert [key.digit for key in scene.told(KeyPressed)] == ["1", "2"]


def test_keys_of_a_leg_that_is_not_joined_are_its_workers() -> None:
    scene = Scene()
    a, _ = scene.two()
    a.presses("3")
    assert scene.told(KeyPressed) == []
    assert len(a.worker_heard) == 7


def test_a_key_that_began_before_the_legs_were_joined_is_the_workers() -> None:
    scene = Scene()
    a, b = scene.two()
    a.presses("3", packets=4, ends=0)
    scene.join(a, b)
    a.presses("3", packets=8, first=3)
    assert scene.told(KeyPressed) == []
    assert events(b) == []


def test_a_key_that_was_reported_does_not_reach_the_worker_when_the_legs_are_parted() -> None:
    scene = Scene()
    a, b = scene.joined()
    a.presses("3", packets=4, ends=1)
    scene.part(a, b)
    a.presses("3", packets=4, ends=3, first=4)
    assert len(scene.told(KeyPressed)) == 1
    assert a.worker_heard == []
    a.says()
    a.presses("4", packets=1, ends=1)
    assert [packet.kind for packet in a.worker_heard] == [8, 101]


def test_an_open_key_becomes_the_workers_when_the_legs_are_parted() -> None:
    scene = Scene()
    a, b = scene.joined()
    a.presses("3", packets=4, ends=0)
    scene.part(a, b)
    a.presses("3", packets=6, first=3)
    scene.passes(0.5)
    assert scene.told(KeyPressed) == []
    assert [packet.kind for packet in a.worker_heard] == [101] * 5


def test_a_key_pressed_just_after_parting_is_the_workers() -> None:
    scene = Scene()
    a, b = scene.joined()
    a.says()
    scene.part(a, b)
    a.presses("4", packets=1, ends=1)
    scene.passes(0.3)
    assert scene.told(KeyPressed) == []
    assert events(b) == []
    assert len(a.worker_heard) == 1


def test_keys_are_sent_in_place_of_audio_in_one_stream() -> None:
    scene = Scene()
    a, b = scene.joined()
    b.says()
    scene.order(SendKeys(leg=a.key, digits="1#"))
    for _ in range(40):
        scene.passes(0.02)
        b.says()
    sent = events(a)
    ones, hashes = sent[: len(sent) // 2], sent[len(sent) // 2 :]
    for digit, run in ((1, ones), (11, hashes)):
        assert {packet.payload[0] for packet in run} == {digit}
        assert len({packet.ts for packet in run}) == 1
        assert [packet.marker for packet in run] == [True] + [False] * (len(run) - 1)
        assert [packet.payload[1] >> 7 for packet in run] == [0] * (len(run) - 3) + [1] * 3
        lengths = [int.from_bytes(packet.payload[2:], "big") for packet in run]
        assert lengths == [160 * n for n in range(1, len(run) - 1)] + [lengths[-1]] * 2
    assert is_contiguous(a.heard)
    kinds = [packet.kind for packet in a.heard]
    assert [kind for kind, _ in itertools.groupby(kinds)] == [8, 101, 8, 101, 8]
    assert a.heard[-1].ts - a.heard[0].ts == 160 * 40


def test_keys_are_sent_to_a_leg_whose_partner_is_silent() -> None:
    scene = Scene()
    a, _ = scene.joined()
    scene.order(SendKeys(leg=a.key, digits="5"))
    scene.passes(0.3)
    assert len(events(a)) == 10
    assert is_contiguous(a.heard)


def test_a_description_does_not_split_a_key_that_the_worker_sends() -> None:
    """A callee that has answered with two codecs is offered one of them at once."""
    scene = Scene()
    a = scene.party("a").describe(G711)
    for n in range(5):
        if n == 2:
            a.describe(PCMA)
        scene.passes(0.02)
        event = bytes((1, 10)) + (160 * (n + 1)).to_bytes(2, "big")
        a.worker_brings(rtp(101, 30_000 + n, 7_000_000, a.worker_ssrc, event, marker=n == 0))
    assert len(events(a)) == 5
    assert len({packet.ts for packet in events(a)}) == 1
    assert is_contiguous(a.heard)


def test_nothing_is_sent_to_a_leg_that_takes_no_keys() -> None:
    scene = Scene()
    a = scene.party("a").describe(NO_KEYS)
    scene.order(SendKeys(leg=a.key, digits="5"))
    scene.passes(0.3)
    assert a.heard == []


def test_short_event_packets_are_dropped() -> None:
    scene = Scene()
    a, b = scene.joined()
    a.says(b"\x05\x80\x00", kind=101)
    a.says(b"", kind=101)
    assert scene.told(KeyPressed) == []
    assert b.heard == []
