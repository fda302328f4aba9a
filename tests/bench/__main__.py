"""Load a node with real calls on loopback, and print the cost of each beside its target.

By default it starts a node of its own, whose number dials a SIPp callee; SIPp calls it, and G.711 streams
both ways. The table is for people; the last line is the same as JSON. The exit status is 1 if any call
failed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.ports import port_block

from . import api, deaths, flood, prompts, recordings, relay, transfers
from .figures import Figure, figures, idle_figures
from .load import Plan, measure, measure_idle
from .sut import Sut, foreign, own_node
from .wakeup import wakeup_us

IDLE_WORKERS = 20
SERVICE = "1000"
WIDTH = 100
BUSY = 0.15
"""Idle share of the machine below which load generator, node and other programs wait for each other."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    add = parser.add_argument
    add("--calls", type=int, default=50, metavar="N", help="calls that are up together (default: 50)")
    add("--seconds", type=float, default=20.0, metavar="S", help="for so long (default: 20)")
    add("--rate", type=float, default=10.0, metavar="R", help="new calls a second (default: 10)")
    add("--fork", type=int, default=1, metavar="N", help="callees dialled at once; the first answers")
    add("--conference", action="store_true", help="all callers meet in one room: figures of a participant")
    add("--idle", action="store_true", help=f"no calls: what {IDLE_WORKERS} warm workers cost")
    add("--workers-idle", type=int, default=0, metavar="N", help="workers.idle (default: twice the rate)")
    add("--sut", metavar="HOST:PORT", help="measure this instead of a node of our own")
    add("--pids", default="", metavar="PID,…", help="with --sut: the roots of its process trees")
    add("--ext", default=SERVICE, metavar="USER", help=f"with --sut: whom to call there (default: {SERVICE})")
    add(
        "--callee-port",
        type=int,
        default=5090,
        metavar="PORT",
        help="with --sut: where it dials; a fork's others follow",
    )
    add("--keep", type=Path, metavar="DIR", help="keep the capture and the node's log there")
    given = parser.parse_args()
    if given.sut and not given.sut.startswith("127."):
        parser.error("--sut must be in 127.0.0.0/8: this is a load generator")
    if given.calls < 1 or given.rate <= 0 or given.seconds < 3 or given.fork < 1:
        parser.error("at least one call, three seconds, one callee")
    return given


async def _run(given: argparse.Namespace, folder: Path) -> tuple[str, list[Figure]]:
    callees = range(0 if given.conference else given.fork)
    ports = [given.callee_port + n if given.sut else port_block(2) for n in callees]
    async with _sut(given, ports, folder) as sut:
        if given.idle:
            return sut.name, idle_figures(*await measure_idle(sut, given.seconds))
        plan = Plan(given.calls, given.seconds, given.rate, given.ext)
        run = await measure(sut, plan, ports, folder)
    found = figures(run)
    errors = [result.errors for result in (run.caller, *run.callees) if result.errors]
    if errors:
        Console(stderr=True).print("\n".join(errors)[:2000], highlight=False, markup=False)
    return sut.name, found


def _sut(given: argparse.Namespace, ports: list[int], folder: Path) -> AbstractAsyncContextManager[Sut]:
    if given.sut:
        return foreign(given.sut, [int(pid) for pid in given.pids.split(",") if pid])
    if given.idle:
        return own_node(folder, ports, calls=1, idle=IDLE_WORKERS)
    idle = given.workers_idle or max(4, round(given.rate * 2))
    return own_node(folder, ports, given.calls, idle)


def _table(name: str, found: list[Figure]) -> Table:
    table = Table(title=f"{name} · {os.cpu_count()} cores · {platform.machine()}")
    for heading, justify in (
        ("", "left"),
        ("measured", "right"),
        ("bar", "right"),
        ("ratio", "right"),
        ("", "left"),
    ):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for figure in found:
        colour = {None: "", True: "[green]", False: "[bold red]"}[figure.ok]
        ratio = f"{figure.value / figure.bar:.2f}" if figure.bar and figure.value is not None else ""
        value = "-" if figure.value is None else f"{figure.value:.4g}"
        bar = "" if figure.bar is None else f"≤ {figure.bar:g}"
        table.add_row(figure.name, colour + value, bar, colour + ratio, figure.unit)
    return table


def _json(given: argparse.Namespace, name: str, found: list[Figure]) -> str:
    about = {"sut": name, "cores": os.cpu_count(), "mode": _mode(given)}
    if not given.idle:
        about |= {"seconds": given.seconds, "rate_per_s": given.rate, "fork": given.fork}
    values = {figure.name: None if figure.value is None else round(figure.value, 6) for figure in found}
    ratios = {f.name: round(f.value / f.bar, 3) for f in found if f.bar and f.value is not None}
    missed = [figure.name for figure in found if figure.ok is False]
    return json.dumps({**about, **values, "ratio": ratios, "missed": missed})


def _mode(given: argparse.Namespace) -> str:
    return "idle" if given.idle else "conference" if given.conference else "calls"


def main() -> int:
    """Measure, print, and return whether every call succeeded."""
    if sys.argv[1:2] == ["prompts"]:
        return prompts.main(sys.argv[2:])
    if sys.argv[1:2] == ["transfers"]:
        return transfers.main(sys.argv[2:])
    if sys.argv[1:2] == ["deaths"]:
        return deaths.main(sys.argv[2:])
    if sys.argv[1:2] == ["flood"]:
        return flood.main(sys.argv[2:])
    if sys.argv[1:2] == ["api"]:
        return api.main(sys.argv[2:])
    if sys.argv[1:2] == ["relay"]:
        return relay.main(sys.argv[2:])
    if sys.argv[1:2] == ["recordings"]:
        return recordings.main(sys.argv[2:])
    given = _arguments()
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        name, found = asyncio.run(_run(given, folder.resolve()))
    # Without the load, last: what the machine itself adds to every figure of CPU above.
    found.append(Figure("timer_wakeup_us", wakeup_us(), "CPU-µs, one process of 50"))
    console = Console(width=WIDTH)
    console.print(_table(name, found))
    if any(figure.name == "host_idle" and (figure.value or 0) < BUSY for figure in found):
        console.print(
            "The machine had hardly any CPU left: times and CPU figures are too high.", style="yellow"
        )
    print(_json(given, name, found), flush=True)
    return int(any(figure.name == "failures" and figure.value for figure in found))


if __name__ == "__main__":
    raise SystemExit(main())
