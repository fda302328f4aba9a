"""Queues by the official SDK on a running node; and what of them outlives processes."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.sip.node_process import ACCOUNT_SID, AUTH_TOKEN, NodeProcess
from tests.sip.queue_scene import answered, enqueues, queue_node, takes, talk

pytestmark = pytest.mark.sip

T = TypeVar("T")


@pytest.fixture(scope="module")
async def module_node(
    module_app: WebApp, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[NodeProcess]:
    async with queue_node(module_app, tmp_path_factory.mktemp("node")) as node:
        yield node


async def sdk(node: NodeProcess, what: Callable[[Client], T]) -> T:
    client = Client(ACCOUNT_SID, AUTH_TOKEN)
    client.api.base_url = node.http
    try:
        return await asyncio.to_thread(what, client)
    finally:
        client.http_client.session.close()


async def worker_of(node: NodeProcess, call_sid: str) -> int:
    """Pid of the worker that has a call."""
    line = await node.expect_log("call", call_sid=call_sid)
    return node.worker_pid(line["worker"])


async def test_the_first_one_is_taken_out_by_rest(node: NodeProcess, app: WebApp, ann: Peer) -> None:
    enqueues(app, "rest", wait=None)
    app.reply("/vip", "<Response><Hangup/></Response>")
    made = await sdk(node, lambda c: c.queues.create("rest", max_size=5))
    call = await answered(node, ann, "100")
    sid = (await app.expect("/caller"))["CallSid"]
    while not (members := await sdk(node, lambda c: c.queues(made.sid).members.list())):
        pass
    assert [(each.call_sid, each.position) for each in members] == [(sid, 1)]
    refused = pytest.raises(TwilioRestException)
    with refused as caught:
        await sdk(node, lambda c: c.queues(made.sid).delete())
    assert (caught.value.status, caught.value.code) == (409, 20409)
    taken = await sdk(node, lambda c: c.queues(made.sid).members("Front").update(url=app.url("/vip")))
    assert taken.call_sid == sid
    await app.expect("/vip")
    left = await app.expect("/left")
    assert (left["QueueResult"], left["CallSid"], left["QueueSid"]) == ("redirected", sid, made.sid)
    await call.expect("BYE")
    with pytest.raises(TwilioRestException) as gone:
        await sdk(node, lambda c: c.queues(made.sid).members("Front").update(url=app.url("/vip")))
    assert (gone.value.status, gone.value.code) == (404, 20404)
    assert await sdk(node, lambda c: c.queues(made.sid).delete())


async def test_a_bridged_caller_is_redirected(node: NodeProcess, app: WebApp, ann: Peer, bob: Peer) -> None:
    enqueues(app, "moved", wait=None)
    takes(app, "moved")
    app.reply("/new", "<Response><Pause length='20'/></Response>")
    caller = await answered(node, ann, "100")
    sid = (await app.expect("/caller"))["CallSid"]
    agent = await answered(node, bob, "700")
    await talk(caller, agent)
    await sdk(node, lambda c: c.calls(sid).update(url=app.url("/new")))
    await app.expect("/new")
    left = await app.expect("/left")
    assert (left["QueueResult"], left["CallStatus"]) == ("redirected-from-bridged", "in-progress")
    assert (await app.expect("/done"))["DialCallStatus"] == "completed"
    await agent.bye()
    await caller.bye()


async def test_the_death_of_the_waiting_callers_worker(
    node: NodeProcess, app: WebApp, ann: Peer, bob: Peer, carol: Peer
) -> None:
    enqueues(app, "dies", wait=None)
    first = await answered(node, ann, "100")
    sid = (await app.expect("/caller"))["CallSid"]
    second = await answered(node, carol, "100")
    await app.expect("/caller")
    os.kill(await worker_of(node, sid), signal.SIGKILL)
    left = await app.expect("/left")
    assert (left["QueueResult"], left["CallSid"]) == ("system-error", sid)
    takes(app, "dies")
    agent = await answered(node, bob, "700")
    await talk(second, agent)
    await agent.bye()
    assert (await app.expect("/left"))["QueueResult"] == "bridged"
    first.end()


async def test_the_death_of_the_agents_worker_ends_the_bridge(
    node: NodeProcess, app: WebApp, ann: Peer, bob: Peer
) -> None:
    enqueues(app, "agent dies", wait=None)
    takes(app, "agent dies")
    caller = await answered(node, ann, "100")
    agent = await answered(node, bob, "700")
    await talk(caller, agent)
    os.kill(await worker_of(node, (await app.expect("/agent"))["CallSid"]), signal.SIGKILL)
    assert (await app.expect("/left"))["QueueResult"] == "bridged"
    await app.expect("/done")
    await caller.media.expect_silence()
    await caller.bye()
    agent.end()


async def test_the_death_of_the_relay_is_a_moment_of_silence(
    node: NodeProcess, app: WebApp, ann: Peer, bob: Peer
) -> None:
    enqueues(app, "relay dies", wait=None)
    takes(app, "relay dies")
    caller = await answered(node, ann, "100")
    agent = await answered(node, bob, "700")
    await talk(caller, agent)
    os.kill(node.pid_named("b2bua-relay"), signal.SIGKILL)
    caller.media.play_tone(500)  # only another relay can pass it on
    agent.media.play_tone(700)
    await caller.media.expect_tone(700)
    await agent.media.expect_tone(500)
    await agent.bye()
    assert (await app.expect("/left"))["QueueResult"] == "bridged"
    await caller.bye()


async def test_the_death_of_the_agents_worker_before_the_bridge_gives_the_caller_its_place_again(
    node: NodeProcess, app: WebApp, ann: Peer, bob: Peer, carol: Peer
) -> None:
    enqueues(app, "offer dies")
    app.reply("/wait", "<Response><Pause length='1'/></Response>")
    takes(app, "offer dies", url="/offer")
    app.reply("/offer", "<Response><Pause length='30'/></Response>")
    first = await answered(node, ann, "100")
    sid = (await app.expect("/wait"))["CallSid"]
    second = await answered(node, carol, "100")
    agent = await answered(node, bob, "700")
    assert (await app.expect("/offer"))["CallSid"] == sid
    asked = len(app.of("/wait"))
    os.kill(await worker_of(node, (await app.expect("/agent"))["CallSid"]), signal.SIGKILL)
    while not (again := [each for each in app.of("/wait")[asked:] if each["CallSid"] == sid]):
        await app.expect("/wait")
    assert again[0]["QueuePosition"] == "1"
    assert app.of("/left") == []
    agent.end()
    await first.bye()
    await second.bye()


async def test_the_death_of_the_relay_costs_nobody_a_place(
    node: NodeProcess, app: WebApp, ann: Peer, bob: Peer
) -> None:
    enqueues(app, "music dies", wait=None)
    caller = await answered(node, ann, "100")
    await caller.media.expect_heard(1.0)
    os.kill(node.pid_named("b2bua-relay"), signal.SIGKILL)
    heard_s = len(caller.media.heard()) / 8000
    await caller.media.expect_heard(heard_s + 1.0)
    assert abs(caller.media.heard(0.5)).max() > 500  # music again
    [queue] = [
        each for each in await sdk(node, lambda c: c.queues.list()) if each.friendly_name == "music dies"
    ]
    assert queue.current_size == 1
    takes(app, "music dies")
    agent = await answered(node, bob, "700")
    await talk(caller, agent)
    assert app.of("/left") == []
    await agent.bye()
    assert (await app.expect("/left"))["QueueResult"] == "bridged"
    await caller.bye()


async def test_a_queue_outlives_the_node(app: WebApp, tmp_path: Path) -> None:
    database = {"database": f"sqlite:///{tmp_path}/calls.db"}
    async with queue_node(app, tmp_path, storage=database) as node:
        made = await sdk(node, lambda c: c.queues.create("lasting", max_size=7))
        gone = await sdk(node, lambda c: c.queues.create("gone"))
        assert await sdk(node, lambda c: c.queues(gone.sid).delete())
    async with queue_node(app, tmp_path, storage=database) as node:
        [kept] = await sdk(node, lambda c: c.queues.list())
        assert (kept.sid, kept.friendly_name, kept.max_size) == (made.sid, "lasting", 7)
        assert kept.date_created == made.date_created
