"""A real relay process, with an edge and a controller that a test plays itself."""

import asyncio
import contextlib
import itertools
import os
import random
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from b2bua.ipc.channel import Channel
from b2bua.relay.control import (
    DescribeLeg,
    EdgeHello,
    FromRelay,
    JoinLegs,
    LegDescribed,
    LegKey,
    MediaDescription,
    OpenLeg,
    Pair,
    PairsGranted,
    PartLegs,
    RelayConfig,
    RelayReady,
)
from tests.peer.ladder import PATIENCE_S
from tests.ports import port_block

Told = TypeVar("Told", bound=msgspec.Struct)

PCMA = ((8, "PCMA/8000"), (101, "telephone-event/8000"))


class Client:
    """One connection to the relay."""

    def __init__(self, channel: Channel[Any]) -> None:
        self.channel = channel
        self.told: asyncio.Queue[Any] = asyncio.Queue()
        self._task = asyncio.ensure_future(self._read())

    @classmethod
    async def connect(cls, path: Path) -> "Client":
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    reader, writer = await asyncio.open_unix_connection(str(path))
                    break
                except (FileNotFoundError, ConnectionRefusedError):
                    await asyncio.sleep(0.02)
        decoder = msgspec.msgpack.Decoder(FromRelay)
        return cls(cast(Channel[Any], Channel(reader, writer, decoder)))

    async def _read(self) -> None:
        async for message in self.channel:
            self.told.put_nowait(message)

    def send(self, *messages: msgspec.Struct) -> None:
        self.channel.send(*messages)

    async def expect(self, kind: type[Told]) -> Told:
        """The next message of a kind; others before it are dropped."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                message = await self.told.get()
                if isinstance(message, kind):
                    return message

    async def close(self) -> None:
        self.channel.close()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class RelayProcess:
    """The relay; made by ``run_relay``."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.path = folder / "relay.sock"
        self.log_path = folder / "relay.log"
        first = port_block(300)
        self.config = RelayConfig(
            **{
                "bind": "127.0.0.1",
                "ports": (first, first + 299),
                "inner_host": f"127.{random.randint(64, 250)}.{random.randint(0, 255)}.1",
                "inner_ports": (20_000, 20_149),
                **changes,
            }
        )
        self.pairs: list[Pair] = []
        self.legs: list[RealLeg] = []
        self.process: asyncio.subprocess.Process

    async def start_without_edge(self) -> None:
        with self.log_path.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "b2bua.relay", "--control", str(self.path), "--log-format", "json"),
                stdin=asyncio.subprocess.DEVNULL,
                stderr=log,
                env={**os.environ, "PYTHONASYNCIODEBUG": ""},
            )
        self.controller = await Client.connect(self.path)
        self.controller.send(self.config)
        await self.controller.expect(RelayReady)

    async def start(self, *free: Pair) -> None:
        await self.start_without_edge()
        self.edge = await Client.connect(self.path)
        self.edge.send(EdgeHello(free=free))

    async def pair(self) -> Pair:
        while not self.pairs:
            self.pairs += (await self.edge.expect(PairsGranted)).pairs
        return self.pairs.pop(0)

    async def leg(self, name: str, *, inside: bool = False, **changes: Any) -> "RealLeg":
        leg = RealLeg(self, LegKey(f"{name}@test", "w1"), await self.pair(), inside=inside)
        self.legs.append(leg)
        leg.describe(**changes)
        await self.controller.expect(LegDescribed)
        return leg

    def join(self, a: "RealLeg", b: "RealLeg") -> None:
        self.controller.send(JoinLegs(one=a.key, other=b.key))

    def part(self, a: "RealLeg", b: "RealLeg") -> None:
        self.controller.send(PartLegs(one=a.key, other=b.key))

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()
        await self.controller.close()
        await self.edge.close()


class RealLeg:
    """A party and its worker with real sockets; ``inside``: a link leg, whose party is a worker."""

    def __init__(self, relay: RelayProcess, key: LegKey, pair: Pair, *, inside: bool = False) -> None:
        self.relay, self.key, self.pair, self.inside = relay, key, pair, inside
        # ``::`` is the address of both: a party by IPv4 there too.
        self.host = "::1" if relay.config.bind == "::1" else "127.0.0.1"
        if inside:
            self.host = relay.config.inner_host
        self.far = bound(self.host)
        self.far_control = bound(self.host)
        self.worker = bound(relay.config.inner_host)
        self.outer = (self.host, pair.outer)
        self.inner = (relay.config.inner_host, pair.inner)
        if inside:
            self.outer = self.inner

    def describe(self, formats: Any = PCMA, **changes: Any) -> None:
        far = {
            "host": self.host,
            "port": self.far.getsockname()[1],
            "rtcp_host": self.host,
            "rtcp_port": self.far_control.getsockname()[1],
            "formats": formats,
            **changes,
        }
        port = self.worker.getsockname()[1]
        near = MediaDescription(
            host=self.inner[0],
            port=port,
            rtcp_host=self.inner[0],
            rtcp_port=port,
            formats=formats,
            plain=changes.get("plain", True),
        )
        self.said = (
            OpenLeg(leg=self.key, pair=self.pair, inside=self.inside),
            DescribeLeg(leg=self.key, far=MediaDescription(**far), near=near),
        )
        self.relay.edge.send(*self.said)

    def open_again(self) -> None:
        """As an edge does when the relay was restarted."""
        self.relay.edge.send(*self.said)

    def close(self) -> None:
        for sock in (self.far, self.far_control, self.worker):
            sock.close()


@dataclass
class Heard:
    """A packet at a party."""

    seq: int
    ts: int
    ssrc: int
    speaker: int
    """Which of the talkers has sent it."""
    number: int
    """Of that talker's packets."""
    sent_at: float
    late_s: float
    """Of its sender."""


class Talk:
    """Parties and workers that talk, 20 ms a packet, each in a phase of its own; what parties hear is kept.

    Args:
        legs: whose parties talk; the speaker of leg n's party is 2n.
        workers: their workers talk too; the speaker of leg n's worker is 2n + 1.
    """

    def __init__(self, legs: list[RealLeg], *, workers: bool) -> None:
        self._legs = legs
        self._socks = [
            *((2 * n, leg.far, leg.outer) for n, leg in enumerate(legs)),
            *((2 * n + 1, leg.worker, leg.inner) for n, leg in enumerate(legs) if workers),
        ]
        self.heard: list[list[Heard]] = [[] for _ in legs]
        self.quiet: set[int] = set()
        """Speakers that say nothing for now; their time goes on."""
        self.odd = 0
        """Packets heard that no talker has sent."""
        self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        start, step = loop.time(), 0.02 / len(self._socks)
        said = {speaker: 0 for speaker, _, _ in self._socks}
        for turn in itertools.count():
            if (delay := start + turn * step - loop.time()) > 0.001:
                await asyncio.sleep(delay)
                self._listen()
            speaker, sock, to = self._socks[turn % len(self._socks)]
            if speaker in self.quiet:
                continue
            said[speaker] += 1
            ts = turn // len(self._socks) * 160
            head = struct.pack(">BBHII", 0x80, 8, said[speaker] & 0xFFFF, ts, 7000 + speaker)
            late_s = loop.time() - start - turn * step
            payload = struct.pack(">4sIIdd", b"talk", speaker, said[speaker], time.monotonic(), late_s)
            sock.sendto(head + payload + b"\xd5" * 132, to)

    def _listen(self) -> None:
        for heard, leg in zip(self.heard, self._legs, strict=True):
            while True:
                try:
                    data = leg.far.recv(4096)
                except BlockingIOError:
                    break
                _, _, seq, ts, ssrc = struct.unpack_from(">BBHII", data)
                tag, speaker, n, sent_at, late_s = struct.unpack_from(">4sIIdd", data, 12)
                if tag == b"talk":
                    heard.append(Heard(seq, ts, ssrc, speaker, n, sent_at, late_s))
                else:
                    self.odd += 1

    async def until(self, leg: int, speaker: int, *, more: int = 3) -> None:
        """Wait until a party has heard so many more packets of a speaker."""
        count = len(self.heard[leg])
        async with asyncio.timeout(PATIENCE_S):
            while sum(packet.speaker == speaker for packet in self.heard[leg][count:]) < more:
                if self._task.done():
                    self._task.result()
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def bound(host: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.bind((host, 0))
    return sock


async def receive(sock: socket.socket) -> bytes:
    async with asyncio.timeout(PATIENCE_S):
        return await asyncio.get_running_loop().sock_recv(sock, 4096)


@contextlib.asynccontextmanager
async def run_relay(folder: Path, **changes: Any) -> AsyncIterator[RelayProcess]:
    """Start a relay; it has to end by SIGTERM with status 0, and its log must hold no error."""
    relay = RelayProcess(folder, **changes)
    await relay.start()
    try:
        yield relay
    finally:
        for leg in relay.legs:
            leg.close()
        await relay.controller.close()
        await relay.edge.close()
        relay.process.terminate()
        try:
            async with asyncio.timeout(PATIENCE_S):
                status = await relay.process.wait()
        except TimeoutError:
            relay.process.kill()
            raise AssertionError("the relay does not end") from None
    said = relay.log_path.read_text()
    assert status == 0, said
    assert '"level": "error"' not in said, said
