"""Facts about calls that the node adds to those ordered by sessions: frozen plain data.

URLs in these facts contain no credentials, so that no subscriber of the journal has to remove them.
"""

from typing import Literal

import msgspec

from b2bua.calls.input_log import LogHeader
from b2bua.calls.orders import Fact, FetchDocument, FetchFailed
from b2bua.calls.session import Session
from b2bua.core.credentials import without_userinfo
from b2bua.core.errors import WebhookError
from b2bua.core.events import MediaMeasured
from b2bua.core.ids import CallSid, SipCallId
from b2bua.node.documents import Fetched
from b2bua.store.records import RecordingRow
from b2bua.web.webhooks import WebhookRequest

__all__ = [
    "CallbackSettled",
    "CallsRefused",
    "Direction",
    "ForeignMedia",
    "JournalFact",
    "RecordingChanged",
    "RequestMade",
    "SessionBegun",
    "SessionEnded",
    "SessionFailed",
    "WorkersShort",
]

_MAX_BODY = 16_384
"""Characters of an answer's body that are kept with its request."""

Direction = Literal["inbound", "outbound-api"]
Params = tuple[tuple[str, str], ...]


class _Fact(msgspec.Struct, frozen=True, kw_only=True):
    pass


class CallsRefused(_Fact, frozen=True, kw_only=True):
    """Calls were refused before they had a session, by the edge or by the pool."""

    reason: str
    """One of a small fixed set."""
    count: int = 1
    """Number of calls; the edge reports each reason at most once a second."""
    source: str = ""
    """``udp:192.0.2.1:5060``, the source of the latest one; empty: the pool has refused and logged a call."""


class WorkersShort(_Fact, frozen=True, kw_only=True):
    """Targets of a Dial did not ring because no further worker could be had."""

    call_sid: CallSid
    """The session's first call."""
    targets: int


class SessionBegun(_Fact, frozen=True, kw_only=True):
    """A call has arrived, or is made by REST. The first fact of each session."""

    direction: Direction
    host: str
    """The host of the first leg."""
    invited_at: float
    """Monotonic seconds: when the INVITE arrived, or was ordered."""
    sip_call_id: SipCallId
    """Call-ID of the first leg."""
    trunk: str = ""
    """The trunk that the call came from; empty: none."""
    source: str = ""
    """``udp:192.0.2.1:5060``; empty for an outbound call."""
    user: str = ""
    """The authenticated user whose phone called; empty: none."""
    is_known_number: bool = True
    """Whether a configured number was called; True for an outbound call."""


class SessionFailed(_Fact, frozen=True, kw_only=True):
    """An internal error has ended the session's calls, or has occurred while they ended."""


class SessionEnded(_Fact, frozen=True, kw_only=True):
    """All calls of a session are over. Published exactly once; a subscriber can drop the session's state.

    Work under way at that moment can still publish ``RequestMade``, ``CallbackSettled`` and
    ``RecordingChanged``.
    """


class ForeignMedia(_Fact, frozen=True, kw_only=True):
    """Packets that came from elsewhere than a party's address were dropped."""

    source: str
    """Address and port of the latest."""
    packets: int


class RequestMade(_Fact, frozen=True, kw_only=True):
    """A document was requested from the application, which has answered or not."""

    call_sid: CallSid
    kind: Literal["action", "document"]
    method: Literal["GET", "POST"]
    url: str
    params: Params
    took_s: float
    """Seconds, including retries and redirects."""
    status: int | None
    """HTTP status; None: there was no answer."""
    content_type: str
    body: str
    """The beginning of the answer's body."""
    failure: int | None
    """Number of the error; None: a document was received."""


class CallbackSettled(_Fact, frozen=True, kw_only=True):
    """A status callback was delivered or given up."""

    call_sid: CallSid
    method: Literal["GET", "POST"]
    url: str
    params: Params
    status: int | None
    """HTTP status; None: there was no answer."""
    failure: int | None
    """Number of the last error; None: the callback was delivered."""
    text: str
    """Text of the last error."""


class RecordingChanged(_Fact, frozen=True, kw_only=True):
    """A recording is now in progress, paused, stopped, being processed, completed or absent."""

    row: RecordingRow
    """All that is known about the recording."""
    duration_s: float | None = None
    """Length of the file, once it is made."""
    reason: str = ""
    """Why there is no recording, or what is missing from it; empty: it is complete."""


JournalFact = (
    Fact
    | MediaMeasured
    | CallsRefused
    | ForeignMedia
    | WorkersShort
    | SessionBegun
    | SessionFailed
    | SessionEnded
    | RequestMade
    | CallbackSettled
    | RecordingChanged
)
"""Every fact that can be in the journal."""


def session_begun(header: LogHeader, session: Session) -> SessionBegun:
    """Return the first fact of a session."""
    if header.incoming is None:
        return SessionBegun(
            direction="outbound-api",
            host=header.host,
            invited_at=session.a_leg.invited_at,
            sip_call_id=session.caller.sip_call_id,
        )
    invite, origin = header.incoming.invite, header.incoming.origin
    return SessionBegun(
        direction="inbound",
        host=header.host,
        invited_at=session.a_leg.invited_at,
        sip_call_id=invite.sip_call_id,
        trunk=origin.trunk,
        source=origin.source,
        user=origin.user,
        is_known_number=header.script is not None,
    )


def request_made(order: FetchDocument, fetched: Fetched, took_s: float) -> RequestMade:
    """Return the fact that a document was requested."""
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
    """Return the fact that a status callback was delivered or given up."""
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
