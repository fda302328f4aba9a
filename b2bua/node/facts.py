"""Facts of calls that the node knows itself, besides those that sessions order: frozen plain data.

No address in one of these keeps its credentials, so that no subscriber of the journal has to think of it.
"""

from typing import Literal

import msgspec

from b2bua.calls.orders import Fact, FetchDocument, FetchFailed
from b2bua.core.credentials import without_userinfo
from b2bua.core.errors import WebhookError
from b2bua.core.events import MediaMeasured
from b2bua.core.ids import CallSid, SipCallId
from b2bua.node.documents import Fetched
from b2bua.store.records import RecordingRow
from b2bua.web.webhooks import WebhookRequest

__all__ = [
    "CallbackSettled",
    "Direction",
    "JournalFact",
    "RecordingChanged",
    "RequestMade",
    "SessionBegun",
    "SessionEnded",
    "SessionFailed",
]

_MAX_BODY = 16_384
"""Characters of an answer, kept with its request."""

Direction = Literal["inbound", "outbound-api"]
Params = tuple[tuple[str, str], ...]


class _Fact(msgspec.Struct, frozen=True, kw_only=True):
    pass


class SessionBegun(_Fact, frozen=True, kw_only=True):
    """A call came, or is made by REST. The first fact of each session."""

    direction: Direction
    host: str
    """Where its first leg is."""
    invited_at: float
    """Monotonic seconds: the INVITE came, or was ordered."""
    sip_call_id: SipCallId
    """Of the first leg."""
    trunk: str = ""
    """The trunk that it came from; empty: none."""
    source: str = ""
    """``udp:192.0.2.1:5060``; empty where we call."""
    user: str = ""
    """Whose phone called, as it has proved; empty: nobody's."""
    is_known_number: bool = True
    """Whether a number of the configuration was called; True where we call."""


class SessionFailed(_Fact, frozen=True, kw_only=True):
    """An error of ours has ended the session's calls, or has come up while they ended."""


class SessionEnded(_Fact, frozen=True, kw_only=True):
    """All calls of a session are over, exactly once; what is kept of it can be dropped.

    What is under way then still comes: ``RequestMade``, ``CallbackSettled`` and ``RecordingChanged``.
    """


class RequestMade(_Fact, frozen=True, kw_only=True):
    """The application was asked for a document, and has answered or not."""

    call_sid: CallSid
    kind: Literal["action", "document"]
    method: Literal["GET", "POST"]
    url: str
    params: Params
    took_s: float
    """With retries and redirects."""
    status: int | None
    """Of HTTP; None: there was no answer."""
    content_type: str
    body: str
    """The beginning of the answer."""
    failure: int | None
    """Number of the error; None: there is a document."""


class CallbackSettled(_Fact, frozen=True, kw_only=True):
    """A status callback was delivered, or given up."""

    call_sid: CallSid
    method: Literal["GET", "POST"]
    url: str
    params: Params
    status: int | None
    """Of HTTP; None: there was no answer."""
    failure: int | None
    """Number of the last error; None: it was delivered."""
    text: str
    """Of that error."""


class RecordingChanged(_Fact, frozen=True, kw_only=True):
    """A recording has begun, is paused, goes on, was stopped, is being made, is there or never will be."""

    row: RecordingRow
    """All that is known of it."""
    duration_s: float | None = None
    """Of the file, when it is made."""
    reason: str = ""
    """Why there is none, or what is missing; empty: all is there."""


JournalFact = (
    Fact
    | MediaMeasured
    | SessionBegun
    | SessionFailed
    | SessionEnded
    | RequestMade
    | CallbackSettled
    | RecordingChanged
)
"""All that the journal holds."""


def request_made(order: FetchDocument, fetched: Fetched, took_s: float) -> RequestMade:
    """The fact that a document was asked for."""
    http, answer = fetched.http, fetched.answer
    return RequestMade(
        call_sid=CallSid(dict(order.params).get("CallSid", "")),
        kind="action" if order.once else "document",
        method=order.method,
        url=without_userinfo(order.url),
        params=_shown(order.params),
        took_s=took_s,
        status=http.status if http is not None else fetched.failure_status or None,
        content_type=http.content_type if http is not None else "",
        body=without_userinfo(http.text)[:_MAX_BODY] if http is not None else "",
        failure=answer.number if isinstance(answer, FetchFailed) else None,
    )


def callback_settled(call: CallSid, request: WebhookRequest, error: WebhookError | None) -> CallbackSettled:
    """The fact that nothing more will be done about a status callback."""
    return CallbackSettled(
        call_sid=call,
        method=request.method,
        url=without_userinfo(request.url),
        params=_shown(request.params),
        status=200 if error is None else error.status or None,
        failure=None if error is None else error.number,
        text="" if error is None else without_userinfo(error.text),
    )


def _shown(params: Params) -> Params:
    return tuple((name, without_userinfo(value)) for name, value in params)
