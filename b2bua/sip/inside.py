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
"""

import hmac
from typing import Final

from b2bua.core.events import Headers
from b2bua.sip.message import Message, Request, header_tuples
from b2bua.sip.uri import Uri

__all__ = ["edge_route", "is_from_edge", "is_from_worker", "must_encrypt", "prove", "shown"]

_LOOPBACK: Final = "127.0.0.1"
_HEADER: Final = "X-B2bua-Secret"
_ENCRYPT: Final = b";srtp=required"
_PARAM: Final = "b2bua-secret"
_HIDDEN: Final = frozenset((_HEADER.lower(), "route", "record-route"))
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
    return len(said) == 1 and hmac.compare_digest(said[0].removesuffix(_ENCRYPT), secret.encode())


def must_encrypt(invite: Message) -> bool:
    """Whether the edge requires encrypted media for the dialog that this INVITE begins."""
    return any(value.endswith(_ENCRYPT) for value in _said(invite))


def _said(request: Message) -> list[bytes]:
    return [header.value for header in request.headers if header.name == _HEADER.lower()]


def shown(message: Message) -> Headers:
    """Return the headers that may be seen outside worker and edge."""
    return tuple(each for each in header_tuples(message) if each[0].lower() not in _HIDDEN)
