"""The real edge process beside a relay that the test plays, with its own workers and peers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar, cast

import msgspec
import pytest

from b2bua.core.ids import WorkerId
from b2bua.ipc.channel import Channel
from b2bua.relay.control import (
    CloseLeg,
    DescribeLeg,
    EdgeHello,
    LegClosed,
    LegKey,
    OpenLeg,
    Pair,
    PairsGranted,
    ToRelay,
)
from b2bua.sip.edge_control import CallRefused, WorkerGone
from tests.peer.ladder import PATIENCE_S
from tests.sip.edge_process import EdgeProcess, UdpPeer, run_edge
from tests.sip.test_edge_calls import call, dialled
from tests.unit.sip.media_scene import (
    INNER_HOST,
    LEG,
    MEDIA,
    PAIRS,
    answered,
    media,
    party_sdp,
    with_sdp,
    worker_sdp,
)

pytestmark = pytest.mark.sip

Told = TypeVar("Told", bound=msgspec.Struct)


class StandIn:
    """A relay that only speaks; it can die and be started again. It grants ``pairs`` to who connects."""

    def __init__(self, path: Path, pairs: tuple[Pair, ...]) -> None:
        self.path = path
        self.pairs = pairs
        self.told: asyncio.Queue[msgspec.Struct] = asyncio.Queue()
        self._server: asyncio.Server | None = None
        self._channel: Channel[ToRelay] | None = None

    async def start(self) -> None:
        self.path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = msgspec.msgpack.Decoder(ToRelay)
        channel = self._channel = cast(Channel[ToRelay], Channel(reader, writer, decoder))
        async for message in channel:
            if isinstance(message, EdgeHello):
                channel.send(PairsGranted(pairs=self.pairs))
            self.told.put_nowait(message)

    def say(self, *messages: msgspec.Struct) -> None:
        assert self._channel is not None
        self._channel.send(*messages)

    async def expect(self, kind: type[Told]) -> Told:
        async with asyncio.timeout(PATIENCE_S):
            message = await self.told.get()
        assert isinstance(message, kind), message
        return message

    def die(self) -> None:
        if self._server is not None:
            self._server.close()
        if self._channel is not None:
            self._channel.close()


@pytest.fixture
async def peer() -> AsyncIterator[UdpPeer]:
    peer = await UdpPeer.open()
    yield peer
    peer.close()


@asynccontextmanager
async def run_both(folder: Path, pairs: int) -> AsyncIterator[tuple[EdgeProcess, StandIn]]:
    """The edge, and a relay that it is connected to."""
    relay = StandIn(folder / "relay.sock", PAIRS[:pairs])
    await relay.start()
    places = {"relay": str(relay.path), "media_host": MEDIA, "inner_host": INNER_HOST}
    try:
        async with run_edge(folder, **places) as edge:
            assert await relay.expect(EdgeHello) == EdgeHello()
            yield edge, relay
    finally:
        relay.die()


async def test_a_call_whose_media_go_by_the_relay(tmp_path: Path, peer: UdpPeer) -> None:
    async with run_both(tmp_path, 2) as (edge, relay):
        worker = await edge.worker("w1")
        peer.send(with_sdp(call(peer, edge), party_sdp("127.0.0.1", 4000)), edge.udp_port)
        request = await worker.request()
        assert media(request) == (INNER_HOST, PAIRS[0].inner)
        assert await relay.expect(OpenLeg) == OpenLeg(leg=LEG, pair=PAIRS[0])
        worker.send(answered(request, 200, worker_sdp()), edge.inner_port)
        response = await peer.response()
        assert media(response) == (MEDIA, PAIRS[0].outer)
        assert INNER_HOST not in response.to_bytes().decode()
        described = await relay.expect(DescribeLeg)
        assert (described.leg, described.far.port, described.near.port) == (LEG, 4000, 41_000)

        worker.send(dialled_with_sdp(edge, worker, peer), edge.inner_port)
        assert media(await peer.request()) == (MEDIA, PAIRS[1].outer)
        second = LegKey("leg-1", "w1")
        assert await relay.expect(OpenLeg) == OpenLeg(leg=second, pair=PAIRS[1])
        relay.say(LegClosed(leg=second))
        await edge.settle()
        edge.order(WorkerGone(worker=WorkerId("w1")))
        assert await relay.expect(CloseLeg) == CloseLeg(leg=LEG)


async def test_a_relay_that_is_started_again_is_told_all(tmp_path: Path, peer: UdpPeer) -> None:
    async with run_both(tmp_path, 3) as (edge, relay):
        worker = await edge.worker("w1")
        peer.send(with_sdp(call(peer, edge), party_sdp("127.0.0.1", 4000)), edge.udp_port)
        request = await worker.request()
        opened = await relay.expect(OpenLeg)
        relay.die()
        worker.send(answered(request, 200, worker_sdp()), edge.inner_port)  # the call goes on meanwhile
        assert media(await peer.response()) == (MEDIA, PAIRS[0].outer)
        while not relay.told.empty():
            relay.told.get_nowait()
        await relay.start()
        assert await relay.expect(EdgeHello) == EdgeHello(free=PAIRS[1:3])
        assert await relay.expect(OpenLeg) == opened
        assert (await relay.expect(DescribeLeg)).leg == LEG
        worker.send(dialled_with_sdp(edge, worker, peer), edge.inner_port)
        assert media(await peer.request()) == (MEDIA, PAIRS[1].outer)
        assert (await relay.expect(OpenLeg)).pair == PAIRS[1]


async def test_calls_wait_for_ports(tmp_path: Path, peer: UdpPeer) -> None:
    async with run_both(tmp_path, 0) as (edge, relay):
        worker = await edge.worker("w1")
        peer.send(with_sdp(call(peer, edge), party_sdp("127.0.0.1", 4000)), edge.udp_port)
        worker.send(dialled_with_sdp(edge, worker, peer), edge.inner_port)
        await edge.settle()
        assert worker.came.empty() and peer.came.empty()
        relay.say(PairsGranted(pairs=PAIRS[:2]))
        assert media(await peer.request()) == (MEDIA, PAIRS[0].outer)
        assert media(await worker.request()) == (INNER_HOST, PAIRS[1].inner)


async def test_without_ports_there_are_no_calls(tmp_path: Path, peer: UdpPeer) -> None:
    async with run_both(tmp_path, 0) as (edge, _):
        worker = await edge.worker("w1")
        peer.send(with_sdp(call(peer, edge), party_sdp("127.0.0.1", 4000)), edge.udp_port)
        worker.send(dialled_with_sdp(edge, worker, peer), edge.inner_port)
        assert (await worker.response()).status == 503
        response = await peer.response()
        assert (response.status, response.get("retry-after")) == (503, "2")
        assert (await edge.expect(CallRefused)).reason == "no media port"
        assert worker.came.empty()


def dialled_with_sdp(edge: EdgeProcess, worker: UdpPeer, peer: UdpPeer) -> bytes:
    return with_sdp(dialled(edge, worker, f"sip:bob@127.0.0.1:{peer.port}"), worker_sdp())
