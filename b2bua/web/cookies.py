"""The cookies of one call, limited to what a web application can reasonably need."""

from collections.abc import Iterable
from typing import Final

from aiohttp import CookieJar
from yarl import URL

__all__ = ["CallCookies"]

MAX_COOKIES: Final = 50
"""The minimum that a client must keep for one host (RFC 6265 §6.1); a call seldom involves a second host."""

MAX_COOKIE_BYTES: Final = 4096
"""Size of one Set-Cookie value, the minimum of the same section."""


class CallCookies:
    """Cookies that the application has set in a call, sent back in the same call (RFC 6265).

    Thread: loop.
    """

    def __init__(self) -> None:
        # Without ``unsafe``, aiohttp drops the cookies of hosts given as IP addresses.
        self._jar = CookieJar(unsafe=True)

    def __len__(self) -> int:
        return len(self._jar)

    def header_for(self, url: str) -> str:
        """Return the value of the Cookie header for a request to ``url``, or an empty string."""
        # aiohttp quotes values that were not quoted; RFC 6265 §5.4 requires the value as it was set, and some
        # applications compare it character by character.
        as_set = {(cookie.key, cookie.coded_value) for cookie in self._jar}
        cookies = self._jar.filter_cookies(URL(url, encoded=True)).items()
        return "; ".join(
            f"{name}={cookie.coded_value if (name, cookie.coded_value) in as_set else cookie.value}"
            for name, cookie in cookies
        )

    def take(self, url: str, set_cookie: Iterable[str]) -> None:
        """Keep the cookies set by the answer to a request to ``url``; the oldest make room for the newest."""
        values = [value for value in set_cookie if len(value) <= MAX_COOKIE_BYTES]
        if not values:
            return
        self._jar.update_cookies_from_headers(values[:MAX_COOKIES], URL(url, encoded=True))
        excess = len(self._jar) - MAX_COOKIES
        if excess > 0:
            oldest = {id(cookie) for cookie in list(self._jar)[:excess]}
            self._jar.clear(lambda cookie: id(cookie) in oldest)
