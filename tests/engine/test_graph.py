"""A worker's media graph passes current audio only, without a backlog; and its sockets."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from b2bua.core.commands import AnswerLeg, Connection, SetMedia
from b2bua.core.events import LegConfirmed, LegIncoming, MediaChanged
from media.measure import goertzel_dbfs
from tests.peer.call import Call
from tests.peer.ladder import PATIENCE_S
from tests.peer.peer import Peer
from tests.peer.tones import sine
from tests.sip.worker_process import FROM_EDGE, WorkerProcess, run_worker_process

pytestmark = pytest.mark.sip

RATE = 8000


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[WorkerProcess]:
    async with run_worker_process(tmp_path, 9) as worker:
        yield worker


@pytest.fixture
async def call(worker: WorkerProcess, caller: Peer) -> AsyncIterator[Call]:
    """An answered caller in the worker whom nobody hears."""
    call = await caller.invite(f"sip:100@127.0.0.1:{worker.sip_port}", headers=FROM_EDGE)
    leg = (await worker.expect(LegIncoming)).leg
    worker.send(AnswerLeg(leg=leg))
    await call.expect_response(200)
    await worker.expect(LegConfirmed, leg=leg)
    yield call
    await call.bye()


async def test_what_is_said_while_nobody_hears_it_is_not_heard_later(
    worker: WorkerProcess, call: Call
) -> None:
    leg = (await worker.expect(MediaChanged)).leg
    echo = (Connection(leg, leg),)
    call.media.play_tone(880)
    worker.send(SetMedia(connections=echo))
    await call.media.expect_tone(880)
    worker.send(SetMedia(connections=()))
    await call.media.expect_silence()
    before = len(call.media.heard())
    call.media.play(np.concatenate([sine(440, -12, RATE), sine(660, -12, 3 * RATE)]))
    await call.media.expect_heard(before / RATE + 1.2)
    worker.send(SetMedia(connections=echo))
    await call.media.expect_tone(660)
    heard = call.media.heard()[before:]
    first = np.flatnonzero(np.abs(heard.astype(np.int32)) > 500)[0]
    assert goertzel_dbfs(heard[first : first + 800], 440, RATE) < -50.0


async def test_media_is_told_as_it_is(worker: WorkerProcess, call: Call) -> None:
    assert (await worker.expect(MediaChanged)).active
    await call.hold()
    changed = await worker.expect(MediaChanged)
    assert (changed.active, changed.held_by_peer) == (False, True)
    await call.resume()
    changed = await worker.expect(MediaChanged)
    assert (changed.active, changed.held_by_peer) == (True, False)


async def test_a_datagram_that_nobody_waits_for_wakes_a_worker_only_once(
    worker: WorkerProcess, caller: Peer
) -> None:
    for port in worker.waiting_datagrams():
        caller.send_raw(b"BYE sip:sink@127.0.0.1 SIP/2.0\r\n\r\n", ("127.0.0.1", port))
    async with asyncio.timeout(PATIENCE_S):
        while any(worker.waiting_datagrams().values()):  # noqa: ASYNC110  # the kernel does not say when they were read
            await asyncio.sleep(0.02)
