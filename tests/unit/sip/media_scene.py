"""A proxy whose relay has granted pairs, and descriptions of parties and workers."""

import re
from typing import Any, TypeVar

from b2bua.core.ids import WorkerId
from b2bua.relay.control import DescribeLeg, LegKey, Pair, PairsGranted
from b2bua.sip.flow import Flow, Output, Send
from b2bua.sip.message import Request, Response, make_response, parse_message
from tests.unit.sip.edge_scene import CALLEE, CALLER, PUBLIC, W1, Scene

MEDIA = "203.0.113.8"
INNER_HOST = "127.77.3.1"
PAIRS = tuple(Pair(outer=20_000 + 2 * n, inner=30_001 + n) for n in range(8))
LEG = LegKey("call-1", "w1")
SDP = "application/sdp"

News = TypeVar("News")


def worker_sdp(port: int = 41_000, *, formats: str = "8 0 101", more: str = "", mux: bool = True) -> str:
    """What a worker's library writes."""
    lines = [
        "v=0", f"o=- 3900000000 3900000001 IN IP4 {INNER_HOST}", "s=pjmedia", "b=AS:84", "t=0 0", "a=X-nat:0",
        f"m=audio {port} RTP/AVP {formats}", f"c=IN IP4 {INNER_HOST}", "b=TIAS:64000",
        f"a=rtcp:{port if mux else port + 1} IN IP4 {INNER_HOST}", "a=sendrecv",
        "a=rtpmap:8 PCMA/8000", "a=rtpmap:0 PCMU/8000", "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-16", "a=ssrc:1234 cname:5678", *(["a=rtcp-mux"] if mux else []), *more.split("\n"),
    ]  # fmt: skip
    return "".join(f"{line}\r\n" for line in lines if line)


def party_sdp(
    host: str = "192.0.2.1", port: int = 4000, *, formats: str = "0 8 101", more: str = "", version: int = 1
) -> str:
    family = "IP6" if ":" in host else "IP4"
    lines = [
        "v=0", f"o=ann 7 {version} IN {family} {host}", "s=-", f"c=IN {family} {host}", "t=0 0",
        f"m=audio {port} RTP/AVP {formats}", "a=rtpmap:101 telephone-event/8000", *more.split("\n"),
    ]  # fmt: skip
    return "".join(f"{line}\r\n" for line in lines if line)


class MediaScene(Scene):
    """With a relay; everything that is sent to the outside is searched for what is inside."""

    def __init__(self, *, pairs: int = 4, **changes: Any) -> None:
        given = {"relay": "/run/relay.sock", "media_host": MEDIA, "inner_host": INNER_HOST}
        super().__init__(**{**given, **changes})
        self.host = {**given, **changes}["media_host"]
        self.news: list[Any] = []
        self.grant_pairs(*PAIRS[:pairs])

    def grant_pairs(self, *pairs: Pair) -> list[Output]:
        return self._look(self.proxy.relay(PairsGranted(pairs=pairs), self.now))

    def give(self, data: bytes, came_from: Flow = CALLER) -> list[Output]:
        return [each for each in self._look(super().give(data, came_from)) if isinstance(each, Send)]

    def _look(self, outputs: list[Output]) -> list[Output]:
        self.news += [each for each in outputs if type(each).__module__.startswith("b2bua.relay.control")]
        for output in outputs:
            if isinstance(output, Send) and output.to.side == "outer":
                assert_nothing_inside(output.data)
        return outputs

    def all(self, kind: type[News]) -> list[News]:
        return [each for each in self.news if isinstance(each, kind)]

    @property
    def described(self) -> list[tuple[str, int, str, int]]:
        """Of each description: host and port of the party, and those of the worker."""
        return [(d.far.host, d.far.port, d.near.host, d.near.port) for d in self.all(DescribeLeg)]


def assert_nothing_inside(data: bytes) -> None:
    """No address or media port of workers or of the relay's inner side is in a message to the outside."""
    text = data.decode()
    # The worker's Via has to come back with the response (RFC 3261 §16.7).
    shown = "\n".join(line for line in text.splitlines() if not line.startswith("Via:"))
    assert "127." not in shown, text
    numbers = set(re.findall(r"\d+", text.partition("\r\n\r\n")[2]))
    inside = {str(pair.inner) for pair in PAIRS} | {str(port) for port in range(41_000, 41_100)}
    assert not numbers & inside, text


def with_sdp(data: bytes, body: str, kind: str = SDP) -> bytes:
    message = parse_message(data)
    message.set_body(body.encode(), kind)
    return message.to_bytes()


def answered(
    request: Request, status: int, body: str = "", *, tag: str = "tt", by: str = "w1", **more: str
) -> bytes:
    """The answer to a request as its receiver has it, with a session description."""
    headers = (
        ("Contact", f"<sip:{by}@127.0.0.1:10001>"),
        *((n.replace("_", "-"), v) for n, v in more.items()),
    )
    response: Response = make_response(request, status, to_tag=tag, headers=headers)
    if body:
        response.set_body(body.encode(), SDP)
    return response.to_bytes()


def sdp(message: Request | Response) -> str:
    return message.body.decode()


def media(message: Request | Response) -> tuple[str, int]:
    """Address and port that a message asks for audio at."""
    text = sdp(message)
    audio = re.search(r"m=audio (\d+)", text)
    hosts = re.findall(r"c=IN IP[46] (\S+)", text)
    assert audio is not None and hosts, text
    return hosts[-1], int(audio[1])


__all__ = ["CALLEE", "CALLER", "PUBLIC", "W1", "WorkerId"]
