"""Calls after their node has ended: complete after SIGTERM, as in the database after SIGKILL."""

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Any

import pytest
from twilio.rest import Client

from tests.peer.call import Call
from tests.peer.ladder import PATIENCE_S
from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.sip.node_process import ACCOUNT_SID, AUTH_TOKEN, NodeProcess, config_text, run_node
from tests.store.postgres import run_cluster

pytestmark = pytest.mark.sip


@pytest.fixture(params=["sqlite", "postgresql"])
def config(request: pytest.FixtureRequest, app: WebApp, tmp_path: Path) -> Any:
    """A configuration whose database outlives its node."""
    number = {"voice_url": app.url("/voice"), "status_callback": app.url("/status")}
    with contextlib.ExitStack() as stack:
        database = f"sqlite:///{tmp_path}/calls.db"
        if request.param == "postgresql":
            database = stack.enter_context(run_cluster()).new_database()
        yield config_text({"*": number}, sections={"storage": {"database": database}})


@pytest.fixture
async def talk(app: WebApp, caller: Peer, callee: Peer) -> Any:
    async def begin(node: NodeProcess) -> tuple[Call, str]:
        app.reply("/voice", f'<Response><Dial action="/after"><Sip>{callee.uri()}</Sip></Dial></Response>')
        call = await caller.invite(node.uri("100"))
        incoming = await callee.expect_invite()
        await incoming.answer()
        await incoming.expect("ACK")
        return call, (await app.expect("/voice"))["CallSid"]

    return begin


async def rows(node: NodeProcess) -> dict[str, Any]:
    """All calls, by Sid."""
    client = Client(ACCOUNT_SID, AUTH_TOKEN)
    client.api.base_url = node.http
    return {call.sid: call for call in await asyncio.to_thread(client.calls.list)}


async def in_progress(node: NodeProcess) -> None:
    """Wait until the caller's and callee's calls are stored as answered."""
    deadline = time.monotonic() + PATIENCE_S
    while [call.status for call in (await rows(node)).values()] != ["in-progress"] * 2:
        assert time.monotonic() < deadline


async def test_nothing_of_a_call_is_lost_when_its_node_ends(
    config: str, app: WebApp, talk: Any, tmp_path: Path
) -> None:
    async with run_node(tmp_path, config) as node:
        call, sid = await talk(node)
    await call.expect("BYE")
    assert (await app.expect("/status"))["CallStatus"] == "completed"
    async with run_node(tmp_path, config) as node:
        kept = await rows(node)
        assert [each.status for each in kept.values()] == ["completed", "completed"]
        assert {each.parent_call_sid for each in kept.values()} == {None, sid}
        assert kept[sid].end_time is not None
        client = Client(ACCOUNT_SID, AUTH_TOKEN)
        client.api.base_url = node.http
        events = await asyncio.to_thread(client.calls(sid).events.list)
        assert {event.request["url"] for event in events} >= {
            app.url(path) for path in ("/voice", "/after", "/status")
        }


@pytest.mark.parametrize("config", ["sqlite"], indirect=True)
async def test_a_call_of_a_killed_node_has_ended_for_the_next(
    config: str, app: WebApp, talk: Any, tmp_path: Path
) -> None:
    async with run_node(tmp_path, config) as node:
        _, sid = await talk(node)
        await in_progress(node)
        node.killed = True
        node.process.kill()
    async with run_node(tmp_path, config) as node:
        kept = await rows(node)
        assert [each.status for each in kept.values()] == ["completed", "completed"]
        assert kept[sid].end_time is not None
