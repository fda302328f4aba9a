"""Answers to digest challenges, against the examples of the standards and our own server side."""

import pytest

from b2bua.sip.credentials import ChallengedRequest, answer_challenge, read_challenge
from b2bua.sip.message import Response, parse_message
from tests.peer import digest
from tests.peer.wire import Message

pytestmark = pytest.mark.unit

HEAD = (
    "Via: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: c\r\n"
    "CSeq: 1 REGISTER"
)


def refusal(*challenges: str, status: int = 401) -> Response:
    name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    lines = [f"SIP/2.0 {status} No", HEAD, *(f"{name}: {each}" for each in challenges)]
    message = parse_message(("\r\n".join(lines) + "\r\n\r\n").encode())
    assert isinstance(message, Response)
    return message


class TestChoice:
    def test_the_strongest_is_answered(self) -> None:
        chosen = read_challenge(
            refusal(
                'Digest realm="r", nonce="m", algorithm=MD5, qop="auth"',
                'Digest realm="r", nonce="s", algorithm=SHA-256, qop="auth,auth-int", opaque="o", stale=TRUE',
            )
        )
        assert chosen is not None
        assert (chosen.algorithm, chosen.nonce, chosen.opaque, chosen.stale) == ("SHA-256", "s", "o", True)

    def test_two_in_a_line_are_two(self) -> None:
        line = 'Digest realm="r, Digest", nonce="m", Digest realm="q", nonce="s", algorithm=SHA-256'
        chosen = read_challenge(refusal(line))
        assert chosen is not None and chosen.realm == "q"

    @pytest.mark.parametrize(
        "line",
        [
            'Digest realm="r, Digest x", nonce="n", Basic realm="b"',
            'Basic realm="b", Digest realm="r, Digest x", nonce="n"',
            'Negotiate, Digest realm="r, Digest x", nonce="n"',
        ],
    )
    def test_of_other_schemes_nothing_is_taken(self, line: str) -> None:
        chosen = read_challenge(refusal(line))
        assert chosen is not None and (chosen.realm, chosen.nonce) == ("r, Digest x", "n")

    @pytest.mark.parametrize(
        "challenge",
        [
            'Basic realm="r"',
            'Digest realm="r", nonce="n", algorithm=MD5-sess',
            'Digest realm="r", nonce="n", qop="auth-int"',
            'Digest nonce="n"',
        ],
    )
    def test_what_cannot_be_answered_is_none(self, challenge: str) -> None:
        assert read_challenge(refusal(challenge)) is None

    def test_a_proxy_is_answered_in_its_own_header(self) -> None:
        chosen = read_challenge(refusal('Digest realm="r", nonce="n"', status=407))
        assert chosen is not None and chosen.header == "Proxy-Authorization"

    def test_another_failure_asks_for_nothing(self) -> None:
        assert read_challenge(refusal('Digest realm="r", nonce="n"', status=403)) is None


class TestAnswer:
    @pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
    @pytest.mark.parametrize("qop", [', qop="auth"', ""])
    def test_is_what_the_server_reckons(self, algorithm: str, qop: str) -> None:
        chosen = read_challenge(refusal(f'Digest realm="a, b", nonce="n=1", algorithm={algorithm}{qop}'))
        assert chosen is not None
        challenged = ChallengedRequest("REGISTER", "sip:pbx.example", "ann", "se cret")
        value = answer_challenge(chosen, challenged, 2, "cn")
        request = Message.request("REGISTER", challenged.uri, [(chosen.header, value)])
        assert digest.proves(request, "ann", "se cret")
        assert not digest.proves(request, "ann", "other")
        assert ("nc=00000002" in value) == bool(qop)

    def test_is_that_of_the_standards_example(self) -> None:
        """RFC 7616 §3.9.1."""
        nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
        opaque = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
        realm = "http-auth@example.org"
        line = f'Digest realm="{realm}", qop="auth", algorithm=SHA-256, nonce="{nonce}", opaque="{opaque}"'
        chosen = read_challenge(refusal(line))
        assert chosen is not None
        challenged = ChallengedRequest("GET", "/dir/index.html", "Mufasa", "Circle of Life")
        value = answer_challenge(chosen, challenged, 1, "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")
        assert 'response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"' in value
        assert f'opaque="{opaque}"' in value
