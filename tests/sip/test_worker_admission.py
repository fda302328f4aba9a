"""A worker listens on loopback, where any process can send to it: it accepts only the edge's messages."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from b2bua.core.commands import AllowRefer, AnswerLeg, EndSession, HangupLeg
from b2bua.core.events import LegEnded, LegIncoming, LegReferred
from b2bua.engine.protocol import SessionDone
from tests.peer.peer import Peer
from tests.sip.worker_process import FROM_EDGE, SECRET, WorkerProcess, run_worker_process

pytestmark = pytest.mark.sip

FORGED = [("X-B2bua-Trunk", "carrier"), ("X-B2bua-Source", "udp:192.0.2.1:5060")]


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[WorkerProcess]:
    async with run_worker_process(tmp_path, 9) as worker:
        yield worker


async def a_call(worker: WorkerProcess, caller: Peer) -> None:
    """From beginning to end."""
    call = await caller.invite(f"sip:100@127.0.0.1:{worker.sip_port}", headers=FROM_EDGE)
    incoming = await worker.expect(LegIncoming)
    assert SECRET not in str(incoming) and "b2bua-secret" not in str(incoming.headers).lower()
    worker.send(AnswerLeg(leg=incoming.leg))
    await call.expect_response(200)
    worker.send(HangupLeg(leg=incoming.leg), EndSession())
    await call.expect("BYE")
    assert (await worker.expect(SessionDone)).healthy


@pytest.mark.parametrize(
    "headers",
    [
        FORGED,
        [*FORGED, ("X-B2bua-Secret", "")],
        [*FORGED, ("X-B2bua-Secret", SECRET[:-1])],
        [*FORGED, *FROM_EDGE, *FROM_EDGE],
    ],
    ids=["none", "empty", "wrong", "twice"],
)
async def test_an_invite_without_the_secret_is_403_and_no_session(
    worker: WorkerProcess, caller: Peer, headers: list[tuple[str, str]]
) -> None:
    for _ in range(6):  # more than it has slots
        call = await caller.invite(f"sip:100@127.0.0.1:{worker.sip_port}", headers=headers)
        await call.expect_response(403)
    assert not any(isinstance(event, LegIncoming) for event in worker.events)
    await a_call(worker, caller)


async def test_a_call_is_neither_taken_over_nor_transferred_without_it(
    worker: WorkerProcess, caller: Peer, ann: Peer
) -> None:
    call = await caller.invite(f"sip:100@127.0.0.1:{worker.sip_port}", headers=FROM_EDGE)
    leg = (await worker.expect(LegIncoming)).leg
    worker.send(AnswerLeg(leg=leg), AllowRefer(leg=leg, allowed=True))
    await call.expect_response(200)
    dialog = call.dialog
    replaces = f"{dialog.call_id};to-tag={dialog.remote_tag};from-tag={dialog.local_tag}"
    other = await ann.invite(
        f"sip:100@127.0.0.1:{worker.sip_port}", headers=[("Replaces", replaces), ("Require", "replaces")]
    )
    await other.expect_response(403)
    refused = await call.refer("sip:evil@127.0.0.1:9")
    assert refused is not None and refused.status == 603
    assert not any(isinstance(event, LegReferred | LegEnded) for event in worker.events)
    await call.bye()
    await worker.expect(LegEnded)
    worker.send(EndSession())
    await worker.expect(SessionDone)


async def test_media_that_the_edge_wants_encrypted_are_so_or_the_leg_ends(
    worker: WorkerProcess, caller: Peer
) -> None:
    headers = [("X-B2bua-Secret", f"{SECRET};srtp=required")]
    call = await caller.invite(f"sip:100@127.0.0.1:{worker.sip_port}", headers=headers)
    incoming = await worker.expect(LegIncoming)
    assert SECRET not in str(incoming)
    worker.send(AnswerLeg(leg=incoming.leg))
    await call.expect("BYE")
    assert (await worker.expect(LegEnded)).cause == "local"
    worker.send(EndSession())
    await worker.expect(SessionDone)
    await a_call(worker, caller)  # of which the edge does not want it
