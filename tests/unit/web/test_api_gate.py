"""Who may ask, how often, how much, and how a path may be spelt."""

import base64
from pathlib import Path
from typing import Any

import httpx
import pytest

from b2bua.web.api.auth import MAX_REQUEST, RateLimit
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

    headers = [(k.lower().encode(), v.encode()) for k, v in basic(f"{ACCOUNT_SID}:{AUTH_TOKEN}").items()]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": f"{ROOT}/Calls.json",
        "raw_path": b"",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": [*headers, (b"content-type", b"application/x-www-form-urlencoded")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    await scene.app(scope, receive, send)
    assert sent == [] and scene.control.asked == []


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


class TestRateLimit:
    def test_as_many_at_once_as_a_second_has(self) -> None:
        limit = RateLimit(10)
        assert [limit.admits("a", 0.0) for _ in range(11)] == [True] * 10 + [False]

    def test_refills_with_time(self) -> None:
        limit = RateLimit(10)
        for _ in range(10):
            limit.admits("a", 0.0)
        assert [limit.admits("a", 0.25) for _ in range(3)] == [True, True, False]

    def test_one_client_does_not_slow_another(self) -> None:
        limit = RateLimit(1)
        assert limit.admits("a", 0.0) and not limit.admits("a", 0.0)
        assert limit.admits("b", 0.0)

    def test_remembers_no_more_clients_than_it_may(self) -> None:
        limit = RateLimit(1, max_clients=2)
        for client in ("a", "b", "c"):
            limit.admits(client, 0.0)
        assert limit.admits("a", 0.0)  # forgotten
        assert not limit.admits("c", 0.0)
