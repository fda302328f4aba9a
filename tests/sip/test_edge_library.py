"""The edge in front of the real library: every malformed INVITE gets a response, none costs a worker."""

import asyncio

import pytest

from b2bua.sip.message import Response, parse_message
from tests.peer.ladder import PATIENCE_S
from tests.peer.webapp import WebApp
from tests.sip.edge_process import UdpPeer
from tests.sip.node_process import NodeProcess
from tests.unit.sip.test_torture import ODD_METHOD

pytestmark = pytest.mark.sip

SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"

NOT_NEEDED = [
    "Expires: soon",
    "Session-Expires: abc",
    "Min-SE: -1",
    "Allow: INVITE,,BYE",
    "Supported: ,,",
    "Authorization: Bearer abc",
    "Event: ",
    "Subscription-State: ;x",
    "Proxy-Require: privacy",
]
CARRIED = [
    "Contact: <sip:a@127.0.0.1>;q=high",
    'Contact: sip:a@127.0.0.1;+sip.instance="<urn:gsma:imei:1>";audio',
    "From: <sip:a@127.0.0.1>;tag=x;;",
    "From: <sip:a@127.0.0.1;x=AA=>;tag=a=b",
    "To: <sip:100@127.0.0.1?>",
    "To: <urn:service:sos>",
    "Record-Route: <sip:127.0.0.1;lr;vsf=AA=>",
    "Content-Type: application/sdp;",
]
NEEDED = [
    "Contact: nonsense",
    "From: <<>>;tag=x",
    "Record-Route: nonsense",
    "To: 100",
    "Content-Type: application/",
]


def invite(node: NodeProcess, port: int, name: str, odd: str) -> bytes:
    lines = [
        f"Via: SIP/2.0/UDP 127.0.0.1:{port};rport;branch=z9hG4bK{name}",
        "Max-Forwards: 70",
        f"From: <sip:a@127.0.0.1>;tag={name}",
        "To: <sip:100@127.0.0.1>",
        f"Call-ID: {name}",
        "CSeq: 1 INVITE",
        f"Contact: <sip:a@127.0.0.1:{port}>",
        "Content-Type: application/sdp",
    ]
    kind = odd.partition(":")[0]
    lines = [line for line in lines if line.partition(":")[0] != kind]
    head = "\r\n".join([f"INVITE {node.uri('100')} SIP/2.0", *lines, odd, f"Content-Length: {len(SDP)}"])
    return f"{head}\r\n\r\n{SDP}".encode()


async def final_status(node: NodeProcess, name: str, odd: str) -> int:
    """The first final response to an INVITE with an odd header, which is sent once."""
    peer = await UdpPeer.open()
    try:
        peer.send(invite(node, peer.port, name, odd), node.udp[1])
        while True:
            async with asyncio.timeout(PATIENCE_S):
                response = parse_message(await peer.came.get())
            assert isinstance(response, Response)
            if response.status >= 200:
                return response.status
    finally:
        peer.close()


def started(node: NodeProcess) -> int:
    """Number of workers started so far."""
    return sum(line.get("event") == "worker" for line in node.log())


async def test_what_nobody_needs_stops_no_call(node: NodeProcess, app: WebApp) -> None:
    app.reply("/voice", '<Response><Reject reason="busy"/></Response>')
    for number, odd in enumerate(NOT_NEEDED):
        assert (odd, await final_status(node, f"odd{number}", odd)) == (odd, 486)


async def test_what_is_needed_is_carried_past_the_library(node: NodeProcess, app: WebApp) -> None:
    app.reply("/voice", '<Response><Reject reason="busy"/></Response>')
    for number, odd in enumerate(CARRIED):
        assert (odd, await final_status(node, f"carried{number}", odd)) == (odd, 486)


async def test_what_is_beyond_help_is_400_and_costs_no_worker(node: NodeProcess, app: WebApp) -> None:
    app.reply("/voice", '<Response><Reject reason="busy"/></Response>')
    for number, odd in enumerate(NEEDED * 4):
        assert (odd, await final_status(node, f"bad{number}", odd)) == (odd, 400)
    assert await final_status(node, "good", "X-Good: 1") == 486


async def test_what_nobody_can_do_is_420_and_costs_no_worker(node: NodeProcess, app: WebApp) -> None:
    app.reply("/voice", '<Response><Reject reason="busy"/></Response>')
    before = started(node)
    for number in range(4):
        assert await final_status(node, f"required{number}", "Require: privacy") == 420
    assert await final_status(node, "able", "Require: 100rel") == 486
    assert started(node) - before <= 1


async def test_a_method_of_odd_characters_is_501(node: NodeProcess) -> None:
    peer = await UdpPeer.open()
    try:
        peer.send(ODD_METHOD, node.udp[1])
        assert (await peer.response()).status == 501
    finally:
        peer.close()


@pytest.mark.parametrize("sections", [{"workers": {"idle": 5, "max": 6}}], scope="module")
async def test_a_number_that_dials_itself_goes_round_as_often_as_it_has_hops(
    node: NodeProcess, app: WebApp
) -> None:
    """One hop in and one hop out each time: 6, 4, 2."""
    app.reply(
        "/voice", f'<Response><Dial answerOnBridge="true"><Sip>{node.uri("100")}</Sip></Dial></Response>'
    )
    assert await final_status(node, "loop", "Max-Forwards: 6") >= 400
    assert len(app.of("/voice")) == 3
