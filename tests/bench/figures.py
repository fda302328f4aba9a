"""Turns the observations of a run into figures, each beside its target."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from .load import Run, Sample

__all__ = ["BARS", "Figure", "Spread", "figures", "idle_figures", "spread", "steady_samples"]

STEADY_MARGIN_S = 0.5
"""Time between the last answer and the first hang-up."""
RTP_PER_S = 50.0
BARS = {
    "steady_cpu_s_per_call_s": 0.0030,
    "setup_teardown_cpu_ms_per_call": 15.0,
    "invite_in_out_ms.p50": 5.0,
    "invite_in_out_ms.p99": 15.0,
    "answer_relay_ms.p50": 4.0,
    "failures": 0.0,
    "pss_mib_per_call": 8.0,
    "idle_cpu_percent": 2.0,
}
"""Upper limit of each figure."""


@dataclass(frozen=True)
class Figure:
    """One line of the table."""

    name: str
    value: float | None
    unit: str

    @property
    def bar(self) -> float | None:
        """Its upper limit, if there is one."""
        return BARS.get(self.name)

    @property
    def ok(self) -> bool | None:
        """Whether the target is met; None without a target. Not measured is not met."""
        if self.bar is None:
            return None
        return self.value is not None and self.value <= self.bar


@dataclass(frozen=True)
class Spread:
    """Percentiles (nearest rank) of a number of values."""

    n: int
    p50: float
    p90: float
    p99: float
    most: float


def spread(values: Iterable[float | None]) -> Spread | None:
    """Percentiles of the values that are not None; None if all are."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    rank = {p: known[max(0, math.ceil(p / 100 * len(known)) - 1)] for p in (50, 90, 99)}
    return Spread(len(known), rank[50], rank[90], rank[99], known[-1])


@dataclass(frozen=True)
class _Steady:
    """The period in which all calls were up and none began or ended."""

    first: Sample
    last: Sample
    calls: int

    @property
    def wall_s(self) -> float:
        return self.last.at - self.first.at


def steady_samples(run: Run) -> _Steady | None:
    """The first and last sample at which every call was up; None if there was no such period."""
    up = [c for c in run.calls.values() if c.answered is not None and c.ended is not None]
    if not up:
        return None
    begin = max(c.answered or 0 for c in up) + STEADY_MARGIN_S
    end = min(c.ended or 0 for c in up) - STEADY_MARGIN_S
    within = [sample for sample in run.samples if begin <= sample.at <= end]
    return _Steady(within[0], within[-1], len(up)) if len(within) >= 4 else None


def figures(run: Run) -> list[Figure]:
    """The figures with a target, and those that explain them."""
    calls = run.calls.values()
    found = [Figure("calls", run.plan.calls, ""), Figure("failures", _failures(run), "calls")]
    found += _cpu(run)
    found += _times("invite_in_out_ms", spread(c.dial_ms() for c in calls))
    if any(len(c.dialled) > 1 for c in calls):
        found += _times("invite_in_all_out_ms", spread(c.dial_all_ms() for c in calls))
    found += _times("answer_relay_ms", spread(c.relay_ms() for c in calls))
    found += [Figure("retransmissions", run.caller.retransmissions, "by the caller")]
    return found


def idle_figures(cpu: float, pss_mib: float, processes: int) -> list[Figure]:
    """The figures of a node without calls. Args: cpu in cores."""
    return [
        Figure("idle_cpu_percent", cpu * 100, "% of a core"),
        Figure("pss_mib", pss_mib, "MiB"),
        Figure("processes", processes, ""),
    ]


def _failures(run: Run) -> int:
    """Calls that failed at either side."""
    sides = [run.caller, *run.callees]
    return max(run.plan.calls - side.successful for side in sides)


def _cpu(run: Run) -> list[Figure]:
    steady = steady_samples(run)
    if steady is None or not steady.first.sut.summed_s:  # nobody said which processes
        return [Figure("steady_cpu_s_per_call_s", None, "CPU-s / call-s")]
    first, last, wall_s, calls = steady.first, steady.last, steady.wall_s, steady.calls
    rate = last.sut.since(first.sut) / (wall_s * calls)
    held_s = sum((c.ended or 0) - (c.answered or 0) for c in run.calls.values() if c.answered and c.ended)
    rest_s = run.samples[-1].sut.since(run.samples[0].sut) - rate * held_s
    host_all, host_idle = (end - start for start, end in zip(first.host, last.host, strict=True))
    packets = wall_s * calls
    memory = [s.pss_mib for s in run.samples if s.pss_mib is not None and first.at <= s.at <= last.at]
    before = run.samples[0].pss_mib or 0.0
    found = [
        Figure("steady_cpu_s_per_call_s", rate, "CPU-s / call-s"),
        Figure("setup_teardown_cpu_ms_per_call", rest_s / calls * 1000, "CPU-ms"),
        Figure("rtp_to_caller_per_s", (last.to_caller - first.to_caller) / packets, "packets / s a call"),
        Figure("rtp_to_callee_per_s", (last.to_callee - first.to_callee) / packets, "packets / s a call"),
        Figure("steady_s", wall_s, "s"),
        Figure("load_cores", last.load.since(first.load) / wall_s, "cores for SIPp"),
        Figure("host_idle", host_idle / host_all, "of the machine"),
    ]
    if memory:
        found += [
            Figure("pss_mib_per_call", max(memory) / calls, "MiB, whole node"),
            Figure("pss_mib_growth_per_call", (max(memory) - before) / calls, "MiB"),
        ]
    return found


def _times(name: str, of: Spread | None) -> list[Figure]:
    if of is None:
        return [Figure(f"{name}.{part}", None, "ms") for part in ("p50", "p90", "p99")]
    return [Figure(f"{name}.{part}", value, "ms") for part, value in asdict(of).items() if part != "n"]
