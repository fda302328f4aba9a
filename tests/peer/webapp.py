"""A small web application on a free port: serves TwiML set by the test and records the requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from .ladder import PATIENCE_S, Mailbox, PeerTimeout


@dataclass(frozen=True)
class Request:
    """One HTTP request as received."""

    path: str
    method: str
    params: list[tuple[str, str]]
    """Query parameters, then form parameters, in their order."""
    headers: Mapping[str, str]
    body: bytes
    url: str
    """The whole requested URL, as a signature covers it."""
    at: float
    """time.monotonic() of its arrival."""

    def __getitem__(self, name: str) -> str:
        """First parameter of this name."""
        value = self.get(name)
        if value is None:
            raise KeyError(f"{self.method} {self.path} has no {name}; it has {dict(self.params)}")
        return value

    def get(self, name: str, default: str | None = None) -> str | None:
        return next((value for key, value in self.params if key == name), default)


@dataclass(frozen=True)
class Reply:
    """The response to requests for a path."""

    body: bytes
    content_type: str
    status: int
    delay: float | None
    headers: tuple[tuple[str, str], ...]


class WebApp:
    """Use `async with WebApp.start() as app`. A path without a reply gets 404 (and is recorded too)."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.requests: list[Request] = []
        """All requests, in order."""
        self.port = 0
        self.replies: dict[str, list[Reply]] = {}
        self.gates: dict[str, asyncio.Event] = {}
        self._fresh: Mailbox[Request] = Mailbox(self._failure)

    @classmethod
    @asynccontextmanager
    async def start(cls, host: str = "127.0.0.1") -> AsyncIterator[WebApp]:
        """The application on a free port of `host`."""
        app = cls(host)
        server = web.Server(app._handle)
        runner = web.ServerRunner(server, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, host, 0)
        await site.start()
        app.port = runner.addresses[0][1]
        try:
            yield app
        finally:
            for gate in app.gates.values():
                gate.set()
            await runner.cleanup()

    def url(self, path: str) -> str:
        """The URL of a path."""
        return f"http://{self.host}:{self.port}/{path.lstrip('/')}"

    def reply(
        self,
        path: str,
        *twiml: str | bytes,
        content_type: str = "text/xml",
        status: int = 200,
        delay: float | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """Set the response of a path. Of several texts each is served once, in order; the last one stays."""
        bodies = [text.encode() if isinstance(text, str) else text for text in twiml or ("",)]
        self.replies[_path(path)] = [Reply(body, content_type, status, delay, headers) for body in bodies]

    def hold(self, path: str) -> asyncio.Event:
        """Withhold the responses of a path until the returned event is set."""
        gate = self.gates[_path(path)] = asyncio.Event()
        return gate

    async def expect(self, path: str, timeout: float = PATIENCE_S) -> Request:  # noqa: ASYNC109
        """The next request for a path that no earlier call returned."""
        wanted = _path(path)
        return await self._fresh.take(lambda r: r.path == wanted, timeout, f"request for {wanted}")

    def forget(self) -> None:
        """Forget all requests and withheld responses: the next test of a module begins."""
        self.requests.clear()
        self._fresh.items.clear()
        self.gates.clear()

    def of(self, path: str) -> list[Request]:
        """All requests for a path so far."""
        return [request for request in self.requests if request.path == _path(path)]

    async def _handle(self, asked: web.BaseRequest) -> web.StreamResponse:
        at, body = time.monotonic(), await asked.read()
        form: Mapping[str, Any] = await asked.post()
        pairs = [*asked.query.items(), *((k, v) for k, v in form.items() if isinstance(v, str))]
        request = Request(
            asked.path, asked.method, pairs, asked.headers.copy(), body, self.url("/") + asked.path_qs[1:], at
        )
        self.requests.append(request)
        queue = self.replies.get(asked.path)
        reply = queue.pop(0) if queue and len(queue) > 1 else (queue or [NOT_FOUND])[0]
        self._fresh.put(request)
        if asked.path in self.gates:
            await self.gates[asked.path].wait()
        if reply.delay:
            await asyncio.sleep(reply.delay)
        response = web.Response(
            body=reply.body, status=reply.status, headers={"Content-Type": reply.content_type}
        )
        for name, value in reply.headers:
            response.headers.add(name, value)
        return response

    def _failure(self, what: str) -> AssertionError:
        first = self.requests[0].at if self.requests else 0.0
        lines = [f"{r.at - first:8.3f} {r.method} {r.path} {dict(r.params)}" for r in self.requests]
        return PeerTimeout(f"web application: {what}\n" + ("\n".join(lines) or "(no request came)"))


NOT_FOUND = Reply(b"no such path", "text/plain", 404, None, ())


def _path(path: str) -> str:
    return "/" + path.lstrip("/")
