"""A request to the web that may take several: redirects are followed, and what may be tried again is.

How often and how long is the hosted service's rule (``fragments.Overrides``); the limit of the whole is the
caller's.
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
    """An answer of 300 to 399, which is not what was asked for."""

    status: int
    location: str | None
    """Where to ask instead; None: it leads nowhere."""


async def try_again(limits: Overrides, attempt: Callable[[], Awaitable[Reply]]) -> tuple[int, Reply]:
    """Attempt it, and again as often as ``limits`` allow; returns how often that was.

    Raises:
        ExchangeError: of the last attempt.
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
    """Ask at ``url``, and where that leads; returns who has answered, and what.

    Args:
        url: where to begin.
        ask: sends one request; told whether the address is that of a redirect.

    Raises:
        ExchangeError: 11100 to a bad address, 11200 nowhere, 11215 more than 10 times; or what ``ask``
            raises.
    """
    for hop in range(MAX_REDIRECTS + 1):
        reply = await ask(url, hop > 0)
        if not isinstance(reply, Moved):
            return url, reply
        if reply.location is None:
            text = f"HTTP status {reply.status} leads nowhere"
            raise ExchangeError(11200, text, url=url.text, status=reply.status)
        url = _target(url, reply.location)
    raise ExchangeError(11215, f"more than {MAX_REDIRECTS} redirects", url=url.text)


def _target(base: WebUrl, location: str) -> WebUrl:
    try:
        return parse_url(join(base.text, location))
    except WebhookError as err:
        text = f"redirected to a bad address, {without_credentials(location)[:200]!r}"
        raise ExchangeError(11100, text, url=base.text) from err
