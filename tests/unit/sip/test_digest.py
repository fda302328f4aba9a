"""Digest: the examples of RFC 7616, the meaning of credentials, the lifetime of a nonce."""

import pytest

from b2bua.core.errors import PeerError
from b2bua.sip.digest import (
    MAX_PARAMS,
    NONCE_AGE_S,
    REPEAT_S,
    Algorithm,
    Authenticator,
    digest_response,
    hash_a1,
    parse_digest,
)
from b2bua.sip.edge_control import UserSpec
from b2bua.sip.message import Request, parse_message
from tests.unit.sip.edge_scene import text

pytestmark = pytest.mark.unit

REALM, SOURCE = "sip.example.com", "198.51.100.9"
ALICE = UserSpec(
    name="alice",
    md5=hash_a1("MD5", "alice", REALM, "secret"),
    sha256=hash_a1("SHA-256", "alice", REALM, "secret"),
)


def authenticator() -> Authenticator:
    return Authenticator(REALM, [ALICE], b"s" * 32)


def nonce_of(authority: Authenticator, now: float = 0.0, source: str = SOURCE) -> str:
    return parse_digest(authority.challenges(source, now)[0][1])["nonce"]


def request(
    nonce: str = "",
    *,
    method: str = "REGISTER",
    uri: str = "sip:sip.example.com",
    user: str = "alice",
    password: str = "secret",
    algorithm: Algorithm = "SHA-256",
    nc: str = "00000001",
    call_id: str = "c1",
    header: str = "Authorization",
    **changes: str | None,
) -> Request:
    """A request; ``changes`` are parameters of its credentials, None omits one."""
    said = {"username": user, "realm": REALM, "nonce": nonce, "uri": uri, "algorithm": algorithm}
    said |= {"qop": "auth", "nc": nc, "cnonce": "0a4f"}
    said |= {key: value for key, value in changes.items() if value is not None and key != "response"}
    a1 = hash_a1(algorithm, user, said["realm"], password)
    said["response"] = changes.get("response") or digest_response(algorithm, a1, method, said)
    for key, value in changes.items():
        if value is None:
            del said[key]
    value = "Digest " + ", ".join(f'{name}="{value}"' for name, value in said.items())
    headers: dict[str, str | None] = {
        "Via": "SIP/2.0/UDP 198.51.100.9;branch=z9hG4bK1",
        "From": "<sip:alice@sip.example.com>;tag=1",
        "To": "<sip:alice@sip.example.com>",
        "Call-ID": call_id,
        "CSeq": f"2 {method}",
        header: value if nonce else None,
    }
    message = parse_message(text(method, "sip:sip.example.com", headers))
    assert isinstance(message, Request)
    return message


class TestResponses:
    """RFC 7616 §3.9.1."""

    @pytest.mark.parametrize(
        ("algorithm", "expected"),
        [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ],
    )
    def test_the_examples_of_the_rfc(self, algorithm: Algorithm, expected: str) -> None:
        params = {
            "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            "uri": "/dir/index.html",
            "qop": "auth",
            "nc": "00000001",
            "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        }
        a1 = hash_a1(algorithm, "Mufasa", "http-auth@example.org", "Circle of Life")
        assert digest_response(algorithm, a1, "GET", params) == expected

    def test_without_qop_as_in_rfc_2617_section_3_5(self) -> None:
        a1 = hash_a1("MD5", "Mufasa", "testrealm@host.com", "Circle Of Life")
        params = {"nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093", "uri": "/dir/index.html"}
        assert digest_response("MD5", a1, "GET", params) == "670fd8c2df070c60b045671b8b24ff02"


class TestParameters:
    def test_quoted_and_bare_ones_are_read(self) -> None:
        assert parse_digest('digest a="x, \\"y\\"" , B=2,c = z') == {"a": 'x, "y"', "b": "2", "c": "z"}

    @pytest.mark.parametrize(
        "value",
        [
            "Basic abc",
            "Digest a=1, a=2",
            "Digest a",
            'Digest a="open',
            "Digest a=1;b=2",
            "Digest ,",
            "Bearer x=1",
            "Digest " + ",".join(f"p{n}=1" for n in range(MAX_PARAMS + 1)),
        ],
    )
    def test_anything_else_is_an_error(self, value: str) -> None:
        with pytest.raises(PeerError):
            parse_digest(value)

    def test_a_hostile_value_takes_no_time(self) -> None:
        with pytest.raises(PeerError):
            parse_digest('Digest a="' + "\\" * 8000)


class TestChallenges:
    def test_there_is_one_for_each_algorithm_the_stronger_first(self) -> None:
        challenges = authenticator().challenges(SOURCE, 0.0)
        assert [name for name, _ in challenges] == ["WWW-Authenticate"] * 2
        assert [parse_digest(value)["algorithm"] for _, value in challenges] == ["SHA-256", "MD5"]
        assert {parse_digest(value)["realm"] for _, value in challenges} == {REALM}

    def test_no_nonce_comes_twice(self) -> None:
        authority = authenticator()
        assert nonce_of(authority) != nonce_of(authority)


class TestProofs:
    @pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
    @pytest.mark.parametrize("header", ["Authorization", "Proxy-Authorization"])
    def test_the_right_password_proves_the_user(self, algorithm: Algorithm, header: str) -> None:
        authority = authenticator()
        asked = request(nonce_of(authority), algorithm=algorithm, header=header)
        proof = authority.check(asked, SOURCE, 1.0)
        assert (proof.verdict, proof.user) == ("proven", "alice")

    def test_without_credentials_nothing_is_proven(self) -> None:
        assert authenticator().check(request(), SOURCE, 0.0).verdict == "none"

    def test_another_realms_credentials_are_none_of_ours(self) -> None:
        authority = authenticator()
        assert authority.check(request(nonce_of(authority), realm="other"), SOURCE, 0.0).verdict == "none"

    @pytest.mark.parametrize(
        "changes",
        [
            {"password": "guess"},
            {"user": "mallory"},
            {"uri": "sip:elsewhere.example.com"},
            {"qop": None},
            {"cnonce": None},
            {"nc": "1"},
            {"algorithm": "MD5", "response": "0" * 64},
            {"response": "0" * 64},
            {"response": "é"},
        ],
    )
    def test_anything_wrong_proves_nothing(self, changes: dict[str, str | None]) -> None:
        authority = authenticator()
        given = {"nonce": nonce_of(authority), **changes}
        assert authority.check(request(**given), SOURCE, 0.0).verdict == "wrong"  # type: ignore[arg-type]

    def test_an_unknown_algorithm_is_wrong(self) -> None:
        authority = authenticator()
        asked = request(nonce_of(authority))
        for header in asked.headers:
            if header.name == "authorization":
                header.change(header.value.replace(b"SHA-256", b"SHA-512"))
        assert authority.check(asked, SOURCE, 0.0).verdict == "wrong"

    def test_the_uri_may_differ_in_what_does_not_count(self) -> None:
        authority = authenticator()
        asked = request(nonce_of(authority), uri="sip:SIP.example.com:5060;transport=tcp")
        assert authority.check(asked, SOURCE, 0.0).verdict == "proven"

    def test_an_unreadable_uri_is_wrong(self) -> None:
        authority = authenticator()
        assert authority.check(request(nonce_of(authority), uri="nonsense"), SOURCE, 0.0).verdict == "wrong"

    def test_users_can_be_changed(self) -> None:
        authority = authenticator()
        authority.configure([])
        assert authority.check(request(nonce_of(authority)), SOURCE, 0.0).verdict == "wrong"


class TestNonces:
    def test_one_ends_by_time(self) -> None:
        authority = authenticator()
        nonce = nonce_of(authority)
        assert authority.check(request(nonce), SOURCE, NONCE_AGE_S - 1).verdict == "proven"
        assert authority.check(request(nonce, nc="00000002"), SOURCE, NONCE_AGE_S).verdict == "stale"

    @pytest.mark.parametrize("nonce", ["madeup", "AAAA", "é", "A" * 24])
    def test_a_made_up_one_is_stale(self, nonce: str) -> None:
        assert authenticator().check(request(nonce), SOURCE, 0.0).verdict == "stale"

    def test_one_counts_for_its_source_only(self) -> None:
        authority = authenticator()
        assert authority.check(request(nonce_of(authority)), "203.0.113.1", 0.0).verdict == "stale"

    def test_one_of_another_process_is_stale(self) -> None:
        nonce = nonce_of(Authenticator(REALM, [ALICE], b"t" * 32))
        assert authenticator().check(request(nonce), SOURCE, 0.0).verdict == "stale"

    def test_it_can_be_used_again_with_a_higher_count_only(self) -> None:
        authority = authenticator()
        nonce = nonce_of(authority)
        for call_id, nc, verdict in [
            ("c1", "00000001", "proven"),
            ("c2", "00000003", "proven"),
            ("c3", "00000002", "stale"),
            ("c4", "00000003", "stale"),
        ]:
            asked = request(nonce, nc=nc, call_id=call_id)
            assert authority.check(asked, SOURCE, 0.0).verdict == verdict, call_id

    def test_the_same_request_may_be_repeated_for_a_transactions_time(self) -> None:
        authority = authenticator()
        nonce = nonce_of(authority)
        for at, verdict in [(0.0, "proven"), (REPEAT_S - 1, "proven"), (REPEAT_S, "stale")]:
            assert authority.check(request(nonce), SOURCE, at).verdict == verdict, at
        authority.tick(1e6)
