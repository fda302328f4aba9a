"""The edge's headers in messages over TLS; SIPS URIs, which no worker ever sees; encrypted media."""

import pytest

from b2bua.core.commands import Srtp
from b2bua.sip.answers import screen_media
from b2bua.sip.edge_control import ListenSpec, TrunkSpec
from b2bua.sip.flow import Flow, Send
from b2bua.sip.inside import is_from_edge, must_encrypt
from tests.unit.sip.edge_scene import PUBLIC, SDP, SECRET, W1, Scene, answer, invite, only, worker_invite

pytestmark = pytest.mark.unit

CALLER = Flow("outer", "tls", "192.0.2.1", 40123, 1)
CALLEE = Flow("outer", "tls", "192.0.2.99", 5071, 1)
OURS = f"{PUBLIC}:5061"


@pytest.fixture
def scene() -> Scene:
    return Scene(listen=(ListenSpec("udp", "0.0.0.0", 5060), ListenSpec("tls", "0.0.0.0", 5061)))


class TestCallThatComes:
    def test_its_answer_names_tls(self, scene: Scene) -> None:
        request, to = scene.request(invite(), CALLER)
        assert to == W1
        response, back = scene.response(answer(request, 200, contact="<sip:w1@127.0.0.1:10001;ob>"), W1)
        assert response.get("contact") == f"<sip:w1@{OURS};transport=tls;ob>"
        assert response.get("record-route") == f"<sip:{OURS};transport=tls;lr>"
        assert back == CALLER

    def test_a_lost_connection_is_made_anew_to_who_sent_it(self, scene: Scene) -> None:
        request, _ = scene.request(invite(Via="SIP/2.0/TLS pbx.example;branch=z9hG4bKx"), CALLER)
        (sent,) = scene.give(answer(request, 200, contact="<sip:w1@127.0.0.1:10001>"), W1)
        assert isinstance(sent, Send) and not sent.connect and sent.otherwise is not None
        assert sent.otherwise.to == Flow("outer", "tls", "192.0.2.1", 5061, 1, "pbx.example")

    def test_with_a_sips_uri_has_a_sips_contact_and_the_worker_a_sip_one(self, scene: Scene) -> None:
        uri = f"sips:100@{OURS}"
        data = invite(uri, To=f"<{uri}>", Contact="<sips:ann@192.0.2.1>")
        request, _ = scene.request(data, CALLER)
        assert request.uri == f"sip:100@{OURS};x-b2bua-sips"
        assert request.get("contact") == "<sip:ann@192.0.2.1;x-b2bua-sips>"
        response, _ = scene.response(answer(request, 200, contact="<sip:w1@127.0.0.1:10001;ob>"), W1)
        assert response.get("contact") == f"<sips:w1@{OURS};ob>"

    def test_with_a_sips_uri_by_another_transport_is_refused(self, scene: Scene) -> None:
        assert scene.status(invite("sips:100@sip.example.com")) == 416


class TestCallThatGoes:
    @pytest.mark.parametrize(
        "uri", ["sip:bob@192.0.2.99:5071;transport=tls", "sip:bob@192.0.2.99:5071;x-b2bua-sips"]
    )
    def test_goes_by_tls_to_who_has_to_prove_its_name(self, scene: Scene, uri: str) -> None:
        request, to = scene.request(worker_invite(uri, To=f"<{uri}>"), W1)
        assert to == Flow("outer", "tls", "192.0.2.99", 5071, 1, "192.0.2.99")
        assert request.top_via.transport == "TLS"
        secure = "sips" in uri
        assert request.uri == ("sips:bob@192.0.2.99:5071" if secure else uri)
        assert request.get("to") == f"<{request.uri}>"
        contact = f"<sips:w1@{OURS};ob>" if secure else f"<sip:w1@{OURS};transport=tls;ob>"
        assert request.get("contact") == contact

    def test_has_the_port_of_tls_when_none_is_said(self, scene: Scene) -> None:
        assert scene.request(worker_invite("sip:bob@192.0.2.99;transport=tls"), W1)[1].port == 5061

    def test_no_worker_meets_a_sips_contact(self, scene: Scene) -> None:
        request, _ = scene.request(worker_invite("sip:bob@192.0.2.99;x-b2bua-sips"), W1)
        contact = '"Bob" <sips:bob@192.0.2.99>;q=1'
        response, _ = only(scene.give(answer(request, 200, contact=contact), CALLEE))
        assert response.get("contact") == '"Bob" <sip:bob@192.0.2.99;x-b2bua-sips>;q=1'


PLAIN = b"v=0\r\nm=audio 4000 RTP/AVP 0\r\n"
SECURE = b"v=0\r\nm=audio 4000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n"
BOTH = SECURE + b"m=audio 4002 RTP/AVP 0\r\n"
REFUSED = b"v=0\r\nm=audio 0 RTP/SAVP 0\r\n"


class TestMedia:
    @pytest.mark.parametrize(
        ("srtp", "body", "status"),
        [
            ("off", PLAIN, None),
            ("off", SECURE, 488),
            ("off", BOTH, None),
            ("off", b"", None),
            ("optional", PLAIN, None),
            ("optional", SECURE, None),
            ("required", PLAIN, 488),
            ("required", SECURE, None),
            ("required", BOTH, None),
            ("required", b"", None),
            ("required", REFUSED, None),
            ("required", b"m=audio", None),
        ],
    )
    def test_are_refused_by_what_is_configured(self, srtp: Srtp, body: bytes, status: int | None) -> None:
        refusal = screen_media(body, srtp)
        assert (refusal.status if refusal else None) == status

    def test_of_a_trunk_are_its_own(self) -> None:
        trunk = TrunkSpec(name="pbx", match=("192.0.2.1",), srtp="required")
        scene = Scene(trunks=(trunk,))
        assert scene.status(invite()) == 488
        request, _ = scene.request(invite(Call_ID="2"), Flow("outer", "udp", "192.0.2.2", 5060))
        assert not must_encrypt(request)

    def test_that_have_to_be_encrypted_are_so_by_the_edges_word_alone(self) -> None:
        scene = Scene(srtp="required")
        crypto = f"RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{'x' * 40}\r\n"
        offer = SDP.replace("RTP/AVP 0\r\n", crypto).encode()
        data = invite(Content_Type="application/sdp", Content_Length=str(len(offer))) + offer
        for _ in ("the first", "a retransmission"):
            request, to = scene.request(data)
            assert to == W1 and must_encrypt(request) and is_from_edge(request, SECRET)
            assert not is_from_edge(request, SECRET[1:])
        forged, _ = Scene().request(invite(X_B2bua_Secret=f"{SECRET};srtp=required"))
        assert is_from_edge(forged, SECRET) and not must_encrypt(forged)
