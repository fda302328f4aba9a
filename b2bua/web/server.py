"""The HTTP server of a node, in the controller's loop.

Thread: loop.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Protocol

import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from b2bua import __version__
from b2bua.core.errors import ConfigError

__all__ = ["Health", "HttpServer"]


class Health(Protocol):
    """What the server asks the node."""

    def reasons_not_to_call(self) -> list[str]:
        """Why no call can be taken now; empty when one can."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, since the node has its own, and with word of when it serves."""

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
    """Binds, serves and ends.

    Args:
        host: address to listen on.
        port: 0 for any free one.
        health: the node.
    """

    def __init__(self, host: str, port: int, health: Health) -> None:
        self._host = host
        self._port = port
        self._server = _Server(
            uvicorn.Config(_application(health), host=host, port=port, log_config=None, access_log=False)
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Return the port when connections are accepted.

        Raises:
            ConfigError: the address cannot be listened on.
        """
        config = self._server.config
        try:
            sock = config.bind_socket()
        except SystemExit as error:  # uvicorn's way of saying so
            raise ConfigError(f"http.listen: cannot listen on {self._host}:{self._port}") from error
        port: int = sock.getsockname()[1]
        self._task = asyncio.get_running_loop().create_task(self._server.serve(sockets=[sock]))
        await self._server.serving.wait()
        return port

    async def close(self) -> None:
        """Finish what is being answered, then end."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task


def _application(health: Health) -> FastAPI:
    app = FastAPI(title="b2bua", version=__version__)

    @app.get("/healthz")
    async def healthz() -> JSONResponse:
        reasons = health.reasons_not_to_call()
        return JSONResponse({"ok": not reasons, "reasons": reasons}, status_code=503 if reasons else 200)

    return app
