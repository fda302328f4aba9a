"""Effect of REST API requests on concurrent calls: set-up times with and without them.

Rounds with and without take turns, each on a node of its own; the requests are those of a program that
watches calls: fetch one, list them, its events, the metrics. All are made by a process of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from tests.ports import port_block

from .figures import figures, spread
from .load import Plan, Run, measure
from .sut import ACCOUNT_SID, AUTH_TOKEN, own_node

BARS = {"setup_p99_ratio": 1.5, "api_failures": 0.0}
_TIMEOUT_S = 10.0


async def _ask(base: str, rate_per_s: float) -> dict[str, float]:
    """Send requests at this rate until stdin ends; returns response times in milliseconds, and failures."""
    account = f"{base}/2010-04-01/Accounts/{ACCOUNT_SID}"
    took: list[float] = []
    failures = 0
    known: list[str] = []

    async def one(number: int, web: aiohttp.ClientSession) -> None:
        nonlocal failures
        sid = known[number % len(known)] if known else ""
        paths = [
            "/Calls.json?PageSize=20",
            f"/Calls/{sid}.json",
            f"/Calls/{sid}/Events.json",
            "/Recordings.json",
        ]
        begun = time.monotonic()
        try:
            async with web.get(account + paths[number % 4 if sid else 0]) as answer:
                body = await answer.json()
                failures += answer.status != 200
        except (aiohttp.ClientError, TimeoutError):
            failures += 1
            return
        took.append((time.monotonic() - begun) * 1000)
        if "calls" in body:
            known[:] = [call["sid"] for call in body["calls"]]

    ended = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))
    tasks: set[asyncio.Task[None]] = set()
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    secret = base64.b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
    headers = {"Authorization": f"Basic {secret}"}
    began, number = time.monotonic(), 0
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as web:
        while not ended.done():
            task = asyncio.ensure_future(one(number, web))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            number += 1
            await asyncio.sleep(max(0.0, began + number / rate_per_s - time.monotonic()))
        seconds = time.monotonic() - began
        await asyncio.gather(*tasks)
    times = sorted(took) or [0.0]
    return {
        "requests_per_s": number / seconds,
        "failures": failures,
        "p50_ms": times[len(times) // 2],
        "p99_ms": times[int(len(times) * 0.99)],
    }


async def _round(plan: Plan, requests_per_s: float, folder: Path) -> tuple[Run, dict[str, float]]:
    port = port_block(2)
    async with own_node(folder, [port], plan.calls, idle=max(4, round(plan.rate_per_s * 2))) as sut:
        if not requests_per_s:
            return await measure(sut, plan, [port], folder), {}
        asking = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bench.api", sut.http, str(requests_per_s),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        run = await measure(sut, plan, [port], folder)
        told, _ = await asking.communicate(b"")  # closes its stdin
        return run, json.loads(told)


def _folder(parent: Path, name: str) -> Path:
    (parent / name).mkdir()
    return parent / name


def _setup_ms(run: Run) -> list[float]:
    found = {figure.name: figure.value for figure in figures(run)}
    if found["failures"]:
        raise SystemExit(f"calls failed: {found}")
    return [ms for call in run.calls.values() if (ms := call.dial_ms()) is not None]


async def _run(given: argparse.Namespace, folder: Path) -> dict[str, float]:
    plan = Plan(given.calls, given.seconds, given.rate, "1000")
    alone: list[float] = []
    beside: list[float] = []
    asked: list[dict[str, float]] = []
    for number in range(given.rounds):
        run, _ = await _round(plan, 0, _folder(folder, f"alone{number}"))
        alone += _setup_ms(run)
        run, told = await _round(plan, given.requests, _folder(folder, f"beside{number}"))
        beside += _setup_ms(run)
        asked.append(told)
    without, with_requests = spread(alone), spread(beside)
    return {
        "calls": given.calls,
        "setup_alone_p50_ms": without.p50,
        "setup_alone_p99_ms": without.p99,
        "setup_beside_p50_ms": with_requests.p50,
        "setup_beside_p99_ms": with_requests.p99,
        "setup_p99_ratio": with_requests.p99 / without.p99,
        "api_requests_per_s": statistics.mean(told["requests_per_s"] for told in asked),
        "api_p50_ms": statistics.median(told["p50_ms"] for told in asked),
        "api_p99_ms": max(told["p99_ms"] for told in asked),
        "api_failures": sum(told["failures"] for told in asked),
    }


def main(arguments: list[str]) -> int:
    """Measure and print; returns 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="scripts/bench api", description=__doc__)
    add = parser.add_argument
    add("--calls", type=int, default=50, metavar="N", help="at once (default: 50)")
    add("--rate", type=float, default=10.0, metavar="R", help="new calls a second (default: 10)")
    add("--seconds", type=float, default=5.0, metavar="S", help="all up for so long (default: 5)")
    add("--requests", type=float, default=100.0, metavar="R", help="requests a second (default: 100)")
    add("--rounds", type=int, default=3, metavar="N", help="of each kind (default: 3)")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        found = asyncio.run(_run(given, Path(folder)))
    for name, value in found.items():
        bar = f"   bar ≤ {BARS[name]:g}" if name in BARS else ""
        print(f"{name:24} {value:10.3f}{bar}")
    print(json.dumps({name: round(value, 4) for name, value in found.items()}))
    return int(any(found[name] > bar for name, bar in BARS.items()))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_ask(sys.argv[1], float(sys.argv[2])))))
