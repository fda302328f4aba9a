"""A web application as programs for the hosted service are written: routes, and forms that are indexed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from aiohttp import web

from tests.peer.ladder import PATIENCE_S

Form = dict[str, str]
View = Callable[[Form], Any]


class MovedApplication:
    """Use ``async with MovedApplication().run() as app``; a missing form field is answered with 400."""

    def __init__(self) -> None:
        self.port = 0
        self._views: dict[str, View] = {}
        self._asked: dict[str, asyncio.Queue[Form]] = {}

    def route(self, path: str) -> Callable[[View], View]:
        """Serve a path by the decorated function, which takes the form and returns the document."""

        def register(view: View) -> View:
            self._views[path] = view
            self._asked[path] = asyncio.Queue()
            return view

        return register

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def expect(self, path: str) -> Form:
        """The next form that was posted to a path and answered with a document."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._asked[path].get()

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator["MovedApplication"]:
        runner = web.ServerRunner(web.Server(self._serve), shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.Response:
        form = {**request.query, **{k: str(v) for k, v in (await request.post()).items()}}
        try:
            document = self._views[request.path](form)
        except KeyError as missing:
            return web.Response(status=400, text=f"no {missing}")
        self._asked[request.path].put_nowait(form)
        return web.Response(text=str(document), content_type="text/xml")
