"""One worker, one session after another: no event or order of one reaches the next."""

from pathlib import Path

import pytest

from b2bua.core.commands import AnswerLeg, EndSession, HangupLeg, InviteLeg
from b2bua.core.events import LegEnded, LegIncoming
from b2bua.core.ids import LegId, SipCallId
from b2bua.engine.protocol import SessionDone, SessionOrders
from tests.peer.peer import Peer
from tests.sip.worker_process import FROM_EDGE, run_worker_process

pytestmark = [pytest.mark.sip, pytest.mark.measured]


async def test_orders_of_a_session_that_is_over_do_not_reach_the_next(
    tmp_path: Path, caller: Peer, callee: Peer
) -> None:
    async with run_worker_process(tmp_path, callee.port) as worker:
        first = await caller.invite(f"sip:100@127.0.0.1:{worker.sip_port}", headers=FROM_EDGE)
        leg = (await worker.expect(LegIncoming)).leg
        worker.send(HangupLeg(leg=leg, sip_code=486), EndSession())
        await first.expect_response(486)
        await worker.expect(SessionDone, sessions=1)

        second = await caller.invite(f"sip:100@127.0.0.1:{worker.sip_port}", headers=FROM_EDGE)
        leg = (await worker.expect(LegIncoming)).leg
        invite = InviteLeg(
            leg=LegId("late"),
            sip_call_id=SipCallId("late"),
            uri=callee.uri(),
            from_header="<sip:+14155550123@127.0.0.1>",
        )
        late = (invite, HangupLeg(leg=leg, sip_code=486), EndSession())
        worker.channel.send(SessionOrders(1, late), SessionOrders(3, late))
        worker.send(AnswerLeg(leg=leg))
        await second.expect_response(200)

        await second.bye()
        await worker.expect(LegEnded, leg=leg, cause="peer")
        worker.send(EndSession())
        assert (await worker.expect(SessionDone, sessions=2)).healthy
        assert not callee.calls
