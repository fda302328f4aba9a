"""Resources that only the hosted service has, answered by a local server that plays it."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr, ValidationError

from b2bua.settings_sections import HttpSettings
from b2bua.web.api.upstream import MAX_ANSWER, Upstream
from tests.unit.web.api_scene import ACCOUNT_SID, AUTH_TOKEN, ROOT, api_scene

pytestmark = pytest.mark.process

THERE = "AC" + "e" * 32
TOKEN = "token of the service"
MESSAGES = f"/2010-04-01/Accounts/{THERE}/Messages.json"


class Service:
    """Plays the hosted service."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], str]] = []
        self.answer = web.json_response({})

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.text()
        self.asked.append((request.method, request.raw_path, dict(request.headers), body))
        return self.answer


@pytest.fixture
async def service() -> AsyncIterator[tuple[Service, TestServer]]:
    played, app = Service(), web.Application()
    app.router.add_route("*", "/{path:.*}", played.handle)
    async with TestServer(app, host="127.0.0.1") as server:
        yield played, server


def settings(server: TestServer) -> HttpSettings:
    return HttpSettings(
        upstream=f"http://127.0.0.1:{server.port}/",
        upstream_account_sid=THERE,
        upstream_auth_token=SecretStr(TOKEN),
    )


def client(folder: Path, upstream: Upstream | None, password: str = AUTH_TOKEN) -> httpx.AsyncClient:
    scene = api_scene(folder)
    scene.context.upstream = upstream
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(scene.app), base_url="http://node.test", auth=(ACCOUNT_SID, password)
    )


async def test_a_message_is_sent_by_the_service(tmp_path: Path, service: tuple[Service, TestServer]) -> None:
    played, server = service
    played.answer = web.json_response(
        {"sid": "SM1", "account_sid": THERE, "uri": MESSAGES},
        status=201,
        headers={"Set-Cookie": "a=b", "X-Request": THERE},
    )
    async with client(tmp_path, Upstream.of(settings(server))) as api:
        got = await api.post(
            f"{ROOT}/Messages.json?a=1", data={"To": "+1 415"}, headers={"Cookie": "c=d", "Keep-Alive": "5"}
        )
    assert (got.status_code, got.json()["account_sid"]) == (201, ACCOUNT_SID)
    assert got.json()["uri"] == f"{ROOT}/Messages.json"
    assert got.headers["x-request"] == ACCOUNT_SID and "set-cookie" not in got.headers
    ((method, path, headers, body),) = played.asked
    assert (method, path, body) == ("POST", f"{MESSAGES}?a=1", "To=%2B1+415")
    basic = base64.b64encode(f"{THERE}:{TOKEN}".encode()).decode()
    assert headers["Authorization"] == f"Basic {basic}"
    assert not {"Cookie", "Keep-Alive"} & set(headers) and AUTH_TOKEN not in str(headers)


async def test_what_is_not_passed_on(tmp_path: Path, service: tuple[Service, TestServer]) -> None:
    played, server = service
    upstream = Upstream.of(settings(server))
    async with client(tmp_path, upstream, "wrong password") as api:
        assert (await api.get(f"{ROOT}/Messages.json")).status_code == 401
    async with client(tmp_path, upstream) as api:
        assert (await api.get(f"{ROOT}/Calls.json")).status_code == 200
        for path in (f"{ROOT}/Messages/%2e%2e/x", f"/2010-04-01/Accounts/{THERE}/Messages.json", "/v1/x"):
            assert (await api.get(path)).status_code in (404, 501), path
    async with client(tmp_path, None) as api:
        assert (await api.get(f"{ROOT}/Messages.json")).status_code == 501
    assert played.asked == []


async def test_a_service_that_fails_is_502(tmp_path: Path, service: tuple[Service, TestServer]) -> None:
    played, server = service
    async with client(tmp_path, Upstream.of(settings(server))) as api:
        for played.answer in (web.Response(body=b"x" * (MAX_ANSWER + 1)), web.Response(status=401)):
            got = await api.get(f"{ROOT}/Messages.json")
            assert (got.status_code, got.json()["code"], got.json()["status"]) == (502, 20502, 502)
        played.answer = web.json_response({"code": 20404}, status=404)
        assert (await api.get(f"{ROOT}/Messages/SM1.json")).json() == {"code": 20404}
        await server.close()
        assert (await api.get(f"{ROOT}/Messages.json")).status_code == 502


@pytest.mark.parametrize("url", ["http://api.example", "https://api.example/x", "https://a:b@api.example"])
def test_an_upstream_is_a_host_with_tls(url: str) -> None:
    with pytest.raises(ValidationError):
        HttpSettings(upstream=url, upstream_account_sid=THERE, upstream_auth_token=SecretStr(TOKEN))
