"""Answers HEAD for every GET route: the same answer without its body (RFC 9110 §9.3.2).

Routes declare only GET, so that nothing is described twice. A route that can answer without first making the
body finds in the scope that the request was a HEAD.
"""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["WITHOUT_BODY", "HeadAsGet"]

WITHOUT_BODY: Final = "b2bua.without_body"
"""Key that is True in the scope of a HEAD request."""


class HeadAsGet:
    """ASGI middleware that answers HEAD as GET without the body. Thread: loop."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self._app({**scope, "method": "GET", WITHOUT_BODY: True}, receive, send_head)
