"""The gate of the API: checks credentials, limits the rate and size of requests, and normalises paths.

Nothing but the credentials of a request is parsed before they have been verified.
"""

import asyncio
import base64
import binascii
import hmac
import math
import re
import time
from collections.abc import Mapping
from typing import Final

from fastapi.responses import JSONResponse
from fastapi.security import HTTPBasic
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from b2bua.token_buckets import TokenBuckets
from b2bua.web.api.errors import error_answer
from b2bua.web.api.guesses import Guesses
from b2bua.web.api.slots import Slots

__all__ = ["API_ROOT", "BASIC", "MAX_REQUEST", "OWN_ROOT", "Gate"]

API_ROOT: Final = "/2010-04-01"
"""Path prefix of the hosted service's resources."""
OWN_ROOT: Final = "/b2bua/v1"
"""Path prefix of b2bua's own resources."""

MAX_REQUEST: Final = 64 * 1024
"""Bytes of a request's body."""

BASIC: Final = HTTPBasic(
    auto_error=False, realm="b2bua", description="User name: AccountSid. Password: AuthToken."
)
"""Declared by the routes; ``Gate`` does the check."""

_AT_ONCE: Final = 2
"""Requests that are processed at a time; the others wait."""
_SLOW: Final = (".wav", ".mp3")
_SUFFIXES: Final = (".json", ".wav", ".mp3")
_SOUND: Final = re.compile(rf"{API_ROOT}/Accounts/[^/]+/Recordings/[^/]+")
_HEARD: Final = re.compile(
    rf"{API_ROOT}/Accounts/AC[0-9a-f]{{32}}/Recordings/RE[0-9a-f]{{32}}(?:\.wav|\.mp3)?"
)


class Gate:
    """ASGI middleware that admits requests to the API. Thread: loop.

    Args:
        app: the application behind the gate.
        credentials: passwords by user name.
        public_recordings: whether the sound of recordings is served without credentials; who knows the long
            random identifier of one has been given it.
        limit: rate limit for the requests of each client.
    """

    def __init__(
        self, app: ASGIApp, credentials: Mapping[str, str], public_recordings: bool, limit: TokenBuckets
    ) -> None:
        self._app = app
        self._credentials = [f"{name}:{password}".encode() for name, password in credentials.items()]
        self._public_recordings = public_recordings
        self._limit = limit
        self._guesses = Guesses()
        self._slots = Slots(_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] != "http" or not scope["path"].startswith((API_ROOT, OWN_ROOT)):
            await self._app(scope, receive, send)
            return
        refusal = await self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        try:
            body = await _read(receive)
        except ClientDisconnect:
            return
        if body is None:
            await error_answer(413)(scope, receive, send)
            return
        path = _with_suffix(scope["path"])
        scope = {**scope, "path": path}
        if path.endswith(_SLOW):
            await self._app(scope, _again(body, receive), send)  # no slot: an MP3 may have to be made first
            return
        async with self._slots.taken() as slot:

            async def send_at_leisure(message: Message) -> None:
                slot.give_back()  # the work is done; a slow client must not hold the slot
                await send(message)

            await self._app(scope, _again(body, receive), send_at_leisure)

    async def _refusal(self, scope: Scope) -> JSONResponse | None:
        client, now = scope["client"][0] if scope.get("client") else "", time.monotonic()
        if not self._limit.take(client, now):
            return error_answer(429, headers={"Retry-After": "1"})
        if refused_s := self._guesses.refuses_for_s(client, now):
            return error_answer(429, headers={"Retry-After": str(math.ceil(refused_s))})
        if self._public_recordings and scope["method"] in ("GET", "HEAD") and _HEARD.fullmatch(scope["path"]):
            return None
        authorization = Headers(scope=scope).get("authorization", "")
        if self._knows(authorization):
            self._guesses.right(client, now)
            return None
        if authorization:  # a request without any asks for the challenge (RFC 9110 §11.6.1)
            await asyncio.sleep(self._guesses.wrong(client, now))
        return error_answer(401, headers={"WWW-Authenticate": 'Basic realm="b2bua", charset="UTF-8"'})

    def _knows(self, authorization: str) -> bool:
        scheme, _, encoded = authorization.partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            given = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        # All are compared, so that the time tells nothing about which one was close.
        return any([hmac.compare_digest(given, known) for known in self._credentials])


async def _read(receive: Receive) -> bytes | None:
    """Read the body; returns None if it is too large.

    Raises:
        ClientDisconnect: the body is incomplete. Half a form must not make a call.
    """
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > MAX_REQUEST:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that yields ``body`` first."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


def _with_suffix(path: str) -> str:
    """Return the path as the routes declare it.

    A client may leave out ``.json``, except where the path without a suffix is the sound of a recording.
    """
    if path.startswith(OWN_ROOT) or path.endswith(_SUFFIXES) or _SOUND.fullmatch(path):
        return path
    return path.rstrip("/") + ".json"
