"""Large messages: what is removed to fit the library's buffer, and what is refused."""

import pytest

from b2bua.core.errors import PeerError
from b2bua.sip.message import Response, parse_message
from tests.unit.sip.edge_scene import CALLEE, W1, Scene, answer, invite, leases, only, worker_invite

pytestmark = pytest.mark.unit

BUFFER = 4000
SDP = (
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n"
    "m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n{}a=sendrecv\r\n"
    "m=video 4002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"
)
SLIM = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
    b"m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
    b"m=video 4002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"
)


def offer(candidates: int) -> bytes:
    line = "a=candidate:1 1 UDP 2130706431 192.0.2.1 40000 typ host generation 0\r\n"
    return SDP.format(line * candidates).encode()


def with_body(body: bytes, **headers: str) -> bytes:
    length = {"Content_Type": "application/sdp", "Content_Length": str(len(body))}
    return invite(**headers, **length) + body


def test_a_small_offer_is_left_alone() -> None:
    request, _ = Scene().request(with_body(offer(5), Identity="x" * 500))
    assert request.body == offer(5)
    assert request.get("identity") is not None


def test_a_large_offer_loses_what_is_not_for_audio() -> None:
    request, _ = Scene().request(with_body(offer(60)))
    assert request.body == SLIM
    assert request.get("content-length") == str(len(SLIM))


def test_headers_that_nobody_reads_go_next() -> None:
    request, _ = Scene().request(with_body(offer(60), Identity="x" * 3000, X_Kept="y"))
    assert (request.get("identity"), request.get("x-kept")) == (None, "y")
    assert len(request.to_bytes()) <= BUFFER


def test_what_is_too_large_still_is_refused_and_takes_no_worker() -> None:
    scene = Scene()
    outputs = scene.give(invite(X_Long="x" * 3500))
    assert leases(outputs) == []
    response, _ = only(outputs)
    assert isinstance(response, Response)
    assert response.status == 513


def test_an_answer_that_does_not_fit_goes_without_its_body() -> None:
    scene = Scene()
    request, _ = scene.request(worker_invite(), W1)
    accepted = parse_message(answer(request, 200, contact="<sip:bob@192.0.2.99>"))
    accepted.set_body(b"x" * 5000, "text/plain")
    response, _ = scene.response(accepted.to_bytes(), CALLEE)
    assert (response.status, response.body) == (200, b"")


def test_one_whose_headers_do_not_fit_has_those_its_dialog_needs() -> None:
    scene = Scene()
    request, _ = scene.request(worker_invite(), W1)
    accepted = parse_message(answer(request, 200, contact="<sip:bob@192.0.2.99>"))
    accepted.append("X-Long", "x" * 5000)
    response, _ = scene.response(accepted.to_bytes(), CALLEE)
    assert (response.status, response.get("contact")) == (200, "<sip:bob@192.0.2.99>")
    assert (response.get("x-long"), len(response.all("record-route"))) == (None, 1)


def test_a_failure_goes_on_without_routes_and_a_200_cannot() -> None:
    for status in (486, 200):
        scene = Scene()
        request, _ = scene.request(worker_invite(), W1)
        response = parse_message(answer(request, status, contact="<sip:bob@192.0.2.99>"))
        for number in range(20):
            response.prepend("Record-Route", f"<sip:192.0.2.{number};lr;x={'x' * 200}>")
        if status == 486:
            assert scene.status(response.to_bytes(), CALLEE) == 486
        else:
            with pytest.raises(PeerError):
                scene.give(response.to_bytes(), CALLEE)
