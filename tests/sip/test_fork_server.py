"""The fork server dies or cannot start: calls go on, workers come back, ``/healthz`` gives the reason."""

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest

from tests.peer.call import Call
from tests.peer.ladder import PATIENCE_S
from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.sip.node_process import ACCOUNT_SID, AUTH_TOKEN, NodeProcess, config_text, run_node

pytestmark = pytest.mark.sip

Dial = Callable[..., None]


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """An interpreter for one node, which a test can remove: a virtual environment like this one."""
    environment = tmp_path / "environment"
    (environment / "bin").mkdir(parents=True)
    shutil.copy(Path(sys.prefix, "pyvenv.cfg"), environment)
    (environment / "lib").symlink_to(Path(sys.prefix, "lib"))
    python = environment / "bin" / "python"
    python.symlink_to(os.path.realpath(sys.executable))
    return python


@pytest.fixture
async def node(app: WebApp, tmp_path: Path, python: Path) -> AsyncIterator[NodeProcess]:
    """A node for each test, since the test breaks it."""
    text = config_text({"*": {"voice_url": app.url("/voice")}})
    async with run_node(tmp_path, text, python=python) as node:
        yield node


async def test_calls_go_on_and_workers_come_again(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true")
    calls = [await talk(node, caller, callee)]
    await until(lambda: len(node.warm_pids()) >= 3)  # the first one's worker has been replaced
    before = node.pid_named("b2bua-fork")
    old = node.worker_pids()
    os.kill(before, signal.SIGKILL)

    # Both idle ones are used up, and two more calls need what the next fork server makes.
    calls += [await talk(node, caller, callee) for _ in range(2)]
    await until(lambda: len(node.warm_pids() - old) >= 2)
    assert node.pid_named("b2bua-fork") != before
    calls += [await talk(node, caller, callee) for _ in range(2)]
    for call, incoming in calls:
        call.media.play_tone(440)
        await incoming.media.expect_tone(440)
        await call.bye()
        await incoming.expect("BYE")
    assert await health(node) == (200, [])


async def test_one_that_cannot_be_started_is_a_reason_until_it_can(
    node: NodeProcess, python: Path, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, answerOnBridge="true")
    call, incoming = await talk(node, caller, callee)
    await until(lambda: len(node.warm_pids()) >= 3)
    away = python.with_name("away")
    os.rename(python, away)
    os.kill(node.pid_named("b2bua-fork"), signal.SIGKILL)
    reason = "the fork server does not run: No such file or directory"
    await until_health(node, 503, [reason])

    # What is there is used, and what goes on goes on.
    call.media.play_tone(440)
    await incoming.media.expect_tone(440)
    await made_by_rest(node, callee)
    second, other = await talk(node, caller, callee)
    other.media.play_tone(660)
    await second.media.expect_tone(660)
    await call.bye()
    await incoming.expect("BYE")

    os.rename(away, python)
    await until_health(node, 200, [])
    third, last = await talk(node, caller, callee)
    for each, far in ((second, other), (third, last)):
        await each.bye()
        await far.expect("BYE")
    lines = [line for line in node.log() if line.get("event") == "a background task has ended"]
    pauses = [line["again_in_s"] for line in lines]
    assert {line["task"] for line in lines} == {"the fork server"}
    assert len(pauses) >= 2
    assert pauses == sorted(set(pauses)), "it is tried at longer and longer intervals"


async def talk(node: NodeProcess, caller: Peer, callee: Peer) -> tuple[Call, Call]:
    call = await caller.invite(node.uri("100"))
    incoming = await callee.expect_invite()
    await incoming.answer()
    await call.expect_response(200)
    await incoming.expect("ACK")
    return call, incoming


async def made_by_rest(node: NodeProcess, callee: Peer) -> None:
    """A call that is answered and ends."""
    calls = f"{node.http}/2010-04-01/Accounts/{ACCOUNT_SID}/Calls.json"
    form = {"To": callee.uri("made"), "From": "+14155550100", "Twiml": "<Response><Hangup/></Response>"}
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT_SID, AUTH_TOKEN)}
    async with aiohttp.ClientSession(headers=headers) as session, session.post(calls, data=form) as answer:
        assert answer.status == 201, await answer.text()
    incoming = await callee.expect_invite(user="made")
    await incoming.answer()
    await incoming.expect("BYE")


async def until(is_so: Callable[[], bool], within_s: float = PATIENCE_S) -> None:
    """Other processes do not report changes, so they are polled."""
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def health(node: NodeProcess) -> tuple[int, list[str]]:
    async with aiohttp.ClientSession() as session, session.get(f"{node.http}/healthz") as answer:
        return answer.status, (await answer.json())["reasons"]


async def until_health(
    node: NodeProcess, status: int, reasons: list[str], within_s: float = PATIENCE_S
) -> None:
    deadline = time.monotonic() + within_s
    while (found := await health(node)) != (status, reasons):
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.02)
