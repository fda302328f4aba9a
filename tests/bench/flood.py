"""The cost of a flood of bad INVITEs: ``scripts/bench flood``.

A node behind a trunk, and an address of nobody's that sends INVITEs without credentials, with wrong ones, and
what is no SIP. Meanwhile the trunk makes good calls, one after another.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import socket
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.sip.node_process import NodeProcess, config_text, run_node

TRUNK, STRANGER = "127.0.7.2", "127.0.9.9"
TICK_S = 0.01
_CALL_PAUSE_S = 0.025
BARS = {"failed_calls": 0.0, "edge_cpu": 1.0}


@dataclass(frozen=True, kw_only=True)
class Found:
    """The result."""

    sent: int
    calls: int
    failed: int
    setup_ms: list[float]
    edge_cpu: float
    """CPU time as a share of one core."""
    answered: int
    """Datagrams that the flooding address received."""


def messages(target: tuple[str, int], source: tuple[str, int]) -> list[bytes]:
    """Some requests of each kind."""
    host, port = target
    kinds = []
    for n in range(50):
        head = (
            f"INVITE sip:100@{host}:{port} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {source[0]}:{source[1]};rport;branch=z9hG4bKflood%d\r\n"
            f"From: <sip:{n}@evil.example>;tag=%d\r\nTo: <sip:100@{host}>\r\nCall-ID: flood-%d\r\n"
            "CSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:x@evil.example>\r\n"
        )
        wrong = 'Authorization: Digest username="a", realm="x", nonce="y", uri="sip:z", response="0"\r\n'
        kinds.append((head + (wrong if n % 3 == 0 else "") + "Content-Length: 0\r\n\r\n").encode())
    return [*kinds, b"\x00" * 200, b"INVITE nonsense\r\n\r\n", b"SIP/2.0 200 OK\r\n\r\n"]


async def flood(target: tuple[str, int], rate: int, seconds: float) -> tuple[int, int]:
    """Send at this rate per second; returns the numbers of datagrams sent and received."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((STRANGER, 0))
    sock.setblocking(False)
    kinds = itertools.cycle(messages(target, sock.getsockname()))
    sent = came = 0
    begun = time.monotonic()
    while (passed := time.monotonic() - begun) < seconds:
        while sent < passed * rate:
            data = next(kinds)
            if b"%d" in data:
                data = data % (sent, sent, sent)
            sock.sendto(data, target)
            sent += 1
        while True:
            try:
                sock.recv(65_535)
            except BlockingIOError:
                break
            came += 1
        await asyncio.sleep(TICK_S)
    sock.close()
    return sent, came


def cpu_s(pid: int) -> float:
    """User and system time used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def good_calls(node: NodeProcess, trunk: Peer, done: asyncio.Task[tuple[int, int]]) -> list[float]:
    """Make one call after another during the flood; returns set-up times in ms, -1 for a failed call."""
    times = []
    while not done.done():
        begun = time.monotonic()
        call = await trunk.invite(node.uri("100"))
        response = await call.expect_response(range(200, 700), timeout=5)
        times.append((time.monotonic() - begun) * 1000 if response.status == 200 else -1.0)
        if response.status == 200:
            await call.expect("BYE")
        # More than ``security.invite_rate_per_s`` from the trunk's one address would be refused for that.
        await asyncio.sleep(max(0.0, begun + _CALL_PAUSE_S - time.monotonic()))
    return times


async def run(rate: int, seconds: float, folder: Path) -> Found:
    """One flood against one node."""
    async with WebApp.start() as app, Peer.start("trunk", host=TRUNK) as trunk:
        app.reply("/voice", "<Response><Hangup/></Response>")
        extra = f'[[trunks]]\nname = "pbx"\nuri = "sip:{TRUNK}:{trunk.port}"\nmatch = ["{TRUNK}/32"]\n'
        text = config_text(
            {"*": {"voice_url": app.url("/voice")}},
            sections={"security": {"allow": ["127.0.0.1/32"]}, "workers": {"idle": 4, "max": 16}},
            extra=extra + "keepalive_s = 0\n",
        )
        async with run_node(folder, text) as node:
            edge = node.pid_named("b2bua-edge")
            before, begun = cpu_s(edge), time.monotonic()
            flooding = asyncio.create_task(flood(node.udp, rate, seconds))
            times = await good_calls(node, trunk, flooding)
            sent, answered = await flooding
            used = (cpu_s(edge) - before) / (time.monotonic() - begun)
    good = [value for value in times if value >= 0]
    return Found(
        sent=sent,
        calls=len(times),
        failed=len(times) - len(good),
        setup_ms=good,
        edge_cpu=used,
        answered=answered,
    )


def main(arguments: list[str]) -> int:
    """Measure and print; returns 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="scripts/bench flood", description=__doc__)
    parser.add_argument("--rate", type=int, default=2000, metavar="N", help="messages a second")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        found = asyncio.run(run(given.rate, given.seconds, Path(folder)))
    figures = {
        "messages": float(found.sent),
        "answers": float(found.answered),
        "good_calls": float(found.calls),
        "failed_calls": float(found.failed),
        "setup_ms": statistics.median(found.setup_ms) if found.setup_ms else -1.0,
        "setup_ms_worst": max(found.setup_ms, default=-1.0),
        "edge_cpu": found.edge_cpu,
    }
    for name, value in figures.items():
        bar = f"   bar ≤ {BARS[name]:g}" if name in BARS else ""
        print(f"{name:24} {value:10.2f}{bar}")
    print(json.dumps({name: round(value, 2) for name, value in figures.items()}))
    return int(any(figures[name] > bar for name, bar in BARS.items()))
