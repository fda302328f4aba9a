"""What is sent when nobody speaks, and what is reported of legs that are quiet."""

import itertools

import pytest

from b2bua.relay.control import LegSilent
from tests.unit.relay.relay_scene import PCMA, PCMU, Scene, is_contiguous

pytestmark = pytest.mark.unit

G722 = ((9, "G722/8000"),)


@pytest.mark.parametrize(("formats", "byte"), [(PCMA, 0xD5), (PCMU, 0xFF), (G722, 0xFA)])
def test_silence_goes_to_a_party_whose_partner_says_nothing(formats: object, byte: int) -> None:
    scene = Scene()
    a, b = scene.party("a").describe(formats), scene.party("b").describe(formats)
    scene.join(a, b)
    a.says()
    scene.passes(0.45)
    assert len(b.heard) == 1
    scene.passes(1.0)
    silence = b.heard[1:]
    assert 40 <= len(silence) <= 50
    assert {packet.payload for packet in silence} == {bytes((byte,)) * 160}
    assert {packet.kind for packet in silence} == {b.kind}
    assert is_contiguous(b.heard)
    assert {later.ts - earlier.ts for earlier, later in itertools.pairwise(silence)} == {160}


def test_silence_ends_with_the_first_packet() -> None:
    scene = Scene()
    a, b = scene.joined()
    scene.passes(1.0)
    for _ in range(30):
        a.says(b"\x01" * 160)
        scene.passes(0.02)
    payloads = [packet.payload[0] for packet in b.heard]
    first = payloads.index(1)
    assert payloads[first:] == [1] * 30
    assert is_contiguous(b.heard)


def test_legs_with_their_workers_and_legs_that_are_parted_get_no_silence() -> None:
    scene = Scene()
    a, b = scene.joined()
    scene.passes(1.0)
    scene.part(a, b)
    count = len(a.heard)
    assert count
    scene.passes(1.0)
    assert len(a.heard) == count


def test_comfort_noise_is_passed_to_who_takes_it_only() -> None:
    scene = Scene()
    noise = ((8, "PCMA/8000"), (13, "CN/8000"))
    a, b = scene.party("a").describe(noise), scene.party("b").describe(noise)
    c, d = scene.party("c").describe(noise), scene.party("d").describe(PCMA)
    scene.join(a, b)
    scene.join(c, d)
    for speaker in (a, c):
        speaker.says()
        speaker.says(b"\x40", kind=13)
        speaker.says()
    assert [packet.kind for packet in b.heard] == [8, 13, 8]
    assert [packet.kind for packet in d.heard] == [8, 8]
    assert is_contiguous(d.heard)


def test_two_silent_parties_are_reported_once() -> None:
    scene = Scene()
    scene.relay.rtp_timeout_s = 5.0
    a, b = scene.joined()
    a.says()
    scene.passes(4.0)
    b.says()
    scene.passes(4.5)
    assert scene.told(LegSilent) == []
    scene.passes(5.0)
    assert sorted(message.leg.call_id for message in scene.told(LegSilent)) == ["a@test", "b@test"]
    a.says()
    scene.passes(7.0)
    assert len(scene.told(LegSilent)) == 4


def test_a_call_on_hold_is_not_silent() -> None:
    scene = Scene()
    scene.relay.rtp_timeout_s = 2.0
    a, b = scene.joined()
    a.describe(direction="sendonly")
    scene.passes(10.0)
    assert scene.told(LegSilent) == []
    a.describe()
    b.describe()
    scene.passes(1.5)
    assert scene.told(LegSilent) == []


def test_a_leg_that_nobody_is_to_be_joined_with_is_not_silent() -> None:
    scene = Scene()
    scene.relay.rtp_timeout_s = 2.0
    scene.party("a").describe()
    scene.passes(10.0)
    assert scene.told(LegSilent) == []


def test_without_a_limit_nothing_is_reported() -> None:
    scene = Scene()
    scene.joined()
    scene.passes(60.0)
    assert scene.told(LegSilent) == []
