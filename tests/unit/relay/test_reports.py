"""RTCP that passes: SSRCs of the other side become those that the receiver knows."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2bua.relay.rtcp import Translation, translate
from tests.unit.relay.relay_scene import Party, Scene

pytestmark = pytest.mark.unit

Block = tuple[int, int]
"""SSRC and extended highest sequence number."""


def sender_report(ssrc: int, ts: int, *blocks: Block) -> bytes:
    body = struct.pack(">IQIII", ssrc, 0x1122334455667788, ts, 10, 1600) + reports(blocks)
    return struct.pack(">BBH", 0x80 | len(blocks), 200, len(body) // 4) + body


def receiver_report(ssrc: int, *blocks: Block) -> bytes:
    body = struct.pack(">I", ssrc) + reports(blocks)
    return struct.pack(">BBH", 0x80 | len(blocks), 201, len(body) // 4) + body


def reports(blocks: tuple[Block, ...]) -> bytes:
    return b"".join(struct.pack(">IIIIII", ssrc, 0x01000002, highest, 3, 4, 5) for ssrc, highest in blocks)


def description(ssrc: int, name: bytes) -> bytes:
    items = b"\x01" + bytes((len(name),)) + name + b"\0"
    items += bytes(-len(items) % 4)
    return struct.pack(">BBHI", 0x81, 202, 1 + len(items) // 4, ssrc) + items


def bye(ssrc: int) -> bytes:
    return struct.pack(">BBHI", 0x81, 203, 1, ssrc)


def spoken(scene: Scene, *parties: Party) -> None:
    for _ in range(3):
        scene.passes(0.02)
        for party in parties:
            party.says()
            party.worker_says()


def test_a_workers_report_is_about_our_stream() -> None:
    scene = Scene()
    a = scene.party("a").describe()
    spoken(scene, a)
    report = sender_report(a.worker_ssrc, a.worker_ts, (a.ssrc, a.seq))
    a.worker_brings(report + description(a.worker_ssrc, b"worker@secret.example"))
    (sent,) = a.reports
    ours = a.heard[-1]
    size = len(report)
    assert sent[:size] == sender_report(ours.ssrc, ours.ts, (a.ssrc, a.seq))
    assert sent[size : size + 2] == b"\x81\xca"
    assert struct.unpack_from(">I", sent, size + 4) == (ours.ssrc,)
    assert b"secret" not in sent


def test_a_partys_report_reaches_its_worker_about_the_workers_stream() -> None:
    scene = Scene()
    a = scene.party("a").describe()
    spoken(scene, a)
    ours = a.heard[-1]
    report = receiver_report(a.ssrc, (ours.ssrc, 0x00050000 | ours.seq))
    a.brings_report(report + description(a.ssrc, b"party") + bye(a.ssrc))
    expected = receiver_report(a.ssrc, (a.worker_ssrc, 0x00050000 | a.worker_seq))
    assert scene.sent[-1] == (a.worker_at, expected + description(a.ssrc, b"party") + bye(a.ssrc))


def test_reports_of_joined_parties_reach_each_other() -> None:
    scene = Scene()
    a, b = scene.joined()
    spoken(scene, a, b)
    to_a, to_b = a.heard[-1], b.heard[-1]
    report = sender_report(a.ssrc, a.ts + 80, (to_a.ssrc, to_a.seq))
    a.brings_report(report + description(a.ssrc, b"a@secret.example"))
    (sent,) = b.reports
    assert sent[: len(report)] == sender_report(to_b.ssrc, to_b.ts + 80, (b.ssrc, b.seq))
    assert b"secret" not in sent
    assert a.reports == []


def test_nobody_hears_that_a_source_of_our_stream_has_ended() -> None:
    scene = Scene()
    a, b = scene.joined()
    spoken(scene, a, b)
    a.brings_report(bye(a.ssrc))
    b.worker_brings(bye(b.worker_ssrc))
    assert b.reports == []


def test_reports_of_those_who_are_not_heard_do_not_pass() -> None:
    scene = Scene()
    a, b = scene.joined()
    spoken(scene, a, b)
    a.worker_brings(receiver_report(a.worker_ssrc))
    assert a.reports == []
    scene.part(a, b)
    spoken(scene, a, b)
    count = len(b.reports)
    a.brings_report(receiver_report(a.ssrc, (a.heard[-1].ssrc, 1)))
    assert len(b.reports) == count


def test_a_worker_that_is_not_heard_yet_is_not_told_how_it_is_heard() -> None:
    scene = Scene()
    a, b = scene.joined()
    spoken(scene, a, b)
    scene.part(a, b)
    b.brings_report(receiver_report(b.ssrc, (b.heard[-1].ssrc, 1)) + bye(b.ssrc))
    assert scene.sent[-1] == (b.worker_at, receiver_report(b.ssrc) + bye(b.ssrc))


def test_reports_on_the_audio_port_are_taken() -> None:
    scene = Scene()
    a = scene.party("a").describe()
    a.says()
    a.brings(receiver_report(a.ssrc) + bye(a.ssrc))
    assert scene.sent[-1] == (a.worker_at, receiver_report(a.ssrc) + bye(a.ssrc))


def test_feedback_names_the_receivers_streams() -> None:
    scene = Scene()
    a, b = scene.joined()
    spoken(scene, a, b)
    to_a, to_b = a.heard[-1], b.heard[-1]
    a.brings_report(struct.pack(">BBHIII", 0x81, 205, 3, a.ssrc, to_a.ssrc, 7))
    assert b.reports == [struct.pack(">BBHIII", 0x81, 205, 3, to_b.ssrc, b.ssrc, 7)]


GOOD = receiver_report(1, (2, 3)) + description(1, b"x")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        GOOD[:-1],
        GOOD + b"\x80",
        b"\x40" + GOOD[1:],
        b"\x82" + receiver_report(1, (2, 3))[1:],
        struct.pack(">BBHI", 0x80, 200, 1, 1),
        struct.pack(">BBHI", 0x82, 203, 1, 1),
        struct.pack(">BBHI", 0x81, 202, 1, 1),
        struct.pack(">BBHI4s", 0x81, 202, 2, 1, b"\x01\xffab"),
        struct.pack(">BBHI4s", 0xA0, 201, 2, 1, b"\0\0\0\x09"),
        struct.pack(">BBHI4s", 0xA0, 201, 2, 1, b"\0\0\0\x00"),
    ],
    ids=[
        "empty",
        "short",
        "cut",
        "begun",
        "version",
        "fewer blocks",
        "no sender",
        "fewer sources",
        "no items",
        "long item",
        "much padding",
        "no padding",
    ],
)
def test_a_packet_with_a_wrong_length_is_dropped(data: bytes) -> None:
    assert translate(data, Translation()) is None
    assert translate(data, Translation(ours=9, name=b"us")) is None


def test_padding_is_taken_off() -> None:
    data = receiver_report(1, (2, 3))
    padded = b"\xa1\xc9" + struct.pack(">H", len(data) // 4) + data[4:] + b"\0\0\0\x04"
    assert translate(padded, Translation()) == data


def test_unknown_types_pass() -> None:
    unknown = struct.pack(">BBHII", 0x80, 207, 2, 5, 6)
    assert translate(unknown, Translation()) == unknown
    assert translate(unknown, Translation(ours=9, name=b"us")) == struct.pack(">BBHII", 0x80, 207, 2, 9, 6)


@given(st.lists(st.one_of(st.binary(max_size=64), st.just(GOOD), st.just(bye(4))), max_size=4))
def test_nothing_raises_and_what_passes_is_well_formed(parts: list[bytes]) -> None:
    data = b"".join(parts)
    for way in (
        Translation(),
        Translation(ours=9, ts_shift=7, heard=2, heard_from=3, seq_shift=4, name=b"us"),
    ):
        out = translate(data, way)
        if out is not None:
            assert translate(out, Translation()) == out
