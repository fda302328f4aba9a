"""Calls of the library whose end it never reports: the worker ends them itself, and is used no more.

The library loses such reports only under bursts (pjproject #4992), so the worker is made to ignore them.
"""

from pathlib import Path

import pytest

from b2bua.core.commands import AllowRefer, AnswerLeg, EndSession, HangupLeg, InviteLeg, NotifyTransfer
from b2bua.core.events import LegConfirmed, LegEnded, LegIncoming, LegReferred
from b2bua.core.ids import LegId, SipCallId
from b2bua.engine.protocol import SessionDone
from tests.peer.call import Call
from tests.peer.peer import Peer
from tests.sip.worker_process import FROM_EDGE, WorkerProcess, run_worker_process

pytestmark = pytest.mark.sip

_IGNORES_ENDS = """
from b2bua.engine import leg_table, pjleg
takes = pjleg.PjLeg.take
def take(self, fact):
    if not (isinstance(fact, leg_table.Disconnected) and ({condition})):
        takes(self, fact)
pjleg.PjLeg.take = take
"""
LIVE = _IGNORES_ENDS.format(condition="not self.machine.is_over")
REPLACED = _IGNORES_ENDS.format(condition="self.machine.state is leg_table.DialogState.REPLACED")
GIVEN_UP = _IGNORES_ENDS.format(condition="self.machine.has_told_its_end")
TRANSFER = """
import pjsua2 as pj
from b2bua.engine import refer
hears = refer._TransferCall.onCallState
def on_call_state(self, prm):
    if self.getInfo().state != pj.PJSIP_INV_STATE_DISCONNECTED:
        hears(self, prm)
refer._TransferCall.onCallState = on_call_state
"""


async def answered(worker: WorkerProcess, caller: Peer) -> tuple[LegId, Call]:
    call = await caller.invite(f"sip:100@127.0.0.1:{worker.sip_port}", headers=FROM_EDGE)
    leg = (await worker.expect(LegIncoming)).leg
    worker.send(AnswerLeg(leg=leg, headers=()), AllowRefer(leg=leg, allowed=True))
    await worker.expect(LegConfirmed, leg=leg)
    return leg, call


async def test_a_leg(tmp_path: Path, caller: Peer) -> None:
    async with run_worker_process(tmp_path, 9, before=LIVE) as worker:
        leg, call = await answered(worker, caller)
        await call.bye()
        ended = await worker.expect(LegEnded, leg=leg)
        assert (ended.cause, ended.sip_code) == ("worker", 503)
        worker.send(EndSession())
        await worker.expect(SessionDone, sessions=1, healthy=False)


async def test_a_call_that_was_replaced(tmp_path: Path, caller: Peer, callee: Peer) -> None:
    async with run_worker_process(tmp_path, 9, before=REPLACED) as worker:
        leg, old = await answered(worker, caller)
        dialog = old.dialog
        replaces = f"{dialog.call_id};to-tag={dialog.remote_tag};from-tag={dialog.local_tag}"
        new = await callee.invite(
            f"sip:100@127.0.0.1:{worker.sip_port}", headers=[*FROM_EDGE, ("Replaces", replaces)]
        )
        await new.expect_response(200)
        await old.expect("BYE")
        await new.bye()
        ended = await worker.expect(LegEnded, leg=leg)
        assert (ended.cause, ended.sip_code) == ("peer", 200)
        worker.send(EndSession())
        await worker.expect(SessionDone, sessions=1, healthy=False)
        assert len([event for event in worker.events if isinstance(event, LegEnded)]) == 1


async def test_a_callee_that_was_given_up_before_it_responded(tmp_path: Path, callee: Peer) -> None:
    callee.auto_trying = False
    async with run_worker_process(tmp_path, callee.port, before=GIVEN_UP) as worker:
        leg = LegId("silent")
        worker.send(
            InviteLeg(
                leg=leg,
                sip_call_id=SipCallId("silent"),
                uri=callee.uri(),
                from_header="<sip:+14155550123@127.0.0.1>",
            )
        )
        incoming = await callee.expect_invite()
        worker.send(HangupLeg(leg=leg, sip_code=487, headers=()), EndSession())
        await worker.expect(LegEnded, leg=leg, cause="local")
        await incoming.ring()
        await incoming.expect("CANCEL")
        await worker.expect(SessionDone, sessions=1, healthy=False)


async def test_the_call_that_stands_in_for_a_transfer(tmp_path: Path, caller: Peer) -> None:
    async with run_worker_process(tmp_path, 9, before=TRANSFER) as worker:
        leg, call = await answered(worker, caller)
        response = await call.refer("sip:carol@192.0.2.1", FROM_EDGE)
        assert response is not None and response.status == 202
        await worker.expect(LegReferred, leg=leg)
        worker.send(NotifyTransfer(leg=leg, sip_code=200), HangupLeg(leg=leg, sip_code=603, headers=()))
        await call.expect("BYE")
        await worker.expect(LegEnded, leg=leg)
        worker.send(EndSession())
        await worker.expect(SessionDone, sessions=1, healthy=False)
