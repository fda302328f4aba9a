"""Session descriptions at the edge: which are repaired, which requests are refused."""

import pytest

from b2bua.sip.message import Response, parse_message
from tests.unit.sip.edge_scene import CALLEE, SDP, W1, Scene, answer, invite, leases, worker_invite
from tests.unit.sip.test_proxy_dialogs import in_dialog

pytestmark = pytest.mark.unit

TYPE = "application/sdp"
ODD = SDP.replace("s=-", "s=").replace("o=- ", "o=A B ")
PLAIN = SDP.replace("o=- ", "o=A_B ").encode()
FAX = SDP.partition("m=")[0] + "m=image 4002 udptl t38\r\n"
NO_ADDRESS = SDP.replace("c=IN IP4 192.0.2.1\r\n", "")
MIXED = 'multipart/mixed;boundary="b 1"'


def with_body(message: bytes, body: str, kind: str | None = TYPE) -> bytes:
    """``message`` with a different body."""
    parsed = parse_message(message)
    parsed.remove("content-type")
    parsed.set_body(body.encode(), kind or "")
    if kind is None:
        parsed.remove("content-type")
    return parsed.to_bytes()


def parts(*given: tuple[str, str], end: str = "--b 1--\r\n") -> str:
    return "preamble\r\n" + "".join(f"--b 1\r\n{head}\r\n\r\n{body}\r\n" for head, body in given) + end


def within(method: str, body: str, kind: str | None = TYPE) -> bytes:
    return with_body(in_dialog(method, "sip:w1@203.0.113.7"), body, kind)


@pytest.fixture
def scene() -> Scene:
    scene = Scene()
    scene.give(invite())
    return scene


class TestMended:
    def test_in_an_invite(self) -> None:
        request, _ = Scene().request(with_body(invite(), ODD))
        assert (request.body, request.get("content-length")) == (PLAIN, str(len(PLAIN)))

    @pytest.mark.parametrize("method", ["INVITE", "UPDATE", "PRACK", "ACK"])
    def test_within_a_dialog(self, scene: Scene, method: str) -> None:
        request, _ = scene.request(within(method, ODD))
        assert (request.method, request.body) == (method, PLAIN)

    @pytest.mark.parametrize("status", [180, 183, 200])
    def test_in_a_response(self, scene: Scene, status: int) -> None:
        request, _ = scene.request(worker_invite(), W1)
        accepted = with_body(answer(request, status, contact="<sip:bob@192.0.2.99>"), ODD)
        response, _ = scene.response(accepted, CALLEE)
        assert (response.status, response.body) == (status, PLAIN)

    @pytest.mark.parametrize("kind", ["Application/SDP", "application/sdp ;charset=utf-8"])
    def test_however_its_type_is_written(self, kind: str) -> None:
        assert Scene().request(with_body(invite(), ODD, kind))[0].body == PLAIN


class TestMultipart:
    def test_nothing_but_the_description_goes_to_a_worker(self) -> None:
        body = parts(
            ("Content-Type: application/isup;version=itu-t92+", "\x01\x02"),
            ("Content-Disposition: session\r\ncontent-type : application/SDP", ODD),
        )
        request, _ = Scene().request(with_body(invite(), body, MIXED))
        assert (request.get("content-type"), request.body) == (TYPE, PLAIN)

    @pytest.mark.parametrize(
        "kind", [MIXED, 'multipart/alternative; x=y; Boundary="b 1"', "multipart/mixed;boundary=b"]
    )
    def test_boundaries(self, kind: str) -> None:
        body = parts(("Content-Type: application/sdp", ODD)).replace(
            "--b 1", "--b 1" if " 1" in kind else "--b"
        )
        assert Scene().request(with_body(invite(), body, kind))[0].body == PLAIN

    @pytest.mark.parametrize("end", ["--b 1--", "--b 1", ""])
    def test_one_that_does_not_end(self, end: str) -> None:
        body = parts(("Content-Type: application/sdp", ODD), end=end)
        assert Scene().request(with_body(invite(), body, MIXED))[0].body == PLAIN

    @pytest.mark.parametrize(
        ("kind", "body"),
        [
            (MIXED, parts(("Content-Type: text/plain", "x"))),
            (MIXED, "--b 1\r\nContent-Type: application/sdp"),
            (MIXED, "x"),
            ("multipart/mixed", parts(("Content-Type: application/sdp", ODD))),
            ("text/plain", ODD),
        ],
    )
    def test_without_a_description_it_is_left_alone(self, kind: str, body: str) -> None:
        request, _ = Scene().request(with_body(invite(), body, kind))
        assert request.body == body.encode()


class TestRefused:
    @pytest.mark.parametrize("body", [FAX, NO_ADDRESS, "none", SDP + "m=video 4002 RTP/AVP 31\r\n" * 63])
    def test_a_call_takes_no_worker(self, body: str) -> None:
        scene = Scene()
        outputs = scene.give(with_body(invite(), body))
        assert leases(outputs) == []
        assert scene.status(with_body(invite(), body)) == 488  # and again, without a memory of it

    @pytest.mark.parametrize("method", ["INVITE", "UPDATE", "PRACK"])
    @pytest.mark.parametrize("body", [FAX, NO_ADDRESS, "none"])
    def test_a_change_is_not_seen_by_the_worker(self, scene: Scene, method: str, body: str) -> None:
        assert scene.status(within(method, body)) == 488

    def test_a_codec_that_the_workers_have_not(self) -> None:
        assert Scene(codecs=("PCMA",)).status(invite()) == 488

    def test_an_ack_cannot_be(self, scene: Scene) -> None:
        assert scene.request(within("ACK", "none"))[0].body == b"none"

    def test_a_provisional_response_cannot_be(self, scene: Scene) -> None:
        request, _ = scene.request(worker_invite(), W1)
        progress = with_body(answer(request, 183, contact="<sip:bob@192.0.2.99>"), FAX + "c=IN\r\nm=x\r\n")
        response, _ = scene.response(progress, CALLEE)
        assert isinstance(response, Response)
        assert response.body.endswith(b"m=x\r\n")


class TestAnswers:
    """RFC 3261 §13.2.2.4: a 2xx cannot be refused; a description that is of use to nobody is not shown."""

    @staticmethod
    def shown(body: str, kind: str = TYPE, **config: object) -> Response:
        scene = Scene(**config)
        scene.give(invite())
        request, _ = scene.request(worker_invite(), W1)
        accepted = with_body(answer(request, 200, contact="<sip:bob@192.0.2.99>"), body, kind)
        return scene.response(accepted, CALLEE)[0]

    @pytest.mark.parametrize(
        "body",
        ["none", FAX, NO_ADDRESS, FAX + SDP[SDP.index("m=") :], SDP.replace("m=audio 4000", "m=audio 0")],
    )
    def test_one_that_cannot_be_taken_is_not_shown(self, body: str) -> None:
        response = self.shown(body)
        assert (response.body, response.get("content-type")) == (b"", None)
        assert response.all("content-length") == ["0"]

    def test_one_with_a_codec_that_the_workers_have_not(self) -> None:
        assert self.shown(SDP, codecs=("PCMU",)).body
        assert not self.shown(SDP.replace("AVP 0", "AVP 8"), codecs=("PCMU",)).body

    def test_what_is_no_description_is_left_alone(self) -> None:
        assert self.shown("x", "text/plain").body == b"x"

    def test_one_with_more_media_than_we_have_offered(self) -> None:
        assert self.shown(SDP + "m=video 0 RTP/AVP 31\r\n").body
