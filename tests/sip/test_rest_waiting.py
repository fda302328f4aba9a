"""REST requests that wait for a worker delay no others: a call can be ended at any time."""

import asyncio
import os
import re
import signal
import time
from typing import Any

import aiohttp
import pytest

from tests.peer.ladder import PATIENCE_S
from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.sip.node_process import ACCOUNT_SID, AUTH_TOKEN, NodeProcess

pytestmark = pytest.mark.sip

CALLS = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls"


@pytest.fixture(scope="module")
def sections() -> dict[str, dict[str, Any]]:
    return {"dial": {"caller_id_policy": "any"}, "workers": {"idle": 1, "max": 8}}


async def starting(session: aiohttp.ClientSession, count: int) -> None:
    """Wait until this many requests wait for a worker."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            async with session.get("/metrics") as answer:
                found = re.search(r'b2bua_workers{state="starting"} (\d+)', await answer.text())
            if found and int(found[1]) >= count:
                return
            await asyncio.sleep(0.02)


async def test_a_call_is_ended_while_others_wait_to_be_made(
    node: NodeProcess, app: WebApp, ann: Peer, bob: Peer
) -> None:
    app.reply("/voice", "<Response><Pause length='1'/><Say>.</Say><Pause length='60'/></Response>")
    call = await ann.invite(node.uri("100"))
    await call.expect_response(200)
    sid = (await app.expect("/voice"))["CallSid"]
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT_SID, AUTH_TOKEN)}
    form = {"To": bob.uri(), "From": "+14155550100", "Twiml": "<Response/>"}
    stopped = node.pid_named("b2bua-fork")
    async with aiohttp.ClientSession(node.http, headers=headers) as session:

        async def make() -> int:
            async with session.post(f"{CALLS}.json", data=form) as answer:
                return answer.status

        os.kill(stopped, signal.SIGSTOP)  # from now on no worker is started
        try:
            made = [asyncio.create_task(make()) for _ in range(4)]
            await starting(session, 2)
            begun = time.monotonic()
            async with session.post(f"{CALLS}/{sid}.json", data={"Status": "completed"}) as answer:
                assert answer.status == 200
            await call.expect("BYE")
            assert time.monotonic() - begun < 2
            assert sum(task.done() for task in made) <= 1  # whose worker has become free
        finally:
            os.kill(stopped, signal.SIGCONT)
        assert await asyncio.gather(*made) == [201] * 4
        for each in [await bob.expect_invite() for _ in made]:
            await each.answer()
            await each.expect("BYE")
