"""What proves to a worker that a request is from the edge, and to the edge that one is from a worker.

Both listen on loopback, where any process of the machine can send to them. So a secret that is made at each
start goes with every request between them: to a worker in a header of its own, to the edge in its URI in
Route, which the library puts into whatever it sends: the edge gives it along as Record-Route. Neither leaves
the node, and no word of it goes beyond the worker (``shown``). Responses need none: they are believed for
their branch, which nobody else can compute, and requests of a dialog that change nothing else for its tags.

With its secret the edge says whether the media of an INVITE have to be encrypted: the worker looks at what
was negotiated, and has to know before it answers, also where no controller is asked (RFC 3891: an INVITE with
Replaces). Whose the call is goes to the controller with the lease (``sip.edge_control``), and not this way.
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
"""What begins something at a worker. The rest is of a dialog, and known by its tags."""


def edge_route(port: int, secret: str) -> str:
    """The edge's inner side as a value of Route and Record-Route."""
    return f"<sip:{_LOOPBACK}:{port};lr;{_PARAM}={secret}>"


def is_from_worker(route: Uri | None, secret: str) -> bool:
    """Whether who sent a request with this first Route knows the secret."""
    said = None if route is None else route.param(_PARAM)
    return hmac.compare_digest((said or "").encode("utf-8", "replace"), secret.encode())


def prove(request: Request, secret: str, *, encrypt: bool = False) -> None:
    """Let a worker see that a request is from the edge.

    Args:
        request: to a worker.
        secret: the node's.
        encrypt: it begins a dialog whose media have to be encrypted.
    """
    if request.method in _STEERING:
        request.append(_HEADER, secret + _ENCRYPT.decode() if encrypt else secret)


def is_from_edge(request: Message, secret: str) -> bool:
    """Whether who sent a request to a worker knows the secret."""
    said = _said(request)
    return len(said) == 1 and hmac.compare_digest(said[0].removesuffix(_ENCRYPT), secret.encode())


def must_encrypt(invite: Message) -> bool:
    """Whether the edge wants the media of a dialog encrypted that this INVITE begins."""
    return any(value.endswith(_ENCRYPT) for value in _said(invite))


def _said(request: Message) -> list[bytes]:
    return [header.value for header in request.headers if header.name == _HEADER.lower()]


def shown(message: Message) -> Headers:
    """The headers that others than worker and edge may see."""
    return tuple(each for each in header_tuples(message) if each[0].lower() not in _HIDDEN)
