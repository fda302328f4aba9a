"""Web applications for webhooks: one with scripted responses, and one that need not speak HTTP."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from multidict import MultiDict
from twilio.request_validator import RequestValidator

from b2bua.core.errors import WebhookError
from b2bua.web.signature import Params
from b2bua.web.webhooks import WebhookAnswer, WebhookRequest
from tests.peer.ladder import PATIENCE_S

TOKEN = "0123456789abcdef0123456789abcdef"
DOCUMENT = "<Response><Hangup/></Response>"
PARAMS: Params = (("CallSid", "CA1"), ("From", "+14155550100"))

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Seen:
    """A request as the application saw it."""

    def __init__(self, request: web.Request, form: list[tuple[str, str]]) -> None:
        self.method = request.method
        self.path = request.raw_path
        self.headers = request.headers
        self.form = form
        self.query = list(request.query.items())
        self.peer = request.transport.get_extra_info("peername") if request.transport else None
        # As an application behind no proxy puts its own address together.
        url = f"{request.scheme}://{request.host}{request.raw_path}"
        signature = request.headers.get("X-Twilio-Signature", "")
        self.signed = RequestValidator(TOKEN).validate(url, MultiDict(form), signature)


class Application:
    """A web application with scripted responses by path, which records the requests."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.answers: dict[str, list[Handler | web.Response]] = {}
        self.url = ""

    def on(self, path: str, *answers: Handler | web.Response) -> str:
        """Give each response once, the last one repeatedly. Returns the URL."""
        self.answers[path] = list(answers)
        return self.url + path

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(Seen(request, [(k, str(v)) for k, v in (await request.post()).items()]))
        answers = self.answers.get(request.path)
        if not answers:
            return web.Response(status=404)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return copy(answer) if isinstance(answer, web.Response) else await answer(request)


def copy(answer: web.Response) -> web.Response:
    headers = {name: value for name, value in answer.headers.items() if name != "Content-Length"}
    return web.Response(status=answer.status, headers=MultiDict(headers), body=answer.body)


def twiml(text: str = DOCUMENT, **headers: str) -> web.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(text=text, content_type="text/xml", headers=named)


def redirect(location: str, status: int = 302) -> web.Response:
    return web.Response(status=status, headers={"Location": location})


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Application]:
    app = Application()
    server = web.Application(client_max_size=1 << 20)
    server.router.add_route("*", "/{path:.*}", app.handle)
    runner = web.AppRunner(server, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    port = runner.addresses[0][1]
    app.url = f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
    try:
        yield app
    finally:
        await runner.cleanup()


def post(url: str, params: Params = PARAMS, **more: Any) -> WebhookRequest:
    return WebhookRequest(url=url, method="POST", params=params, **more)


def get(url: str, params: Params = PARAMS, **more: Any) -> WebhookRequest:
    return WebhookRequest(url=url, method="GET", params=params, **more)


async def error_of(asked: Awaitable[WebhookAnswer]) -> WebhookError:
    with pytest.raises(WebhookError) as caught:
        await asked
    return caught.value


Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Raw:
    """A server that reads a request's head and then follows the next script; the last one repeatedly."""

    def __init__(self, scripts: list[Script]) -> None:
        self.scripts = scripts
        self.url = ""
        self.heads: list[bytes] = []
        self.asked = asyncio.Condition()
        self.lost = asyncio.Event()
        """Set when a client has closed a connection before the response."""
        self.tasks: list[asyncio.Task[Any]] = []

    async def wait_until_asked(self, times: int) -> None:
        async with asyncio.timeout(PATIENCE_S), self.asked:
            await self.asked.wait_for(lambda: len(self.heads) >= times)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.append(task)
        try:
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            async with self.asked:
                self.asked.notify_all()
            script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.lost.set()
        finally:
            writer.close()


@asynccontextmanager
async def talking(*scripts: Script) -> AsyncIterator[Raw]:
    raw = Raw(list(scripts))
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0)
    raw.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/voice"
    try:
        yield raw
    finally:
        server.close()
        await asyncio.wait_for(asyncio.gather(*raw.tasks), PATIENCE_S)


def say(text: str) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(text.encode())

    return script


WELL = say(f"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {len(DOCUMENT)}\r\n\r\n{DOCUMENT}")


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(65536):
        pass
    raise ConnectionResetError


def drip(head: str) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head.encode())
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    return script
