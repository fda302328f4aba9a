"""Calls of workers to the relay: the edge answers them, and nobody else can place one."""

import pytest

from b2bua.core.ids import WorkerId
from b2bua.relay.control import CloseLeg, DescribeLeg, EdgeHello, LegClosed, LegKey, MediaDescription, OpenLeg
from b2bua.sip.edge_control import GrantLease
from b2bua.sip.message import Response
from tests.unit.sip.edge_scene import INSIDE, SECRET, W1, worker_invite
from tests.unit.sip.media_scene import INNER_HOST, PAIRS, MediaScene, with_sdp, worker_sdp

pytestmark = pytest.mark.unit

URI = "sip:relay@link.invalid"
KEY = LegKey("leg-1", "w1")
OPENED = OpenLeg(leg=KEY, pair=PAIRS[0], inside=True)
FORMATS = ((0, "PCMU/8000"), (101, "telephone-event/8000"))


def call(body: str = "", *, method: str = "INVITE", **changes: str | None) -> bytes:
    bare = worker_invite(URI, method=method, **{"X_B2bua_Link": SECRET, **changes})
    return with_sdp(bare, body or worker_sdp()) if method == "INVITE" else bare


def within(answer: Response, method: str, **changes: str | None) -> bytes:
    """A request of the dialog, which goes by the route that the answer has set."""
    to = answer.get("to")
    bare: dict[str, str | None] = {"X_B2bua_Link": None, "Content_Type": None}
    given = {"To": to, "CSeq": f"2 {method}", "Route": answer.get("record-route"), **bare}
    return worker_invite(URI, method=method, **{**given, **changes})


def answered(scene: MediaScene) -> Response:
    answer, to = scene.response(call(), W1)
    assert (answer.status, to) == (200, W1)
    return answer


def test_the_edge_answers_with_the_inner_port_and_g711() -> None:
    scene = MediaScene()
    answer = answered(scene)
    assert answer.body.decode().splitlines() == [
        "v=0", f"o=- 0 0 IN IP4 {INNER_HOST}", "s=-", f"c=IN IP4 {INNER_HOST}", "t=0 0",
        f"m=audio {PAIRS[0].inner} RTP/AVP 0 101", "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:101 telephone-event/8000", "a=ptime:20", "a=sendrecv", "a=rtcp-mux",
    ]  # fmt: skip
    assert answer.get("record-route") == INSIDE
    assert answer.get("contact") == f"<{URI}>"
    assert scene.proxy.leases.busy == 0


def test_the_relay_is_told_of_it_before() -> None:
    scene = MediaScene()
    answered(scene)
    opened, told = scene.news
    assert opened == OPENED
    assert (told.far.host, told.far.port, told.far.rtcp_port) == (INNER_HOST, 41_000, 0)
    assert told.near == MediaDescription(
        host=INNER_HOST, port=PAIRS[0].inner, rtcp_host=INNER_HOST, rtcp_port=0, formats=FORMATS, ptime_ms=20
    )
    assert scene.proxy.media.hello()[1:] == [OPENED, told]


def test_a_retransmission_gets_the_same_answer_and_the_same_port() -> None:
    scene = MediaScene()
    assert answered(scene).to_bytes() == answered(scene).to_bytes()
    assert scene.all(OpenLeg) == [OPENED]


def test_its_end_closes_the_leg() -> None:
    scene = MediaScene()
    answer = answered(scene)
    assert scene.give(within(answer, "ACK", CSeq="1 ACK"), W1) == []
    assert scene.status(within(answer, "BYE"), W1) == 200
    assert scene.news[-1] == CloseLeg(leg=KEY)
    assert scene.status(within(answer, "BYE"), W1) == 200  # again: the answer was lost
    assert len(scene.all(CloseLeg)) == 1
    assert [type(each) for each in scene.proxy.media.hello()] == [EdgeHello]


def test_the_end_of_its_worker_closes_the_leg() -> None:
    scene = MediaScene()
    answered(scene)
    scene.news += scene.proxy.obey(GrantLease(worker=WorkerId("w1"), sip_port=W1.port), scene.now)
    assert scene.all(CloseLeg) == [CloseLeg(leg=KEY)]


def test_a_leg_that_the_relay_has_lost_is_forgotten() -> None:
    scene = MediaScene()
    answer = answered(scene)
    scene.proxy.relay(LegClosed(leg=KEY), scene.now)
    assert scene.status(within(answer, "BYE"), W1) == 200
    assert scene.all(CloseLeg) == []


@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "INFO"])
def test_nothing_else_happens_in_it(method: str) -> None:
    scene = MediaScene()
    assert scene.status(within(answered(scene), method), W1) == 488


@pytest.mark.parametrize(
    "body",
    [
        worker_sdp(formats="9 101", more="a=rtpmap:9 G722/8000"),
        worker_sdp().replace("RTP/AVP", "RTP/SAVP"),
        worker_sdp(port=0),
    ],
)
def test_without_g711_in_clear_there_is_none(body: str) -> None:
    scene = MediaScene()
    assert scene.status(call(body), W1) == 488
    assert scene.news == []


def test_of_several_media_one_is_taken() -> None:
    scene = MediaScene()
    more = f"{worker_sdp()}m=video 4004 RTP/AVP 96\r\n"
    answer, _ = scene.response(call(more), W1)
    assert [line for line in answer.body.decode().splitlines() if line.startswith("m=")] == [
        f"m=audio {PAIRS[0].inner} RTP/AVP 0 101",
        "m=video 0 RTP/AVP 96",
    ]


def test_without_a_port_it_is_refused() -> None:
    scene = MediaScene(pairs=0)
    assert scene.status(call(), W1) == 503


def test_a_cancel_comes_too_late() -> None:
    scene = MediaScene()
    answered(scene)
    assert scene.status(call(method="CANCEL", CSeq="1 CANCEL", X_B2bua_Link=None), W1) == 481


@pytest.mark.parametrize("said", [None, "5" * 30])
def test_without_the_secret_it_is_an_invite_like_others(said: str | None) -> None:
    scene = MediaScene()
    scene.give(call(X_B2bua_Link=said), W1)
    assert not any(order.inside for order in scene.all(OpenLeg))
    assert scene.all(DescribeLeg) == []


def test_a_dialog_that_is_not_ours_is_left_alone() -> None:
    """A far end may call itself so in its Contact."""
    scene = MediaScene()
    answer = answered(scene)
    scene.give(within(answer, "BYE", To="<sip:x@link.invalid>;tag=other"), W1)
    assert scene.all(CloseLeg) == []
