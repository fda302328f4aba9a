"""The audio of session descriptions as phones, trunks and workers write them: what is read, what is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2bua.core.errors import PeerError
from b2bua.relay.control import MediaDescription
from b2bua.sip.sdp import parse_description
from b2bua.sip.sdp_audio import Audio, read_audio, show_inside, show_outside
from b2bua.sip.sdp_repair import has_usable_audio, repair
from tests.unit.sip.media_scene import INNER_HOST, MEDIA, assert_nothing_inside, worker_sdp
from tests.unit.sip.sdp_library import verdict
from tests.unit.sip.test_sdp import BODIES

pytestmark = pytest.mark.unit

INNER, OUTER = 30_005, 20_008
EVENTS = (101, "telephone-event/8000")
PCMU, PCMA, G722 = (0, "PCMU/8000"), (8, "PCMA/8000"), (9, "G722/8000")


def text(*lines: str) -> str:
    return "".join(f"{line}\r\n" for line in lines)


def said(**changes: object) -> MediaDescription:
    """What the plainest description says, but for ``changes``."""
    plainest = {"host": "192.0.2.1", "port": 4000, "rtcp_port": 4001, "formats": (PCMU,)}
    given = {**plainest, **changes}
    return MediaDescription(**{"rtcp_host": given["host"], **given})  # type: ignore[arg-type]


PHONE = text("v=0", "o=alice 2890844526 2890844526 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0")
AUDIO = "m=audio 4000 RTP/AVP 0\r\n"
PLAIN = PHONE + AUDIO

READ: dict[str, tuple[str, MediaDescription]] = {
    "the plainest": (PLAIN, said()),
    "Asterisk": (
        text(
            "v=0", "o=- 1746287 1746289 IN IP4 198.51.100.4", "s=Asterisk", "c=IN IP4 198.51.100.4", "t=0 0",
            "m=audio 14658 RTP/AVP 8 0 9 101", "a=rtpmap:8 PCMA/8000", "a=rtpmap:0 PCMU/8000",
            "a=rtpmap:9 G722/8000", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16", "a=ptime:20",
            "a=maxptime:140", "a=sendrecv",
        ),
        said(
            host="198.51.100.4", port=14658, rtcp_port=14659, formats=(PCMA, PCMU, G722, EVENTS), ptime_ms=20,
            max_ptime_ms=140,
        ),
    ),
    "FreeSWITCH, with an address for RTCP": (
        text(
            "v=0", "o=FreeSWITCH 1699000000 1699000001 IN IP4 198.51.100.5", "s=FreeSWITCH",
            "c=IN IP4 198.51.100.5", "t=0 0", "m=audio 27320 RTP/AVP 0 101 13", "a=rtpmap:0 PCMU/8000",
            "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", "a=rtpmap:13 CN/8000",
            "a=rtcp:27399 IN IP4 198.51.100.6", "a=ptime:20",
        ),
        said(
            host="198.51.100.5", port=27320, rtcp_host="198.51.100.6", rtcp_port=27399,
            formats=(PCMU, EVENTS, (13, "CN/8000")), ptime_ms=20,
        ),
    ),
    "Cisco, with the address at the medium and a second type of keys": (
        text(
            "v=0", "o=Cisco-SIPUA 23 0 IN IP4 192.0.2.40", "s=SIP Call", "b=AS:4064", "t=0 0",
            "m=audio 18042 RTP/AVP 114 9 124 0 8 116 18 101", "c=IN IP4 192.0.2.40", "b=TIAS:64000",
            "a=rtpmap:114 opus/48000/2", "a=fmtp:114 maxplaybackrate=16000", "a=rtpmap:9 G722/8000",
            "a=rtpmap:124 ISAC/16000", "a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000",
            "a=rtpmap:116 iLBC/8000", "a=rtpmap:18 G729/8000", "a=fmtp:18 annexb=yes",
            "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", "a=sendrecv",
        ),
        said(
            host="192.0.2.40", port=18042, rtcp_port=18043,
            formats=(
                (114, "OPUS/48000/2"), G722, (124, "ISAC/16000"), PCMU, PCMA, (116, "ILBC/8000"),
                (18, "G729/8000"), EVENTS,
            ),
        ),
    ),
    "Linphone, with keys for SRTP and another number for telephone-event": (
        text(
            "v=0", "o=bob 1190 2063 IN IP4 192.0.2.50", "s=Talk", "c=IN IP4 192.0.2.50", "t=0 0",
            "a=rtcp-xr:rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics", "a=record:off",
            "m=audio 7078 RTP/SAVP 96 97 0 8 98", "a=rtpmap:96 opus/48000/2",
            "a=rtpmap:97 telephone-event/48000", "a=rtpmap:98 telephone-event/8000",
            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNk",
            "a=rtcp-fb:* trr-int 1000",
        ),
        said(
            host="192.0.2.50", port=7078, rtcp_port=7079, plain=False,
            formats=(
                (96, "OPUS/48000/2"), (97, "telephone-event/48000"), PCMU, PCMA, (98, "telephone-event/8000")
            ),
        ),
    ),
    "a phone that only offers keys for SRTP": (
        PLAIN + "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:QUJD\r\n", said(plain=False)
    ),
    "keys for the whole session": (
        PHONE + "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:QUJD\r\n" + AUDIO, said(plain=False)
    ),
    "a trunk that offers RTCP on the same port": (PLAIN + "a=rtcp-mux\r\na=rtcp-mux-only\r\n", said()),
    "a browser's RTCP, which is nowhere": (
        PLAIN + "a=rtcp:9 IN IP4 0.0.0.0\r\na=rtcp-mux\r\n", said(rtcp_host="0.0.0.0", rtcp_port=0)
    ),
    "a port for RTCP": (PLAIN + "a=rtcp:53020\r\n", said(rtcp_port=53020)),
    "a port for RTCP that is none": (PLAIN + "a=rtcp:99999\r\n", said(rtcp_port=0)),
    "an address for RTCP that is none": (PLAIN + "a=rtcp:4009 IN IP4 x\r\n", said(rtcp_port=4009)),
    "IPv6": (
        text("v=0", "o=- 1 1 IN IP6 2001:db8::1", "s=-", "c=IN IP6 2001:DB8:0::1", "t=0 0") + AUDIO,
        said(host="2001:db8::1"),
    ),
    "a name": (PLAIN.replace("c=IN IP4 192.0.2.1", "c=IN IP4 media.example.com"), said(host="")),
    "hold by sendonly": (PLAIN + "a=sendonly\r\n", said(direction="sendonly")),
    "hold by inactive": (PLAIN + "a=inactive\r\n", said(direction="inactive")),
    "hold by the address": (PLAIN.replace("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0"), said(host="0.0.0.0")),
    "hold of the whole session": (PHONE + "a=sendonly\r\n" + AUDIO, said(direction="sendonly")),
    "a session on hold, but not its audio": (PHONE + "a=sendonly\r\n" + AUDIO + "a=sendrecv\r\n", said()),
    "a medium's own address": (PLAIN + "c=IN IP4 192.0.2.9\r\n", said(host="192.0.2.9")),
    "the last port": (PLAIN.replace("4000", "65535"), said(port=65535, rtcp_port=0)),
    "refused": (PLAIN.replace("4000", "0"), said(port=0, rtcp_port=0)),
    "a static number with another name": (PLAIN + "a=rtpmap:0 G729/8000\r\n", said()),
    "a name with one channel, in small letters": (
        PHONE + "m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 pcmu/8000/1\r\n", said(formats=((96, "PCMU/8000"),))
    ),
    "a name without a clock": (
        PHONE + "m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 Telephone-Event\r\n",
        said(formats=((96, "telephone-event/8000"),)),
    ),
    "a static number that has no name": (PHONE + "m=audio 4000 RTP/AVP 1\r\n", said(formats=((1, ""),))),
    "half a millisecond": (PLAIN + "a=ptime:20.5\r\n", said(ptime_ms=20)),
    "no number of milliseconds": (PLAIN + "a=ptime:fast\r\na=maxptime:999999\r\n", said()),
}  # fmt: skip


def offered(body: str) -> Audio:
    description = parse_description(body.encode())
    repair(description)
    return read_audio(description, mux=False)


@pytest.mark.parametrize(("body", "expected"), READ.values(), ids=READ)
def test_what_a_party_says(body: str, expected: MediaDescription) -> None:
    assert offered(body) == (expected,)


def test_a_worker_has_rtcp_on_the_port_of_rtp() -> None:
    (said,) = read_audio(parse_description(worker_sdp(41_000).encode()), mux=True)
    assert said is not None and (said.port, said.rtcp_port, said.rtcp_host) == (41_000, 41_000, INNER_HOST)
    (said,) = read_audio(parse_description(worker_sdp(41_000, mux=False).encode()), mux=True)
    assert said is not None and said.rtcp_port == 41_001


def test_media_that_are_no_audio_have_their_place() -> None:
    video = "m=video 5000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"
    assert offered(PHONE + video + AUDIO) == (None, said())


# -- inside ---------------------------------------------------------------------------------------------


def inside(body: str) -> str:
    description = parse_description(body.encode())
    repair(description)
    show_inside(description, INNER_HOST, INNER)
    shown = description.to_bytes()
    assert verdict(shown) == "ok"
    return shown.decode()


@pytest.mark.parametrize("body", [body for body, _ in READ.values()], ids=READ)
def test_a_worker_is_shown_the_relay_alone(body: str) -> None:
    shown = inside(body)
    media = read_audio(parse_description(shown.encode()), mux=True)[0]
    before = offered(body)[0]
    assert media is not None and before is not None
    if before.port:
        host = "0.0.0.0" if before.host == "0.0.0.0" else INNER_HOST
        assert (media.host, media.port, media.rtcp_port) == (host, INNER, INNER)
    else:
        assert media.port == 0
    assert shown.count("a=rtcp-mux\r\n") == (1 if before.port else 0)
    assert "a=rtcp:" not in shown and "rtcp-mux-only" not in shown
    for name in ("formats", "direction", "plain", "ptime_ms", "max_ptime_ms"):
        assert getattr(media, name) == getattr(before, name)


def test_what_a_worker_need_not_be_shown_otherwise_stays() -> None:
    body = READ["Asterisk"][0]
    lines = [line for line in inside(body).splitlines() if line != "a=rtcp-mux"]
    expected = body.replace("c=IN IP4 198.51.100.4", f"c=IN IP4 {INNER_HOST}").replace("14658", str(INNER))
    assert lines == expected.splitlines()


def test_hold_over_ipv6_is_hold_for_the_worker() -> None:
    body = text("v=0", "o=- 1 1 IN IP6 2001:db8::1", "s=-", "c=IN IP6 ::", "t=0 0") + AUDIO
    assert "c=IN IP4 0.0.0.0\r\n" in inside(body)


def test_each_of_several_audio_media_leads_to_the_relay() -> None:
    second = "m=audio 4002 RTP/AVP 8\r\nc=IN IP4 192.0.2.2\r\n"
    video = "m=video 5000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"
    shown = inside(PLAIN + video + second)
    assert shown.count(f"m=audio {INNER} ") == 2
    assert "m=video 5000 " in shown
    assert "192.0.2.1" not in shown.replace("o=alice 2890844526 2890844526 IN IP4 192.0.2.1", "")


# -- outside --------------------------------------------------------------------------------------------


def outside(body: str, host: str = MEDIA, port: int = OUTER) -> str:
    description = parse_description(body.encode())
    show_outside(description, host, port)
    shown = description.to_bytes()
    assert verdict(shown) == "ok"
    assert_nothing_inside(b"\r\n\r\n" + shown)
    return shown.decode()


@pytest.mark.parametrize(("host", "family"), [(MEDIA, "IP4"), ("2001:db8::8", "IP6")])
def test_a_party_is_shown_the_relay_alone(host: str, family: str) -> None:
    shown = outside(worker_sdp(), host)
    assert f"o=- 3900000000 3900000001 IN {family} {host}\r\n" in shown
    assert f"c=IN {family} {host}\r\n" in shown
    assert f"m=audio {OUTER} RTP/AVP 8 0 101\r\n" in shown
    assert f"a=rtcp:{OUTER + 1}\r\n" in shown
    assert "rtcp-mux" not in shown


def test_what_a_party_need_not_be_shown_otherwise_stays() -> None:
    about_rtcp = ("a=rtcp:", "a=rtcp-mux")
    before = worker_sdp(more="a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:QUJD")
    expected = before.replace(INNER_HOST, MEDIA).replace("m=audio 41000", f"m=audio {OUTER}").splitlines()
    assert [line for line in outside(before).splitlines() if not line.startswith(about_rtcp)] == [
        line for line in expected if not line.startswith(about_rtcp)
    ]


@pytest.mark.parametrize(
    ("media", "expected"),
    [
        ("m=audio 0 RTP/AVP 8\r\n", ["m=audio 0 RTP/AVP 8"]),
        ("m=video 0 RTP/AVP 34\r\n" + AUDIO, ["m=video 0 RTP/AVP 34", f"m=audio {OUTER} RTP/AVP 0"]),
        ("m=audio 0 RTP/AVP 8\r\n" + AUDIO, ["m=audio 0 RTP/AVP 8", f"m=audio {OUTER} RTP/AVP 0"]),
        (AUDIO + AUDIO, [f"m=audio {OUTER} RTP/AVP 0", "m=audio 0 RTP/AVP 0"]),
        ("m=image 41002 udptl t38\r\n" + AUDIO, ["m=image 0 udptl t38", f"m=audio {OUTER} RTP/AVP 0"]),
        (AUDIO + "m=image 41002 udptl t38\r\n", [f"m=audio {OUTER} RTP/AVP 0", "m=image 0 udptl t38"]),
    ],
    ids=["refused", "after refused video", "after refused audio", "two", "after a fax", "before a fax"],
)  # fmt: skip
def test_one_medium_has_the_port_of_the_leg(media: str, expected: list[str]) -> None:
    head = f"v=0\r\no=- 1 1 IN IP4 {INNER_HOST}\r\ns=-\r\nc=IN IP4 {INNER_HOST}\r\nt=0 0\r\n"
    shown = outside(head + media)
    assert [line for line in shown.splitlines() if line.startswith("m=")] == expected


def test_a_worker_that_holds_by_the_address_does_so_outside() -> None:
    shown = outside(worker_sdp().replace(f"c=IN IP4 {INNER_HOST}", "c=IN IP4 0.0.0.0"))
    assert "c=IN IP4 0.0.0.0\r\n" in shown


def test_without_a_leg_there_is_no_port() -> None:
    shown = outside(worker_sdp(), port=0)
    assert "m=audio 0 RTP/AVP" in shown and "a=rtcp" not in shown


@given(st.one_of(BODIES, st.binary(max_size=200)), st.sampled_from(["IP4", "IP6"]))
def test_whatever_comes_the_library_can_read_what_a_worker_is_shown(body: bytes, family: str) -> None:
    try:
        description = parse_description(body)
        repair(description)
    except PeerError:
        return
    has_usable_audio(description, ("PCMU",), family)
    before = read_audio(description, mux=False)
    show_inside(description, INNER_HOST, INNER)
    assert verdict(description.to_bytes()) == "ok"
    after = read_audio(parse_description(description.to_bytes()), mux=True)
    assert [each and (each.port, each.formats) for each in after] == [
        each and (INNER if each.port else 0, each.formats) for each in before
    ]
