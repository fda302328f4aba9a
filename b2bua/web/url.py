"""Prepares URLs of the web application, as written in TwiML and the configuration, for requests.

The URL that is sent is the one that is signed, so it is changed as little as possible: scheme and host are
normalised (IDNA), characters not allowed in a request line are escaped, an empty path becomes ``/``.
Everything else, escapes and the order of the query included, stays as the user wrote it. Credentials and the
fragment are split off: credentials become a header and never appear in a log; the fragment is for b2bua.
"""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urljoin, urlsplit

from yarl import URL

from b2bua.core.credentials import without_userinfo
from b2bua.core.errors import WebhookError

__all__ = ["WebUrl", "join", "parse_url", "without_credentials"]

MAX_URL: Final = 16_384
"""Characters of a URL. No web server takes more, and a redirect that grows at each hop must end."""

# RFC 3986 §2.2 and §2.3; "%" so that existing escapes stay; "[]" because every client sends them unescaped.
_LEGAL: Final = "!$&'()*+,;=:@/?-._~%[]"
_HOST: Final = re.compile(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?\.?")
_BARE_USERINFO: Final = re.compile(r"^(\s*(?:[A-Za-z][A-Za-z0-9+.-]*:)?(?://)?)[^/?#]*@")


@dataclass(frozen=True, slots=True)
class WebUrl:
    """An absolute http or https URL, ready for a request."""

    text: str
    """The URL without credentials and fragment."""
    fragment: str = ""
    authorization: str | None = field(default=None, repr=False)
    """Value of the Authorization header if the URL contained credentials."""

    @property
    def origin(self) -> str:
        """Scheme, host and port (RFC 6454 §4), always with an explicit port."""
        url = URL(self.text, encoded=True)
        return f"{url.scheme}://{url.raw_host}:{url.port}"

    def with_params(self, params: Iterable[tuple[str, str]], *, if_absent: bool = False) -> str:
        """Return the URL with ``params`` appended to its own query.

        Args:
            params: names and values, not escaped.
            if_absent: leave out parameters whose name is already in the query.
        """
        path, question, query = self.text.partition("?")
        if if_absent:
            present = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
            params = [pair for pair in params if pair[0] not in present]
        added = urlencode(tuple(params))
        if not added:
            return path + question + query
        return f"{path}?{query}&{added}" if query else f"{path}?{added}"


def parse_url(text: str) -> WebUrl:
    """Parse an absolute URL.

    Raises:
        WebhookError: 11100, if it cannot be requested. The error contains no credentials.
    """
    if len(text) > MAX_URL:
        raise WebhookError(11100, "URL too long", url=without_credentials(text[:100]) + "…")
    try:
        parts = urlsplit(text.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise ValueError
        authority = _host(parts.hostname) + ("" if parts.port is None else f":{parts.port}")
        path = quote(parts.path or "/", safe=_LEGAL)
        query = "?" + quote(parts.query, safe=_LEGAL) if parts.query else ""
        authorization = _basic(parts.username, parts.password)
    except ValueError:
        # Not chained: the exception's text may contain the credentials.
        raise WebhookError(11100, "not an http or https URL", url=without_credentials(text)) from None
    return WebUrl(f"{parts.scheme}://{authority}{path}{query}", parts.fragment, authorization)


def join(base: str, reference: str) -> str:
    """Resolve ``reference`` against ``base`` (RFC 3986 §5); an absolute reference is returned unchanged.

    Raises:
        WebhookError: 11100, if it is not a valid reference.
    """
    try:
        return urljoin(base, reference.strip())
    except ValueError:
        raise WebhookError(11100, "invalid URL", url=without_credentials(reference)) from None


def without_credentials(text: str) -> str:
    """Return ``text`` without credentials and fragment, for logs and errors; it need not be a valid URL."""
    return _BARE_USERINFO.sub(r"\1", without_userinfo(text.partition("#")[0])).strip()


def _host(name: str) -> str:
    host = URL.build(scheme="http", host=name).raw_host or ""
    if ":" in host and "%" not in host:
        return f"[{host}]"
    if not _HOST.fullmatch(host):
        raise ValueError("host")
    return host


def _basic(username: str | None, password: str | None) -> str | None:
    # RFC 7617 §2.1: UTF-8 unless another encoding was agreed on.
    if username is None and password is None:
        return None
    pair = f"{unquote(username or '')}:{unquote(password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode("ascii")
