"""An operator sees the node's processes and their calls: by HTTP and in ``ps``."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from tests.peer.ladder import PATIENCE_S
from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.sip.node_process import ACCOUNT_SID, AUTH_TOKEN, NodeProcess

pytestmark = pytest.mark.sip

TITLES = {
    "supervisor": "b2bua",
    "controller": "b2bua-control",
    "edge": "b2bua-edge",
    "relay": "b2bua-relay",
    "forkserver": "b2bua-fork",
    "worker": "b2bua-worker",
}


@pytest.fixture(scope="module")
def sections() -> dict[str, dict[str, Any]]:
    return {"workers": {"idle": 2, "max": 4}}


async def processes(node: NodeProcess) -> list[dict[str, Any]]:
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT_SID, AUTH_TOKEN)}
    async with (
        aiohttp.ClientSession(node.http, headers=headers) as session,
        session.get("/b2bua/v1/processes") as answer,
    ):
        assert answer.status == 200
        found: list[dict[str, Any]] = (await answer.json())["processes"]
        return found


async def until(node: NodeProcess, is_so: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """Another process does not report changes, so it is polled."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so(found := await processes(node)):
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.02)
    return found


def carriers(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in found if each["calls"]]


async def titles(keyword: str, pids: list[int]) -> dict[int, str]:
    """Names in ``ps``."""
    ps = await asyncio.create_subprocess_exec(
        "ps", "-o", f"pid=,{keyword}=", "-p", ",".join(map(str, pids)), stdout=asyncio.subprocess.PIPE
    )
    lines = (await ps.communicate())[0].decode().splitlines()
    return {int(pid): title.strip() for pid, title in (line.split(maxsplit=1) for line in lines)}


async def test_each_process_is_listed_and_ps_calls_it_by_its_name(node: NodeProcess) -> None:
    found = await until(node, lambda each: sum(one["kind"] == "worker" for one in each) == 2)
    workers = {each["pid"] for each in found if each["kind"] == "worker"}
    assert workers == node.worker_pids()
    assert {each["pid"] for each in found} - workers <= set(node.lasting_pids())
    kinds = ["supervisor", "controller", "edge", "relay", "forkserver", "worker", "worker"]
    assert [each["kind"] for each in found] == kinds
    for keyword in ("comm", "args"):
        shown = await titles(keyword, [each["pid"] for each in found])
        assert shown == {each["pid"]: TITLES[each["kind"]] for each in found}


async def test_the_worker_of_a_call_shows_the_call_and_its_child_while_they_live(
    node: NodeProcess, app: WebApp, ann: Peer, bob: Peer
) -> None:
    app.reply("/voice", f"<Response><Dial><Sip>{bob.uri()}</Sip></Dial></Response>")
    call = await ann.invite(node.uri("100"))
    incoming = await bob.expect_invite()
    sid = (await app.expect("/voice"))["CallSid"]
    child = incoming.invite["X-Twilio-CallSid"]
    await incoming.answer()
    await call.expect_response(200)
    await incoming.expect("ACK")

    (worker,) = carriers(await processes(node))
    line = await node.expect_log("call", call_sid=sid)
    assert worker == {
        "kind": "worker",
        "name": line["worker"],
        "pid": node.worker_pid(line["worker"]),
        "calls": [sid, child],
    }

    await call.bye()
    await incoming.expect("BYE")
    await until(node, lambda found: not carriers(found))


async def test_nobody_sees_it_without_the_credentials(node: NodeProcess) -> None:
    async with aiohttp.ClientSession(node.http) as session, session.get("/b2bua/v1/processes") as answer:
        assert answer.status == 401
        assert (await answer.json())["code"] == 20003
