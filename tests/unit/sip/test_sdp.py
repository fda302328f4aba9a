"""Session descriptions: what is repaired, left alone, or refused; the library is the judge."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2bua.core.errors import PeerError
from b2bua.sip.sdp import Description, parse_description
from b2bua.sip.sdp_repair import MAX_ATTRIBUTES, MAX_AUDIO, MAX_FORMATS, has_usable_audio, repair
from tests.unit.sip.sdp_library import verdict

pytestmark = pytest.mark.unit

CODECS = ("PCMU", "PCMA", "G722")
SESSION = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
AUDIO = "m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
GOOD = SESSION + AUDIO


def mended(text: str) -> str:
    description = parse_description(text.encode("utf-8", "surrogateescape"))
    repair(description)
    return description.to_bytes().decode("utf-8", "surrogateescape")


def described(audio: str) -> Description:
    description = parse_description((SESSION + audio).encode())
    repair(description)
    return description


LEFT_ALONE = {
    "a plain one": GOOD,
    "a name with blanks": GOOD.replace("s=-", "s=A call"),
    "a blank for a name": GOOD.replace("s=-", "s= "),
    "numbers of 64 bits": GOOD.replace("- 1 1", "- 4611731400430051336 2"),
    "a long dead time": GOOD.replace("t=0 0", "t=2873397496 2873404696\r\nr=7d 1h 0 25h"),
    "more about the session": GOOD.replace("c=", "i=x y\r\nu=http://x\r\ne=a@b\r\nb=AS:64\r\nc="),
    "IPv6": GOOD.replace("IP4 192.0.2.1", "IP6 2001:db8::1"),
    "two ports": GOOD.replace("4000", "4000/2"),
    "video beside it": GOOD + "m=video 4002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\na=fmtp:96 x=1;y=2\r\n",
    "a fax": SESSION + "m=image 4002 udptl t38\r\na=T38FaxVersion:0\r\n",
    "a data channel": GOOD + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=sctp-port:5000\r\n",
    "messages": GOOD + "m=message 7394 TCP/MSRP *\r\n",
    "a type of two media": GOOD + "m=audio 4004 RTP/AVP 101\r\na=rtpmap:101 L16/16000/2\r\n",
    "text that is not ASCII": GOOD.replace("s=-", "s=Grüße") + "a=label:é\r\n",
    "a key": GOOD + "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc|2^20|1:4 FEC_ORDER=FEC_SRTP\r\n",
    "names of what is static": GOOD
    + "a=rtpmap:0 PCMU/8000\r\na=rtcp:4001 IN IP4 192.0.2.1\r\na=sendonly\r\n",
}


@pytest.mark.parametrize("text", LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_what_the_library_can_read_is_left_alone(text: str) -> None:
    assert verdict(text.encode()) == "ok"
    assert mended(text) == text


MENDED = {
    "an empty name": ("s=-", "s=", "s=-"),
    "no name": ("s=-\r\n", "", "s=-\r\n"),
    "blanks in a user's name": ("o=- ", "o=John Q. Public ", "o=John_Q._Public "),
    "no user's name": ("o=- ", "o=", "o=- "),
    "a session's number of too many digits": ("- 1 1", "- 18446744073709551616 1", "- 8446744073709551616 1"),
    "a version that is no number": ("- 1 1", "- 1 abc", "- 1 891568578"),
    "small letters": ("IN IP4 192.0.2.1\r\ns", "in ip4 192.0.2.1\r\ns", "IN IP4 192.0.2.1\r\ns"),
    "an unknown network": ("IN IP4 192.0.2.1\r\ns", "IN ATM x\r\ns", "IN IP4 0.0.0.0\r\ns"),
    "an origin without an address": ("IN IP4 192.0.2.1\r\ns", "IN IP4\r\ns", "IN IP4 0.0.0.0\r\ns"),
    "an origin that is none": ("o=- 1 1 IN IP4 192.0.2.1", "o=me", "o=- 2891092674 0 IN IP4 0.0.0.0"),
    "no origin": ("o=- 1 1 IN IP4 192.0.2.1\r\n", "", "o=- 0 0 IN IP4 0.0.0.0\r\n"),
    "no version": ("v=0\r\n", "", "v=0\r\n"),
    "a version with blanks": ("v=0", "v= 0 ", "v=0"),
    "a time that is none": ("t=0 0", "t=now", "t=0 0"),
    "a negative time": ("t=0 0", "t=-1 0", "t=0 0"),
    "an address with a time to live": ("192.0.2.1\r\nt", "192.0.2.1/127/3\r\nt", "192.0.2.1\r\nt"),
    "blanks in an address": ("c=IN IP4 192.0.2.1", "c=in  IP4\t192.0.2.1 ", "c=IN IP4 192.0.2.1"),
    "a bandwidth that is none": ("t=0 0", "b=AS\r\nt=0 0", "t=0 0"),
    "a bandwidth with a blank": ("t=0 0", "b=AS: 64\r\nt=0 0", "b=AS:64\r\nt=0 0"),
    "attributes without a name": ("t=0 0", "a=\r\na=:x\r\na=é:1\r\nt=0 0", "t=0 0"),
    "an attribute behind a blank": ("t=0 0", "t=0 0\r\na= tool:x", "t=0 0\r\na=tool:x"),
    "lines that are none": ("t=0 0", "X-Y: z\r\na\r\n\r\n \r\nt=0 0", "t=0 0"),
    "a line with a NUL": ("t=0 0", "t=0 0\r\na=x:\0y", "t=0 0"),
    "a line behind a blank": ("t=0 0", " t=0 0", "t=0 0"),
    "blanks between types": ("4000 RTP/AVP 0 ", " 4000  RTP/AVP\t0  ", "4000 RTP/AVP 0 "),
    "blanks in a name": ("101 telephone-event/8", " 101  telephone-event / 8", "101 telephone-event/8"),
    "a name without a clock": ("telephone-event/8000", "telephone-event", "telephone-event/8000"),
    "a type twice": ("0 101\r\n", "0 101 101 0\r\n", "0 101\r\n"),
    "a type without a name": ("0 101\r\n", "0 96 101 127\r\n", "0 101\r\n"),
    "a name that is none": ("a=fmtp", "a=rtpmap:\r\na=rtpmap:96\r\na=fmtp", "a=fmtp"),
    "types that are none": ("0 101\r\n", "0 128 null 1000 99999 (x) 0x1 101\r\n", "0 101\r\n"),
    "a type with zeros before it": ("0 101\r\n", "00 101\r\n", "0 101\r\n"),
    "two names of a type": (
        "a=rtpmap:101 ", "a=rtpmap:101 telephone-event/16000\r\na=rtpmap:101 ", "a=rtpmap:101 "
    ),
    "two names and two sets of parameters": (
        "a=rtpmap:101 ", "a=rtpmap:101 X/16000\r\na=fmtp:101 wide\r\na=rtpmap:101 ", "a=rtpmap:101 "
    ),
}  # fmt: skip


@pytest.mark.parametrize(("good", "odd", "after"), MENDED.values(), ids=MENDED)
def test_mended(good: str, odd: str, after: str) -> None:
    assert good in GOOD
    text = mended(GOOD.replace(good, odd, 1))
    assert text == GOOD.replace(good, after, 1)
    assert verdict(text.encode()) == "ok"


REFUSED_BY_THE_LIBRARY = [name for name in MENDED if name not in (
    "a version that is no number", "a line with a NUL", "a name without a clock", "a type twice",
    "a name that is none", "a type with zeros before it", "two names of a type",
    "two names and two sets of parameters", "no version", "a time that is none", "a bandwidth that is none",
)]  # fmt: skip
"""Except for what it ignores, misreads, or does not look at."""


@pytest.mark.parametrize("name", REFUSED_BY_THE_LIBRARY)
def test_the_library_refuses_it_unmended(name: str) -> None:
    good, odd, _ = MENDED[name]
    assert verdict(GOOD.replace(good, odd, 1).encode()) != "ok"


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\n\r", "\r\r\n"])
def test_any_line_end(end: str) -> None:
    assert mended(GOOD.replace("\r\n", end)) == GOOD


def test_a_last_line_without_an_end() -> None:
    assert mended(SESSION + AUDIO + "i=x") == SESSION + AUDIO + "i=x\r\n"


class TestMedia:
    def test_a_refused_one_needs_an_address_all_the_same(self) -> None:
        address = "c=IN IP4 192.0.2.1\r\n"
        text = SESSION.replace(address, "") + "m=audio 4000 RTP/AVP 0\r\ni=x\r\n" + address
        text = mended(text + "m=video 0 RTP/AVP 31\r\ni=y\r\nm=image 0 udptl t38\r\n")
        assert verdict(text.encode()) == "ok"
        assert text.endswith(
            "m=video 0 RTP/AVP 31\r\ni=y\r\nc=IN IP4 0.0.0.0\r\nm=image 0 udptl t38\r\nc=IN IP4 0.0.0.0\r\n"
        )
        assert text.count("c=") == 3

    def test_one_of_which_nothing_can_be_had_is_refused_in_its_place(self) -> None:
        text = mended(
            GOOD + "m=video 4002 RTP/AVP 96\r\nm=application 9 DTLS/SCTP 5000\r\nm=audio 1 RTP/AVP\r\n"
        )
        assert verdict(text.encode()) == "ok"
        assert re.findall("m=(.*)\r", text) == [
            "audio 4000 RTP/AVP 0 101", "video 0 RTP/AVP 0", "application 0 DTLS/SCTP *", "audio 0 RTP/AVP 0"
        ]  # fmt: skip

    def test_more_types_than_there_is_room_for_lose_those_that_nobody_knows(self) -> None:
        types = [*range(20, 60), 0, 101]
        audio = described(AUDIO.replace("0 101", " ".join(map(str, types)))).media[0]
        assert audio.formats == [*map(str, range(20, 20 + MAX_FORMATS - 2)), "0", "101"]

    def test_more_attributes_than_there_is_room_for_lose_those_that_nobody_reads(self) -> None:
        candidates = "a=candidate:1 1 UDP 1 192.0.2.1 9 typ host\r\n" * 80
        idle = "".join(f"a=rtpmap:{number} X/8000\r\na=fmtp:{number} x\r\n" for number in range(20, 60))
        line, rest = AUDIO.split("\r\n", 1)
        audio = described(f"{line}\r\n{candidates}{idle}{rest}a=sendonly\r\n").media[0]
        assert "".join(f"{kind}={value}\r\n" for kind, value in audio.lines) == rest + "a=sendonly\r\n"

    def test_of_many_for_audio_the_first_are_enough(self) -> None:
        media = described(AUDIO * 16).media
        assert [medium.port for medium in media] == [4000] * MAX_AUDIO + [0] * (16 - MAX_AUDIO)

    def test_there_is_an_end_to_those_that_are_read(self) -> None:
        audio = described(AUDIO + "a=crypto:1 x\r\n" * 1000).media[0]
        assert len(audio.lines) == MAX_ATTRIBUTES


NOT_TO_BE_HAD = {
    "nothing": "",
    "no SDP": "this is no SDP",
    "another version": GOOD.replace("v=0", "v=1"),
    "a medium without a port": GOOD + "m=video\r\n",
    "a medium of a port that is none": GOOD + "m=video 65536 RTP/AVP 31\r\n",
    "a medium of no profile": GOOD + "m=video 4002\r\n",
    "a medium of no kind": GOOD + "m=(x) 4002 RTP/AVP 31\r\n",
    "audio without an address": GOOD.replace("c=IN IP4 192.0.2.1\r\n", ""),
    "audio with an address that is none": GOOD.replace("c=IN IP4 192.0.2.1", "c=IN IP4"),
    "audio of an unknown network": GOOD.replace("c=IN IP4", "c=IN ATM"),
    "seventeen media": GOOD + "m=video 4002 RTP/AVP 31\r\n" * 16,
}


@pytest.mark.parametrize("text", NOT_TO_BE_HAD.values(), ids=NOT_TO_BE_HAD)
def test_not_to_be_had(text: str) -> None:
    with pytest.raises(PeerError) as raised:
        mended(text)
    assert raised.value.sip_status_hint == 488


AUDIBLE = {
    "m=audio 4000 RTP/AVP 0": True,
    "m=audio 4000 RTP/AVPF 18 9": True,
    "m=audio 4000 rtp/avp 8": True,
    "m=audio 4000 RTP/AVP 97\r\na=rtpmap:97 pcmu/8000/1": True,
    "m=audio 4000 RTP/SAVP 0\r\na=crypto:1 x": True,
    "m=audio 4000 RTP/SAVP 0": False,
    "m=audio 4000 UDP/TLS/RTP/SAVPF 0": False,
    "m=audio 4000 RTP/AVP 18": False,
    "m=audio 4000 RTP/AVP 97\r\na=rtpmap:97 PCMU/16000": False,
    "m=audio 4000 RTP/AVP 97\r\na=rtpmap:97 L16/8000": False,
    "m=audio 4000 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000": False,
    "m=audio 0 RTP/AVP 0": False,
    "m=video 4000 RTP/AVP 0": False,
    "m=image 4000 udptl t38": False,
    "m=video 0 RTP/AVP 31\r\nm=audio 4000 RTP/AVP 0": True,
    "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 media.example.com": True,
    "m=audio 4000 RTP/AVP 0\r\nc=IN IP6 2001:db8::1": False,
    "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 2001:db8::1": False,
    "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 300.1.1.1": False,
    "": False,
}


@pytest.mark.parametrize(("media", "usable"), AUDIBLE.items())
def test_audio_that_a_worker_can_take(media: str, usable: bool) -> None:
    assert has_usable_audio(described(media), CODECS) is usable


def test_only_codecs_that_the_workers_have_count() -> None:
    assert not has_usable_audio(described("m=audio 4000 RTP/AVP 0"), ("PCMA",))


PIECES = st.sampled_from(
    ["v=0", "v=", "o=- 1 1 IN IP4 h", "o=", "o=a b c", "s=", "s=x", "t=0 0", "t=", "c=IN IP4 h",
     "c=IN IP6 ::1/3", "c=", "b=AS:1", "b=", "a=", "a=x", "a=x:y", "a=sendonly",
     "a=rtpmap:97 PCMU/8000", "a=rtpmap:97", "k=x", "", "a=rtpmap:96 a/b", "a=rtpmap: 98  a/1/2",
     "a=fmtp:97 x", "a=fmtp:97", "i=", "z", " ", "m=audio 1 RTP/AVP 0",
     "m=audio 1 RTP/AVP 0 96 97 98 98 127", "m=audio 1 RTP/AVP 96", "m=video 0 RTP/AVP",
     "m=video 9/2 x 300 q", "m=audio 1/2 RTP/SAVP 0 x", "m=audio  9\tRTP/AVP  0 "]
)  # fmt: skip
LINES = st.lists(st.one_of(PIECES, st.text(max_size=20)), max_size=25)
BODIES = st.one_of(
    st.builds("\r\n".join, LINES), st.builds(lambda lines: GOOD + "\r\n".join(lines), LINES)
).map(lambda text: text.encode("utf-8", "surrogatepass"))  # fmt: skip


@given(st.one_of(BODIES, st.binary(max_size=200)))
def test_whatever_comes_the_library_can_read_what_we_make_of_it(body: bytes) -> None:
    try:
        description = parse_description(body)
        repair(description)
    except PeerError as error:
        assert error.sip_status_hint == 488
        return
    text = description.to_bytes()
    assert verdict(text) == "ok"
    again = parse_description(text)
    repair(again)
    assert again.to_bytes() == text
    has_usable_audio(description, CODECS)
