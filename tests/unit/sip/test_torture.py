"""The cases of RFC 4475 ("torture test messages"), in messages of our own: what the edge does with each.

Many of them are for user agents; a proxy has to let those through that are none of its business.
"""

import contextlib
from typing import Any

import pytest

from b2bua.core.errors import PeerError
from b2bua.sip.flow import Send
from b2bua.sip.message import Request, Response, header_tuples, parse_message
from b2bua.sip.uri import parse_uri
from b2bua.sip.values import parse_name_addr, parse_via
from tests.unit.sip.edge_scene import (
    CALLEE,
    CALLER,
    PUBLIC,
    STRANGER,
    W1,
    Scene,
    answer,
    invite,
    worker_invite,
)

pytestmark = pytest.mark.unit

TORTUOUS = (
    b"INVITE sip:ann@host.example.com;unknownparam SIP/2.0\r\n"
    b"TO :\r\n sip:ann@host.example.com ;   tag    = 1918181833n\r\n"
    b'from   : "J Rosen \\\\\\"" <sip:jd@example.com>\r\n  ;\r\n  tag = 98asjd8\r\n'
    b"MaX-fOrWaRdS: 0068\r\n"
    b"Call-ID: wsinv.ndaksdj@192.0.2.1\r\n"
    b"Content-Length   : 3\r\n"
    b"cseq: 0009\r\n  INVITE\r\n"
    b"Via  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;rport;branch=390skdjuw\r\n"
    b"s :\r\n"
    b"NewFangledHeader:   newfangled value\r\n continued newfangled value\r\n"
    b"UnknownHeaderWithUnusualValue: ;;,,;;,;\r\n"
    b"Content-Type: application/sdp\r\n"
    b"Route:\r\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\r\n"
    b"v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n"
    b" SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n"
    b'm:"Quoted string \\"\\"" <sip:jd@example.com> ; newparam =\r\n  newvalue ;\r\n second ; q = 0.33\r\n'
    b"\r\nv=0"
)

ODD_METHOD = (
    "!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    ":&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bK-.!%66*_+`'~\r\n"
    'To: "BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f" <sip:1_unusual.URI~(to-be!sure)&it$/crazy?,/;;*@example.com>\r\n'
    "From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>"
    ";fromParam''~+*_!.-%=\"\u0440\u0430\u0431\";tag=_token~1'+`*%!-.\r\n"
    "Call-ID: intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{\r\n"
    "CSeq: 139122385 !interesting-Method0123456789_*+`.%indeed'~\r\n"
    "Max-Forwards: 255\r\n"
    "extensionHeader-!.%*+_`'~: \u5927\u505c\u96fb\r\n"
    "Content-Length: 0\r\n\r\n"
).encode()


def parsed(data: bytes) -> Request:
    message = parse_message(data)
    assert isinstance(message, Request)
    return message


class TestValidMessages:
    """§3.1.1."""

    def test_wsinv_blanks_folds_and_case(self) -> None:
        request = parsed(TORTUOUS)
        assert (request.from_tag, request.to_tag) == ("98asjd8", "1918181833n")
        assert (request.cseq_number, request.get("max-forwards"), request.get("subject")) == (9, "0068", "")
        assert [parse_via(value).host for value in request.all("via")] == [
            "192.0.2.2",
            "spindle.example.com",
            "192.168.255.111",
        ]
        assert [parse_via(value).branch for value in request.all("via")][1:] == [
            "z9hG4bK9ikj8",
            "z9hG4bK30239",
        ]
        assert parse_name_addr(request.get("from") or "").display == 'J Rosen \\"'
        assert (
            dict(header_tuples(request))["NewFangledHeader"] == "newfangled value continued newfangled value"
        )

    def test_wsinv_leaves_byte_for_byte(self) -> None:
        assert parsed(TORTUOUS).to_bytes() == TORTUOUS

    def test_wsinv_leaves_byte_for_byte_where_a_proxy_touched_nothing(self) -> None:
        new = TORTUOUS.replace(b";   tag    = 1918181833n", b"")
        # A description without media would be refused.
        request, _ = Scene().request(new.replace(b"application/sdp", b"text/plain"))
        sent = request.to_bytes()
        for line in (
            b"TO :\r\n sip:ann@host.example.com \r\n",
            b"NewFangledHeader:   newfangled value\r\n cont",
        ):
            assert line in sent
        assert request.get("max-forwards") == "67"

    def test_intmeth_a_method_of_odd_characters(self) -> None:
        assert Scene().status(ODD_METHOD) == 501
        assert Scene().status(ODD_METHOD, STRANGER) == 501

    def test_intmeth_an_escaped_nul_is_no_worker_s_to_read(self) -> None:
        assert Scene().status(invite(To='"NUL:\\\0" <sip:100@sip.example.com>')) == 400
        assert Scene().request(invite(X_Odd='"\\\0"'))[0].get("x-odd") is None

    def test_esc01_escapes_are_not_touched(self) -> None:
        uri = f"sip:sips%3Auser%40example.com@{PUBLIC}"
        assert Scene().request(invite(uri))[0].uri == uri

    def test_escnull_an_escaped_null(self) -> None:
        request, _ = Scene().request(invite(Contact="<sip:%00@host.example.com>"))
        assert request.get("contact") == "<sip:%00@host.example.com>"

    def test_esc02_percent_signs_that_escape_nothing(self) -> None:
        assert Scene().status(invite(method="RE%47IST%45R")) == 501

    def test_lwsdisp_no_blank_before_the_bracket(self) -> None:
        request, _ = Scene().request(invite(From="caller<sip:caller@example.com>;tag=323"))
        assert (parse_name_addr(request.get("from") or "").display, request.from_tag) == ("caller", "323")

    def test_baddn_a_comma_in_a_name_without_quotes_leaves_no_doubt(self) -> None:
        request, _ = Scene().request(invite(From="Bell, Alexander <sip:a.g.bell@example.com>;tag=43"))
        assert request.from_tag == "43"

    def test_longreq_long_values(self) -> None:
        display = "I have a user name of extreme proportion" * 20
        request, _ = Scene().request(
            invite(From=f'"{display}" <sip:a@192.0.2.1>;tag={"1" * 400}', Call_ID="x" * 1000)
        )
        assert (len(request.from_tag), len(request.call_id)) == (400, 1000)

    def test_dblreq_what_follows_the_body_in_a_datagram_is_dropped(self) -> None:
        data = invite(method="OPTIONS")
        assert parsed(data + invite()).to_bytes() == data

    def test_semiuri_a_semicolon_in_the_user(self) -> None:
        assert parse_uri("sip:user;par=u%40example.net@example.com").user == "user;par=u%40example.net"

    def test_transports_known_and_not(self) -> None:
        request = parsed(
            invite(Via="SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa, SIP/2.0/UNKNOWN h;branch=z9hG4bKb")
        )
        assert [parse_via(value).transport for value in request.all("via")] == ["UDP", "UNKNOWN"]

    def test_mpart01_a_body_of_any_bytes(self) -> None:
        data = invite(method="MESSAGE", Content_Length="6") + b"\x00\xff\r\n\r\n"
        assert parsed(data).to_bytes() == data

    def test_unreason_any_reason_phrase(self) -> None:
        data = invite().partition(b"\r\n")[2]
        line = b"SIP/2.0 200 = 2**3 * 5**2 \xd0\xbd\xd0\xbe \xfe\r\n"
        assert parse_message(line + data).to_bytes() == line + data

    def test_noreason_an_empty_reason_phrase(self) -> None:
        data = b"SIP/2.0 100 \r\n" + invite().partition(b"\r\n")[2]
        response = parse_message(data)
        assert isinstance(response, Response)
        assert (response.status, response.reason, response.to_bytes()) == (100, "", data)
        assert parse_message(data.replace(b"100 ", b"100", 1)).to_bytes() == data


INVALID: list[tuple[str, str, dict[str, Any], int]] = [
    ("badinv01", "", {"Contact": '"Joe" <sip:joe@example.org>;;;;,;;'}, 400),
    ("ncl", "", {"Content_Length": "-999"}, 400),
    ("clerr", "", {"Content_Length": "9999"}, 400),
    ("scalar02 CSeq", "", {"CSeq": "36893488147419103232 INVITE"}, 400),
    ("scalar02 Max-Forwards", "", {"Max_Forwards": "300"}, 400),
    ("quotbal", "", {"To": '"Mr. J. User <sip:j.user@example.com>'}, 400),
    ("ltgtruri", "<sip:user@example.com>", {}, 400),
    ("lwsruri", "sip:user@example.com; lr", {}, 400),
    ("lwsstart", " sip:user@example.com", {}, 400),
    ("trws", "sip:user@example.com ", {}, 400),
    ("mismatch01", "", {"CSeq": "8 OPTIONS"}, 400),
    ("mismatch02", "", {"CSeq": "8 INVITE", "method": "NEWMETHOD"}, 400),
    ("insuf From", "", {"From": None}, 0),
    ("insuf To", "", {"To": None}, 0),
    ("insuf Call-ID", "", {"Call_ID": None}, 0),
    ("unkscm", "nobodyKnowsThisScheme:totallyopaquecontent", {}, 416),
    ("novelsc", "soap.beep://192.0.2.103:3002", {}, 416),
    ("bext01", "", {"Require": "nothingSupportsThis, nothingSupportsThisEither"}, 420),
    ("bcast", "", {"Via": "SIP/2.0/UDP 192.0.2.1:99999;branch=z9hG4bKa"}, 0),
    ("zeromf", "", {"Max_Forwards": "0"}, 483),
    ("no Via value", "", {"Via": ","}, 0),
    ("Max-Forwards in other digits", "", {"Max_Forwards": "²"}, 400),
]


class TestInvalidMessages:
    """§3.1.2, and of §3.2 to §3.4 what a proxy has to see."""

    @pytest.mark.parametrize(("name", "uri", "changes", "status"), INVALID, ids=[row[0] for row in INVALID])
    def test_are_answered_or_dropped(self, name: str, uri: str, changes: dict[str, Any], status: int) -> None:
        scene = Scene()
        data = invite(uri or f"sip:100@{PUBLIC}", **changes)
        if status:
            sent = [output for output in scene.give(data) if isinstance(output, Send)]
            assert [(out.data[:11], out.to) for out in sent] == [(b"SIP/2.0 %d" % status, CALLER)]
        else:
            with pytest.raises(PeerError):
                scene.give(data)

    def test_bigcode_a_status_of_more_than_three_digits(self) -> None:
        with pytest.raises(PeerError):
            parse_message(b"SIP/2.0 4294967301 better not break\r\n" + invite().partition(b"\r\n")[2])

    def test_badvers_another_version(self) -> None:
        with pytest.raises(PeerError):
            Scene().give(invite().replace(b"SIP/2.0\r\n", b"SIP/7.0\r\n", 1))

    @pytest.mark.parametrize("name", [b"CSeq", b"Call-ID", b"From", b"To", b"Content-Length"])
    def test_multi01_what_may_be_there_once_is_there_twice(self, name: bytes) -> None:
        data = invite()
        line = next(line for line in data.split(b"\r\n") if line.startswith(name + b":"))
        assert Scene().status(data.replace(line, line + b"\r\n" + line, 1)) == 400

    def test_badbranch_a_branch_of_the_cookie_only_is_one(self) -> None:
        request, _ = Scene().request(invite(Via="SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK"))
        assert parse_via(request.all("via")[1]).branch == "z9hG4bK"

    def test_cparam_and_regescrt_belong_to_whom_they_concern(self) -> None:
        contact = "<sip:ann@192.0.2.1;unknownparam?Route=%3Csip:sip.example.com%3E>;q=1"
        assert Scene().request(invite(Contact=contact))[0].get("contact") == contact

    def test_unksm2_unknown_schemes_in_headers_that_nobody_routes_by(self) -> None:
        assert Scene().status(invite(method="REGISTER", To="isbn:2983792873")) == 401


class TestTimeToRead:
    """The cost of a message is bounded by its length."""

    @pytest.mark.timeout(5)
    @pytest.mark.parametrize("name", ["From", "To", "Contact", "Via", "Route"])
    @pytest.mark.parametrize(
        "value",
        [
            "\x0b" * 8000 + "b",
            "a" + " " * 8000 + "b",
            '"' * 8000,
            '"\\' * 4000,
            "<" * 8000,
            "; " * 4000 + "x",
        ],
        ids=["tabs", "blanks", "quotes", "escapes", "brackets", "parameters"],
    )
    def test_grows_with_the_length_only(self, name: str, value: str) -> None:
        scene = Scene()
        for data, came_from in ((invite(**{name: value}), CALLER), (worker_invite(**{name: value}), W1)):
            with contextlib.suppress(PeerError):
                scene.give(data, came_from)

    def test_a_port_that_is_no_number_in_a_response_is_dropped(self) -> None:
        scene = Scene()
        request, _ = scene.request(worker_invite(), W1)
        response = answer(request, 200, contact="<sip:bob@192.0.2.99>").replace(b"rport=10001", b"rport=x")
        with pytest.raises(PeerError):
            scene.give(response, CALLEE)
