"""The benchmark of rooms tells gaps in what is heard, and the delay of a clap."""

import socket
from typing import cast

import pytest

from b2bua.relay.control import LegKey
from tests.bench.parties import HEAD, Leg, Seen
from tests.bench.relay_rooms import CLAP, EACH, SILENCE, Talk

pytestmark = pytest.mark.unit


def room(count: int) -> list[Leg]:
    nowhere = cast(socket.socket, None)
    return [Leg(LegKey(f"{n}", "w"), nowhere, bytearray(HEAD + 160)) for n in range(count)]


def said(talk: Talk, leg: Leg, seq: int) -> bytes:
    leg.seq = seq
    talk.say(leg)
    return bytes(leg.packet[HEAD:])


def test_frames_that_are_left_out_repeated_or_concealed_are_gaps() -> None:
    legs = room(3)
    talk, seen = Talk([legs], talkers=1), Seen()
    frames = [said(talk, legs[0], seq) for seq in range(1, 20)]
    assert said(talk, legs[1], 1) == SILENCE
    for at in (0, 1, 2, 4, 5, 5, 6):  # 3 is left out, 5 comes twice
        talk.hear(legs[-1], bytearray(HEAD) + frames[at], seen)
    assert seen.gaps == 2
    talk.hear(legs[-1], bytearray(HEAD) + b"\x33" * 160, seen)
    talk.hear(legs[-1], bytearray(HEAD) + frames[8], seen)
    assert seen.gaps == 3


def test_a_clap_is_no_gap() -> None:
    legs = room(2)
    talk, seen = Talk([legs], talkers=1), Seen()
    for seq in range(EACH - 2, EACH + 3):
        talk.hear(legs[-1], bytearray(HEAD) + said(talk, legs[0], seq), seen)
    assert seen.gaps == 0


def test_each_listener_hears_a_clap_once() -> None:
    legs = room(3)
    talk, seen = Talk([legs], talkers=1), Seen()
    assert said(talk, legs[0], EACH) == CLAP
    for leg in (legs[0], legs[1], legs[1], legs[2]):
        talk.hear(leg, bytearray(HEAD) + CLAP, seen)
    assert len(seen.delays_ms) == 2
