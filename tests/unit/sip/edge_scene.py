"""A proxy with two workers, a caller at 192.0.2.1 and messages for it."""

from collections.abc import Mapping
from typing import Any

from b2bua.core.admission import Origin
from b2bua.core.ids import WorkerId
from b2bua.sip.addresses import Addresses
from b2bua.sip.edge_control import EdgeConfig, GrantLease, LeaseTaken, ListenSpec, TrunkSpec
from b2bua.sip.flow import Find, Flow, Output, Send
from b2bua.sip.message import Request, Response, make_response, parse_message
from b2bua.sip.proxy import Proxy

INNER = 40000
SECRET = "5ec7e7" * 5
INSIDE = f"<sip:127.0.0.1:{INNER};lr;b2bua-secret={SECRET}>"
"""The edge as its workers have it in Route."""
PUBLIC = "203.0.113.7"
CALLER = Flow("outer", "udp", "192.0.2.1", 5060)
CALLER_TCP = Flow("outer", "tcp", "192.0.2.1", 40123, 1)
STRANGER = Flow("outer", "udp", "198.51.100.9", 5060)
W1 = Flow("inner", "udp", "127.0.0.1", 10001)
W2 = Flow("inner", "udp", "127.0.0.1", 10002)
CALLEE = Flow("outer", "udp", "192.0.2.99", 5070)
SDP = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
CONFIG: dict[str, Any] = {
    "secret": SECRET,
    "listen": (ListenSpec("udp", "0.0.0.0", 5060), ListenSpec("tcp", "0.0.0.0", 5060)),
    "advertise": PUBLIC,
    "domain": "sip.example.com",
    "allow": ("192.0.2.0/24", "127.0.0.0/8"),
    "trunks": (TrunkSpec(name="carrier", match=("198.51.100.77/32",)),),
    "invite_rate_per_s": 100.0,
    "nameservers": (),
    "max_calls": 10,
}


def config(**changes: Any) -> EdgeConfig:
    return EdgeConfig(**{**CONFIG, **changes})


def text(method: str, uri: str, headers: Mapping[str, str | None], body: str = "") -> bytes:
    """A message; headers whose value is None are omitted."""
    lines = [f"{method} {uri} SIP/2.0"]
    lines += [f"{name}: {value}" for name, value in headers.items() if value is not None]
    if "Content-Length" not in headers:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def invite(uri: str = f"sip:100@{PUBLIC}", *, method: str = "INVITE", **changes: Any) -> bytes:
    """The caller's INVITE, or another request of its transaction; ``changes`` are headers with _ for -."""
    headers: dict[str, str | None] = {
        "Via": "SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bKcaller1",
        "Max-Forwards": "69",
        "From": '"Ann" <sip:ann@192.0.2.1>;tag=fa',
        "To": "<sip:100@sip.example.com>",
        "Call-ID": "call-1",
        "CSeq": f"1 {method}",
        "Contact": "<sip:ann@192.0.2.1:5060>",
    }
    has_body = method == "INVITE" and "Content_Type" not in changes
    if has_body:
        headers["Content-Type"] = "application/sdp"
    headers.update({name.replace("_", "-"): value for name, value in changes.items()})
    return text(method, uri, headers, SDP if has_body else "")


def worker_invite(
    uri: str = "sip:bob@192.0.2.99:5070", *, method: str = "INVITE", **changes: str | None
) -> bytes:
    """An INVITE of worker w1."""
    given: dict[str, str | None] = {
        "Route": INSIDE,
        "Via": "SIP/2.0/UDP 127.0.0.1:10001;rport;branch=z9hG4bKworker1",
        "From": "<sip:+1555@sip.example.com>;tag=fw",
        "To": "<sip:bob@192.0.2.99>",
        "Call_ID": "leg-1",
        "Contact": "<sip:w1@127.0.0.1:10001;ob>",
    }
    return invite(uri, method=method, **{**given, **changes})


class Scene:
    """The proxy and its clock."""

    def __init__(self, **changes: Any) -> None:
        self.now = 1000.0
        settings = config(**changes)
        self.addresses = Addresses(settings.listen, settings.advertise, settings.domain, INNER, SECRET)
        self.proxy = Proxy(settings, self.addresses, b"secret" * 4)
        self.grant("w1", 10001)
        self.grant("w2", 10002)

    def grant(self, worker: str, port: int) -> None:
        self.proxy.obey(GrantLease(worker=WorkerId(worker), sip_port=port), self.now)

    def give(self, data: bytes, came_from: Flow = CALLER) -> list[Output]:
        outputs = self.proxy.receive(data, came_from, self.now)
        sent = [output for output in outputs if isinstance(output, Send) and output.to.side == "outer"]
        assert not any(SECRET.encode() in each.data for each in sent)
        return outputs

    def request(self, data: bytes, came_from: Flow = CALLER) -> tuple[Request, Flow]:
        """The single request that ``data`` results in, and its destination."""
        message, to = only(self.give(data, came_from))
        assert isinstance(message, Request)
        return message, to

    def response(self, data: bytes, came_from: Flow = CALLER) -> tuple[Response, Flow]:
        """The single response that ``data`` results in, and its destination."""
        message, to = only(self.give(data, came_from))
        assert isinstance(message, Response), message.to_bytes().decode()
        return message, to

    def status(self, data: bytes, came_from: Flow = CALLER) -> int:
        return self.response(data, came_from)[0].status


def only(outputs: list[Output]) -> tuple[Request | Response, Flow]:
    """The single message among ``outputs``."""
    sent = [output for output in outputs if isinstance(output, Send)]
    assert len(sent) == 1, outputs
    return parse_message(sent[0].data), sent[0].to


def leases(outputs: list[Output]) -> list[str]:
    return [output.worker for output in outputs if isinstance(output, LeaseTaken)]


def origin(outputs: list[Output]) -> Origin:
    """The lease of the single call among ``outputs``; it is sent before the INVITE to the worker."""
    taken, invite = outputs
    assert isinstance(taken, LeaseTaken) and isinstance(invite, Send)
    request = parse_message(invite.data)
    assert taken.lease.sip_call_id == request.call_id
    assert [h.name for h in request.headers if h.name.startswith("x-b2bua-")] == ["x-b2bua-secret"]
    return taken.lease.origin


def finds(outputs: list[Output]) -> list[Find]:
    return [output for output in outputs if isinstance(output, Find)]


def answer(request: Request, status: int, *, contact: str, tag: str = "tt") -> bytes:
    """The response of a worker or a callee."""
    response = make_response(request, status, to_tag=tag, headers=(("Contact", contact),))
    return response.to_bytes()
