"""Resolution of a URL as written in a document to an absolute one.

This module decides which URLs are addresses of the web application. It requests nothing, and leaves the
normalisation of the spelling to the code that does.
Source: RFC 3986 §5 (reference resolution). Like the hosted service and the RFC, it takes ``www.example.com``
for a relative path.
"""

import re
from typing import Final
from urllib.parse import urljoin, urlsplit

from b2bua.twiml.findings import Finding, make_finding

__all__ = ["MAX_URL", "resolve_url"]

MAX_URL: Final = 4096
"""Maximum number of characters, of the URL as written and of the absolute one."""

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_FORBIDDEN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LOOKS_LIKE_A_HOST: Final = re.compile(
    r"(www\.[^/?#]*|[\w-]+(\.[\w-]+)*\.(com|net|org|io|app|dev|ai|co|biz|info|eu|de|uk))(?=[/?#]|$)",
    re.IGNORECASE,
)


def resolve_url(base: str | None, value: str) -> tuple[str, Finding | None]:
    """Return the absolute URL for ``value``, including its fragment, and a finding about it.

    Args:
        base: URL of the document that contains ``value``; None if it has none (inline documents).
        value: the URL as written; empty: the document itself.

    Returns:
        An http or https URL with None or a warning; or an empty string with an error (11100).
    """
    value = value.strip()
    if len(value) > MAX_URL or _FORBIDDEN.search(value):
        return _refused(f"it contains control characters or is longer than {MAX_URL} characters")
    scheme = _SCHEME.match(value)
    if scheme is not None and scheme[1].lower() not in ("http", "https"):
        return _refused("only http and https are supported (a host name and port need http:// before them)")
    if scheme is None and not base:
        return _refused("it is relative, and the document has no URL")
    try:
        # An absolute URL is not joined: RFC 3986 §5.2.2 forbids "http:path", which urljoin allows.
        url = value if scheme is not None else urljoin(base or "", value)
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or len(url) > MAX_URL:
        return _refused("it is not an http or https URL")
    if scheme is None and _LOOKS_LIKE_A_HOST.match(value):
        return url, make_finding(11100, "without http:// this is a path relative to the document")
    return url, None


def _refused(detail: str) -> tuple[str, Finding]:
    return "", make_finding(11100, detail, severity="error")
