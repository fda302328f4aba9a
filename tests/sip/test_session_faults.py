"""An error at each point of one call of a real node: that call ends for all its parties, others go on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import aiohttp
import pytest

from tests.peer.call import Call
from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.sip.breakable_node import ALWAYS, Breaker
from tests.sip.node_process import ACCOUNT_SID, AUTH_TOKEN, NodeProcess, config_text, run_node

pytestmark = pytest.mark.sip


@pytest.fixture(scope="module")
def breaker(tmp_path_factory: pytest.TempPathFactory) -> Breaker:
    return Breaker(tmp_path_factory.mktemp("faults") / "fault.json")


@pytest.fixture(scope="module")
async def module_node(
    module_app: WebApp, breaker: Breaker, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[NodeProcess]:
    number = {"voice_url": module_app.url("/voice"), "status_callback": module_app.url("/status")}
    text = config_text({"*": number})
    async with run_node(tmp_path_factory.mktemp("node"), text, watch=breaker.watch) as node:
        yield node


@dataclass
class Victim:
    """The call in which the error occurs."""

    node: NodeProcess
    app: WebApp
    caller: Peer
    callee: Peer
    call: Call
    incoming: Call | None = None

    async def invited(self) -> Call:
        self.incoming = await self.callee.expect_invite()
        return self.incoming

    async def bridged(self) -> Call:
        incoming = await self.invited()
        await incoming.answer()
        await self.call.expect_response(200)
        await incoming.expect("ACK")
        return incoming


async def metric(node: NodeProcess, name: str) -> float:
    async with aiohttp.ClientSession() as session, session.get(f"{node.http}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


async def nothing(victim: Victim) -> None:
    """The INVITE alone triggers it."""


async def rings(victim: Victim) -> None:
    await (await victim.invited()).ring()


async def answers(victim: Victim) -> None:
    await (await victim.invited()).answer()


async def presses(victim: Victim) -> None:
    await victim.call.rfc4733("5")


async def refers(victim: Victim) -> None:
    assert victim.incoming is not None
    await victim.incoming.refer("sip:carol@127.0.0.1", wait=False)


async def hangs_up(victim: Victim) -> None:
    await victim.call.bye()


async def rings_out(victim: Victim) -> None:
    await (await victim.invited()).ring()


async def is_redirected(victim: Victim) -> None:
    sid = (await victim.node.expect_log("call", sip_call_id=victim.call.call_id))["call_sid"]
    url = f"{victim.node.http}/2010-04-01/Accounts/{ACCOUNT_SID}/Calls/{sid}.json"
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT_SID, AUTH_TOKEN)}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.post(url, data={"Url": victim.app.url("/elsewhere")}) as answer:
            assert answer.status < 500


Act = Callable[[Victim], Awaitable[None]]
POINTS: list[tuple[str, bool, Act]] = [
    ("CallRun.begin", False, nothing),
    ("Frame._fetched", False, nothing),
    ("DialRun.begin", False, nothing),
    ("DialRinging._on_progress", False, rings),
    ("DialRinging._on_ring_timeout", False, rings_out),
    ("DialRinging._on_picked_up", False, answers),
    ("Leg._on_answered", False, answers),
    ("Branch.answered", False, answers),
    ("DialBridge._on_caller_dtmf", True, presses),
    ("Transfers._look_for_refer", True, refers),
    ("Transfer.start", True, refers),
    ("DialBridge._on_caller_left", True, hangs_up),
    ("CallRun._on_redirected", True, is_redirected),
    ("Session._conclude", True, hangs_up),
]


@pytest.mark.parametrize("how", ["before once", "after once", "before always"])
@pytest.mark.parametrize(("method", "in_bridge", "act"), POINTS, ids=[method for method, _, _ in POINTS])
async def test_an_error_ends_its_call_and_no_other(
    node: NodeProcess,
    app: WebApp,
    breaker: Breaker,
    caller: Peer,
    callee: Peer,
    ann: Peer,
    bob: Peer,
    dial: Callable[..., None],
    method: str,
    in_bridge: bool,
    act: Act,
    how: str,
) -> None:
    dial(bob)
    other = await ann.invite(node.uri("1"))
    other_end = await bob.expect_invite()
    await other_end.answer()
    await other.expect_response(200)
    await other_end.expect("ACK")
    app.forget()
    faults = await metric(node, "b2bua_session_faults_total")

    dial(callee, answerOnBridge="true", timeout="5", referUrl=app.url("/refer"))
    when, how_often = how.split()
    if not in_bridge:
        breaker.arm(method, when, how_often)
    victim = Victim(node, app, caller, callee, await caller.invite(node.uri("2")))
    try:
        if in_bridge:
            await victim.bridged()
            breaker.arm(method, when, how_often)
        await act(victim)

        last = await app.expect("/status", timeout=20)  # a Dial rings for 10 s
        await node.expect_log("a session failed", call_sid=last["CallSid"])
        assert how_often == ALWAYS or not breaker.armed
        if not in_bridge:
            await victim.call.expect_response(500)
        await victim.call.expect_end()
        statuses = [last["CallStatus"]]
        if victim.incoming is not None:
            await victim.incoming.expect_end()
            statuses.append((await app.expect("/after"))["DialCallStatus"])
        # The caller's BYE may have ended the call before the error came up.
        assert set(statuses) <= ({"failed", "completed"} if act is hangs_up else {"failed"})
        assert len(app.of("/after")) <= 1
        assert len(app.of("/status")) == 1
        assert await metric(node, "b2bua_session_faults_total") > faults
        assert await metric(node, 'b2bua_calls{status="in-progress"}') == 2
    finally:
        breaker.disarm()

    other.media.play_tone(440)
    await other_end.media.expect_tone(440)
    await asyncio.gather(other.bye(), other_end.expect("BYE"))
