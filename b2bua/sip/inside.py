"""Mutual proof between edge and worker that a request comes from the other.

Both listen on loopback, where any process of the machine can send to them. So a secret, made at each start of
the node, goes with the requests between them: to a worker in a header of its own, and to the edge in the
edge's URI in Route. The edge supplies that URI as Record-Route, and the library puts it into every request
that it sends. Neither form leaves the node, and the worker does not pass the secret on (``shown``). Responses
need no secret: they are trusted for their branch, which no other process can compute. Requests that only
affect an existing dialog are trusted for its tags.

Next to the secret, the edge states whether the media of an INVITE must be encrypted. The worker checks what
was negotiated and has to know this before it answers, even if it asks no controller (RFC 3891: an INVITE with
Replaces). The origin of the call reaches the controller with the lease (``sip.edge_control``), not this way.

A link between two workers of a session (``calls.links``) is a call that only a worker can place: its INVITE
has the secret in a header that no document or peer can set. The edge gives it to the worker that it names.
"""

import hmac
from typing import Final

from b2bua.core.events import Headers
from b2bua.sip.message import Message, Request, header_tuples
from b2bua.sip.uri import Uri, parse_uri

__all__ = [
    "edge_route",
    "is_from_edge",
    "is_from_worker",
    "is_link",
    "link_header",
    "link_target",
    "must_encrypt",
    "prove",
    "prove_link",
    "shown",
]

_LOOPBACK: Final = "127.0.0.1"
_HEADER: Final = "X-B2bua-Secret"
_LINK_HEADER: Final = "X-B2bua-Link"
_ENCRYPT: Final = b";srtp=required"
_LINK: Final = b";link"
_PARAM: Final = "b2bua-secret"
_HIDDEN: Final = frozenset((_HEADER.lower(), _LINK_HEADER.lower(), "route", "record-route"))
_STEERING: Final = frozenset(("INVITE", "REFER"))
"""Methods that start something at a worker. Other requests belong to a dialog and are known by its tags."""


def edge_route(port: int, secret: str) -> str:
    """Return the Route and Record-Route value of the edge's inner side."""
    return f"<sip:{_LOOPBACK}:{port};lr;{_PARAM}={secret}>"


def is_from_worker(route: Uri | None, secret: str) -> bool:
    """Whether the first Route of a request proves that its sender knows the secret."""
    said = None if route is None else route.param(_PARAM)
    return hmac.compare_digest((said or "").encode("utf-8", "replace"), secret.encode())


def prove(request: Request, secret: str, *, encrypt: bool = False) -> None:
    """Add the proof that a request is from the edge.

    Args:
        request: a request to a worker.
        secret: the node's secret.
        encrypt: whether the request begins a dialog whose media must be encrypted.
    """
    if request.method in _STEERING:
        request.append(_HEADER, secret + _ENCRYPT.decode() if encrypt else secret)


def is_from_edge(request: Message, secret: str) -> bool:
    """Whether a request to a worker proves that its sender knows the secret."""
    said = _said(request)
    if len(said) != 1:
        return False
    return hmac.compare_digest(said[0].removesuffix(_ENCRYPT).removesuffix(_LINK), secret.encode())


def link_header(secret: str) -> tuple[str, str]:
    """Return the header by which a worker marks its INVITE as a link."""
    return _LINK_HEADER, secret


def link_target(invite: Request, secret: str) -> str | None:
    """Return the user part of the Request-URI, which names a worker, if an INVITE is a link; else None.

    Raises:
        PeerError: its Request-URI cannot be read.
    """
    said = [header.value for header in invite.headers if header.name == _LINK_HEADER.lower()]
    if len(said) != 1 or not hmac.compare_digest(said[0], secret.encode()):
        return None
    return parse_uri(invite.uri).user


def prove_link(invite: Request, secret: str) -> None:
    """Put the edge's proof in place of the worker's."""
    invite.headers = [header for header in invite.headers if header.name != _LINK_HEADER.lower()]
    invite.append(_HEADER, secret + _LINK.decode())


def is_link(invite: Message) -> bool:
    """Whether an INVITE from the edge comes from another worker of the session."""
    return any(value.endswith(_LINK) for value in _said(invite))


def must_encrypt(invite: Message) -> bool:
    """Whether the edge requires encrypted media for the dialog that this INVITE begins."""
    return any(value.endswith(_ENCRYPT) for value in _said(invite))


def _said(request: Message) -> list[bytes]:
    return [header.value for header in request.headers if header.name == _HEADER.lower()]


def shown(message: Message) -> Headers:
    """Return the headers that may be seen outside worker and edge."""
    return tuple(each for each in header_tuples(message) if each[0].lower() not in _HIDDEN)
