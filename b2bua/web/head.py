"""HEAD wherever there is GET: the same answer without its body (RFC 9110 §9.3.2).

Routes know of GET only, so that nothing is described twice; whoever has a better way to an answer without a
body than to make it and drop it finds in the scope what was asked.
"""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["WITHOUT_BODY", "HeadAsGet"]

WITHOUT_BODY: Final = "b2bua.without_body"
"""True in the scope of what was HEAD."""


class HeadAsGet:
    """ASGI middleware. Thread: loop."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self._app({**scope, "method": "GET", WITHOUT_BODY: True}, receive, send_head)
