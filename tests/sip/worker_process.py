"""One worker alone: its process and the far end of its socket. The test plays controller and edge."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from b2bua.core.commands import LegCommand
from b2bua.core.ids import WorkerId
from b2bua.engine.protocol import (
    FromWorker,
    Retire,
    SessionDone,
    SessionOrders,
    WorkerHello,
    WorkerSpec,
)
from b2bua.ipc.channel import Channel
from tests.bench.processes import sockets
from tests.peer.ladder import PATIENCE_S
from tests.ports import port_block

_MAIN = """
import sys, msgspec
from b2bua.engine.protocol import WorkerSpec
from b2bua.engine.worker import run_worker
run_worker(msgspec.json.decode(sys.argv[1], type=WorkerSpec))
"""

_RTP_PORTS = 32
SECRET = "5ec7e7" * 5
FROM_EDGE = [("X-B2bua-Secret", SECRET)]
"""Headers of an INVITE that a worker accepts."""

Event = TypeVar("Event", bound=msgspec.Struct)


@dataclass
class WorkerProcess:
    """A running worker; created by ``run_worker_process``."""

    channel: Channel[FromWorker]
    process: asyncio.subprocess.Process
    sip_port: int
    events: list[msgspec.Struct] = field(default_factory=list)
    """All its events, newest last."""
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _taken: set[int] = field(default_factory=set)

    def send(self, *orders: LegCommand | Retire) -> None:
        """Send Retire, or orders of the current session, as far as the worker has reported it."""
        if any(isinstance(order, Retire) for order in orders):
            self.channel.send(*orders)
        else:
            self.channel.send(SessionOrders(self.session, cast(tuple[LegCommand, ...], orders)))

    @property
    def session(self) -> int:
        """Number of the current session."""
        return 1 + sum(isinstance(event, SessionDone) for event in self.events)

    async def expect(self, kind: type[Event], *, within_s: float = PATIENCE_S, **facts: Any) -> Event:
        """The next event of this kind, with these fields, that no earlier call returned."""
        deadline = time.monotonic() + within_s
        while True:
            for number, event in enumerate(self.events):
                if number not in self._taken and isinstance(event, kind) and _has(event, facts):
                    self._taken.add(number)
                    return event
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), deadline - time.monotonic())
            except TimeoutError:
                raise AssertionError(f"no {kind.__name__} {facts}; there were {self.events}") from None

    def cpu_s(self) -> float:
        """Processor time used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def waiting_datagrams(self) -> dict[int, int]:
        """Unread bytes in its UDP sockets, by port."""
        inodes = sockets(self.process.pid)
        rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
        return {
            int(row[1].partition(":")[2], 16): int(row[4].partition(":")[2], 16)
            for row in rows
            if row[9] in inodes
        }

    async def read(self) -> None:
        async for event in self.channel:
            self.events.append(event)
            self._news.set()


def _has(event: msgspec.Struct, facts: dict[str, Any]) -> bool:
    return all(getattr(event, name, None) == value for name, value in facts.items())


@contextlib.asynccontextmanager
async def run_worker_process(
    folder: Path,
    edge_port: int,
    *,
    codecs: tuple[str, ...] = ("PCMU", "PCMA"),
    limits: Sequence[str] = (),
    before: str = "",
    clock_rate_hz: int = 8000,
) -> AsyncIterator[WorkerProcess]:
    """Start a worker; at the end it is retired and must exit by itself, unless it was killed.

    Args:
        folder: for its socket.
        edge_port: who takes the requests it makes outside dialogs.
        codecs: by preference.
        clock_rate_hz: of its bridge.
        limits: a command to start it with, like ``prlimit``.
        before: Python code that the process runs first, for faults that the library does not make to order.
    """
    connected: asyncio.Queue[Channel[FromWorker]] = asyncio.Queue()
    path = folder / "worker.sock"

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = msgspec.msgpack.Decoder(FromWorker)
        connected.put_nowait(cast(Channel[FromWorker], Channel(reader, writer, decoder)))

    server = await asyncio.start_unix_server(accept, str(path))
    spec = WorkerSpec(
        worker=WorkerId("w1"),
        control_path=str(path),
        edge_port=edge_port,
        secret=SECRET,
        rtp_bind="127.0.0.1",
        rtp_advertise="",
        rtp_port=port_block(_RTP_PORTS),
        rtp_ports=_RTP_PORTS,
        codecs=codecs,
        tones_folder=str(folder),
        user_agent="test",
        clock_rate_hz=clock_rate_hz,
    )
    argument = msgspec.json.encode(spec).decode()
    process = await asyncio.create_subprocess_exec(
        *limits, sys.executable, "-c", before + _MAIN, argument, stdin=subprocess.DEVNULL
    )
    try:
        channel = await asyncio.wait_for(connected.get(), PATIENCE_S)
        worker = WorkerProcess(channel, process, 0)
        reading = asyncio.create_task(worker.read())
        try:
            worker.sip_port = (await worker.expect(WorkerHello)).sip_port
            yield worker
            if process.returncode is None:
                worker.send(Retire())
                assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0
        finally:
            channel.close()
            await reading
    finally:
        server.close()
        if process.returncode is None:
            process.kill()
            await process.wait()
