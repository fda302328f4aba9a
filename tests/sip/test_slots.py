"""Late events in the dialog of an ended call do not reach the call that now has its slot."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from b2bua.core.commands import AllowRefer, AnswerLeg, HangupLeg, InviteLeg, NotifyTransfer, ReferLeg
from b2bua.core.events import (
    DtmfReceived,
    LegAnswered,
    LegConfirmed,
    LegEnded,
    LegIncoming,
    LegReferred,
    ReferProgress,
)
from b2bua.core.ids import LegId, SipCallId
from tests.peer.call import Call
from tests.peer.peer import Peer
from tests.sip.worker_process import FROM_EDGE, WorkerProcess, run_worker_process

pytestmark = pytest.mark.sip

SLOTS = 4
"""Slots of the library, given to calls in turn."""
NOTIFIED = [
    ("Event", "refer"),
    ("Subscription-State", "terminated;reason=noresource"),
    ("Content-Type", "message/sipfrag;version=2.0"),
]
KEY = [("Content-Type", "application/dtmf-relay")], "Signal=5\r\nDuration=160\r\n"


@pytest.fixture
async def worker(tmp_path: Path, callee: Peer) -> AsyncIterator[WorkerProcess]:
    async with run_worker_process(tmp_path, callee.address[1]) as worker:
        yield worker


async def answered(worker: WorkerProcess, caller: Peer) -> tuple[LegId, Call]:
    call = await caller.invite(f"sip:100@127.0.0.1:{worker.sip_port}", headers=FROM_EDGE)
    leg = (await worker.expect(LegIncoming)).leg
    worker.send(AnswerLeg(leg=leg, headers=()), AllowRefer(leg=leg, allowed=True))
    await worker.expect(LegConfirmed, leg=leg)
    return leg, call


async def over(worker: WorkerProcess, caller: Peer, *orders: ReferLeg) -> Call:
    """A call that has ended; the next call gets its slot."""
    leg, call = await answered(worker, caller)
    call.manual.add("REFER")
    if orders:
        worker.send(*(ReferLeg(leg=leg, refer_to=order.refer_to, headers=()) for order in orders))
        await call.expect("REFER")
    worker.send(HangupLeg(leg=leg, sip_code=603, headers=()))
    await call.expect("BYE")
    await worker.expect(LegEnded, leg=leg)
    for _ in range(SLOTS - 1):
        leg, other = await answered(worker, caller)
        await other.bye()
        await worker.expect(LegEnded, leg=leg)
    return call


async def nothing_was_told(worker: WorkerProcess, leg: LegId, call: Call, *kinds: type) -> None:
    """All messages sent are processed when a key of the live call has arrived."""
    await call.info(KEY[1], "application/dtmf-relay")
    await worker.expect(DtmfReceived, leg=leg, digit="5")
    assert not [event for event in worker.events if isinstance(event, kinds)]
    await call.bye()
    await worker.expect(LegEnded, leg=leg)


async def test_a_key_that_comes_late(worker: WorkerProcess, caller: Peer) -> None:
    old = await over(worker, caller)
    leg, call = await answered(worker, caller)
    late = old.request("INFO", KEY[0], KEY[1].replace("5", "7"))
    await old.final(late)
    await nothing_was_told(worker, leg, call)
    assert [event.digit for event in worker.events if isinstance(event, DtmfReceived)] == ["5"]


async def test_a_refer_that_comes_late(worker: WorkerProcess, caller: Peer) -> None:
    old = await over(worker, caller)
    leg, call = await answered(worker, caller)
    response = await old.refer("sip:carol@192.0.2.1", FROM_EDGE)
    assert response is not None
    assert response.status >= 400
    await nothing_was_told(worker, leg, call, LegReferred)


async def test_what_becomes_of_a_refer_of_ours(worker: WorkerProcess, caller: Peer) -> None:
    order = ReferLeg(leg=LegId(""), refer_to="sip:dora@192.0.2.8", headers=())
    old = await over(worker, caller, order)
    leg, call = await answered(worker, caller)
    refer = old.peer.log.found(lambda m: m.method == "REFER")[-1].message
    old.respond(refer, 202)
    await old.final(old.request("NOTIFY", NOTIFIED, "SIP/2.0 503 Service Unavailable\r\n"))
    await nothing_was_told(worker, leg, call, ReferProgress)


async def test_who_gets_the_slot_of_a_transfer_that_has_failed(
    worker: WorkerProcess, caller: Peer, callee: Peer
) -> None:
    legs = [await answered(worker, caller) for _ in range(SLOTS - 1)]
    leg, call = legs[0]
    response = await call.refer("sip:carol@192.0.2.1", FROM_EDGE)
    assert response is not None
    assert response.status == 202
    await worker.expect(LegReferred, leg=leg)
    worker.send(
        InviteLeg(
            leg=LegId("out"),
            sip_call_id=SipCallId("waits-for-a-slot"),
            uri=callee.uri("dora"),
            from_header="<sip:200@127.0.0.1>",
        ),
        NotifyTransfer(leg=leg, sip_code=486),
    )
    incoming = await callee.expect_invite()
    await incoming.answer()
    await worker.expect(LegAnswered, leg=LegId("out"))
    await incoming.expect("ACK")
    for each in (incoming, *(call for _, call in legs)):
        await each.bye()
