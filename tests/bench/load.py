"""One run of calls against a system under test: SIPp calls and answers; /proc and the wire are observed."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.ports import port_block
from tests.sip.sipp_runner import Sipp, SippOptions, SippResult, sipp

from .processes import Tree, Usage, datagrams_dropped, host_busy
from .sut import Sut
from .wire import CallTimes, captured, read_calls

__all__ = ["Plan", "Run", "Sample", "measure", "measure_idle"]

Result = TypeVar("Result")
LOOK_EVERY_S = 0.25
PSS_EVERY = 8
"""Sampling interval; reading smaps is expensive, also for the processes that are read."""
TAIL_S = 2.0
"""Time to observe after the last call, in which the system cleans up."""
RING_MS = 300


@dataclass(frozen=True)
class Plan:
    """Options of a run."""

    calls: int
    seconds: float
    """How long all calls are up together."""
    rate_per_s: float
    service: str
    """The user that is called."""

    @property
    def ramp_s(self) -> float:
        """Time until the last call is answered."""
        return self.calls / self.rate_per_s + RING_MS / 1000 + 1

    @property
    def hold_s(self) -> float:
        """How long each call is held."""
        return self.ramp_s + self.seconds

    @property
    def limit_s(self) -> int:
        """Time after which a run counts as hanging."""
        return int(self.hold_s + 2 * self.ramp_s + 20)


@dataclass(frozen=True)
class Sample:
    """One sample of the processes."""

    at: float
    """Seconds since the epoch, as in the capture."""
    sut: Usage
    load: Usage
    host: tuple[float, float]
    """CPU seconds of the machine: total and idle."""
    to_caller: int
    to_callee: int
    """RTP packets received after SIPp's socket was full."""
    pss_mib: float | None


@dataclass(frozen=True)
class Run:
    """All observations of a run."""

    plan: Plan
    samples: list[Sample]
    calls: dict[str, CallTimes]
    caller: SippResult
    callees: list[SippResult]


async def measure(sut: Sut, plan: Plan, callees: Sequence[int], folder: Path) -> Run:
    """Run the calls. The first of the callees' ports answers, the others only ring; none: a conference."""
    capture = folder / "sip.pcapng"
    caller_port = port_block(2)
    async with AsyncExitStack() as stack:
        names = ["callee", *["ring_only"] * (len(callees) - 1)][: len(callees)]
        called = [
            await stack.enter_async_context(sipp(name, _callee(plan, port)))
            for name, port in zip(names, callees, strict=True)
        ]
        stack.enter_context(captured(capture, [caller_port, *callees]))
        calling = await stack.enter_async_context(sipp("caller", _caller(plan, sut, caller_port)))
        watch = _Watch(sut, calling, called[0] if called else None)
        result = await watch.until(calling.wait())
        await watch.until(asyncio.sleep(TAIL_S))
        results = [await _ended(each) for each in called]
    return Run(plan, watch.samples, read_calls(capture, caller_port, callees, [sut.port]), result, results)


async def measure_idle(sut: Sut, seconds: float) -> tuple[float, float, int]:
    """CPU seconds per second of a system without calls, its memory in MiB, and its number of processes."""
    tree = Tree(sut.pids)
    before, begun = tree.usage(), time.monotonic()
    await asyncio.sleep(seconds)
    return tree.usage().since(before) / (time.monotonic() - begun), tree.pss_mib(), tree.size()


async def _ended(callee: Sipp) -> SippResult:
    """Output of a callee, even if it still waits for a call or for its end."""
    try:
        return await asyncio.wait_for(callee.wait(), TAIL_S)
    except TimeoutError:
        callee.process.terminate()
        return await callee.wait()


def _caller(plan: Plan, sut: Sut, port: int) -> SippOptions:
    return SippOptions(
        target=(sut.host, sut.port), port=port, user=plan.service, calls=plan.calls,
        rate_per_s=plan.rate_per_s, duration_ms=int(plan.hold_s * 1000), limit_s=plan.limit_s, trace=False,
    )  # fmt: skip


def _callee(plan: Plan, port: int) -> SippOptions:
    return SippOptions(
        port=port, calls=plan.calls, limit_s=plan.limit_s + 10, tone_hz=660, trace=False,
        values={"ring_ms": str(RING_MS)},
    )  # fmt: skip


class _Watch:
    """Samples the processes repeatedly while something else is awaited."""

    def __init__(self, sut: Sut, caller: Sipp, callee: Sipp | None) -> None:
        self.samples: list[Sample] = []
        self._sut, self._load = Tree(sut.pids), Tree([os.getpid()], without=sut.pids)
        self._caller, self._callee = caller, callee
        self._look()

    async def until(self, waited: Awaitable[Result]) -> Result:
        """Sample until the work is done."""
        task = asyncio.ensure_future(waited)
        while not task.done():
            await asyncio.wait([task], timeout=LOOK_EVERY_S)
            self._look()
        return task.result()

    def _look(self) -> None:
        with_memory = len(self.samples) % PSS_EVERY == 0
        sample = Sample(
            at=time.time(),
            sut=self._sut.usage(),
            load=self._load.usage(),
            host=host_busy(),
            to_caller=_heard(self._caller),
            to_callee=_heard(self._callee),
            pss_mib=self._sut.pss_mib() if with_memory else None,
        )
        self.samples.append(sample)


def _heard(phone: Sipp | None) -> int:
    if phone is None or phone.process.returncode is not None:
        return 0
    return datagrams_dropped(phone.process.pid, phone.port)
