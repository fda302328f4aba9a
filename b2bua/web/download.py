"""Downloads a file from the web with GET into a local file, with limits on its size and on the time.

Redirects, retries, connection overrides and error numbers are the same as for webhooks (``webhooks``).
Requests carry neither signature nor cookies: a sound is the same for every call.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

import aiohttp
from yarl import URL

from b2bua.core.errors import WebhookError
from b2bua.web.answers import media_type
from b2bua.web.attempts import Moved, follow, try_again
from b2bua.web.exchange import REDIRECTS, ExchangeError, failure
from b2bua.web.fragments import Overrides, parse_fragment
from b2bua.web.url import WebUrl
from b2bua.web.validators import Validators

__all__ = ["MAX_DOWNLOAD", "Download", "Downloaded", "download"]

MAX_DOWNLOAD: Final = 32 << 20
"""Bytes: half an hour of MP3."""

_CHUNK: Final = 64 * 1024
_SOUND_TYPES: Final = frozenset(
    ("", "application/ogg", "application/octet-stream", "binary/octet-stream", "video/ogg", "video/mpeg")
)
"""Types other than ``audio/*`` that careless servers use for sounds. The decoder decides what the file is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file to download."""

    url: WebUrl = field(repr=False)
    target: Path
    authorization: Callable[[WebUrl], str | None]
    """Returns the value of the Authorization header for a URL; called again for each redirect."""
    conditions: Mapping[str, str]
    """``If-None-Match`` and similar headers that describe the copy we already have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloaded:
    """The result of a download."""

    is_new: bool
    """False: the copy we already have is still valid, and ``target`` was not written."""
    content_type: str
    digest: str
    """SHA-256 of the file; empty unless ``is_new``."""
    validators: Validators


async def download(session: aiohttp.ClientSession, wanted: Download) -> Downloaded:
    """Download ``wanted``.

    Raises:
        WebhookError: 11200, 11205, 11210, 11215, 11220; 11750 more than MAX_DOWNLOAD; 11770 an empty body;
            12300 not the content type of a sound. Its url is the one requested, without credentials.
        OSError: ``target`` cannot be written.
    """
    limits, _ = parse_fragment(wanted.url.fragment)
    try:
        async with asyncio.timeout(limits.total_s):
            _, got = await try_again(limits, lambda: _follow(session, wanted, limits))
            return got
    except ExchangeError as err:
        raise WebhookError(err.number, err.text, url=wanted.url.text, status=err.status) from err.__cause__
    except TimeoutError as err:
        raise WebhookError(11205, f"not received within {limits.total_s:g} s", url=wanted.url.text) from err


async def _follow(session: aiohttp.ClientSession, wanted: Download, limits: Overrides) -> Downloaded:
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=limits.connect_s, sock_read=limits.read_s)

    async def get(url: WebUrl, redirected: bool) -> Downloaded | Moved:
        headers = {"Accept": "audio/*, */*;q=0.1", **wanted.conditions}
        if authorization := wanted.authorization(url):
            headers["Authorization"] = authorization
        try:
            async with session.get(
                URL(url.text, encoded=True), headers=headers, allow_redirects=False, timeout=timeout
            ) as response:
                if response.status in REDIRECTS:
                    return Moved(response.status, response.headers.get("Location"))
                return await _take(response, wanted)
        except aiohttp.ClientResponseError as err:
            # Not chained: its text and arguments show the request's headers, including credentials.
            raise ExchangeError(11200, f"the response is not HTTP: {err.message}", url=url.text) from None
        except aiohttp.ClientError as err:
            raise failure(err, url.text) from err

    _, got = await follow(wanted.url, get)
    return got


async def _take(response: aiohttp.ClientResponse, wanted: Download) -> Downloaded:
    status, headers = response.status, response.headers
    is_new = not (status == 304 and wanted.conditions)
    if is_new and status != 200:
        retry = "5xx" if status >= 500 else "4xx" if status >= 400 else None
        text = f"HTTP status {status}"
        raise ExchangeError(11200, text, url=wanted.url.text, status=status, retry=retry)  # type: ignore[arg-type]
    kind = media_type(headers.get("Content-Type", ""))
    if is_new and not kind.startswith("audio/") and kind not in _SOUND_TYPES:
        raise ExchangeError(12300, f"content type {kind[:100]!r}", url=wanted.url.text, status=status)
    return Downloaded(
        is_new=is_new,
        content_type=kind,
        digest=await _write(response, wanted) if is_new else "",
        validators=Validators.of(headers),
    )


async def _write(response: aiohttp.ClientResponse, wanted: Download) -> str:
    """Write the body to the target; returns its digest."""
    size, digest = 0, sha256()
    if (response.content_length or 0) <= MAX_DOWNLOAD:
        file = await asyncio.to_thread(wanted.target.open, "wb")
        try:
            async for chunk in response.content.iter_chunked(_CHUNK):
                size += len(chunk)
                if size > MAX_DOWNLOAD:
                    break
                await asyncio.to_thread(file.write, chunk)
                digest.update(chunk)
            else:
                if not size:
                    raise ExchangeError(11770, "empty body", url=wanted.url.text, status=response.status)
                return digest.hexdigest()
        finally:
            await asyncio.to_thread(file.close)
    # Leaving the response unread closes its connection, so that no more data is received.
    text = f"more than {MAX_DOWNLOAD >> 20} MiB"
    raise ExchangeError(11750, text, url=wanted.url.text, status=response.status)
