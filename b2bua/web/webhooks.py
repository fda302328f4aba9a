"""Webhooks, the requests to the web application: how they are signed, redirected, retried and given up.

The rules are the hosted service's (its pages on webhooks, connection overrides and security, read November
2026). Where they are silent:

- A redirect (301, 302, 303, 307, 308) is followed with GET, whatever the method was. The parameters are sent
  in the query, except those whose name is already in the new URL; each request is signed again.
- Credentials in a URL remain valid for the same origin until the call ends, so that relative URLs in a
  document reach the same protected place. They are never sent to another origin.
- A connection that ends before any answer counts as one that was never made, and the request is retried.

Nothing here touches SIP, and nothing waits longer than the limits allow.
"""

import asyncio
import ssl
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlencode

import aiohttp
from cachetools import LRUCache

from b2bua import __version__
from b2bua.core.errors import LocalStateError, WebhookError
from b2bua.twiml.document import CHARSETS, decoded
from b2bua.web.answers import ERROR_NUMBERS, classify, media_type
from b2bua.web.attempts import Moved, follow, try_again
from b2bua.web.cookies import CallCookies
from b2bua.web.exchange import ExchangeError, HttpReply, HttpRequest, Method, exchange
from b2bua.web.fragments import Overrides, parse_fragment
from b2bua.web.resolver import NameResolver
from b2bua.web.revalidation import KeptAnswer, RevalidationCache
from b2bua.web.signature import Params, sign
from b2bua.web.url import WebUrl, parse_url

__all__ = [
    "CallWebhooks",
    "WebhookAnswer",
    "WebhookClient",
    "WebhookRequest",
]

MAX_CONNECTIONS: Final = 400
MAX_CONNECTIONS_PER_HOST: Final = 100
"""Lower than the total, so that a server that hangs leaves connections for the others."""
MAX_ORIGINS_WITH_CREDENTIALS: Final = 16

_ACCEPT: Final = "text/xml, application/xml, text/html;q=0.9, text/plain;q=0.8, audio/*;q=0.8, */*;q=0.1"
_FORM: Final = "application/x-www-form-urlencoded; charset=UTF-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRequest:
    """One request to the application."""

    url: str = field(repr=False)
    """Absolute; may contain credentials and connection overrides. Not shown because of the credentials."""
    method: Method = "POST"
    params: Params = field(default=(), repr=False)
    """Names and values in the order they are sent. Not shown because they contain phone numbers."""
    idempotency_token: str | None = None
    """The same for every attempt, so that the application can tell a repetition from a new event."""
    expects_document: bool = True
    """False for status callbacks and whenever the answer is ignored: any status below 400 is a success."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookAnswer:
    """The answer of the application."""

    url: str
    """URL of the document after redirects, the base of relative URLs in it. Without credentials, fragment and
    the parameters that were added."""
    status: int
    content_type: str
    """Type and subtype in lower case; see ``answers.classify``."""
    charset: str
    """Charset of the body, in lower case; ``utf-8`` unless the answer names another of ``CHARSETS``."""
    body: bytes = field(repr=False)
    """At most 64 KiB; empty for audio, which is played from ``url``."""
    attempts: int
    """1 if the first attempt succeeded."""
    elapsed_s: float
    findings: tuple[str, ...] = ()
    """Connection overrides that were ignored."""
    names_charset: bool = False
    """Whether the answer named the charset, which then overrides a document's declaration (RFC 7303 §3.2)."""

    @property
    def text(self) -> str:
        """The body as text; undecodable bytes are replaced."""
        return decoded(self.body, self.charset)


class WebhookClient:
    """The HTTP client of a node: one pool of connections for all calls.

    It must be created while the loop runs, and closed before the loop ends. Thread: loop.

    Args:
        auth_token: the key that signs every request.
        tls: TLS context for https; None: the system's trust store.
    """

    def __init__(self, auth_token: str, *, tls: ssl.SSLContext | None = None) -> None:
        self.auth_token = auth_token
        self.kept = RevalidationCache()
        connector = aiohttp.TCPConnector(
            limit=MAX_CONNECTIONS,
            limit_per_host=MAX_CONNECTIONS_PER_HOST,
            resolver=NameResolver(),
            ssl=True if tls is None else tls,
        )
        self.session = aiohttp.ClientSession(
            connector=connector,
            # Cookies belong to a call, not to the node: CallWebhooks handles them.
            cookie_jar=aiohttp.DummyCookieJar(),
            # No compression: a document is small, and a large one is detected without unpacking it.
            headers={"User-Agent": f"b2bua/{__version__}", "Accept": _ACCEPT, "Accept-Encoding": "identity"},
        )

    def for_call(self) -> "CallWebhooks":
        """Return the webhooks of a new call, which remember its cookies and credentials."""
        return CallWebhooks(self)

    async def close(self) -> None:
        """End all connections; requests in progress fail."""
        await self.session.close()


class CallWebhooks:
    """The webhooks of one call. Requests may overlap. It need not be closed. Thread: loop."""

    def __init__(self, client: WebhookClient) -> None:
        self._client = client
        self._cookies = CallCookies()
        self._credentials: LRUCache[str, str] = LRUCache(MAX_ORIGINS_WITH_CREDENTIALS)

    async def request(self, request: WebhookRequest) -> WebhookAnswer:
        """Send a request, follow redirects, and retry where the rules allow it.

        Raises:
            WebhookError: 11100 bad address; 11200 status of 400 or more, or no HTTP; 11205 no connection or
                no answer in time; 11210 unknown host; 11215 over 10 redirects; 11220 TLS; 11750 more than
                64 KiB; and if a document is expected, 11770 empty body, 12300 missing or unsupported content
                type. Its url is the one requested, without credentials and fragment.
        """
        if self._client.session.closed:
            raise LocalStateError("webhook after the client was closed")
        loop = asyncio.get_running_loop()
        start = loop.time()
        target = parse_url(request.url)
        limits, findings = parse_fragment(target.fragment)
        request = replace(request, params=_encodable(request.params))
        try:
            async with asyncio.timeout(limits.total_s):
                attempts, (url, reply) = await try_again(
                    limits, lambda: self._follow(request, target, limits)
                )
        except ExchangeError as err:
            raise WebhookError(err.number, err.text, url=target.text, status=err.status) from err.__cause__
        except TimeoutError as err:
            raise WebhookError(11205, f"no response within {limits.total_s:g} s", url=target.text) from err
        _check(request, target, reply)
        charset = _charset(reply.content_type)
        return WebhookAnswer(
            url=url.text,
            status=reply.status,
            content_type=media_type(reply.content_type),
            charset=charset or "utf-8",
            names_charset=bool(charset),
            body=reply.body,
            attempts=attempts,
            elapsed_s=loop.time() - start,
            findings=findings,
        )

    async def _follow(
        self, request: WebhookRequest, url: WebUrl, limits: Overrides
    ) -> tuple[WebUrl, HttpReply]:
        async def ask(url: WebUrl, redirected: bool) -> HttpReply | Moved:
            asked = replace(request, method="GET") if redirected else request
            reply = await self._one(asked, url, limits, redirected=redirected)
            return Moved(reply.status, reply.location) if reply.status >= 300 else reply

        return await follow(url, ask)

    async def _one(
        self, request: WebhookRequest, url: WebUrl, limits: Overrides, *, redirected: bool
    ) -> HttpReply:
        get = request.method == "GET"
        whole = url.with_params(request.params, if_absent=redirected) if get else url.text
        kept = self._client.kept.get(whole) if get else None
        headers = self._headers(request, url, whole)
        reply = await exchange(
            self._client.session,
            HttpRequest(
                method=request.method,
                url=whole,
                headers=headers | (kept.validators.conditions if kept else {}),
                body=None if get else urlencode(request.params).encode("ascii"),
                limits=limits,
                wants_body=request.expects_document,
            ),
        )
        self._cookies.take(whole, reply.set_cookie)
        if kept is not None and reply.status == 304:
            return replace(reply, status=200, content_type=kept.content_type, body=kept.body)
        if get and request.expects_document:
            self._keep(whole, reply)
        return reply

    def _headers(self, request: WebhookRequest, url: WebUrl, whole: str) -> dict[str, str]:
        get = request.method == "GET"
        signature = sign(self._client.auth_token, whole, () if get else request.params)
        optional = {
            "X-Twilio-Idempotency-Token": request.idempotency_token,
            "Authorization": self.authorization(url),
            "Cookie": self._cookies.header_for(whole),
            "Content-Type": None if get else _FORM,
        }
        return {"X-Twilio-Signature": signature} | {name: value for name, value in optional.items() if value}

    def authorization(self, url: WebUrl) -> str | None:
        """Return the credentials in ``url`` or in an earlier URL of the same origin."""
        if url.authorization is not None:
            self._credentials[url.origin] = url.authorization
        return self._credentials.get(url.origin)

    def _keep(self, whole: str, reply: HttpReply) -> None:
        if reply.status == 200 and reply.validators.may_store and reply.body:
            answer = KeptAnswer(content_type=reply.content_type, body=reply.body, validators=reply.validators)
            self._client.kept.put(whole, answer)
        else:
            self._client.kept.forget(whole)


def _check(request: WebhookRequest, target: WebUrl, reply: HttpReply) -> None:
    if not request.expects_document:
        return
    kind = classify(reply.content_type, reply.body)
    number = ERROR_NUMBERS.get(kind)
    if number == 11770:
        raise WebhookError(number, "empty body", url=target.text, status=reply.status)
    if number is not None:
        text = f"content type {media_type(reply.content_type)[:100]!r}"
        raise WebhookError(number, text, url=target.text, status=reply.status)


def _encodable(params: Params) -> Params:
    # Bytes in a SIP header that are not UTF-8 become lone surrogates in the text. The form and the signature
    # must encode them in the same way.
    return tuple((_replace_surrogates(name), _replace_surrogates(value)) for name, value in params)


def _replace_surrogates(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _charset(content_type: str) -> str:
    """Return the charset that a content type names; empty if it names none or an unknown one."""
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            name = value.strip().strip("\"'").lower()
            return name if name in CHARSETS else ""
    return ""
