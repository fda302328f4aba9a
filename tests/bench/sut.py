"""The system under test: a node that the benchmark starts, or any system given by address and processes."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from .processes import Tree

START_S = 60.0
STOP_S = 30.0
SETTLE_S = 1.0
RTP_PORTS = (12000, 31998)
"""Below the ephemeral range, from which SIPp takes its own ports."""

ACCOUNT_SID = "AC00000000000000000000000000000001"
AUTH_TOKEN = "measured-and-not-secret"

CONFIG = """\
[node]
drain_s = 0
[account]
sid = "{sid}"
auth_token = "{token}"
[sip]
listen = ["udp://127.0.0.1:0", "tcp://127.0.0.1:0"]
[rtp]
bind = "127.0.0.1"
ports = [{first_rtp}, {last_rtp}]
codecs = ["PCMU"]
[workers]
idle = {idle}
max = {most}
[http]
listen = "127.0.0.1:0"
[storage]
database = "sqlite:///{folder}/bench.db"
recordings = "{folder}/recordings"
[security]
invite_rate_per_s = 1000
max_calls = {most}
[[numbers]]
match = "*"
twiml = "dial.xml"
"""


@dataclass(frozen=True)
class Sut:
    """The system under test."""

    host: str
    port: int
    pids: tuple[int, ...]
    """The roots of its process trees."""
    name: str
    http: str = ""
    """URL of the node's API."""


@asynccontextmanager
async def own_node(
    folder: Path, callees: Sequence[int], calls: int, idle: int, attributes: str = ""
) -> AsyncIterator[Sut]:
    """A fresh `b2bua serve` whose every number dials these ports at once, or a conference if there are none.

    Args: attributes: more of the Dial.

    Raises: SystemExit with the node's own words when it does not start.
    """
    nouns = "".join(f"<Sip>sip:callee@127.0.0.1:{port}</Sip>" for port in callees)
    nouns = nouns or '<Conference waitUrl="">bench</Conference>'
    (folder / "dial.xml").write_text(
        f'<Response><Dial answerOnBridge="true" {attributes}>{nouns}</Dial></Response>'
    )
    most = max(calls + 8, idle)
    first_rtp, last_rtp = RTP_PORTS
    (folder / "b2bua.toml").write_text(
        CONFIG.format(
            sid=ACCOUNT_SID,
            token=AUTH_TOKEN,
            folder=folder,
            idle=idle,
            most=most,
            first_rtp=first_rtp,
            last_rtp=last_rtp,
        )
    )
    with (folder / "node.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "b2bua", "serve", "--config", str(folder / "b2bua.toml"),
            "--log-format", "json", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=log, env={**os.environ, "PYTHONASYNCIODEBUG": ""},
        )  # fmt: skip
    try:
        host, port, http, words = await _ready(process, folder / "node.log")
        await asyncio.sleep(SETTLE_S)  # its workers' start is not the calls' cost
        yield Sut(host, port, (process.pid,), words, http)
    finally:
        await _stop(process)


async def _ready(process: asyncio.subprocess.Process, log: Path) -> tuple[str, int, str, str]:
    assert process.stdout is not None
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), START_S)).decode().strip()
    except TimeoutError:
        line = ""
    if not line.startswith("ready "):
        raise SystemExit(f"the node did not start: {line}\n{_tail(log)}")
    words = dict(word.split("=", 1) for word in line.split()[1:])
    for address in words["sip"].split(","):
        transport, host, port = address.split(":")
        if transport == "udp":
            return host, int(port), words["http"], f"b2bua, {words['workers']} workers"
    raise SystemExit(f"the node has no UDP: {line}")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_S)
    except TimeoutError:
        process.kill()
        await process.wait()


@asynccontextmanager
async def foreign(address: str, pids: Sequence[int]) -> AsyncIterator[Sut]:
    """Another running system, e.g. an Asterisk; without pids, only times are measured."""
    host, _, port = address.rpartition(":")
    if pids and not Tree(pids).holds_udp_port(int(port)):
        raise SystemExit(f"none of the processes {', '.join(map(str, pids))} has UDP port {port}")
    yield Sut(host, int(port), tuple(pids), address)


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-3000:]
