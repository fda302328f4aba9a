"""The flows of ``config/examples``, unmodified, run end to end with SIPp at both ends."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.sax.saxutils import escape

import pytest

from tests.peer.ladder import PATIENCE_S
from tests.peer.peer import Peer
from tests.peer.talk import hear_each_other
from tests.peer.webapp import WebApp
from tests.sip.node_process import NodeProcess
from tests.sip.sipp_runner import Sipp, SippOptions, run_sipp, sipp

pytestmark = pytest.mark.sip

EXAMPLES = Path(__file__).parents[2] / "config" / "examples"


@pytest.fixture(scope="module")
async def flows() -> AsyncIterator[str]:
    """The example application's URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLES / "app.py"), "--port", "0", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        yield (await process.stdout.readline()).decode().split()[-1]
    process.terminate()
    await process.wait()


class Example:
    """One flow of the examples, with its parameters, as the number that is called.

    ``/sorry`` is where a flow sends on those it cannot help.
    """

    def __init__(self, flows: str, node: NodeProcess, app: WebApp) -> None:
        self._flows, self._node, self._app = flows, node, app
        app.reply("/sorry", "<Response><Reject reason='busy'/></Response>")

    def runs(self, path: str, *callees: Sipp, **parameters: str) -> None:
        if len(callees) == 1 and path not in ("/simulring", "/find-me"):
            given = {"PhoneNumber": callees[0].uri()}
        else:
            given = {f"PhoneNumbers[{index}]": callee.uri() for index, callee in enumerate(callees)}
        self.asks(path, **given, **parameters)

    def asks(self, path: str, **parameters: str) -> None:
        """Let the number run a flow that rings nobody itself."""
        url = f"{self._flows}{path}?{urlencode(parameters)}"
        self._app.reply("/voice", f"<Response><Redirect>{escape(url)}</Redirect></Response>")

    async def call(self, scenario: str = "caller", **options: Any) -> None:
        """Make a call, which must follow the scenario."""
        (await run_sipp(scenario, SippOptions(target=self._node.udp, user="100", **options))).check()


@pytest.fixture
def flow(flows: str, node: NodeProcess, app: WebApp) -> Example:
    return Example(flows, node, app)


async def test_forward_connects(flow: Example) -> None:
    async with sipp("callee") as callee:
        flow.runs("/forward", callee)
        await flow.call()
        (await callee.wait()).check()


async def test_forward_sends_on_whom_nobody_answers(flow: Example, app: WebApp) -> None:
    async with sipp("busy") as callee:
        flow.runs("/forward", callee, FailUrl=app.url("/sorry"))
        await flow.call("caller_refused", values={"code": "486"})
        (await callee.wait()).check()
    assert (await app.expect("/sorry"))["CallStatus"] == "ringing"


async def test_simulring_connects_the_first_that_answers(flow: Example) -> None:
    async with sipp("ring_only") as slow, sipp("callee") as fast:
        flow.runs("/simulring", slow, fast)
        await flow.call()
        (await fast.wait()).check()
        (await slow.wait()).check()


async def test_simulring_with_a_question_connects_who_presses_1(flow: Example) -> None:
    async with sipp("callee") as mailbox, sipp("callee_presses", SippOptions(values={"key": "1"})) as human:
        flow.runs("/simulring", mailbox, human, Message="A call.")
        await flow.call(duration_ms=2500)
        (await human.wait()).check()
        (await mailbox.wait()).check()


async def test_find_me_tries_one_after_another(flow: Example) -> None:
    async with sipp("busy") as first, sipp("busy") as second, sipp("callee") as third:
        flow.runs("/find-me", first, second, third)
        await flow.call()
        for each in (first, second, third):
            (await each.wait()).check()


async def test_a_screened_caller_is_connected_by_a_1(flow: Example) -> None:
    async with sipp("callee_presses", SippOptions(values={"key": "1"})) as callee:
        flow.runs("/screen", callee)
        await flow.call(duration_ms=2500)
        (await callee.wait()).check()


async def test_a_screened_caller_is_not_connected_by_another_key(flow: Example, app: WebApp) -> None:
    async with sipp("callee_presses", SippOptions(values={"key": "2"})) as callee:
        flow.runs("/screen", callee, FailUrl=app.url("/sorry"))
        await flow.call("caller_refused", values={"code": "486"})
        assert (await app.expect("/sorry"))["CallStatus"] == "ringing"
        await callee.kill()


async def test_voicemail_takes_a_message_when_nobody_answers(flow: Example, node: NodeProcess) -> None:
    async with sipp("busy") as callee:
        flow.runs("/voicemail", callee)
        await flow.call("caller", duration_ms=6000)
        (await callee.wait()).check()
    kept = await node.expect_log("recording", status="completed")
    assert kept["duration_s"] > 1


async def test_an_agent_gets_one_caller_after_another_out_of_the_queue(
    flow: Example, node: NodeProcess, ann: Peer, bob: Peer, carol: Peer
) -> None:
    flow.asks("/queue", Queue="sales")
    first = await ann.invite(node.uri("100"))
    await first.expect_response(200)
    await first.media.expect_heard(2.0)
    assert abs(first.media.heard(1.0)).max() > 500  # music
    second = await carol.invite(node.uri("100"))
    await second.expect_response(200)
    flow.asks("/queue/agent", Queue="sales")
    agent = await bob.invite(node.uri("700"))
    await agent.expect_response(200)
    await hear_each_other(agent, first)
    await first.bye()
    await hear_each_other(agent, second)
    await agent.bye()
    await second.expect("BYE")


async def test_an_agent_for_whom_nobody_comes_is_let_go(
    flow: Example, node: NodeProcess, ann: Peer, bob: Peer
) -> None:
    flow.asks("/queue", Queue="service")
    caller = await ann.invite(node.uri("100"))
    await caller.expect_response(200)
    flow.asks("/queue/agent", Queue="service", Timeout="5")
    agent = await bob.invite(node.uri("700"))
    await agent.expect_response(200)
    await hear_each_other(agent, caller)
    await caller.bye()
    await agent.expect("BYE")


async def test_whom_the_queue_cannot_take_is_sent_on(
    flow: Example, node: NodeProcess, app: WebApp, ann: Peer, bob: Peer
) -> None:
    app.reply("/sorry", "<Response><Hangup/></Response>")
    flow.asks("/queue", Queue="tiny", MaxSize="1", FailUrl=app.url("/sorry"))
    first = await ann.invite(node.uri("100"))
    await first.expect_response(200)
    await first.media.expect_heard(1.0)  # it has its place, and hears music
    second = await bob.invite(node.uri("100"))
    assert (await app.expect("/sorry"))["CallSid"] == app.of("/voice")[-1]["CallSid"]
    await second.expect("BYE")
    await first.bye()
