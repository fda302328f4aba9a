"""A bug in a background task interrupts it only for a moment."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from b2bua.core.admission import Lease, Origin
from b2bua.core.ids import SipCallId, WorkerId
from b2bua.ipc.channel import Channel, encode_frames
from b2bua.launch import listening_http
from b2bua.node import edge_link as edge_link_module
from b2bua.node import recordings as recordings_module
from b2bua.node.edge_link import EdgeLink
from b2bua.node.journal import Journal
from b2bua.node.recordings import Recordings
from b2bua.sip.edge_control import EdgeReady, LeaseTaken, TrunkState
from b2bua.store import writer as writer_module
from b2bua.store.store import Store
from b2bua.watch import Watch
from b2bua.web.server import HttpServer, _Server
from tests.peer.ladder import PATIENCE_S
from tests.store.store_scene import a_call, sid
from tests.unit.sip.edge_scene import config

pytestmark = pytest.mark.process


class Well:
    """A healthy node."""

    def reasons_not_to_call(self) -> list[str]:
        return []


async def test_the_http_server_is_there_again_at_the_same_port(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = asyncio.Event()
    failed = asyncio.Event()
    on_tick = _Server.on_tick

    async def fail_once(self: _Server, counter: int) -> bool:
        if failing.is_set():
            failing.clear()
            failed.set()
            raise ValueError("a bug")
        return await on_tick(self, counter)

    monkeypatch.setattr(_Server, "on_tick", fail_once)
    watch = Watch()
    server = HttpServer(listening_http("127.0.0.1", 0), Well(), watch=watch)
    url = f"http://127.0.0.1:{await server.start()}/healthz"
    failing.set()
    await asyncio.wait_for(failed.wait(), PATIENCE_S)
    async with asyncio.timeout(PATIENCE_S), aiohttp.ClientSession() as session:
        while True:
            with contextlib.suppress(aiohttp.ClientConnectionError):
                async with session.get(url) as answer:
                    assert answer.status == 200
                    break
            await asyncio.sleep(0.02)
    assert watch.reasons() == []
    await server.close()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", int(url.split(":")[2].split("/")[0])), 1)


async def test_the_store_writes_what_it_was_at_when_it_was_broken_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = [ValueError("a bug"), asyncio.CancelledError()]
    commit = writer_module.Writer._commit_whatever_it_takes

    async def fail_twice(self: writer_module.Writer) -> None:
        if faults:
            raise faults.pop()
        await commit(self)

    monkeypatch.setattr(writer_module.Writer, "_commit_whatever_it_takes", fail_twice)
    store = await Store.open(f"sqlite:///{tmp_path}/b2bua.db")
    store.put(a_call(1))
    assert await store.keep(a_call(2), 5)
    assert not faults
    assert await store.directory.call(sid("CA", 1)) is not None
    assert await store.close() == 0


class NoOutbox:
    def post(self, *_: Any) -> None:
        raise AssertionError("nothing is to be told")


async def test_one_recording_that_cannot_be_made_ends_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: asyncio.Queue[str] = asyncio.Queue()

    async def make(self: Recordings, ended: Any) -> None:
        made.put_nowait(ended)
        if ended == "first":
            raise asyncio.CancelledError  # somebody else's, which is no Exception

    monkeypatch.setattr(recordings_module.Recordings, "_make", make)
    recordings = Recordings(tmp_path, "AC" + "0" * 32, Journal(lambda name: None))
    recordings.open()
    recordings.start(NoOutbox(), "http://127.0.0.1", Watch())  # type: ignore[arg-type]
    for each in ("first", "second"):
        recordings._ended.put_nowait(each)  # type: ignore[arg-type]
    assert [await asyncio.wait_for(made.get(), PATIENCE_S) for _ in range(2)] == ["first", "second"]
    await recordings.close(5)


class Told:
    """Reports of an EdgeLink; the handler of trunk reports has a bug."""

    def __init__(self) -> None:
        self.leases: asyncio.Queue[tuple[WorkerId, Lease]] = asyncio.Queue()

    def trunk(self, state: TrunkState) -> None:
        raise ValueError("a bug")


@pytest.fixture
async def told(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Told, asyncio.StreamWriter]]:
    """The reports, and the edge's end of the channel."""
    told = Told()
    watch = Watch()
    path = Path("/nowhere")
    link = EdgeLink(
        path,
        watch,
        lambda worker, lease: told.leases.put_nowait((worker, lease)),
        lambda refused: None,
        told.trunk,
        lambda bindings: None,
        lambda ready: None,
    )
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    _, edge = await asyncio.open_unix_connection(sock=theirs)

    async def connect(path: Path, kind: Any) -> Any:
        return Channel(reader, writer, msgspec.msgpack.Decoder(kind)), 1

    monkeypatch.setattr(edge_link_module, "connect", connect)
    edge.write(encode_frames([EdgeReady(listening=(), inner_port=1)]))
    await asyncio.wait_for(link.start(config()), PATIENCE_S)
    yield told, edge
    assert watch.reasons() == []
    edge.close()
    await watch.close()


async def test_one_word_of_the_edge_that_cannot_be_dealt_with_ends_nothing(
    told: tuple[Told, asyncio.StreamWriter],
) -> None:
    seen, edge = told
    lease = Lease(sip_call_id=SipCallId("c"), origin=Origin(source="udp:127.0.0.1:5060"))
    trouble = TrunkState(trunk="pbx", reachable=True, registration="off", sip_code=200)
    edge.write(encode_frames([trouble, LeaseTaken(worker=WorkerId("w1"), lease=lease)]))
    assert await asyncio.wait_for(seen.leases.get(), PATIENCE_S) == ("w1", lease)
