"""Audio goes first: on the network by its DSCP, on the machine by the relay's nice value."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from b2bua.ipc.dscp import AUDIO, SIGNALLING, mark
from tests.relay.relay_process import bound, run_relay
from tests.sip.edge_process import options, run_edge
from tests.unit.relay.relay_scene import rtp

pytestmark = pytest.mark.process

_RECEIVE = {
    socket.AF_INET: (socket.IPPROTO_IP, 13),  # IP_RECVTOS, which Python has no word for
    socket.AF_INET6: (socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS),
}
_CAP_SYS_NICE = 23


def listen(sock: socket.socket) -> None:
    """Let the kernel tell the class of what comes."""
    sock.setblocking(True)
    sock.settimeout(20)
    sock.setsockopt(*_RECEIVE[sock.family], 1)


def dscp(sock: socket.socket) -> int:
    """The class of the next packet."""
    _, [(_, _, value)], _, _ = sock.recvmsg(2048, 64)
    return value[0] >> 2


@pytest.mark.parametrize("bind", ["127.0.0.1", "::1", "::"])
async def test_audio_and_reports_are_expedited(tmp_path: Path, bind: str) -> None:
    async with run_relay(tmp_path, bind=bind) as relay:
        leg = await relay.leg("a")
        listen(leg.far)
        leg.worker.sendto(rtp(8, 1, 160, 5), leg.inner)
        assert await asyncio.to_thread(dscp, leg.far) == AUDIO
        listen(leg.far_control)
        leg.worker.sendto(b"\x80\xc8\x00\x06" + bytes(24), leg.inner)
        assert await asyncio.to_thread(dscp, leg.far_control) == AUDIO


def may_be_preferred() -> bool:
    status = Path("/proc/self/status").read_text()
    return bool(int(status.partition("CapEff:")[2].split()[0], 16) & 1 << _CAP_SYS_NICE)


async def test_the_relay_is_preferred_where_that_is_allowed(tmp_path: Path) -> None:
    async with run_relay(tmp_path) as relay:
        nice = os.getpriority(os.PRIO_PROCESS, relay.process.pid)
        assert nice == (-10 if may_be_preferred() else 0)


async def test_sip_is_marked_as_signalling(tmp_path: Path) -> None:
    async with run_edge(tmp_path) as edge:
        with bound("127.0.0.1") as phone:
            listen(phone)
            phone.sendto(options("one"), ("127.0.0.1", edge.udp_port))
            assert await asyncio.to_thread(dscp, phone) == SIGNALLING


def test_a_mark_that_cannot_be_set_is_no_error() -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        mark(sock, SIGNALLING)
