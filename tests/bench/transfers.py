"""Transfers one after another, and the resources that they leave in use: ``scripts/bench transfers``.

A node of its own; caller, transferor and target in this process. Every second transfer keeps the transferor
until the target has answered, every tenth names a call that the transferor has with the target (attended).
Counted over all processes of the node that live as long as it does, between the twentieth transfer and the
last: file descriptors, memory, and workers that are not idle again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

import httpx

from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.sip.node_process import NodeProcess, config_text, run_node

WARM_UP = 20
HZ = 660.0


async def _transfer(node: NodeProcess, app: WebApp, ann: Peer, bob: Peer, carol: Peer, round_: int) -> float:
    """Milliseconds from the REFER to the target's answer."""
    keep = str(bool(round_ % 2)).lower()
    twiml = '<Response><Dial referUrl="/refer" answerOnBridge="{}"><Sip>{}</Sip></Dial></Response>'
    app.reply("/voice", twiml.format(keep, bob.uri()))
    app.reply("/refer", twiml.format("false", carol.uri()))
    call = await ann.invite(node.uri("100"))
    incoming = await bob.expect_invite()
    await incoming.answer()
    await incoming.expect("ACK")
    await call.expect_response(200)
    incoming.media.play_tone(HZ)
    await call.media.expect_tone(HZ)  # they are bridged: only now may he ask
    if round_ % 10 == 9:
        app.reply("/voice", twiml.format("false", carol.uri()))
        other = await bob.invite(node.uri("200"))
        third = await carol.expect_invite()
        await third.answer()
        await third.expect("ACK")
        await other.expect_response(200)
        begun = time.monotonic()
        await incoming.refer(other)
        await other.expect("BYE")
    else:
        begun = time.monotonic()
        await incoming.refer(carol.uri())
        third = await carol.expect_invite()
        await third.answer()
    took_s = time.monotonic() - begun
    await incoming.expect("BYE")
    await call.bye()
    await third.expect("BYE")
    return took_s * 1000


async def _busy(node: NodeProcess) -> int:
    """Workers in use when all should be idle again."""
    async with httpx.AsyncClient() as web:
        for _ in range(200):
            text = (await web.get(f"{node.http}/metrics")).text
            lines = [line for line in text.splitlines() if line.startswith('b2bua_workers{state="busy"}')]
            busy = int(float(lines[0].split()[-1]))
            if busy == 0:
                return 0
            await asyncio.sleep(0.05)
    return busy


def _memory_mib(node: NodeProcess) -> float:
    """Allocated memory; not PSS, which depends on the number of workers that share it."""
    lines = [
        line
        for pid in node.lasting_pids()
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("RssAnon:")
    ]
    return sum(int(line.split()[1]) for line in lines) / 1024


async def _run(transfers: int, folder: Path) -> dict[str, float]:
    async with (
        WebApp.start() as app,
        Peer.start("ann") as ann,
        Peer.start("bob") as bob,
        Peer.start("carol") as carol,
        run_node(folder, config_text({"*": {"voice_url": app.url("/voice")}})) as node,
    ):
        took: list[float] = []
        for round_ in range(WARM_UP + transfers):
            if round_ == WARM_UP:
                descriptors, memory = node.descriptors(), _memory_mib(node)
            took.append(await _transfer(node, app, ann, bob, carol, round_))
        return {
            "transfers": transfers,
            "refer_to_answer_ms": statistics.median(took[WARM_UP:]),
            "refer_to_answer_ms_worst": max(took[WARM_UP:]),
            "descriptors_left": node.descriptors() - descriptors,
            "memory_left_mib": _memory_mib(node) - memory,
            "workers_busy_after": await _busy(node),
        }


BARS = {"descriptors_left": 8.0, "memory_left_mib": 8.0, "workers_busy_after": 0.0}


def main(arguments: list[str]) -> int:
    """Measure and print; returns 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="scripts/bench transfers", description=__doc__)
    parser.add_argument("--transfers", type=int, default=200, metavar="N", help="how many (default: 200)")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        found = asyncio.run(_run(given.transfers, Path(folder)))
    for name, value in found.items():
        bar = f"   bar ≤ {BARS[name]:g}" if name in BARS else ""
        print(f"{name:44} {value:8.1f}{bar}")
    print(json.dumps({name: round(value, 1) for name, value in found.items()}))
    return int(any(found[name] > bar for name, bar in BARS.items()))
