"""Redirects and retries of HTTP requests.

The number of retries and the time limits follow the hosted service (``fragments.Overrides``). The caller
applies the total time limit.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from b2bua.core.errors import WebhookError
from b2bua.web.exchange import ExchangeError
from b2bua.web.fragments import Overrides
from b2bua.web.url import WebUrl, join, parse_url, without_credentials

__all__ = ["Moved", "follow", "try_again"]

MAX_REDIRECTS: Final = 10
RETRY_PAUSE_S: Final = 0.1

Reply = TypeVar("Reply")


@dataclass(frozen=True, slots=True)
class Moved:
    """An answer with a status of 300 to 399, instead of the one requested."""

    status: int
    location: str | None
    """The address to request instead; None: the answer names none."""


async def try_again(limits: Overrides, attempt: Callable[[], Awaitable[Reply]]) -> tuple[int, Reply]:
    """Make an attempt, and retry as often as ``limits`` allow; returns the number of attempts and the reply.

    Raises:
        ExchangeError: the error of the last attempt.
    """
    attempts = 0
    while True:
        attempts += 1
        try:
            return attempts, await attempt()
        except ExchangeError as err:
            if attempts > limits.retries or not limits.allow_retry(err.retry):
                raise
        await asyncio.sleep(RETRY_PAUSE_S)


async def follow(
    url: WebUrl, ask: Callable[[WebUrl, bool], Awaitable[Reply | Moved]]
) -> tuple[WebUrl, Reply]:
    """Send a request to ``url`` and follow its redirects; returns the last URL and its reply.

    Args:
        url: address of the first request.
        ask: sends one request; its second argument says whether the address is from a redirect.

    Raises:
        ExchangeError: 11100 redirect to a bad address, 11200 redirect without an address, 11215 more than 10
            redirects; or what ``ask`` raises.
    """
    for hop in range(MAX_REDIRECTS + 1):
        reply = await ask(url, hop > 0)
        if not isinstance(reply, Moved):
            return url, reply
        if reply.location is None:
            text = f"HTTP status {reply.status} without a usable Location"
            raise ExchangeError(11200, text, url=url.text, status=reply.status)
        url = _target(url, reply.location)
    raise ExchangeError(11215, f"more than {MAX_REDIRECTS} redirects", url=url.text)


def _target(base: WebUrl, location: str) -> WebUrl:
    try:
        return parse_url(join(base.text, location))
    except WebhookError as err:
        text = f"redirected to an invalid URL, {without_credentials(location)[:200]!r}"
        raise ExchangeError(11100, text, url=base.text) from err
