"""Whatever is described, joined, parted, said and sprayed: what a party hears stays one stream."""

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from b2bua.relay.control import (
    CloseLeg,
    HoldKeys,
    LegReplaced,
    LegsJoined,
    LegsParted,
    RecordTaps,
    SendKeys,
    Tap,
)
from b2bua.relay.keys import DIGITS
from tests.effort import examples
from tests.unit.relay.relay_scene import G711, PCMA, PCMU, Party, Scene, parse

pytestmark = [pytest.mark.unit, pytest.mark.no_cover]

STRANGER = ("203.0.113.9", 9)
parties = st.integers(0, 2)
descriptions = st.sampled_from(
    [
        {"formats": PCMA},
        {"formats": PCMA},
        {"formats": PCMU},
        {"formats": G711},
        {"formats": ((9, "G722/8000"), (8, "PCMA/8000"))},
        {"formats": ((8, "PCMA/8000"), (13, "CN/8000"))},
        {"direction": "sendonly"},
        {"direction": "inactive"},
        {"host": "0.0.0.0"},
        {"port": 0},
        {"ptime_ms": 30},
    ]
)


class Calls(RuleBasedStateMachine):
    """Three parties, their workers, and a stranger."""

    @initialize()
    def begin(self) -> None:
        self.scene = Scene()
        self.parties = [self.scene.party(f"p{n}") for n in range(3)]
        self.gone: list[Party] = []
        self.held: set[int] = set()
        self.told = 0

    @rule(n=parties, how=descriptions)
    def describe(self, n: int, how: dict[str, Any]) -> None:
        self.parties[n].describe(**how)

    @rule(n=parties, port=st.integers(4000, 4003))
    def move(self, n: int, port: int) -> None:
        party = self.parties[n]
        party.at = (party.at[0], 2 * port)
        party.describe()

    @rule(one=parties, other=parties)
    def join(self, one: int, other: int) -> None:
        self.scene.join(self.parties[one], self.parties[other])

    @rule(one=parties, other=parties)
    def part(self, one: int, other: int) -> None:
        self.scene.part(self.parties[one], self.parties[other])

    @rule(n=parties, kind=st.sampled_from([None, None, None, 0, 13, 77]))
    def party_says(self, n: int, kind: int | None) -> None:
        self.parties[n].says(kind=kind)

    @rule(n=parties)
    def worker_says(self, n: int) -> None:
        self.parties[n].worker_says()

    @rule(n=parties)
    def sources_change(self, n: int) -> None:
        party = self.parties[n]
        party.ssrc += 0x100
        party.worker_ssrc += 0x100
        party.seq = party.ts = party.worker_seq = party.worker_ts = 0

    @rule(n=parties, digit=st.sampled_from(DIGITS), packets=st.integers(1, 8))
    def press(self, n: int, digit: str, packets: int) -> None:
        self.parties[n].presses(digit, packets=packets, kind=101)

    @rule(n=parties, digits=st.text(DIGITS, max_size=3))
    def hold_keys(self, n: int, digits: str) -> None:
        self.scene.order(HoldKeys(leg=self.parties[n].key, digits=digits))

    @rule(n=parties, digits=st.text(DIGITS, max_size=3))
    def send_keys(self, n: int, digits: str) -> None:
        self.scene.order(SendKeys(leg=self.parties[n].key, digits=digits))

    @rule(n=parties, other=parties)
    def record(self, n: int, other: int) -> None:
        one, two = Tap(self.parties[n].key), Tap(self.parties[other].key, heard=True)
        self.scene.order(RecordTaps(recording="r", path="p", parent=one, child=two))

    @rule(n=parties, data=st.binary(max_size=40))
    def stranger_says(self, n: int, data: bytes) -> None:
        party = self.parties[n]
        party.brings(data, STRANGER)
        party.brings_report(data, STRANGER)
        party.worker_brings(data, STRANGER)

    @rule(n=parties, data=st.binary(max_size=40))
    def party_sends_nonsense(self, n: int, data: bytes) -> None:
        self.parties[n].brings_report(data)
        self.parties[n].brings(b"\x00" + data)

    @rule(seconds=st.sampled_from([0.005, 0.02, 0.02, 0.04, 0.7]))
    def time_passes(self, seconds: float) -> None:
        self.scene.passes(seconds)

    @rule(n=parties, by_edge=st.booleans())
    def close(self, n: int, by_edge: bool) -> None:
        party = self.parties[n]
        self.scene.relay.obey(CloseLeg(leg=party.key), "edge" if by_edge else "controller", self.scene.now)
        self.gone.append(party)
        self.parties[n] = self.scene.party(f"p{n}-{len(self.gone)}")

    @rule(n=parties, other=parties)
    def replace(self, n: int, other: int) -> None:
        self.scene.order(LegReplaced(leg=self.parties[n].key, old=self.parties[other].key))

    @invariant()
    def nothing_goes_to_strangers(self) -> None:
        everybody = [*self.parties, *self.gone]
        known = {at for party in everybody for at in (*party.places, party.control_at, party.worker_at)}
        assert {address for address, _ in self.scene.sent} <= known

    @invariant()
    def joined_legs_are_joined_with_each_other(self) -> None:
        for party in self.parties:
            partner = party.leg.partner
            assert partner is None or partner.partner is party.leg

    @invariant()
    def the_controller_knows_who_is_joined(self) -> None:
        joined: set[frozenset[object]] = set()
        for message in self.scene.relay.to_controller:
            if isinstance(message, LegsJoined):
                joined.add(frozenset((message.one, message.other)))
            elif isinstance(message, LegsParted):
                joined.discard(frozenset((message.one, message.other)))
        for party in self.parties:
            if party.leg.partner is not None:
                assert frozenset((party.leg.name, party.leg.partner.name)) in joined

    def teardown(self) -> None:
        if not hasattr(self, "parties"):
            return
        for party in [*self.parties, *self.gone]:
            packets = [parse(data) for address, data in self.scene.sent if address in party.places]
            assert len({packet.ssrc for packet in packets}) <= 1
            for a, b in itertools.pairwise(packets):
                assert b.seq == (a.seq + 1) & 0xFFFF
                assert (b.ts - a.ts) & 0xFFFFFFFF < 1 << 31


Calls.TestCase.settings = settings(
    max_examples=examples(60), stateful_step_count=40, suppress_health_check=[HealthCheck.too_slow]
)
test_any_order = Calls.TestCase
