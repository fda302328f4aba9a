"""The HTTP server of a node, in the controller's loop: the API, metrics and health.

Thread: loop.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import anyio.to_thread
import fastapi.routing
import uvicorn
from anyio import open_file  # noqa: F401 (Starlette's file responses would import it in the loop)
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.routing import BaseRoute

from b2bua import __version__
from b2bua.core.errors import B2buaError
from b2bua.settings_values import HostPort
from b2bua.watch import Watch, Watched
from b2bua.web.api.application import install_api
from b2bua.web.api.context import ApiContext
from b2bua.web.api.description import describe, operation_id
from b2bua.web.head import HeadAsGet
from b2bua.web.metrics import Metrics, install_metrics

__all__ = ["Health", "HttpServer"]


LAST_ANSWERS_S = 3
"""Time for requests in progress when the server ends: a slow download must not keep a node from ending."""


class Health(Protocol):
    """The node's health, as the server queries it."""

    def reasons_not_to_call(self) -> list[str]:
        """Return why no call can be taken now; empty if one can."""


class _Server(uvicorn.Server):
    """A uvicorn server without signal handlers (the node has its own) that signals when it serves."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serving = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        await super().startup(sockets)
        self.serving.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's handlers alone."""
        yield


class HttpServer:
    """The HTTP server, restarted if it fails.

    Args:
        sock: listens on the address to serve on; closed with the server.
        health: the node.
        api: what the REST API works on; None: no API.
        metrics: what ``/metrics`` shows; None: no ``/metrics``.
        watch: supervises the process's background tasks; None: a private one.
    """

    def __init__(
        self,
        sock: socket.socket,
        health: Health,
        api: ApiContext | None = None,
        metrics: Metrics | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._sock = sock
        self._api = api
        self._watch = watch or Watch()
        self._app = application(health, api, metrics)
        self._server = _Server(self._config())
        self._task: Watched | None = None
        self._closing = False

    async def start(self) -> int:
        """Start serving; returns the port once connections are accepted."""
        address: tuple[str, int] = self._sock.getsockname()
        host, port = address[:2]
        if self._api is not None and not self._api.public_url:
            self._api.public_url = f"http://{HostPort(host, port)}"
        serving = self._server.serving
        await _load_what_is_late(self._app)
        self._task = self._watch.run("the HTTP server", self._serve, ends=True)
        await serving.wait()
        return port

    async def close(self) -> None:
        """Finish the requests in progress, for up to ``LAST_ANSWERS_S``, then end."""
        self._closing = True
        self._server.should_exit = True
        if self._task is not None:
            await self._task.task
        self._sock.close()

    async def _serve(self) -> None:
        """Serve until ``close``."""
        sock = self._sock.dup()
        try:
            await self._server.serve(sockets=[sock])
        finally:  # a failed uvicorn leaves them open, and an ended one cannot be restarted
            for each in self._server.servers:
                each.close()
            sock.close()
            self._server = _Server(self._config())
        if not self._closing:
            raise B2buaError("it exited")

    def _config(self) -> uvicorn.Config:
        return uvicorn.Config(
            self._app,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=LAST_ANSWERS_S,
        )


async def _load_what_is_late(app: FastAPI) -> None:
    """Load from disk what the libraries would otherwise load in the loop during the first requests.

    FastAPI reads the source of a route at its first request, for error messages. anyio imports its backend at
    its first use.
    """
    look = getattr(fastapi.routing, "_extract_endpoint_context", None)
    if look is not None:
        await asyncio.to_thread(lambda: [look(each) for each in _endpoints(app.routes)])
    await anyio.to_thread.run_sync(lambda: None)


def _endpoints(routes: Iterable[BaseRoute]) -> Iterator[Any]:
    for route in routes:
        if isinstance(route, APIRoute):
            yield route.endpoint
        included = getattr(route, "original_router", None)  # FastAPI resolves included routers lazily
        if included is not None:
            yield from _endpoints(included.routes)


class HealthBody(BaseModel):
    """Whether calls can be taken, and if not, why."""

    ok: bool
    reasons: list[str]


def application(health: Health, api: ApiContext | None, metrics: Metrics | None) -> FastAPI:
    """Return the ASGI application with everything that the server offers."""
    app = FastAPI(
        title="b2bua",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=operation_id,
    )

    @app.get("/healthz", response_model=HealthBody, responses={503: {"model": HealthBody}}, tags=["Node"])
    async def healthz() -> JSONResponse:
        """Return whether the node can take calls, with the reasons if it cannot."""
        reasons = health.reasons_not_to_call()
        return JSONResponse({"ok": not reasons, "reasons": reasons}, status_code=503 if reasons else 200)

    if metrics is not None:
        install_metrics(app, metrics)
    if api is not None:
        install_api(app, api)
    app.add_middleware(HeadAsGet)
    describe(app)
    return app
