"""The real edge and the real relay: audio of a call in and a call out, with the test's own worker."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from b2bua.core.ids import WorkerId
from b2bua.relay.control import JoinLegs, LegKey, LegMeasured, LegsJoined, LegsParted
from b2bua.sip.edge_control import WorkerGone, WorkerKnown, WorkerTaken
from tests.peer.ladder import PATIENCE_S
from tests.relay.relay_process import RelayProcess, bound, receive
from tests.sip.edge_process import EdgeProcess, UdpPeer, run_edge
from tests.sip.test_edge_calls import call, dialled
from tests.unit.relay.relay_scene import parse, rtp
from tests.unit.sip.media_scene import answered, media, party_sdp, with_sdp, worker_sdp

pytestmark = pytest.mark.sip

LOOPBACK = "127.0.0.1"
_REPEAT_S = 0.1
CALLER, CALLEE = LegKey("call-1", "w1"), LegKey("leg-1", "w1")


class Relay(RelayProcess):
    """A relay whose edge is the real one."""

    async def start(self, *_: object) -> None:
        await self.start_without_edge()

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()
        await self.controller.close()


@dataclass
class Side:
    """A party or a worker's leg: its socket, and where its audio goes."""

    socket: socket.socket
    to: tuple[str, int] = ("", 0)
    seq: int = 0

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])

    def say(self, words: bytes) -> None:
        self.seq += 1
        self.socket.sendto(rtp(8, self.seq, 160 * self.seq, self.port, words), self.to)

    async def hears(self, speaker: "Side", words: bytes) -> None:
        """Wait for the words of ``speaker``, who repeats them until they arrive.

        The relay may look at a packet before it looks at the description that the edge has sent just before.
        """
        async with asyncio.timeout(PATIENCE_S):
            while True:
                speaker.say(words)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_REPEAT_S):
                        while parse(await receive(self.socket)).payload != words:
                            pass
                        return


class Call:
    """A caller, a callee, and the worker between them with a leg for each."""

    def __init__(self, edge: EdgeProcess, relay: Relay, worker: UdpPeer, peer: UdpPeer) -> None:
        self.edge, self.relay, self.worker, self.peer = edge, relay, worker, peer
        self.caller, self.callee = Side(bound(LOOPBACK)), Side(bound(LOOPBACK))
        inner_host = relay.config.inner_host
        self.near_caller, self.near_callee = Side(bound(inner_host)), Side(bound(inner_host))

    def of_worker(self, side: Side) -> str:
        return worker_sdp(side.port, formats="8 101").replace("127.77.3.1", self.relay.config.inner_host)

    async def set_up(self) -> None:
        edge, worker, peer = self.edge, self.worker, self.peer
        offer = party_sdp(LOOPBACK, self.caller.port)
        peer.send(with_sdp(call(peer, edge), offer), edge.udp_port)
        request = await worker.request()
        self.near_caller.to = media(request)
        worker.send(answered(request, 200, self.of_worker(self.near_caller)), edge.inner_port)
        self.caller.to = media(await peer.response())

        invited = dialled(edge, worker, f"sip:bob@{LOOPBACK}:{peer.port}")
        worker.send(with_sdp(invited, self.of_worker(self.near_callee)), edge.inner_port)
        request = await peer.request()
        self.callee.to = media(request)
        peer.send(
            answered(request, 200, party_sdp(LOOPBACK, self.callee.port, formats="8 101")), edge.udp_port
        )
        self.near_callee.to = media(await worker.response())

    async def hold(self) -> None:
        """The caller holds, and the worker agrees."""
        headers = {"To": "<sip:100@sip.example.com>;tag=tt", "CSeq": "2 INVITE"}
        via = f"SIP/2.0/UDP {LOOPBACK}:{self.peer.port};branch=z9hG4bKhold"
        held = call(self.peer, self.edge, Via=via, **headers).replace(b"sip:100@127", b"sip:w1@127", 1)
        self.peer.send(
            with_sdp(held, party_sdp(LOOPBACK, self.caller.port, more="a=sendonly")), self.edge.udp_port
        )
        request = await self.worker.request()
        answer = self.of_worker(self.near_caller).replace("a=sendrecv", "a=recvonly")
        self.worker.send(answered(request, 200, answer), self.edge.inner_port)
        await self.peer.response()

    def close(self) -> None:
        for side in (self.caller, self.callee, self.near_caller, self.near_callee):
            side.socket.close()


@asynccontextmanager
async def a_call(folder: Path, media_host: str = LOOPBACK) -> AsyncIterator[Call]:
    """A call that is to be set up."""
    relay = Relay(folder)
    await relay.start()
    places = {"relay": str(relay.path), "inner_host": relay.config.inner_host}
    peer = await UdpPeer.open()
    try:
        async with run_edge(folder, media_host=media_host, media_bind=LOOPBACK, **places) as edge:
            call = Call(edge, relay, await edge.worker("w1"), peer)
            yield call
            call.close()
    finally:
        peer.close()
        await relay.kill()


async def test_audio_of_both_legs_by_the_worker_and_then_joined(tmp_path: Path) -> None:
    async with a_call(tmp_path) as call:
        await call.set_up()
        await call.near_caller.hears(call.caller, b"caller")
        await call.callee.hears(call.near_callee, b"for the callee")
        await call.near_callee.hears(call.callee, b"callee")

        call.relay.controller.send(JoinLegs(one=CALLER, other=CALLEE))
        await call.relay.controller.expect(LegsJoined)
        await call.callee.hears(call.caller, b"hello")
        await call.caller.hears(call.callee, b"yes")

        await call.hold()
        await call.relay.controller.expect(LegsParted)
        await call.near_callee.hears(call.callee, b"on hold")

        call.edge.order(WorkerGone(worker=WorkerId("w1")))
        measured = await call.relay.controller.expect(LegMeasured)
        assert measured.leg == CALLER and measured.received >= 2
        assert (await call.relay.controller.expect(LegMeasured)).leg == CALLEE


async def test_audio_after_the_relay_has_died(tmp_path: Path) -> None:
    async with a_call(tmp_path) as call:
        await call.set_up()
        await call.near_caller.hears(call.caller, b"caller")
        await call.relay.kill()
        await call.relay.start()
        call.relay.controller.send(JoinLegs(one=CALLER, other=CALLEE))
        await call.relay.controller.expect(LegsJoined)
        await call.callee.hears(call.caller, b"hello")
        await call.caller.hears(call.callee, b"yes")


async def test_two_workers_hear_each_other_where_the_advertised_address_leads_nowhere(tmp_path: Path) -> None:
    async with a_call(tmp_path, media_host="192.0.2.7") as call:
        edge, first = call.edge, call.worker
        second = await edge.worker("w2")
        edge.order(WorkerTaken(worker=WorkerId("w1"), sip_port=first.port))
        await edge.expect(WorkerKnown)
        invited = dialled(edge, first, f"sip:100@{LOOPBACK}:{edge.udp_port}")
        first.send(with_sdp(invited, call.of_worker(call.near_caller)), edge.inner_port)
        request = await second.request()
        call.near_callee.to = media(request)
        second.send(answered(request, 200, call.of_worker(call.near_callee), by="w2"), edge.inner_port)
        call.near_caller.to = media(await first.response())
        await call.near_callee.hears(call.near_caller, b"one")
        await call.near_caller.hears(call.near_callee, b"two")
        # A socket of the relay's is connected by the first packet that it believes: none has passed one.
        assert not connected_ports(range(*call.relay.config.ports))


def connected_ports(ports: range) -> set[int]:
    rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    return {port for row in rows if (port := _port(row[1])) in ports and _port(row[2])}


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)
