"""Mutated packets from every side: nothing raises, nobody else's call is harmed.

``RELAY_FUZZ_PACKETS=1000000`` makes it the full run.
"""

import os
import random
import struct

import pytest

from b2bua.relay.control import JoinLegs, RecordTaps, Tap
from tests.unit.relay.relay_scene import G711, PCMA, PCMU, Scene, is_contiguous, rtp

pytestmark = pytest.mark.unit

COUNT = int(os.environ.get("RELAY_FUZZ_PACKETS", "20000"))
STRANGER = ("203.0.113.9", 9)


def seeds() -> list[bytes]:
    sender = struct.pack(">BBHIQIII6I", 0x81, 200, 12, 1, 2, 3, 4, 5, *range(6))
    receiver = struct.pack(">BBHI6I", 0x81, 201, 7, 1, *range(6))
    described = struct.pack(">BBHI8s", 0x81, 202, 3, 1, b"\x01\x05party\0")
    return [
        rtp(8, 1, 160, 7),
        rtp(0, 2, 320, 7),
        rtp(101, 3, 480, 7, b"\x05\x0a\x00\xa0"),
        rtp(13, 4, 640, 7, b"\x40"),
        b"\xb1\x08"
        + rtp(8, 5, 800, 7)[2:12]
        + b"\0\0\0\x01\xbe\xde\x00\x01abcd"
        + b"\x55" * 157
        + b"\0\0\x03",
        sender + described,
        receiver + described + struct.pack(">BBHI", 0x81, 203, 1, 1),
        struct.pack(">BBHIII", 0x81, 205, 3, 1, 2, 3),
    ]


def mutated(rand: random.Random, seed: bytes, seq: int) -> bytes:
    data = bytearray(seed)
    if (rand.random() < 0.5 and 192 > data[1]) or data[1] > 223:
        struct.pack_into(">HI", data, 2, seq & 0xFFFF, 160 * seq & 0xFFFFFFFF)
    for _ in range(rand.choice((0, 1, 1, 2, 5, 20))):
        where = rand.randrange(len(data)) if rand.random() < 0.5 else rand.randrange(min(len(data), 28))
        data[where] = rand.choice((0, 0x7F, 0x80, 0xFF, rand.randrange(256)))
    how = rand.random()
    if how < 0.1:
        del data[rand.randrange(len(data)) :]
    elif how < 0.15:
        data *= rand.randrange(2, 14)
    return bytes(data[:2048])


def test_mutated_packets_harm_nobody() -> None:
    rand = random.Random(11)
    scene = Scene()
    hostile = [
        scene.party(f"h{n}").describe(formats) for n, formats in enumerate((PCMA, PCMU, G711, PCMA, G711))
    ]
    hostile[4].describe(G711, plain=False)
    for one, other in ((0, 1), (2, 3)):
        scene.order(JoinLegs(one=hostile[one].key, other=hostile[other].key))
    good, partner = scene.joined()
    taps = Tap(hostile[0].key), Tap(hostile[1].key, heard=True)
    scene.order(RecordTaps(recording="r", path="p", parent=taps[0], child=taps[1]))
    kinds = seeds()
    said = heard = 0
    for n in range(COUNT):
        party = rand.choice(hostile)
        data = mutated(rand, rand.choice(kinds), n)
        way = rand.random()
        if way < 0.5:
            party.brings(data)
        elif way < 0.6:
            party.brings(data, STRANGER)
        elif way < 0.8:
            party.brings_report(data)
        else:
            party.worker_brings(data)
        if n % 8 == 0:
            good.says(b"good" * 40)
            said += 1
        if n % 2 == 0:
            scene.passes(0.005)
        if n % 1000 == 999:
            if rand.random() < 0.3:
                party.describe()
            known = {at for p in (*hostile, good, partner) for at in (p.at, p.control_at, p.worker_at)}
            assert {address for address, _ in scene.sent} <= known
            packets = partner.heard
            assert is_contiguous(packets)
            assert {packet.payload for packet in packets} == {b"good" * 40}
            heard += len(packets)
            assert heard == said
            scene.sent.clear()
            scene.relay.to_controller.clear()
            scene.relay.flush()
            scene.files.pieces.clear()
    assert COUNT < 1000 or heard
