"""The edge's own addresses in messages: Via, Record-Route and Contact as each side has to see them.

The outer side sees the advertised address; the inner side sees 127.0.0.1 and the inner port. The edge
rewrites its own values when a message changes sides (RFC 3261 §16.6 step 4, §16.7 step 8).
"""

import re
from functools import lru_cache
from ipaddress import ip_address
from typing import Final, cast

from b2bua.core.errors import PeerError
from b2bua.core.ids import WorkerId
from b2bua.sip.edge_control import ListenSpec
from b2bua.sip.flow import Flow, Transport
from b2bua.sip.inside import edge_route, is_from_worker
from b2bua.sip.message import Header, Message, Request
from b2bua.sip.sips import is_secure
from b2bua.sip.uri import Uri, default_port, parse_uri
from b2bua.sip.values import parse_name_addr, split_values

__all__ = ["LOOPBACK", "Addresses", "transport_of"]

LOOPBACK: Final = "127.0.0.1"
KEPT_HOSTS: Final = 4096
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}
_WORKER_CONTACT = re.compile(
    rb"sip:([A-Za-z0-9\-]{1,64})@127\.0\.0\.1:\d{1,5}((?:;[^;>,\s]*)*)", re.IGNORECASE
)
_TRANSPORT = re.compile(rb";transport=[^;]*", re.IGNORECASE)


def bracketed(host: str) -> str:
    """Return an address as it is written in URIs and Via: IPv6 in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


class Addresses:
    """All names and address forms of one edge.

    Args:
        listening: public listening points with their real ports.
        advertise: the address that peers see.
        domain: another name of this edge; may be empty.
        inner_port: the port that workers send to.
        secret: proves that a request is from a worker.
    """

    def __init__(
        self,
        listening: tuple[ListenSpec, ...],
        advertise: str,
        domain: str,
        inner_port: int,
        secret: str,
    ) -> None:
        self.listening = listening
        self.inner_port = inner_port
        self.domain = domain or advertise
        self._host = host = bracketed(advertise)
        self._own = {(LOOPBACK, inner_port)}
        self._local: dict[tuple[str, int], tuple[str, int]] = {}
        self.own_connections: set[tuple[str, int]] = set()
        """Local ends of the connections that the process has opened; the process maintains the set."""
        for listen in listening:
            local = _local(listen)
            for name in {host.lower(), bracketed(listen.host), bracketed(local[0]), domain.lower()} - {""}:
                self._own.add((name, listen.port))
                self._local.setdefault((name, listen.port), local)
        self._record_routes = [
            f"<sip:{host}:{listen.port};transport={listen.transport};lr>" for listen in listening
        ]
        self.inner_record_route = edge_route(inner_port, secret)
        self._secret = secret
        self._contacts = [
            f"@{host}:{listen.port}".encode()
            + (b"" if listen.transport == "udp" else f";transport={listen.transport}".encode())
            for listen in listening
        ]
        ports = "|".join({str(listen.port) for listen in listening})
        token = r"(?:(?P<token>[A-Za-z0-9.]+)@)?"
        self._outer_route = re.compile(rf"<sip:{token}{re.escape(host)}:(?:{ports})[;>]", re.IGNORECASE)
        self._inner_route = re.compile(rf"<sip:{token}127\.0\.0\.1:{inner_port}[;>]", re.IGNORECASE)

    # -- choice of socket ---------------------------------------------------------------------------

    def listener(self, transport: Transport, host: str) -> int | None:
        """Return the first listening point with this transport and the address family of ``host``."""
        v6 = ":" in host
        for place, listen in enumerate(self.listening):
            if listen.transport == transport and (":" in listen.host) == v6:
                return place
        return None

    @property
    def ourselves(self) -> tuple[Transport, str, int]:
        """The first listening point, at its address on this machine."""
        host, port = _local(self.listening[0])
        return cast(Transport, self.listening[0].transport), host, port

    @staticmethod
    def _place(uri: Uri) -> tuple[str, int]:
        return uri.host.lower(), uri.port or default_port(transport_of(uri))

    def fits(self, place: int, transport: Transport) -> bool:
        """Whether the listening point at ``place`` exists and speaks ``transport``."""
        return 0 <= place < len(self.listening) and self.listening[place].transport == transport

    def is_own(self, uri: Uri) -> bool:
        """Whether a URI names this edge."""
        return self._place(uri) in self._own

    def local(self, uri: Uri) -> tuple[str, int] | None:
        """Return the address on this machine of a URI that names our public side; None for other URIs.

        A gateway may translate the advertised address, so that we cannot send to it.
        """
        return self._local.get(self._place(uri))

    def is_own_socket(self, flow: Flow) -> bool:
        """Whether a message came from this edge: a call placed to our own address."""
        address = (flow.host, flow.port)
        if flow.transport != "udp":
            return address in self.own_connections
        return address in self._local.values()

    def is_from_worker(self, request: Request) -> bool:
        """Whether a request received on the inner side is from one of our workers.

        Raises:
            PeerError: its Route cannot be read.
        """
        first = split_values(request.get("route") or "")[:1]
        return is_from_worker(parse_name_addr(first[0]).uri if first and first[0] else None, self._secret)

    # -- header values ------------------------------------------------------------------------------

    def via(self, to: Flow, branch: str, flow: str = "") -> str:
        """Return our Via value for a message to ``to``."""
        if to.side == "inner":
            return f"SIP/2.0/UDP {LOOPBACK}:{self.inner_port};branch={branch};{flow}"
        port = self.listening[to.listener].port
        return f"SIP/2.0/{to.transport.upper()} {self._host}:{port};rport;branch={branch}"

    def contact(self, user: str, to: Flow) -> str:
        """Return a Contact URI to which the far end of ``to`` can send new requests."""
        return f"sip:{user}{self._contacts[to.listener].decode()}"

    def record_route(self, to: Flow, token: str = "") -> str:
        """Return our Record-Route value for the side of ``to``; ``token`` names the outer flow."""
        value = self.inner_record_route if to.side == "inner" else self._record_routes[to.listener]
        return value.replace("<sip:", f"<sip:{token}@", 1) if token else value

    def turn_record_route(self, message: Message, to: Flow) -> None:
        """Rewrite our Record-Route value in a response to ``to`` into the form of that side.

        A request that came in through this edge may have left through it before (a spiral), so there may be
        two such values. The value added on the way in is the topmost of inner form; the value added on the
        way out is the lowest of outer form. No proxy can be between the edge and the worker, so values that a
        far end has put below ours are dropped: the worker would send there first and bypass the edge.
        """
        lines = [header for header in message.headers if header.name == "record-route"]
        inner = to.side == "inner"
        pattern = self._outer_route if inner else self._inner_route
        for header in reversed(lines) if inner else lines:
            values = split_values(header.text)
            places = [place for place, value in enumerate(values) if pattern.search(value)]
            if places:
                place = places[-1 if inner else 0]
                found = pattern.search(values[place])
                token = found["token"] or "" if found is not None else ""
                values[place] = self.record_route(to, token)
                header.change(", ".join(values[: place + 1] if inner else values).encode())
                if inner:
                    _drop_below(message, header)
                return

    def show_contact(self, message: Message, worker: WorkerId, to: Flow) -> None:
        """Put our public address into a worker's Contact; the user part identifies the worker."""
        wanted = worker.encode()
        scheme, public = b"sip:", self._contacts[to.listener]
        if is_secure(message):
            scheme, public = b"sips:", public.partition(b";")[0]
        for header in message.headers:
            if header.name == "contact":
                match = _WORKER_CONTACT.search(header.value)
                if match is not None and match[1] == wanted:
                    params = _TRANSPORT.sub(b"", match[2])
                    uri = scheme + wanted + public + params
                    header.change(header.value[: match.start()] + uri + header.value[match.end() :])

    def strip_routes(self, request: Request, tokens: list[str] | None = None) -> Uri | None:
        """Remove our own values from the top of Route; return the next value, or None when none is left.

        Args:
            tokens: receives the user parts of the removed values.

        Raises:
            PeerError: a Route value cannot be read.
        """
        while (text := request.get("route")) is not None:
            first = split_values(text)[:1]
            uri = parse_name_addr(first[0]).uri if first else None
            if uri is not None and not self.is_own(uri):
                return uri
            request.remove_first_value("route")
            if tokens is not None and uri is not None and uri.user:
                tokens.append(uri.user)
        return None


def _drop_below(message: Message, last: Header) -> None:
    """Remove the Record-Route lines below ``last``."""
    place = next(place for place, header in enumerate(message.headers) if header is last)
    below = [header for header in message.headers[place + 1 :] if header.name != "record-route"]
    message.headers[place + 1 :] = below


def next_hop(request: Request, route: Uri | None) -> Uri:
    """Return the URI that a request goes to: its first Route, else its Request-URI (RFC 3261 §16.6 step 6).

    Raises:
        PeerError: neither is a SIP URI.
    """
    uri = route or parse_uri(request.uri)
    if uri.scheme == "tel":  # a tel URI has no host
        raise PeerError(f"no next hop for a {uri.scheme} URI", sip_status_hint=416)
    return uri


def transport_of(uri: Uri) -> Transport:
    """Return the transport of a URI when DNS does not choose another (RFC 3263 §4.1)."""
    if uri.secure:
        return "tls"
    return "tcp" if uri.param("transport") == "tcp" else "udp"


@lru_cache(KEPT_HOSTS)
def is_address(host: str) -> bool:
    """Whether a URI's host is an IP address."""
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _local(listen: ListenSpec) -> tuple[str, int]:
    return _ANY.get(listen.host, listen.host), listen.port
