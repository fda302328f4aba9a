"""The cookies of one call, as many as a web application can reasonably want and no more."""

from collections.abc import Iterable
from typing import Final

from aiohttp import CookieJar
from yarl import URL

__all__ = ["CallCookies"]

MAX_COOKIES: Final = 50
"""The least a client must keep for one host (RFC 6265 §6.1); a call seldom meets a second host."""

MAX_COOKIE_BYTES: Final = 4096
"""Of one Set-Cookie value, likewise."""


class CallCookies:
    """What the application has set in a call, to be sent back in the same call (RFC 6265).

    Thread: loop.
    """

    def __init__(self) -> None:
        # Without ``unsafe`` aiohttp drops the cookies of hosts that are given as addresses.
        self._jar = CookieJar(unsafe=True)

    def __len__(self) -> int:
        return len(self._jar)

    def header_for(self, url: str) -> str:
        """Return the Cookie header's value for a request of ``url``, or an empty string."""
        # aiohttp puts quotes around values that had none; RFC 6265 §5.4 sends what was set, and some
        # applications compare it letter by letter.
        as_set = {(cookie.key, cookie.coded_value) for cookie in self._jar}
        cookies = self._jar.filter_cookies(URL(url, encoded=True)).items()
        return "; ".join(
            f"{name}={cookie.coded_value if (name, cookie.coded_value) in as_set else cookie.value}"
            for name, cookie in cookies
        )

    def take(self, url: str, set_cookie: Iterable[str]) -> None:
        """Keep what the answer to a request of ``url`` sets; the oldest make room for the newest."""
        values = [value for value in set_cookie if len(value) <= MAX_COOKIE_BYTES]
        if not values:
            return
        self._jar.update_cookies_from_headers(values[:MAX_COOKIES], URL(url, encoded=True))
        excess = len(self._jar) - MAX_COOKIES
        if excess > 0:
            oldest = {id(cookie) for cookie in list(self._jar)[:excess]}
            self._jar.clear(lambda cookie: id(cookie) in oldest)
