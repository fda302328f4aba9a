"""Callees that have sent no response when we give them up: the CANCEL waits for one (RFC 3261 §9.1)."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from b2bua.core.commands import EndSession, HangupLeg, InviteLeg
from b2bua.core.events import LegAnswered, LegEnded
from b2bua.core.ids import LegId, SipCallId
from b2bua.engine.protocol import SessionDone
from tests.peer.call import Call
from tests.peer.peer import Peer
from tests.peer.talk import hear_each_other
from tests.peer.webapp import WebApp
from tests.sip.node_process import NodeProcess
from tests.sip.worker_process import WorkerProcess, run_worker_process

pytestmark = pytest.mark.sip

Dial = Callable[..., None]
ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'
TIMER_B_S = 32.0
"""RFC 3261 §17.1.1.2: how long an INVITE waits for its first response."""


@pytest.fixture(scope="module")
def sections() -> dict[str, dict[str, Any]]:
    """All calls use the same worker, so a slot that is not freed is missed by the next call."""
    return {"workers": {"idle": 1, "max": 1}}


@pytest.fixture
async def silent() -> AsyncIterator[list[Peer]]:
    """Three callees that send no 100."""
    async with AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(Peer.start(name)) for name in ("ann", "ben", "cem")]
        for peer in peers:
            peer.auto_trying = False
        yield peers


async def given_up(node: NodeProcess, app: WebApp, caller: Peer, silent: list[Peer]) -> list[Call]:
    """Silent callees whose caller has left, with two reasons."""
    call = await caller.invite(node.uri("100"))
    incoming = [await peer.expect_invite() for peer in silent]
    await call.cancel([("Reason", f"{ELSEWHERE}, Q.850;cause=26")])
    await call.expect_response(487)
    await app.expect("/after")
    return incoming


async def test_the_losers_of_a_race_are_told_why(
    node: NodeProcess, caller: Peer, callee: Peer, silent: list[Peer], dial: Dial
) -> None:
    dial(callee, *silent[:2], answerOnBridge="true")
    call = await caller.invite(node.uri("100"))
    losers = [await peer.expect_invite() for peer in silent[:2]]
    winner = await callee.expect_invite()
    await winner.answer()
    await call.expect_response(200)
    await hear_each_other(call, winner)
    for loser in losers:
        await loser.ring()
        assert (await loser.expect("CANCEL"))["Reason"] == ELSEWHERE
        await loser.expect_end()
    await hear_each_other(call, winner)
    await call.bye()
    await winner.expect("BYE")


async def test_the_callers_reasons_are_passed_on_and_every_slot_is_free_again(
    node: NodeProcess, app: WebApp, caller: Peer, silent: list[Peer], dial: Dial
) -> None:
    dial(*silent, answerOnBridge="true")
    workers = node.worker_pids()
    for respond in (Call.ring, Call.progress):
        for incoming in await given_up(node, app, caller, silent):
            await respond(incoming)
            cancel = await incoming.expect("CANCEL")
            assert cancel.all("Reason") == [ELSEWHERE, "Q.850;cause=26"]
            await incoming.expect_end()
        app.forget()
        await node.quiet()
    call = await caller.invite(node.uri("100"))
    first, *_ = [await peer.expect_invite() for peer in silent]
    await first.answer()
    await call.expect_response(200)
    await hear_each_other(call, first)
    await call.bye()
    for peer in silent[1:]:
        await peer.calls[-1].reject(486)
    assert node.worker_pids() == workers


async def test_100_alone_lets_the_cancel_go(
    node: NodeProcess, app: WebApp, caller: Peer, silent: list[Peer], dial: Dial
) -> None:
    dial(silent[0], answerOnBridge="true")
    (incoming,) = await given_up(node, app, caller, silent[:1])
    incoming.respond(incoming.invite, 100)
    assert (await incoming.expect("CANCEL")).all("Reason") == [ELSEWHERE, "Q.850;cause=26"]
    await incoming.expect_end()


async def test_an_answer_that_comes_first_gets_ack_and_bye(
    node: NodeProcess, app: WebApp, caller: Peer, silent: list[Peer], dial: Dial
) -> None:
    dial(silent[0], answerOnBridge="true")
    (incoming,) = await given_up(node, app, caller, silent[:1])
    await incoming.answer()
    await incoming.expect("ACK")
    assert (await incoming.expect("BYE")).all("Reason") == [ELSEWHERE, "Q.850;cause=26"]
    assert not incoming.cancelled


async def test_a_refusal_that_comes_first_gets_only_its_ack(
    node: NodeProcess, app: WebApp, caller: Peer, silent: list[Peer], dial: Dial
) -> None:
    dial(silent[0], answerOnBridge="true")
    (incoming,) = await given_up(node, app, caller, silent[:1])
    await incoming.reject(486)
    await incoming.expect("ACK")
    await node.quiet()
    assert not incoming.cancelled


async def test_an_invite_with_credentials_has_had_no_response_either(
    node: NodeProcess, app: WebApp, caller: Peer, silent: list[Peer]
) -> None:
    noun = f'<Sip username="u" password="p">{silent[0].uri()}</Sip>'
    app.reply("/voice", f'<Response><Dial answerOnBridge="true" action="/after">{noun}</Dial></Response>')
    call = await caller.invite(node.uri("100"))
    refused = await silent[0].expect_invite()
    refused.respond(refused.invite, 100)
    await refused.challenge()
    incoming = await silent[0].expect_invite()
    assert "Proxy-Authorization" in incoming.invite
    await call.cancel([("Reason", ELSEWHERE)])
    await app.expect("/after")
    await incoming.ring()
    assert (await incoming.expect("CANCEL"))["Reason"] == ELSEWHERE
    await incoming.expect_end()


@pytest.fixture
async def worker(tmp_path: Path, silent: list[Peer]) -> AsyncIterator[WorkerProcess]:
    async with run_worker_process(tmp_path, silent[0].port) as worker:
        yield worker


def invite(callee: Peer, leg: LegId) -> InviteLeg:
    return InviteLeg(
        leg=leg,
        sip_call_id=SipCallId(f"id-of-{leg}"),
        uri=callee.uri(),
        from_header="<sip:+14155550123@127.0.0.1>",
    )


async def test_the_session_hears_of_the_end_at_once_and_a_worker_does_not_wait_for_ever(
    worker: WorkerProcess, silent: list[Peer]
) -> None:
    """The INVITE is repeated until timer B ends it; then the worker takes the next session."""
    legs = [LegId(f"silent-{number}") for number in range(4)]
    worker.send(*(invite(silent[0], leg) for leg in legs))
    incoming = [await silent[0].expect_invite() for _ in legs]
    worker.send(*(HangupLeg(leg=leg, sip_code=487, headers=()) for leg in legs), EndSession())
    for leg in legs:
        ended = await worker.expect(LegEnded, leg=leg)
        assert (ended.cause, ended.sip_code) == ("local", 487)
    await worker.expect(SessionDone, sessions=1, healthy=True, within_s=TIMER_B_S + 8)
    assert not [call for call in incoming if call.cancelled]

    worker.send(*(invite(silent[0], LegId(f"next-{number}")) for number in range(4)))
    for _ in legs:
        await (await silent[0].expect_invite()).answer()
    for number in range(4):
        await worker.expect(LegAnswered, leg=LegId(f"next-{number}"))
