"""The arithmetic of the benchmark: from samples of processes and times on the wire to figures."""

from __future__ import annotations

import pytest

from tests.bench.figures import Figure, figures, spread
from tests.bench.load import Plan, Run, Sample
from tests.bench.processes import Usage
from tests.bench.wire import CallTimes
from tests.sip.sipp_runner import SippResult

pytestmark = pytest.mark.unit


def ended(successful: int) -> SippResult:
    return SippResult(
        scenario="caller", exit_status=0, successful=successful, failed=0, retransmissions=0,
        errors="", transcript="",
    )  # fmt: skip


def look(at: float, cpu: float, pss: float | None = None) -> Sample:
    """CPU time that the system had used at this time; each direction has 100 packets a second."""
    packets = int(at * 100)
    return Sample(at, Usage(cpu, cpu / 2), Usage(at, at), (2 * at, at / 2), packets, packets, pss)


def call(start: float, end: float) -> CallTimes:
    answer = start + 0.3
    return CallTimes(start, {5090: start + 0.004, 5091: start + 0.006}, answer - 0.002, answer, end)


def named(found: list[Figure]) -> dict[str, float | None]:
    return {figure.name: figure.value for figure in found}


def run_of(*, caller: int = 2, callee: int = 2) -> Run:
    # Two calls, both up from 1.3 to 11: 0.1 CPU-s in all a second then, and 0.05 to set up and to tear down.
    looks = [look(0.0, 10.0, 40.0), look(2.0, 10.1), look(4.0, 10.3, 60.0), look(8.0, 10.7), look(10.0, 10.9)]
    looks.append(look(14.0, 11.1))
    calls = {"caller1": call(0.5, 11.0), "caller2": call(1.0, 11.3)}
    return Run(Plan(2, 8.0, 2.0, "1000"), looks, calls, ended(caller), [ended(callee)])


def test_percentiles_are_the_nearest_rank_of_what_was_seen() -> None:
    of = spread([None, *range(1, 101)])
    assert of is not None
    assert (of.n, of.p50, of.p90, of.p99, of.most) == (100, 50, 90, 99, 100)
    assert spread([None]) is None


def test_steady_cpu_is_that_of_the_time_in_which_all_calls_were_up() -> None:
    found = named(figures(run_of()))
    assert found["steady_cpu_s_per_call_s"] == pytest.approx(0.8 / 8 / 2)
    assert found["steady_s"] == 8
    assert found["rtp_to_caller_per_s"] == found["rtp_to_callee_per_s"] == 50
    assert found["host_idle"] == pytest.approx(0.25)


def test_set_up_and_tear_down_are_what_is_left_of_the_whole() -> None:
    held = (11.0 - 0.8) + (11.3 - 1.3)
    assert named(figures(run_of()))["setup_teardown_cpu_ms_per_call"] == pytest.approx(
        (1.1 - 0.05 * held) / 2 * 1000
    )


def test_memory_is_that_with_all_calls_up_and_its_growth_since_before() -> None:
    found = named(figures(run_of()))
    assert (found["pss_mib_per_call"], found["pss_mib_growth_per_call"]) == (30, 10)


def test_times_are_taken_from_the_first_message_of_each_kind() -> None:
    found = named(figures(run_of()))
    assert found["invite_in_out_ms.p50"] == pytest.approx(4)
    assert found["invite_in_all_out_ms.p99"] == pytest.approx(6)
    assert found["answer_relay_ms.p50"] == pytest.approx(2)


@pytest.mark.parametrize(("caller", "callee", "failures"), [(2, 2, 0), (1, 2, 1), (2, 0, 2)])
def test_a_call_that_either_side_did_not_end_well_has_failed(caller: int, callee: int, failures: int) -> None:
    assert named(figures(run_of(caller=caller, callee=callee)))["failures"] == failures


def test_a_bar_is_not_held_by_what_was_not_measured() -> None:
    assert Figure("answer_relay_ms.p50", None, "ms").ok is False
    assert Figure("answer_relay_ms.p50", 4.0, "ms").ok is True
    assert Figure("answer_relay_ms.p50", 4.1, "ms").ok is False
    assert Figure("host_idle", 0.1, "").ok is None


def test_who_has_ended_is_still_counted() -> None:
    assert Usage(5.0, 7.0).since(Usage(4.0, 4.0)) == 3.0
    assert Usage(9.0, 7.0).since(Usage(4.0, 4.0)) == 5.0
