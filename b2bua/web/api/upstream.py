"""Passes requests for what this API does not have on to the hosted service, if the configuration says so.

The request's own credentials have been checked before (``auth.Gate``) and never leave the node; the service
gets those of the configuration. Neither side learns the other's account: its sid is replaced on both ways.
"""

import asyncio
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

import aiohttp
from fastapi import Request
from fastapi.responses import Response
from yarl import URL

from b2bua.settings_sections import HttpSettings
from b2bua.web.api.auth import API_ROOT
from b2bua.web.api.errors import error_answer
from b2bua.web.api.slots import waiting

__all__ = ["MAX_ANSWER", "Upstream"]

MAX_ANSWER: Final = 1 << 20
"""Bytes of an answer's body."""

_LIMIT_S: Final = 15.0
_AT_ONCE: Final = 8
_OF_ONE_HOP: Final = frozenset(
    (
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"),
        *("te", "trailer", "transfer-encoding", "upgrade"),
    )
)
"""RFC 9110 §7.6.1: they are about one connection."""
_OWN_REQUEST: Final = frozenset(
    ("authorization", "cookie", "host", "content-length", "accept-encoding", "expect", "forwarded")
)
_OWN_ANSWER: Final = frozenset(("content-length", "content-encoding", "set-cookie", "www-authenticate"))


class Upstream:
    """The hosted service. Thread: loop.

    Args:
        settings: ``[http]`` with an ``upstream``.
    """

    def __init__(self, settings: HttpSettings) -> None:
        self._url = settings.upstream
        self._sid = settings.upstream_account_sid
        token = settings.upstream_auth_token.get_secret_value()
        self._authorization = aiohttp.encode_basic_auth(self._sid, token)
        self._free = asyncio.Semaphore(_AT_ONCE)

    @classmethod
    def of(cls, settings: HttpSettings) -> "Upstream | None":
        """Return the service that the configuration names; None: it names none."""
        return cls(settings) if settings.upstream else None

    async def answer(self, request: Request, own_sid: str) -> Response | None:
        """Return the service's answer, or 502 if there is none in time.

        Args:
            request: a request that no route has taken.
            own_sid: the account's sid here.

        Returns:
            None if this request is not one to pass on.
        """
        path = self._path(request.scope["raw_path"].decode("latin-1"), own_sid)
        if path is None:
            return None
        query = request.scope["query_string"].decode("latin-1").replace(own_sid, self._sid)
        url = f"{self._url}{path}?{query}" if query else self._url + path
        try:
            async with waiting(), asyncio.timeout(_LIMIT_S), self._free:
                return await self._ask(request, URL(url, encoded=True), own_sid)
        except (TimeoutError, aiohttp.ClientError, ValueError):
            # A library's text may name what belongs to the configuration, so that it is not passed on.
            return error_answer(502)

    def _path(self, path: str, own_sid: str) -> str | None:
        """Return the service's path for one of ours; None: it is outside of the account's resources."""
        segments = path.split("/")
        if segments[1] != API_ROOT[1:] or len(segments) < 3 or not path.isascii():
            return None
        plain = [unquote(segment) for segment in segments]
        if any(segment in (".", "..") or set("/\\?#") & set(segment) for segment in plain):
            return None
        if segments[2] == "Accounts" and len(segments) > 3:
            if segments[3] != own_sid:
                return None
            segments[3] = self._sid
        return "/".join(segments)

    async def _ask(self, request: Request, url: URL, own_sid: str) -> Response:
        body = (await request.body()).replace(own_sid.encode(), self._sid.encode())
        headers = _kept(request.headers.items(), _OWN_REQUEST) | {"Authorization": self._authorization}
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.request(
                request.method,
                url,
                data=body or None,
                headers=headers,
                allow_redirects=False,
            ) as reply,
        ):
            if reply.status == 401:
                return error_answer(502, text="The upstream service refuses this node's credentials")
            content = bytearray()
            async for block in reply.content.iter_chunked(65_536):
                content += block
                if len(content) > MAX_ANSWER:
                    return error_answer(502, text="The upstream service's answer is too large")
            answered = {
                name: value.replace(self._sid, own_sid)
                for name, value in _kept(reply.headers.items(), _OWN_ANSWER).items()
            }
            if "json" in reply.content_type:
                content = content.replace(self._sid.encode(), own_sid.encode())
            return Response(bytes(content), status_code=reply.status, headers=answered)


def _kept(headers: Iterable[tuple[str, str]], dropped: frozenset[str]) -> dict[str, str]:
    """Return the headers that are for the other side; those of proxies before us are not."""
    items = list(headers)
    named = {
        word.strip().lower()
        for name, value in items
        if name.lower() == "connection"
        for word in value.split(",")
    }
    not_passed = _OF_ONE_HOP | dropped | named
    return {
        name: value
        for name, value in items
        if name.lower() not in not_passed and not name.lower().startswith("x-forwarded-")
    }
