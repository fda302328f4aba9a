"""The relay process with real sockets."""

import asyncio
import sys
from pathlib import Path

import pytest

from b2bua.relay.control import LegsJoined
from tests.peer.ladder import PATIENCE_S
from tests.sip.relay_process import RealLeg, receive, run_relay
from tests.unit.relay.relay_scene import parse, rtp

pytestmark = pytest.mark.sip


def far_says(leg: RealLeg, seq: int, payload: bytes) -> None:
    leg.far.sendto(rtp(8, seq, 160 * seq, 11, payload), leg.outer)


@pytest.mark.parametrize("bind", ["127.0.0.1", "::1", "0.0.0.0"])
async def test_a_leg_hears_its_worker_then_its_partner(tmp_path: Path, bind: str) -> None:
    async with run_relay(tmp_path, bind=bind) as relay:
        a, b = await relay.leg("a"), await relay.leg("b")
        a.worker.sendto(rtp(8, 1, 160, 5, b"worker"), a.inner)
        assert parse(await receive(a.far)).payload == b"worker"
        far_says(a, 1, b"one")
        assert parse(await receive(a.worker)).payload == b"one"
        relay.join(a, b)
        await relay.controller.expect(LegsJoined)
        far_says(a, 2, b"two")
        far_says(b, 1, b"three")
        assert parse(await receive(b.far)).payload == b"two"
        assert parse(await receive(a.far)).payload == b"three"


async def test_a_relay_ends_with_its_parent(tmp_path: Path) -> None:
    path = tmp_path / "relay.sock"
    # The shell ends when the relay listens.
    start = f"{sys.executable} -m b2bua.relay --control {path} & while ! [ -S {path} ]; do sleep 0.1; done"
    shell = await asyncio.create_subprocess_exec("/bin/sh", "-c", start)
    assert await shell.wait() == 0
    reader, writer = await asyncio.open_unix_connection(str(path))
    async with asyncio.timeout(PATIENCE_S):
        assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
