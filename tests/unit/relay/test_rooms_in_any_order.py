"""Whatever is set, described, joined, said and closed: who is in a room hears one stream, 50 packets/s."""

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from b2bua.relay.control import (
    CloseLeg,
    LegReplaced,
    PlayInRoom,
    RecordRoom,
    RoomEntered,
    RoomLeft,
    RoomMember,
    RoomSoundEnded,
    SendKeys,
    SetRoom,
    StopInRoom,
    StopTaps,
)
from b2bua.relay.keys import DIGITS
from tests.effort import examples
from tests.unit.relay.relay_scene import G711, PCMA, PCMU, Party, Scene, parse
from tests.unit.relay.room_scene import wav_frames

pytestmark = [pytest.mark.unit, pytest.mark.no_cover]

parties = st.integers(0, 2)
rooms = st.sampled_from(["r", "r", "s"])
names = st.sampled_from(["x", "y"])
descriptions = st.sampled_from(
    [
        {"formats": PCMA},
        {"formats": PCMU},
        {"formats": G711},
        {"formats": ((9, "G722/8000"), (8, "PCMA/8000"))},
        {"direction": "sendonly"},
        {"host": "0.0.0.0"},
        {"ptime_ms": 30},
        {"max_ptime_ms": 10},
        {"plain": False},
    ]
)
members = st.lists(
    st.tuples(
        parties,
        st.booleans(),
        st.booleans(),
        st.sampled_from([None, None, 0, 1, 2]),
        st.sampled_from([0, 60]),
    ),
    max_size=3,
    unique_by=lambda each: each[0],
)


class Conference(RuleBasedStateMachine):
    """Three parties, their workers, and two rooms."""

    @initialize()
    def begin(self) -> None:
        self.scene = Scene()
        self.scene.loader.sounds = {"beep": wav_frames(1500, -18, 15)}
        self.parties = [self.scene.party(f"p{n}") for n in range(3)]
        for party in self.parties:
            party.describe()
        self.gone: list[Party] = []
        self.played = 0

    @rule(n=parties, how=descriptions)
    def describe(self, n: int, how: dict[str, Any]) -> None:
        self.parties[n].describe(**how)

    @rule(room=rooms, who=members, voices=st.booleans())
    def set_room(self, room: str, who: list[Any], voices: bool) -> None:
        listed = tuple(
            RoomMember(
                leg=self.parties[n].key,
                talks=talks,
                listens=listens,
                recorded=listens,
                coaches=None if coached is None else self.parties[coached].key,
                jitter_ms=jitter_ms,
            )
            for n, talks, listens, coached, jitter_ms in who
        )
        self.scene.order(SetRoom(room=room, members=listed, voices=voices))

    @rule()
    def set_all(self) -> None:
        self.scene.order(
            SetRoom(room="r", members=tuple(RoomMember(leg=party.key) for party in self.parties))
        )

    @rule(ready=st.booleans())
    def desk(self, ready: bool) -> None:
        self.scene.loader.ready = ready

    @rule(one=parties, other=parties)
    def join(self, one: int, other: int) -> None:
        self.scene.join(self.parties[one], self.parties[other])

    @rule(one=parties, other=parties)
    def part(self, one: int, other: int) -> None:
        self.scene.part(self.parties[one], self.parties[other])

    @rule(
        n=parties, kind=st.sampled_from([None, None, 0, 8, 13]), size=st.sampled_from([0, 80, 160, 160, 240])
    )
    def party_says(self, n: int, kind: int | None, size: int) -> None:
        self.parties[n].says(b"\x20" * size, kind=kind)

    @rule(n=parties)
    def worker_says(self, n: int) -> None:
        self.parties[n].worker_says()

    @rule(n=parties)
    def source_changes(self, n: int) -> None:
        self.parties[n].ssrc += 0x100
        self.parties[n].seq = self.parties[n].ts = 0

    @rule(n=parties, digit=st.sampled_from(DIGITS), packets=st.integers(1, 8))
    def press(self, n: int, digit: str, packets: int) -> None:
        self.parties[n].presses(digit, packets=packets, kind=101)

    @rule(n=parties, digits=st.text(DIGITS, max_size=2))
    def send_keys(self, n: int, digits: str) -> None:
        self.scene.order(SendKeys(leg=self.parties[n].key, digits=digits))

    @rule(room=rooms, path=st.sampled_from(["beep", "none"]), n=st.none() | parties)
    def play(self, room: str, path: str, n: int | None) -> None:
        self.played += 1
        leg = None if n is None else self.parties[n].key
        self.scene.order(PlayInRoom(room=room, sound=f"{self.played}", path=path, leg=leg))

    @rule(room=rooms, back=st.integers(0, 2))
    def stop(self, room: str, back: int) -> None:
        self.scene.order(StopInRoom(room=room, sound=f"{self.played - back}"))

    @rule(room=rooms, name=names)
    def record(self, room: str, name: str) -> None:
        self.scene.order(RecordRoom(room=room, recording=name, path="p"))

    @rule(name=names)
    def stop_recording(self, name: str) -> None:
        self.scene.order(StopTaps(recording=name))

    @rule(n=parties, by_edge=st.booleans())
    def close(self, n: int, by_edge: bool) -> None:
        party = self.parties[n]
        self.scene.relay.obey(CloseLeg(leg=party.key), "edge" if by_edge else "controller", self.scene.now)
        self.gone.append(party)
        self.parties[n] = self.scene.party(f"p{n}-{len(self.gone)}").describe()

    @rule(n=parties, other=parties)
    def replace(self, n: int, other: int) -> None:
        self.scene.order(LegReplaced(leg=self.parties[n].key, old=self.parties[other].key))

    @rule(seconds=st.sampled_from([0.005, 0.02, 0.1]))
    def time_passes(self, seconds: float) -> None:
        self.scene.passes(seconds)

    @rule()
    def all_in_a_room_hear_fifty_packets_a_second(self) -> None:
        self.scene.passes(0.3)  # keys that are being sent are over, or on their way
        # The end of a key is sent three times at once (RFC 4733 §2.5.1.4): such legs hear more.
        quiet = [party for party in self.parties if party.leg.dialling is None]
        heard = [len(party.heard) for party in quiet]
        self.scene.passes(0.4)
        for party, before in zip(quiet, heard, strict=True):
            seat = party.leg.seat
            if seat is not None and seat.listens and party.leg.dialling is None:
                assert abs(len(party.heard) - before - 20) <= 1

    @rule()
    def the_loop_is_late(self) -> None:
        self.scene.now += 0.15
        self.scene.relay.tick(self.scene.now)

    @invariant()
    def the_controller_knows_who_is_in(self) -> None:
        inside: dict[object, str] = {}
        for message in self.scene.relay.to_controller:
            if isinstance(message, RoomEntered):
                inside[message.leg] = message.room
            elif isinstance(message, RoomLeft):
                inside.pop(message.leg, None)
        for party in self.parties:
            if party.leg.seat is not None:
                assert party.leg.name in inside

    @invariant()
    def nobody_is_joined_and_in_a_room(self) -> None:
        assert all(party.leg.seat is None or party.leg.partner is None for party in self.parties)

    def teardown(self) -> None:
        if not hasattr(self, "parties"):
            return
        for room in ("r", "s"):
            self.scene.order(SetRoom(room=room, members=()))
        ended = [told.sound for told in self.scene.told(RoomSoundEnded)]
        assert sorted(ended) == sorted(f"{n + 1}" for n in range(self.played))
        for party in [*self.parties, *self.gone]:
            assert party.leg.seat is None
            packets = [parse(data) for address, data in self.scene.sent if address in party.places]
            # Encrypted packets pass unchanged: they are not of our stream.
            ours = [packet for packet in packets if packet.ssrc != party.worker_ssrc]
            assert len({packet.ssrc for packet in ours}) <= 1
            for a, b in itertools.pairwise(ours):
                assert b.seq == (a.seq + 1) & 0xFFFF
                assert (b.ts - a.ts) & 0xFFFFFFFF < 1 << 31


Conference.TestCase.settings = settings(
    max_examples=examples(60), stateful_step_count=40, suppress_health_check=[HealthCheck.too_slow]
)
test_any_order = Conference.TestCase
