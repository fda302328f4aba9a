"""The flows of ``config/examples`` with queues and conferences, unmodified, run end to end."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from urllib.parse import urlencode
from xml.sax.saxutils import escape

import pytest

from tests.peer.call import Call
from tests.peer.ladder import PATIENCE_S
from tests.peer.peer import Peer
from tests.peer.talk import hear_each_other
from tests.peer.webapp import WebApp
from tests.sip.node_process import ACCOUNT_SID, AUTH_TOKEN, NodeProcess
from tests.sip.test_examples import EXAMPLES

pytestmark = pytest.mark.sip


@pytest.fixture(scope="module")
async def flows(module_node: NodeProcess) -> AsyncIterator[str]:
    """The example application's URL; the application knows the node's REST API."""
    api = module_node.http.replace("://", f"://{ACCOUNT_SID}:{AUTH_TOKEN}@")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLES / "app.py"),
        "--port",
        "0",
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"B2BUA_API": api},
    )
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        yield (await process.stdout.readline()).decode().split()[-1]
    process.terminate()
    await process.wait()


class Flow:
    """The flow that runs when a number is called."""

    def __init__(self, flows: str, node: NodeProcess, app: WebApp) -> None:
        self._flows, self._node, self._app = flows, node, app

    async def call(self, peer: Peer, path: str, **parameters: str) -> Call:
        url = f"{self._flows}{path}?{urlencode(parameters)}"
        self._app.reply("/voice", f"<Response><Redirect>{escape(url)}</Redirect></Response>")
        call = await peer.invite(self._node.uri("100"))
        await call.expect_response(200)
        await self._app.expect("/voice")
        return call


@pytest.fixture
def flow(flows: str, node: NodeProcess, app: WebApp) -> Flow:
    return Flow(flows, node, app)


async def sound(call: Call, seconds: float = 1.0) -> None:
    """Wait for music or speech."""
    heard_s = len(call.media.heard()) / 8000
    await call.media.expect_heard(heard_s + seconds)
    while abs(call.media.heard(seconds)).max() < 500:
        await call.media.expect_heard(len(call.media.heard()) / 8000 + 0.1)


async def next_prompt(call: Call) -> None:
    """Wait for the prompt of a Gather, which a key has interrupted or which is about to begin."""
    await call.media.expect_heard(len(call.media.heard()) / 8000 + 0.6)
    await sound(call, 0.5)


async def test_a_call_centre(flow: Flow, node: NodeProcess, ann: Peer, bob: Peer, carol: Peer) -> None:
    first = await flow.call(ann, "/centre", Queue="sales")
    await sound(first)
    urgent = await flow.call(carol, "/centre", Queue="sales", Urgent="sip:carol")
    await sound(urgent, 3.0)  # it is welcomed, and waits
    agent = await flow.call(bob, "/centre/agent", Queue="sales")
    await hear_each_other(agent, urgent)
    await urgent.media.expect_sent(1.0)
    await urgent.bye()
    kept = await node.expect_log("recording", status="completed")
    assert kept["duration_s"] > 0.5
    await hear_each_other(agent, first)
    await agent.bye()
    await first.expect("BYE")


async def test_a_conference_line_with_pins(
    flow: Flow, node: NodeProcess, ann: Peer, bob: Peer, carol: Peer
) -> None:
    words = {"Pin": "1234", "ModeratorPin": "9876", "Room": "standup"}
    guest = await flow.call(ann, "/line", **words)
    await guest.media.send_digits("1111")
    await next_prompt(guest)
    await guest.media.send_digits("1234")
    await sound(guest, 2.0)
    moderator = await flow.call(bob, "/line", **words)
    await moderator.media.send_digits("9876")
    await hear_each_other(guest, moderator)
    stranger = await flow.call(carol, "/line", Tries="2", **words)  # its last one
    await next_prompt(stranger)
    await stranger.media.send_digits("0000")
    await stranger.expect("BYE")
    await moderator.bye()
    await guest.expect("BYE")


async def test_a_warm_transfer(flow: Flow, ann: Peer, bob: Peer, carol: Peer) -> None:
    customer = await flow.call(ann, "/warm", Agent=bob.uri(), Expert=carol.uri())
    agent = await bob.expect_invite()
    await agent.answer()
    await hear_each_other(customer, agent)
    await agent.media.send_digit("*")
    expert = await carol.expect_invite()
    await expert.answer()
    expert.media.play_tone(1200)
    await agent.media.expect_tone(1200)
    await customer.media.expect_no_tone(1200, for_s=0.5)  # it is on hold
    await agent.media.send_digit("*")
    for call in (customer, agent):
        await call.media.expect_tone(1200)
    await expert.media.expect_tone(440)
    await agent.bye()
    await expert.media.expect_tone(440)
    await expert.bye()
    await customer.expect("BYE")
