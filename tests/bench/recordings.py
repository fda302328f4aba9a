"""The cost of recording a call compared with a plain one, and the time until recordings are complete.

Plain and recorded calls (both channels) take turns on nodes of their own; all calls of a run begin within a
second, and so end within one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

from tests.ports import port_block

from .figures import figures
from .load import Plan, Run, measure
from .sut import own_node

BARS = {"cpu_ratio": 1.10, "complete_s": 10.0, "missing": 0.0}
_RECORDED = 'record="record-from-answer-dual"'
_WAIT_S = 30.0


async def _round(calls: int, seconds: float, attributes: str, folder: Path) -> tuple[Run, list[float]]:
    """One run, and the time at which each recording was complete (seconds since the epoch)."""
    port = port_block(2)
    async with own_node(folder, [port], calls, idle=calls, attributes=attributes) as sut:
        run = await measure(sut, Plan(calls, seconds, float(calls), "1000"), [port], folder)
        wanted = calls if attributes else 0
        return run, await asyncio.to_thread(_complete, folder / "recordings", wanted)


def _complete(folder: Path, wanted: int) -> list[float]:
    deadline = time.monotonic() + _WAIT_S
    while True:
        done = sorted(path.stat().st_mtime for path in folder.glob("RE*.wav"))
        if len(done) >= wanted or time.monotonic() > deadline:
            return done
        time.sleep(0.1)


def _folder(parent: Path, name: str) -> Path:
    (parent / name).mkdir()
    return parent / name


def _cpu(run: Run) -> float:
    found = {figure.name: figure.value for figure in figures(run)}
    if found["failures"] or found["steady_cpu_s_per_call_s"] is None:
        raise SystemExit(f"a run failed: {found}")
    return found["steady_cpu_s_per_call_s"]


async def _run(calls: int, seconds: float, rounds: int, folder: Path) -> dict[str, float]:
    plain: list[float] = []
    recorded: list[float] = []
    complete_s, missing = 0.0, 0
    for number in range(rounds):
        run, _ = await _round(calls, seconds, "", _folder(folder, f"plain{number}"))
        plain.append(_cpu(run))
        run, done = await _round(calls, seconds, _RECORDED, _folder(folder, f"recorded{number}"))
        recorded.append(_cpu(run))
        ended = sorted(call.ended or 0.0 for call in run.calls.values())
        missing += calls - len(done)
        complete_s = max(complete_s, *(at - ended[0] for at in done))
    return {
        "calls": calls,
        "plain_cpu_s_per_call_s": statistics.median(plain),
        "recorded_cpu_s_per_call_s": statistics.median(recorded),
        "cpu_ratio": statistics.median(recorded) / statistics.median(plain),
        "missing": missing,
        "complete_s": complete_s,
    }


def main(arguments: list[str]) -> int:
    """Measure and print; returns 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="scripts/bench recordings", description=__doc__)
    parser.add_argument("--calls", type=int, default=50, metavar="N", help="at once (default: 50)")
    parser.add_argument("--seconds", type=float, default=15.0, metavar="S", help="for so long (default: 15)")
    parser.add_argument("--rounds", type=int, default=2, metavar="N", help="of each kind (default: 2)")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        found = asyncio.run(_run(given.calls, given.seconds, given.rounds, Path(folder)))
    for name, value in found.items():
        bar = f"   bar ≤ {BARS[name]:g}" if name in BARS else ""
        print(f"{name:32} {value:10.4f}{bar}")
    print(json.dumps({name: round(value, 5) for name, value in found.items()}))
    return int(any(found[name] > bar for name, bar in BARS.items()))
