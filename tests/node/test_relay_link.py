"""The controller's link to the relay, with a process that stands in for the relay."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from b2bua.core.errors import B2buaError
from b2bua.node import relay_link as relay_link_module
from b2bua.node.relay_link import RelayEvent, RelayLink
from b2bua.relay.control import (
    HoldKeys,
    JoinLegs,
    LegKey,
    LegsJoined,
    LegsParted,
    PartLegs,
    RecordTaps,
    RelayConfig,
    StopTaps,
    TapsEnded,
)
from b2bua.watch import Watch

pytestmark = pytest.mark.process

A, B = LegKey("a", "w1"), LegKey("b", "w1")
CONFIG = RelayConfig(
    bind="127.0.0.1", ports=(10000, 10015), inner_host="127.77.0.1", inner_ports=(20000, 20007)
)

_STAND_IN = """
import socket, sys, msgspec
from b2bua.ipc.channel import BlockingChannel
from b2bua.relay.control import *
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[2])
listener.listen()
sock = listener.accept()[0]
channel = BlockingChannel(sock, msgspec.msgpack.Decoder(ToRelay))
while not channel.closed:
    sock.setblocking(True)
    head = sock.recv(1, socket.MSG_PEEK)
    for message in channel.receive():
        with open(sys.argv[2] + ".heard", "a") as file:
            print(repr(message), file=file)
        if isinstance(message, RelayConfig):
            channel.send([RelayReady(pairs=8)])
        elif isinstance(message, JoinLegs):
            channel.send([LegsJoined(one=message.one, other=message.other)])
"""


@dataclass
class Sink:
    events: list[RelayEvent] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def relayed(self, event: RelayEvent) -> None:
        self.events.append(event)
        self.came.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.events) < count:
                self.came.clear()
                await self.came.wait()


@pytest.fixture
async def watch() -> AsyncIterator[Watch]:
    watch = Watch()
    yield watch
    await watch.close()


class Keeper:
    """Starts the relay, and starts it again, as the supervisor does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.script = _STAND_IN
        self._process: asyncio.subprocess.Process | None = None

    async def keep(self) -> None:
        try:
            while True:
                self._path.unlink(missing_ok=True)
                command = (sys.executable, "-c", self.script, "--control", str(self._path))
                self._process = await asyncio.create_subprocess_exec(*command)
                await self._process.wait()
        finally:
            if self._process is not None and self._process.returncode is None:
                self._process.kill()
                await self._process.wait()


@pytest.fixture
async def keeper(tmp_path: Path) -> AsyncIterator[Keeper]:
    keeper = Keeper(tmp_path / "relay.sock")
    task = asyncio.ensure_future(keeper.keep())
    yield keeper
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


Make = Callable[[], RelayLink]


@pytest.fixture
async def make(tmp_path: Path, watch: Watch, keeper: Keeper) -> AsyncIterator[Make]:
    made: list[RelayLink] = []

    def make() -> RelayLink:
        link = RelayLink(tmp_path / "relay.sock", CONFIG, watch)
        made.append(link)
        return link

    yield make
    for link in made:
        await link.close()


def heard(link: RelayLink) -> list[str]:
    return Path(f"{link.path}.heard").read_text().splitlines()


async def test_a_relay_that_was_killed_is_told_again_what_stands(make: Make) -> None:
    link, sink = make(), Sink()
    assert (await link.start()).pairs == 8
    link.attach(A, sink)
    link.attach(B, sink)
    link.send(HoldKeys(leg=A, digits="*"), JoinLegs(one=A, other=B))
    await sink.until(1)
    first = link.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await sink.until(3)
    joined, parted = LegsJoined(one=A, other=B), LegsParted(one=A, other=B)
    assert sink.events == [joined, parted, joined]
    assert link.pid not in (None, first)
    told = [repr(CONFIG), repr(HoldKeys(leg=A, digits="*")), repr(JoinLegs(one=A, other=B))]
    assert heard(link) == told + told


async def test_what_is_withdrawn_is_not_told_again(make: Make) -> None:
    link, sink = make(), Sink()
    await link.start()
    link.attach(A, sink)
    link.send(JoinLegs(one=A, other=B))
    await sink.until(1)
    link.send(PartLegs(one=A, other=B))
    assert link.pid is not None
    os.kill(link.pid, signal.SIGKILL)
    link.send(JoinLegs(one=B, other=A))  # nobody listens: it is told later
    await sink.until(2)
    assert sink.events[1] == LegsJoined(one=B, other=A)


@pytest.mark.parametrize("dies", ["after the order", "before it"])
async def test_a_recording_whose_relay_has_died_ends_when_it_was_to_be_stopped(make: Make, dies: str) -> None:
    link, sink = make(), Sink()
    await link.start()
    link.attach("RE1", sink)
    record = RecordTaps(recording="RE1", path="/x", parent=None, child=None)
    link.send(record, JoinLegs(one=A, other=B))
    link.attach(A, sink)
    await sink.until(1)
    assert link.pid is not None
    os.kill(link.pid, signal.SIGKILL)
    if dies == "before it":
        await sink.until(2)  # the link has noticed
    before = time.monotonic()
    link.send(StopTaps(recording="RE1"))
    after = time.monotonic()
    await sink.until(4)
    (ended,) = (event for event in sink.events if isinstance(event, TapsEnded))
    assert before <= ended.at <= after
    assert ended == TapsEnded(recording="RE1", at=ended.at)
    assert isinstance(sink.events[-1], LegsJoined)
    assert heard(link).count(repr(record)) == 1  # the new relay makes no file


async def test_a_relay_that_does_not_start_is_an_error(
    tmp_path: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_link_module, "_START_LIMIT_S", 0.1)
    link = RelayLink(tmp_path / "nobody.sock", CONFIG, watch)
    with pytest.raises(B2buaError, match=r"the relay is not ready after 0\.1 s"):
        await link.start()
    await link.close()


async def test_a_relay_that_keeps_dying_is_a_reason(make: Make, watch: Watch, keeper: Keeper) -> None:
    link = make()
    await link.start()
    assert watch.reasons() == []
    keeper.script = "import time; time.sleep(0.1); raise SystemExit(1)"
    assert link.pid is not None
    os.kill(link.pid, signal.SIGKILL)
    async with asyncio.timeout(20):
        while not watch.reasons():  # noqa: ASYNC110 -- another process is waited for
            await asyncio.sleep(0.02)
    assert watch.reasons() == ["the relay does not run: the relay has ended"]


async def test_it_outlives_its_controller(make: Make, keeper: Keeper) -> None:
    link = make()
    await link.start()
    pid = link.pid
    await link.close()
    assert link.pid is None and pid is not None
    os.kill(pid, 0)
