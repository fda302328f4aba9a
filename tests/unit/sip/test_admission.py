"""Admission: who may call, how often, by which worker, and how refusals are reported."""

import pytest

from b2bua.core.admission import Origin
from b2bua.core.ids import WorkerId
from b2bua.sip.admission import MAX_JUDGED, Admission, Leases, RefusalCounts
from b2bua.sip.edge_control import TrunkSpec
from b2bua.sip.soft_state import SoftState
from tests.unit.sip.edge_scene import config

pytestmark = pytest.mark.unit

W1, W2 = WorkerId("w1"), WorkerId("w2")


class TestAdmission:
    @pytest.mark.parametrize(
        ("host", "verdict"),
        [
            ("192.0.2.255", ""),
            ("198.51.100.77", "carrier"),
            ("198.51.100.78", None),
            ("::ffff:192.0.2.1", ""),
            ("2001:db8::5", "six"),
            ("2001:db9::5", None),
        ],
    )
    def test_judges_by_networks(self, host: str, verdict: str | None) -> None:
        trunks = (
            TrunkSpec(name="carrier", match=("198.51.100.77",)),
            TrunkSpec(name="six", match=("10.0.0.0/8", "2001:db8::/32")),
        )
        assert Admission(config(trunks=trunks)).judge(host) == verdict

    def test_a_trunk_in_an_allowed_network_is_that_trunk(self) -> None:
        trunks = (TrunkSpec(name="pbx", match=("192.0.2.5/32",)),)
        assert Admission(config(trunks=trunks)).judge("192.0.2.5") == "pbx"

    def test_a_new_configuration_forgets_old_verdicts(self) -> None:
        admission = Admission(config())
        assert admission.judge("192.0.2.1") == ""
        admission.configure(config(allow=()))
        assert admission.judge("192.0.2.1") is None

    def test_remembers_only_so_many_addresses(self) -> None:
        admission = Admission(config())
        for n in range(MAX_JUDGED + 10):
            admission.judge(f"10.0.{n // 256}.{n % 256}")
        assert len(admission._judged) <= MAX_JUDGED


ORIGIN = Origin(source="udp:192.0.2.1:5060")


class TestLeases:
    def test_the_oldest_is_taken_first(self) -> None:
        leases = Leases()
        leases.grant(W1, 1)
        leases.grant(W2, 2)
        assert (leases.take(ORIGIN), leases.idle, leases.busy) == (W1, 1, 1)

    def test_a_worker_granted_again_is_idle_at_the_end(self) -> None:
        leases = Leases()
        leases.grant(W1, 1)
        leases.grant(W2, 2)
        leases.take(ORIGIN)
        leases.grant(W1, 1)
        assert (leases.busy, leases.take(ORIGIN), leases.take(ORIGIN)) == (0, W2, W1)

    def test_granted_twice_is_one_lease(self) -> None:
        leases = Leases()
        leases.grant(W1, 1)
        leases.grant(W1, 1)
        assert leases.idle == 1

    def test_a_worker_that_is_gone_is_not_known(self) -> None:
        leases = Leases()
        leases.grant(W1, 1)
        leases.gone(W1)
        leases.gone(W2)
        assert (leases.idle, leases.ports, leases.workers) == (0, {}, {})

    def test_a_port_used_again_belongs_to_its_new_worker(self) -> None:
        leases = Leases()
        leases.grant(W1, 1)
        leases.grant(W2, 1)
        leases.gone(W1)
        assert leases.workers == {1: W2}


class TestRefusals:
    def test_are_told_by_reason_with_the_latest_source(self) -> None:
        refusals = RefusalCounts()
        for reason, source in [("a", "1"), ("a", "2"), ("b", "3")]:
            refusals.note(reason, source)
        assert [(r.reason, r.source, r.count) for r in refusals.due(0.0)] == [("a", "2", 2), ("b", "3", 1)]
        assert refusals.due(5.0) == []


class TestSoftState:
    def test_entries_end_by_time(self) -> None:
        state: SoftState[str, int] = SoftState(10)
        state.put("a", 1, 5.0)
        assert (state.get("a", 4.9), state.get("a", 5.0)) == (1, None)
        state.sweep(5.0)
        assert len(state) == 0

    def test_the_oldest_goes_when_it_is_full(self) -> None:
        state: SoftState[str, int] = SoftState(2)
        state.put("a", 1, 9.0)
        state.put("b", 2, 9.0)
        state.put("a", 3, 9.0)
        state.put("c", 4, 9.0)
        assert [state.get(key, 0.0) for key in "abc"] == [3, None, 4]

    def test_keep_and_pop_change_only_what_is_there(self) -> None:
        state: SoftState[str, int] = SoftState(2)
        state.put("a", 1, 1.0)
        state.keep("a", 9.0)
        state.keep("b", 9.0)
        assert (state.get("a", 5.0), state.get("b", 5.0)) == (1, None)
        assert (state.pop("a"), state.pop("a")) == (1, None)
