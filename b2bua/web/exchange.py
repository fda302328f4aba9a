"""One HTTP request and its answer; every kind of failure is mapped to an error number here.

This module follows no redirects and does not retry; the caller applies the total time limit.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import aiohttp
from yarl import URL

from b2bua.core.errors import WebhookError
from b2bua.web.answers import is_audio
from b2bua.web.fragments import Overrides, RetryClass
from b2bua.web.validators import Validators

__all__ = [
    "MAX_BODY",
    "REDIRECTS",
    "ExchangeError",
    "HttpReply",
    "HttpRequest",
    "Method",
    "exchange",
    "failure",
]

Method = Literal["GET", "POST"]

MAX_BODY: Final = 64 * 1024
"""Bytes of an answer, decompressed: the maximum size of a document."""

REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))

_CHUNK: Final = 16 * 1024
_UNWANTED_BODY_S: Final = 1.0


class ExchangeError(WebhookError):
    """A WebhookError with its retry class; None: it may not be retried."""

    def __init__(
        self, number: int, text: str, *, url: str, status: int = 0, retry: RetryClass | None = None
    ) -> None:
        super().__init__(number, text, url=url, status=status)
        self.retry = retry


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A request as it is sent."""

    method: Method
    url: str
    """The full URL as it was signed, without credentials."""
    headers: Mapping[str, str]
    body: bytes | None
    limits: Overrides
    wants_body: bool
    """False: only the status counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpReply:
    """An answer with a status below 400."""

    status: int
    content_type: str
    body: bytes
    """Empty for a redirect, a 304 and audio, and if no body was wanted."""
    location: str | None
    """Target of a redirect; None for other answers."""
    validators: Validators
    set_cookie: tuple[str, ...]


async def exchange(session: aiohttp.ClientSession, request: HttpRequest) -> HttpReply:
    """Send ``request`` and read the answer, up to 64 KiB.

    Raises:
        ExchangeError: 11200, 11205, 11210, 11220 or 11750; its url includes the parameters of a GET.
    """
    limits = aiohttp.ClientTimeout(
        total=None, sock_connect=request.limits.connect_s, sock_read=request.limits.read_s
    )
    try:
        async with session.request(
            request.method,
            URL(request.url, encoded=True),
            data=request.body,
            headers=request.headers,
            allow_redirects=False,
            timeout=limits,
        ) as response:
            return await _reply(response, request)
    except aiohttp.ClientResponseError as err:
        # Not chained: its text and arguments show the request's headers, including credentials.
        text = f"the response is not HTTP: {err.message}"
        raise ExchangeError(11200, text, url=request.url) from None
    except (aiohttp.ClientError, OSError) as err:
        raise failure(err, request.url) from err


async def _reply(response: aiohttp.ClientResponse, request: HttpRequest) -> HttpReply:
    status = response.status
    if status >= 400:
        text = f"HTTP status {status}"
        retry: RetryClass = "4xx" if status < 500 else "5xx"
        raise ExchangeError(11200, text, url=request.url, status=status, retry=retry)
    headers = response.headers
    content_type = headers.get("Content-Type", "")
    location = headers.get("Location") if status in REDIRECTS else None
    body = b""
    if 200 <= status < 300 and not is_audio(content_type):
        body = await (_read(response) if request.wants_body else _read_unwanted(response))
    return HttpReply(
        status=status,
        content_type=content_type,
        body=body,
        location=location,
        validators=Validators.of(headers),
        set_cookie=tuple(headers.getall("Set-Cookie", ())),
    )


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    if (response.content_length or 0) <= MAX_BODY:
        async for chunk in response.content.iter_chunked(_CHUNK):
            body += chunk
            if len(body) > MAX_BODY:
                break
        else:
            return bytes(body)
    text = f"more than {MAX_BODY} bytes"
    # Leaving the response unread closes its connection, so that no more data is received.
    raise ExchangeError(11750, text, url=str(response.url), status=response.status)


async def _read_unwanted(response: aiohttp.ClientResponse) -> bytes:
    # Read only so that the connection can be reused. With its status here, the request has done its work.
    with contextlib.suppress(aiohttp.ClientError, OSError, ExchangeError):
        async with asyncio.timeout(_UNWANTED_BODY_S):
            await _read(response)
    return b""


def failure(err: aiohttp.ClientError | OSError, url: str) -> ExchangeError:
    """Map an exception to an ExchangeError, testing aiohttp's most specific exceptions first."""
    if isinstance(err, aiohttp.ClientConnectorDNSError):
        return ExchangeError(11210, "no such host", url=url, retry="ct")
    if isinstance(err, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return ExchangeError(11220, f"TLS: {_cause(err)}", url=url)
    if isinstance(err, aiohttp.ConnectionTimeoutError):
        return ExchangeError(11205, "no connection in time", url=url, retry="ct")
    if isinstance(err, aiohttp.SocketTimeoutError):
        return ExchangeError(11205, "no response in time", url=url, retry="rt")
    if isinstance(err, aiohttp.ClientPayloadError):
        return ExchangeError(11205, "the connection closed during the response", url=url, retry="rt")
    if isinstance(err, aiohttp.ServerDisconnectedError):
        # The server was just closing a kept-alive connection: only the connection was lost.
        return ExchangeError(11205, "the connection closed before a response", url=url, retry="ct")
    return ExchangeError(11205, f"no connection: {_cause(err)}", url=url, retry="ct")


def _cause(err: Exception) -> str:
    cause = getattr(err, "os_error", None) or getattr(err, "certificate_error", None) or err
    return getattr(cause, "verify_message", None) or getattr(cause, "strerror", None) or type(cause).__name__
