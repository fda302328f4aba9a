"""A URL as a document writes it, made absolute.

Decides what is an address of the web application; requests nothing, and leaves the spelling to those who do.
Source: RFC 3986 §5 (reference resolution), and the hosted service's habit of taking ``www.example.com`` for
what the RFC says it is: a relative path.
"""

import re
from typing import Final
from urllib.parse import urljoin, urlsplit

from b2bua.twiml.findings import Finding, make_finding

__all__ = ["MAX_URL", "resolve_url"]

MAX_URL: Final = 4096
"""Characters, of what is written and of what comes out."""

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_FORBIDDEN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LOOKS_LIKE_A_HOST: Final = re.compile(
    r"(www\.[^/?#]*|[\w-]+(\.[\w-]+)*\.(com|net|org|io|app|dev|ai|co|biz|info|eu|de|uk))(?=[/?#]|$)",
    re.IGNORECASE,
)


def resolve_url(base: str | None, value: str) -> tuple[str, Finding | None]:
    """Return the absolute URL that ``value`` means, its fragment kept, and what is wrong with it.

    Args:
        base: URL of the document it stands in; None where there is none (inline documents).
        value: as written; empty: the document itself.

    Returns:
        An http or https URL and None, or with a warning; or an empty string and an error (11100).
    """
    value = value.strip()
    if len(value) > MAX_URL or _FORBIDDEN.search(value):
        return _refused(f"it has control characters, or more than {MAX_URL} characters")
    scheme = _SCHEME.match(value)
    if scheme is not None and scheme[1].lower() not in ("http", "https"):
        return _refused("only http and https are requested (a host name and port need http:// before them)")
    if scheme is None and not base:
        return _refused("it is relative, and the document has no URL")
    try:
        # An absolute one is not joined: RFC 3986 §5.2.2 forbids "http:path", which urljoin allows.
        url = value if scheme is not None else urljoin(base or "", value)
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or len(url) > MAX_URL:
        return _refused("it is not an http or https URL")
    if scheme is None and _LOOKS_LIKE_A_HOST.match(value):
        return url, make_finding(11100, "without http:// before it this is a path relative to the document")
    return url, None


def _refused(detail: str) -> tuple[str, Finding]:
    return "", make_finding(11100, detail, severity="error")
