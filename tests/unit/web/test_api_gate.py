"""Credentials, rate, size, and spellings of a path."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import httpx
import pytest

from b2bua.web.api.auth import MAX_REQUEST
from b2bua.web.api.control import CallRequest
from b2bua.web.api.directory import CallQuery, CallRecord, PageRequest, Slice
from b2bua.web.api.slots import waiting
from b2bua.web.server import application
from tests.unit.web.api_scene import ACCOUNT_SID, AUTH_TOKEN, ROOT, ApiScene, a_call, api_scene, sid

pytestmark = pytest.mark.unit

OTHER_ACCOUNT = "AC" + "f" * 32


@pytest.fixture
def scene(tmp_path: Path) -> ApiScene:
    return api_scene(tmp_path)


def basic(text: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic(f"{ACCOUNT_SID}:wrong"),
        basic(f"{ACCOUNT_SID}:"),
        basic(f"{OTHER_ACCOUNT}:{AUTH_TOKEN}"),
        basic(f"{ACCOUNT_SID}:{AUTH_TOKEN}x"),
        {"Authorization": "Basic"},
        {"Authorization": "Basic ÿÿ".encode("latin-1").decode("latin-1")},
        {"Authorization": "Basic !!!"},
        {"Authorization": f"Bearer {AUTH_TOKEN}"},
    ],
)
async def test_without_the_credentials_there_is_nothing(scene: ApiScene, headers: dict[str, str]) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    async with scene.client(auth=None) as client:
        for path in (f"{ROOT}/Calls.json", f"{ROOT}/Nothing", "/2010-04-01/"):
            answer = await client.get(path, headers=raw)
            assert answer.status_code == 401
            assert answer.json() == {
                "code": 20003,
                "message": "Authenticate",
                "more_info": "https://www.twilio.com/docs/errors/20003",
                "status": 401,
            }
            assert answer.headers["WWW-Authenticate"].startswith("Basic ")


async def test_who_guesses_waits_longer_each_time(scene: ApiScene, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def sleep(delay_s: float) -> None:
        waited.append(delay_s)

    async def guess(times: int) -> list[float]:
        waited.clear()
        for _ in range(times):
            answer = await client.get(f"{ROOT}/Calls.json", auth=(ACCOUNT_SID, "guessed"))
            assert answer.status_code == 401
        return waited

    monkeypatch.setattr("b2bua.web.api.auth.asyncio.sleep", sleep)
    async with scene.client() as client:
        waits = await guess(6)
        assert waits[:3] == [0, 0, 0] and 0 < waits[3] < waits[4] < waits[5]
        assert (await client.get(f"{ROOT}/Calls.json", auth=None)).status_code == 401
        assert len(waited) == 6
        assert (await client.get(f"{ROOT}/Calls.json")).status_code == 200
        assert await guess(3) == [0, 0, 0]
        for _ in range(20):
            answer = await client.get(f"{ROOT}/Calls.json", auth=(ACCOUNT_SID, "guessed"))
        assert answer.status_code == 401
        assert (await client.get(f"{ROOT}/Calls.json")).status_code == 200  # it was right not long ago


async def test_who_has_only_ever_guessed_is_not_heard_any_more(
    scene: ApiScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def sleep(delay_s: float) -> None:
        """Guesses in parallel: time stands still."""

    monkeypatch.setattr("b2bua.web.api.auth.asyncio.sleep", sleep)
    async with scene.client() as client:
        for _ in range(20):
            answer = await client.get(f"{ROOT}/Calls.json", auth=(ACCOUNT_SID, "guessed"))
        assert (answer.status_code, answer.json()["code"]) == (429, 20429)
        assert 0 < int(answer.headers["Retry-After"]) <= 30
        assert (await client.get(f"{ROOT}/Calls.json")).status_code == 429
        assert (await client.get("/healthz")).status_code == 200


async def test_health_and_metrics_want_no_credentials(scene: ApiScene) -> None:
    async with scene.client(auth=None) as client:
        assert (await client.get("/healthz")).json() == {"ok": True, "reasons": []}
        assert (await client.get("/metrics")).status_code == 200
        scene.health.reasons.append("draining")
        answer = await client.get("/healthz")
        assert (answer.status_code, answer.json()["reasons"]) == (503, ["draining"])


async def test_another_account_is_not_found(scene: ApiScene) -> None:
    async with scene.client() as client:
        for path in (
            f"/2010-04-01/Accounts/{OTHER_ACCOUNT}.json",
            f"/2010-04-01/Accounts/{OTHER_ACCOUNT}/Calls",
        ):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (404, 20404)


@pytest.mark.parametrize("path", ["/Calls", "/Calls.json", "/Calls/"])
async def test_the_suffix_may_be_left_out(scene: ApiScene, path: str) -> None:
    async with scene.client() as client:
        assert (await client.get(ROOT + path)).json()["calls"] == []


async def test_a_call_without_the_suffix(scene: ApiScene) -> None:
    scene.directory.add(a_call(1))
    async with scene.client() as client:
        answer = await client.get(f"{ROOT}/Calls/{sid('CA', 1)}")
        assert answer.json()["sid"] == sid("CA", 1)
        assert (await client.delete(f"{ROOT}/Calls/{sid('CA', 1)}")).status_code == 204


@pytest.mark.parametrize(
    "path", ["/Calls.xml", "/Nothing.json", "/Calls/x.json", "/Calls/CA1/Nothing", "/..%2f.json"]
)
async def test_what_does_not_exist(scene: ApiScene, path: str) -> None:
    async with scene.client() as client:
        answer = await client.get(ROOT + path)
        assert (answer.status_code, answer.json()["code"]) == (404, 20404)


async def test_a_method_that_is_not_there_says_which_are(scene: ApiScene) -> None:
    async with scene.client() as client:
        answer = await client.put(f"{ROOT}/Calls/{sid('CA', 1)}.json")
        assert (answer.status_code, answer.json()["code"]) == (405, 20004)
        assert answer.headers["Allow"] == "DELETE, GET, HEAD, POST"


async def test_a_body_that_is_too_large(scene: ApiScene) -> None:
    async with scene.client() as client:
        answer = await client.post(f"{ROOT}/Calls.json", content=b"x" * (MAX_REQUEST + 1))
        assert (answer.status_code, answer.json()["code"]) == (413, 20413)


async def test_half_a_form_makes_no_call(scene: ApiScene) -> None:
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"To=%2B15550001111&From=a&Twiml=x", "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    form = (b"content-type", b"application/x-www-form-urlencoded")
    await scene.app(scope_of("POST", f"{ROOT}/Calls.json", form), receive, send)
    assert sent == [] and scene.control.asked == []


def scope_of(method: str, path: str, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    known = [(k.lower().encode(), v.encode()) for k, v in basic(f"{ACCOUNT_SID}:{AUTH_TOKEN}").items()]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": b"",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": [*known, *headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }


async def test_requests_that_wait_hold_up_no_other(scene: ApiScene, monkeypatch: pytest.MonkeyPatch) -> None:
    there_is_room, are_waiting = asyncio.Event(), asyncio.Semaphore(0)
    create = scene.control.create

    async def create_when_there_is_room(request: CallRequest) -> CallRecord:
        async with waiting():
            are_waiting.release()
            await there_is_room.wait()
        return await create(request)

    monkeypatch.setattr(scene.control, "create", create_when_there_is_room)
    live = a_call(1, status="in-progress", ended_at=None)
    scene.directory.add(live)
    form = {"To": "+14155550123", "From": "+14155550199", "Twiml": "<Response/>"}
    async with scene.client() as client, asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        made = [tasks.create_task(client.post(f"{ROOT}/Calls.json", data=form)) for _ in range(5)]
        for _ in made:
            await are_waiting.acquire()
        answer = await client.post(f"{ROOT}/Calls/{live.sid}.json", data={"Status": "completed"})
        assert answer.json()["status"] == "completed"
        assert not any(task.done() for task in made)
        there_is_room.set()
    assert [task.result().status_code for task in made] == [201] * 5


async def test_clients_that_do_not_read_hold_up_no_other(scene: ApiScene) -> None:
    reads, are_sent_to = asyncio.Event(), asyncio.Semaphore(0)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        are_sent_to.release()
        await reads.wait()

    async with scene.client() as client, asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(scene.app(scope_of("GET", f"{ROOT}/Calls.json"), receive, send))
            await are_sent_to.acquire()
        assert (await client.get(f"{ROOT}/Calls.json")).status_code == 200
        reads.set()


async def test_no_more_than_two_are_worked_at_a_time(
    scene: ApiScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once, most = 0, 0
    calls = scene.directory.calls

    async def slowly(query: CallQuery, page: PageRequest) -> Slice[CallRecord]:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        for _ in range(20):
            await asyncio.sleep(0)
        at_once -= 1
        return await calls(query, page)

    monkeypatch.setattr(scene.directory, "calls", slowly)
    async with scene.client() as client, asyncio.TaskGroup() as tasks:
        for _ in range(6):
            tasks.create_task(client.get(f"{ROOT}/Calls.json"))
    assert most == 2


async def test_too_many_requests_are_told_to_wait(tmp_path: Path) -> None:
    scene = api_scene(tmp_path)
    scene.context.requests_per_s = 3
    app = application(scene.health, scene.context, scene.metrics)
    transport = httpx.ASGITransport(app)
    async with scene.client(transport=transport) as client:
        answers = [await client.get(f"{ROOT}/Calls.json") for _ in range(5)]
        assert [answer.status_code for answer in answers][:3] == [200, 200, 200]
        refused = answers[-1]
        assert (refused.status_code, refused.json()["code"]) == (429, 20429)
        assert refused.headers["Retry-After"] == "1"
        assert (await client.get("/healthz")).status_code == 200


async def test_a_bug_tells_nobody_anything(scene: ApiScene) -> None:
    scene.directory.call_rows = None  # type: ignore[assignment]
    async with scene.client() as client:
        answer = await client.get(f"{ROOT}/Calls.json")
        assert (answer.status_code, answer.json()["code"]) == (500, 20500)
        assert "None" not in answer.text
