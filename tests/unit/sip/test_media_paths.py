"""Session descriptions that pass the edge with a relay: who sees which port, what the relay is told."""

from typing import Any

import pytest

from b2bua.core.errors import PeerError
from b2bua.core.ids import WorkerId
from b2bua.relay.control import CloseLeg, DescribeLeg, EdgeHello, LegClosed, LegKey, LegReplaced, OpenLeg
from b2bua.sip.edge_control import CallRefused, GrantLease, SetDraining, WorkerGone, WorkerTaken
from b2bua.sip.flow import Find, Flow, Send
from b2bua.sip.inbound import HOLD_S
from b2bua.sip.message import Request, Response, parse_message
from b2bua.sip.outbound import Target
from b2bua.sip.port_queue import MAX_WAITING, WAIT_S
from tests.unit.sip.edge_scene import CALLEE, INSIDE, PUBLIC, W1, W2, Scene, invite, only, worker_invite
from tests.unit.sip.media_scene import (
    INNER_HOST,
    LEG,
    MEDIA,
    PAIRS,
    MediaScene,
    answered,
    media,
    party_sdp,
    sdp,
    with_sdp,
    worker_sdp,
)
from tests.unit.sip.test_bodies import MIXED, parts
from tests.unit.sip.test_proxy_dialogs import in_dialog

pytestmark = pytest.mark.unit

INSIDE_W1 = (INNER_HOST, PAIRS[0].inner)
OUTSIDE_W1 = (MEDIA, PAIRS[0].outer)
TO_W1 = f"sip:w1@{PUBLIC}:5060"


@pytest.fixture
def scene() -> MediaScene:
    return MediaScene()


def call_in(scene: MediaScene, body: str | None = None) -> Request:
    """The caller's INVITE as the worker gets it."""
    return scene.request(with_sdp(invite(), party_sdp() if body is None else body))[0]


def up(scene: MediaScene) -> MediaScene:
    """A call from the party at port 4000 to the worker's port 41000."""
    scene.give(answered(call_in(scene), 200, worker_sdp()), W1)
    scene.give(in_dialog("ACK", TO_W1, CSeq="1 ACK"))
    assert scene.described == [("192.0.2.1", 4000, INNER_HOST, 41_000)]
    scene.news.clear()
    return scene


def within(method: str, body: str = "", **changes: str | None) -> bytes:
    """The caller's request within the call."""
    request = in_dialog(method, TO_W1, **changes)
    return with_sdp(request, body) if body else request


def of_worker(method: str, body: str = "", **changes: str | None) -> bytes:
    """The worker's request within the call."""
    given: dict[str, str | None] = {
        "Route": INSIDE,
        "Via": f"SIP/2.0/UDP 127.0.0.1:10001;rport;branch=z9hG4bKworker{method}",
        "From": "<sip:100@sip.example.com>;tag=tt",
        "To": '"Ann" <sip:ann@192.0.2.1>;tag=fa',
        "Call_ID": "call-1",
        "CSeq": f"5 {method}",
        "Contact": "<sip:w1@127.0.0.1:10001>",
    }
    request = invite("sip:ann@192.0.2.1:5060", method=method, **{**given, **changes})
    return with_sdp(request, body) if body else request


# -- calls ----------------------------------------------------------------------------------------------


def test_a_call_in(scene: MediaScene) -> None:
    request = call_in(scene, party_sdp(more="a=rtcp-mux"))
    assert media(request) == INSIDE_W1
    assert "a=rtcp-mux\r\n" in sdp(request)
    assert scene.news == [OpenLeg(leg=LEG, pair=PAIRS[0])]
    response, _ = scene.response(answered(request, 200, worker_sdp(formats="8 101")), W1)
    assert media(response) == OUTSIDE_W1
    (described,) = scene.all(DescribeLeg)
    assert described.leg == LEG
    assert (described.far.host, described.far.port, described.far.rtcp_port) == ("192.0.2.1", 4000, 4001)
    assert (described.near.host, described.near.port, described.near.rtcp_port) == (
        INNER_HOST,
        41_000,
        41_000,
    )
    assert described.far.formats == ((0, "PCMU/8000"), (8, "PCMA/8000"), (101, "telephone-event/8000"))
    assert described.near.formats == ((8, "PCMA/8000"), (101, "telephone-event/8000"))


def test_a_call_out(scene: MediaScene) -> None:
    request, _ = scene.request(with_sdp(worker_invite(), worker_sdp()), W1)
    assert media(request) == OUTSIDE_W1
    response, _ = scene.response(answered(request, 200, party_sdp("192.0.2.99", 6000)), CALLEE)
    assert media(response) == INSIDE_W1
    assert scene.news[0] == OpenLeg(leg=LegKey("leg-1", "w1"), pair=PAIRS[0])
    assert scene.described == [("192.0.2.99", 6000, INNER_HOST, 41_000)]


@pytest.mark.parametrize("port", [10_001, 40_404])
def test_a_call_out_over_tcp_whose_answer_comes_on_the_connection(scene: MediaScene, port: int) -> None:
    connection = Flow("inner", "tcp", "127.0.0.1", 55_555)
    via = f"SIP/2.0/TCP 127.0.0.1:{port};rport;branch=z9hG4bKlarge"
    request, _ = scene.request(with_sdp(worker_invite(Via=via), worker_sdp()), connection)
    response, to = scene.response(answered(request, 183, party_sdp("192.0.2.99", 6000)), CALLEE)
    assert (to.port, media(response)) == (55_555, INSIDE_W1)
    assert len(scene.described) == 1


def test_the_relay_hears_of_it_before_the_message_leaves(scene: MediaScene) -> None:
    outputs = scene.proxy.receive(
        with_sdp(invite(), party_sdp()), Flow("outer", "udp", "192.0.2.1", 5060), 1000.0
    )
    assert [type(each).__name__ for each in outputs] == ["OpenLeg", "LeaseTaken", "Send"]
    request = parse_message(next(each.data for each in outputs if isinstance(each, Send)))
    assert isinstance(request, Request)
    outputs = scene.proxy.receive(answered(request, 200, worker_sdp()), W1, 1000.0)
    assert [type(each).__name__ for each in outputs] == ["DescribeLeg", "Send"]


def test_a_name_that_has_to_be_resolved_first(scene: MediaScene) -> None:
    invited = with_sdp(worker_invite("sip:bob@example.com"), worker_sdp())
    opened, find = scene.proxy.receive(invited, W1, scene.now)
    assert isinstance(opened, OpenLeg) and isinstance(find, Find)
    targets = (Target("tcp", "192.0.2.7", 5060), Target("udp", "192.0.2.8", 5060))
    (first,) = scene.proxy.found(find.branch, targets, scene.now)
    assert isinstance(first, Send) and first.otherwise is not None
    for sent in (first, first.otherwise):
        request = parse_message(sent.data)
        assert isinstance(request, Request) and media(request) == OUTSIDE_W1


def test_two_legs_of_one_call_have_their_own_pairs(scene: MediaScene) -> None:
    call_in(scene)
    request, _ = scene.request(with_sdp(worker_invite(), worker_sdp(41_010)), W1)
    assert media(request) == (MEDIA, PAIRS[1].outer)


def test_a_call_to_ourselves_is_two_legs_with_one_call_id(scene: MediaScene) -> None:
    scene.proxy.obey(WorkerTaken(worker=WorkerId("w1"), sip_port=10_001), scene.now)
    out, _ = scene.request(with_sdp(worker_invite(f"sip:100@{PUBLIC}:5060"), worker_sdp()), W1)
    ourselves = Flow("outer", "udp", "127.0.0.1", 5060)
    again, to = scene.request(out.to_bytes(), ourselves)
    assert to == W2
    assert media(out) == OUTSIDE_W1
    assert media(again) == (INNER_HOST, PAIRS[1].inner)
    answer, _ = scene.response(answered(again, 200, worker_sdp(41_010), by="w2"), W2)
    assert media(answer) == (MEDIA, PAIRS[1].outer)
    back, _ = scene.response(answer.to_bytes(), ourselves)
    assert media(back) == INSIDE_W1
    assert [each.leg for each in scene.all(DescribeLeg)] == [LegKey("leg-1", "w2"), LegKey("leg-1", "w1")]
    assert scene.described == [
        (MEDIA, PAIRS[0].outer, INNER_HOST, 41_010),
        (MEDIA, PAIRS[1].outer, INNER_HOST, 41_000),
    ]


@pytest.mark.parametrize(("bind", "own"), [("", MEDIA), ("10.0.0.5", "10.0.0.5"), ("0.0.0.0", "127.0.0.1")])
def test_a_party_that_is_a_leg_of_ours_is_reached_on_this_machine(bind: str, own: str) -> None:
    scene = MediaScene(media_bind=bind)
    call_in(scene, party_sdp(MEDIA, PAIRS[1].outer))
    request, _ = scene.request(with_sdp(worker_invite(), worker_sdp(41_010)), W1)
    scene.give(answered(request, 200, party_sdp(MEDIA, PAIRS[0].outer)), CALLEE)
    (described,) = scene.all(DescribeLeg)
    assert (described.far.host, described.far.rtcp_host) == (own, own)
    assert (described.far.port, described.far.rtcp_port) == (PAIRS[0].outer, PAIRS[0].outer + 1)


def test_a_party_at_our_address_that_is_no_leg_is_reached_there() -> None:
    scene = MediaScene(media_bind="10.0.0.5")
    scene.give(answered(call_in(scene, party_sdp(MEDIA, 5004)), 200, worker_sdp()), W1)
    assert scene.described[0][0] == MEDIA


def test_repeated_messages_are_told_once_and_look_the_same(scene: MediaScene) -> None:
    first, again = call_in(scene), call_in(scene)
    assert first.to_bytes() == again.to_bytes()
    answer = answered(first, 183, worker_sdp())
    assert scene.response(answer, W1)[0].to_bytes() == scene.response(answer, W1)[0].to_bytes()
    scene.give(answered(first, 200, worker_sdp()), W1)
    scene.give(answered(first, 200, worker_sdp()), W1)
    assert [type(each).__name__ for each in scene.news] == ["OpenLeg", "DescribeLeg"]


def test_early_media_of_forks_downstream(scene: MediaScene) -> None:
    request, _ = scene.request(with_sdp(worker_invite(), worker_sdp()), W1)
    for tag, port, status in (("one", 6000, 183), ("two", 7000, 183), ("two", 7000, 200)):
        answer = answered(request, status, party_sdp("192.0.2.99", port), tag=tag)
        assert media(scene.response(answer, CALLEE)[0]) == INSIDE_W1
    assert [port for _, port, _, _ in scene.described] == [6000, 7000]


# -- within a call --------------------------------------------------------------------------------------


HOLDS = {
    "sendonly": party_sdp(more="a=sendonly", version=2),
    "inactive": party_sdp(more="a=inactive", version=2),
    "for the session": party_sdp(version=2).replace("t=0 0\r\n", "t=0 0\r\na=sendonly\r\n"),
    "the old way": party_sdp(version=2).replace("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0"),
}


@pytest.mark.parametrize("body", HOLDS.values(), ids=HOLDS)
def test_hold(scene: MediaScene, body: str) -> None:
    up(scene)
    request, _ = scene.request(within("INVITE", body))
    old_way = "0.0.0.0" in body
    assert media(request) == ("0.0.0.0" if old_way else INNER_HOST, PAIRS[0].inner)
    scene.give(answered(request, 200, worker_sdp(more="a=recvonly")), W1)
    (described,) = scene.all(DescribeLeg)
    assert described.far.host == ("0.0.0.0" if old_way else "192.0.2.1")
    assert old_way or described.far.direction != "sendrecv"


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_another_port_of_the_party(scene: MediaScene, method: str) -> None:
    up(scene)
    request, _ = scene.request(within(method, party_sdp(port=4444, version=2)))
    assert media(request) == INSIDE_W1
    assert scene.news == []
    response, _ = scene.response(answered(request, 200, worker_sdp(41_020)), W1)
    assert media(response) == OUTSIDE_W1
    assert scene.described == [("192.0.2.1", 4444, INNER_HOST, 41_020)]


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_another_port_of_the_worker(scene: MediaScene, method: str) -> None:
    up(scene)
    request, _ = scene.request(of_worker(method, worker_sdp(41_020)), W1)
    assert media(request) == OUTSIDE_W1
    response, _ = scene.response(answered(request, 200, party_sdp(port=4444, version=2)))
    assert media(response) == INSIDE_W1
    assert scene.described == [("192.0.2.1", 4444, INNER_HOST, 41_020)]


def test_a_refused_reinvite_moves_nothing(scene: MediaScene) -> None:
    up(scene)
    request, _ = scene.request(within("INVITE", party_sdp(port=4444, version=2)))
    scene.give(answered(request, 488), W1)
    assert scene.news == []


def test_a_reinvite_without_an_offer(scene: MediaScene) -> None:
    up(scene)
    request, _ = scene.request(within("INVITE", Content_Type=None))
    response, _ = scene.response(answered(request, 200, worker_sdp(41_020)), W1)
    assert media(response) == OUTSIDE_W1
    ack, _ = scene.request(within("ACK", party_sdp(port=4444), CSeq="2 ACK"))
    assert media(ack) == INSIDE_W1
    assert scene.described == [("192.0.2.1", 4444, INNER_HOST, 41_020)]


def test_a_late_offer_in_a_reliable_183(scene: MediaScene) -> None:
    request, _ = scene.request(invite(Content_Type=None))
    scene.give(answered(request, 183, worker_sdp(), RSeq="1", Require="100rel"), W1)
    assert scene.described == []
    prack, _ = scene.request(within("PRACK", party_sdp(), RAck="1 1 INVITE"))
    assert media(prack) == INSIDE_W1
    assert scene.described == [("192.0.2.1", 4000, INNER_HOST, 41_000)]


def test_of_a_body_in_parts_the_worker_gets_the_description(scene: MediaScene) -> None:
    body = parts(("Content-Type: text/plain", "hello"), ("Content-Type: application/sdp", party_sdp()))
    request, _ = scene.request(with_sdp(invite(), body, MIXED))
    assert media(request) == INSIDE_W1
    assert request.get("content-type") == "application/sdp"


def test_srtp_has_the_same_way(scene: MediaScene) -> None:
    scene = MediaScene(srtp="optional")
    key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNk"
    secure = party_sdp(more=key).replace("RTP/AVP", "RTP/SAVP")
    request = call_in(scene, secure)
    assert key in sdp(request) and media(request) == INSIDE_W1
    answer = worker_sdp(more=key).replace("RTP/AVP", "RTP/SAVP")
    response, _ = scene.response(answered(request, 200, answer), W1)
    assert key in sdp(response) and media(response) == OUTSIDE_W1
    (described,) = scene.all(DescribeLeg)
    assert not described.far.plain and not described.near.plain


def test_parties_with_ipv6() -> None:
    scene = MediaScene(media_host="2001:db8::8")
    request = call_in(scene, party_sdp("2001:db8::1"))
    assert media(request) == INSIDE_W1
    response, _ = scene.response(answered(request, 200, worker_sdp()), W1)
    assert "c=IN IP6 2001:db8::8\r\n" in sdp(response)
    assert "IN IP6 2001:db8::8\r\n" in sdp(response).partition("s=")[0]
    assert scene.described == [("2001:db8::1", 4000, INNER_HOST, 41_000)]


def test_of_the_two_kinds_of_addresses_the_relay_has_one() -> None:
    assert MediaScene().status(with_sdp(invite(), party_sdp("2001:db8::1"))) == 488
    assert MediaScene(media_host="2001:db8::8").status(with_sdp(invite(), party_sdp())) == 488


# -- what is not of a leg ------------------------------------------------------------------------------


def test_a_description_of_no_leg_passes_to_the_worker(scene: MediaScene) -> None:
    body = party_sdp()
    request, _ = scene.request(within("INVITE", body))
    assert sdp(request) == body


def test_nothing_of_a_worker_leaves_without_a_leg(scene: MediaScene) -> None:
    up(scene)
    request, _ = scene.request(within("INVITE", party_sdp()))
    scene.proxy.relay(LegClosed(leg=LEG), scene.now)
    response, _ = scene.response(answered(request, 200, worker_sdp()), W1)  # the scene looks for leaks
    assert "m=audio 0 " in sdp(response)


def test_what_a_party_sends_that_nobody_can_read_passes(scene: MediaScene) -> None:
    request, _ = scene.request(with_sdp(worker_invite(), worker_sdp()), W1)
    response, _ = scene.response(answered(request, 183, "m=audio x"), CALLEE)
    assert sdp(response) == "m=audio x"
    assert scene.described == []


def test_what_a_worker_sends_that_nobody_can_read_does_not(scene: MediaScene) -> None:
    request = call_in(scene)
    with pytest.raises(PeerError):
        scene.give(answered(request, 183, f"c=IN IP4 {INNER_HOST}\r\nm=audio x"), W1)


def test_without_a_relay_nothing_is_changed() -> None:
    scene = Scene()
    body = party_sdp()
    request, _ = scene.request(with_sdp(invite(), body))
    assert sdp(request) == body
    answer = worker_sdp()
    outputs = scene.give(answered(request, 200, answer), W1)
    assert sdp(only(outputs)[0]) == answer
    assert [type(each).__name__ for each in outputs] == ["Send"]


# -- pairs ----------------------------------------------------------------------------------------------


def refusals(scene: MediaScene) -> list[tuple[str, int]]:
    return [
        (each.reason, each.count) for each in scene.proxy.tick(scene.now) if isinstance(each, CallRefused)
    ]


def test_a_call_waits_for_a_pair() -> None:
    scene = MediaScene(pairs=0)
    assert scene.give(with_sdp(invite(), party_sdp())) == []
    (sent,) = [each for each in scene.grant_pairs(PAIRS[3]) if isinstance(each, Send)]
    assert media(parse_message(sent.data)) == (INNER_HOST, PAIRS[3].inner)
    assert scene.news == [OpenLeg(leg=LEG, pair=PAIRS[3])]


def test_a_call_for_which_no_pair_comes_is_refused() -> None:
    scene = MediaScene(pairs=0)
    scene.give(with_sdp(invite(), party_sdp()))
    scene.now += HOLD_S
    outputs = scene.proxy.tick(scene.now)
    (sent,) = [each for each in outputs if isinstance(each, Send)]
    response = parse_message(sent.data)
    assert isinstance(response, Response)
    assert (response.status, response.get("retry-after")) == (503, "2")
    (refused,) = [each for each in outputs if isinstance(each, CallRefused)]
    assert (refused.reason, refused.count) == ("no media port", 1)
    assert scene.status(with_sdp(invite(), party_sdp())) == 503


def test_a_call_of_a_worker_waits_for_a_pair() -> None:
    scene = MediaScene(pairs=0)
    dialled = with_sdp(worker_invite(), worker_sdp())
    assert scene.give(dialled, W1) == [] == scene.give(dialled, W1)
    (sent,) = [each for each in scene.grant_pairs(*PAIRS[3:5]) if isinstance(each, Send)]
    assert media(parse_message(sent.data)) == (MEDIA, PAIRS[3].outer)
    assert scene.news == [OpenLeg(leg=LegKey("leg-1", "w1"), pair=PAIRS[3])]


def test_a_waiting_call_of_a_worker_that_names_nobody_is_refused() -> None:
    scene = MediaScene(pairs=0)
    scene.give(with_sdp(worker_invite("tel:+1555"), worker_sdp()), W1)
    scene.give(with_sdp(worker_invite(Call_ID="leg-2"), worker_sdp()), W1)
    sent = [each for each in scene.grant_pairs(*PAIRS[:2]) if isinstance(each, Send)]
    assert [(each.to.side, each.data[:11]) for each in sent] == [
        ("inner", b"SIP/2.0 416"),
        ("outer", b"INVITE sip:"),
    ]


def test_a_call_of_a_worker_for_which_no_pair_comes_is_refused() -> None:
    scene = MediaScene(pairs=0)
    dialled = with_sdp(worker_invite(), worker_sdp())
    scene.give(dialled, W1)
    scene.now += WAIT_S
    sent, refused = scene.proxy.tick(scene.now)
    assert isinstance(sent, Send) and sent.to == W1
    assert sent.data.startswith(b"SIP/2.0 503 ")
    assert isinstance(refused, CallRefused) and refused.reason == "no media port"


def test_a_call_of_a_worker_that_is_gone_does_not_wait() -> None:
    scene = MediaScene(pairs=0)
    scene.give(with_sdp(worker_invite(), worker_sdp()), W1)
    scene.proxy.obey(WorkerGone(worker=WorkerId("w1")), scene.now)
    assert scene.grant_pairs(*PAIRS[:2]) == []


def test_not_too_many_wait_for_a_pair() -> None:
    scene = MediaScene(pairs=0)
    for n in range(MAX_WAITING):
        assert scene.give(with_sdp(worker_invite(Call_ID=f"leg-{n}"), worker_sdp()), W1) == []
    assert scene.give(with_sdp(worker_invite(Call_ID="leg-0"), worker_sdp()), W1) == []  # again
    assert scene.status(with_sdp(worker_invite(Call_ID="another"), worker_sdp()), W1) == 503


def test_the_edge_is_alive_without_a_pair() -> None:
    scene = MediaScene(pairs=0)
    assert scene.status(invite(method="OPTIONS")) == 200
    scene.proxy.obey(SetDraining(draining=True), scene.now)
    assert scene.status(invite(method="OPTIONS")) == 503


def test_a_pair_is_used_once(scene: MediaScene) -> None:
    scene.grant_pairs(*PAIRS[:4])  # again, after a restart
    used = []
    for n in range(4):
        invited = worker_invite(Call_ID=f"leg-{n}", Via=f"SIP/2.0/UDP 127.0.0.1:10001;branch=z9hG4bK{n}")
        used.append(media(scene.request(with_sdp(invited, worker_sdp()), W1)[0])[1])
    assert used == [pair.outer for pair in PAIRS[:4]]
    scene.grant_pairs(*PAIRS[:4])
    assert not scene.proxy.media.free


# -- the life of a leg ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "order", [GrantLease(worker=WorkerId("w1"), sip_port=10_001), WorkerGone(worker=WorkerId("w1"))]
)
def test_legs_are_over_with_the_session_of_their_worker(scene: MediaScene, order: Any) -> None:
    up(scene)
    scene.give(with_sdp(worker_invite(), worker_sdp()), W1)
    scene.news.clear()
    told = scene.proxy.obey(order, scene.now)
    assert told[:2] == [CloseLeg(leg=LEG), CloseLeg(leg=LegKey("leg-1", "w1"))]
    assert scene.proxy.media.hello() == [EdgeHello(free=PAIRS[2:4])]
    assert scene.proxy.obey(WorkerGone(worker=WorkerId("w1")), scene.now) == []


def test_a_worker_that_is_taken_keeps_its_legs(scene: MediaScene) -> None:
    up(scene)
    scene.proxy.obey(WorkerTaken(worker=WorkerId("w1"), sip_port=10_001), scene.now)
    assert scene.news == [] and len(scene.proxy.media.hello()) == 3


def test_a_leg_that_the_relay_closes_is_forgotten(scene: MediaScene) -> None:
    up(scene)
    assert scene.proxy.relay(LegClosed(leg=LEG), scene.now) == []
    assert scene.proxy.relay(LegClosed(leg=LEG), scene.now) == []
    assert scene.proxy.media.hello() == [EdgeHello(free=PAIRS[1:4])]


def test_the_leg_of_a_call_that_the_worker_refuses_is_over(scene: MediaScene) -> None:
    request = call_in(scene)
    scene.give(answered(request, 486), W1)
    assert scene.news == [OpenLeg(leg=LEG, pair=PAIRS[0]), CloseLeg(leg=LEG)]


def test_a_refused_request_within_the_call_ends_no_leg(scene: MediaScene) -> None:
    up(scene)
    request, _ = scene.request(within("INVITE", party_sdp()))
    scene.give(answered(request, 500), W1)
    assert scene.news == []


def test_a_worker_asked_for_a_password_keeps_its_leg(scene: MediaScene) -> None:
    request, _ = scene.request(with_sdp(worker_invite(), worker_sdp()), W1)
    scene.give(answered(request, 407), CALLEE)
    via = "SIP/2.0/UDP 127.0.0.1:10001;rport;branch=z9hG4bKsecond"
    again, _ = scene.request(with_sdp(worker_invite(CSeq="2 INVITE", Via=via), worker_sdp()), W1)
    assert media(again) == OUTSIDE_W1
    assert len(scene.news) == 1


# -- another call in the place of one -------------------------------------------------------------------


def replacing(scene: MediaScene, call_id: str, replaced: str) -> Request:
    """An INVITE to take over the caller's call, from somebody else."""
    changes = {
        "Call_ID": call_id,
        "Via": f"SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bK{call_id}",
        "From": f"<sip:cat@192.0.2.3>;tag=f{call_id}",
        "Replaces": replaced,
    }
    return scene.request(with_sdp(invite(**changes), party_sdp("192.0.2.3", 8000)))[0]


def test_a_leg_takes_the_place_of_another_when_it_is_answered(scene: MediaScene) -> None:
    up(scene)
    request = replacing(scene, "call-2", "call-1;to-tag=tt;from-tag=fa")
    assert media(request) == (INNER_HOST, PAIRS[1].inner)
    new = LegKey("call-2", "w1")
    assert scene.news == [OpenLeg(leg=new, pair=PAIRS[1])]
    scene.give(answered(request, 200, worker_sdp(41_030), tag="t2"), W1)
    scene.give(answered(request, 200, worker_sdp(41_030), tag="t2"), W1)
    assert [type(each).__name__ for each in scene.news[1:]] == ["DescribeLeg", "LegReplaced", "CloseLeg"]
    assert scene.news[-2:] == [LegReplaced(leg=new, old=LEG), CloseLeg(leg=LEG)]

    third = replacing(scene, "call-3", "call-2;to-tag=t2;from-tag=fcall-2")
    scene.give(answered(third, 200, worker_sdp(41_040), tag="t3"), W1)
    assert scene.news[-2:] == [LegReplaced(leg=LegKey("call-3", "w1"), old=LEG), CloseLeg(leg=new)]
    assert scene.proxy.media.hello()[-1] == LegReplaced(leg=LegKey("call-3", "w1"), old=LEG)


def test_a_leg_may_take_the_place_of_one_that_is_closed(scene: MediaScene) -> None:
    up(scene)
    request = replacing(scene, "call-2", "call-1;to-tag=tt;from-tag=fa")
    scene.proxy.relay(LegClosed(leg=LEG), scene.now)
    scene.give(answered(request, 200, worker_sdp(41_030), tag="t2"), W1)
    assert scene.news[-1] == LegReplaced(leg=LegKey("call-2", "w1"), old=LEG)


def test_a_refused_replacement_takes_no_place(scene: MediaScene) -> None:
    up(scene)
    request = replacing(scene, "call-2", "call-1;to-tag=tt;from-tag=fa")
    scene.give(answered(request, 486), W1)
    assert scene.all(LegReplaced) == []
    assert scene.news[-1] == CloseLeg(leg=LegKey("call-2", "w1"))


def test_without_a_pair_nobody_takes_a_place() -> None:
    scene = up(MediaScene(pairs=1))
    invited = invite(Call_ID="call-2", From="<sip:c@d>;tag=x", Replaces="call-1;to-tag=tt;from-tag=fa")
    assert scene.status(with_sdp(invited, party_sdp())) == 503
    assert refusals(scene) == [("no media port", 1)]


# -- another relay --------------------------------------------------------------------------------------


def test_a_relay_that_was_restarted_is_told_all_that_holds(scene: MediaScene) -> None:
    up(scene)
    scene.give(with_sdp(worker_invite(), worker_sdp(41_010)), W1)  # has no answer yet
    request = replacing(scene, "call-2", "call-1;to-tag=tt;from-tag=fa")
    scene.give(answered(request, 200, worker_sdp(41_030), tag="t2"), W1)
    told = scene.proxy.media.hello()
    new = LegKey("call-2", "w1")
    assert told[0] == EdgeHello(free=(PAIRS[3],))
    assert [(type(each).__name__, each.leg) for each in told[1:]] == [  # type: ignore[union-attr]
        ("OpenLeg", LegKey("leg-1", "w1")),
        ("OpenLeg", new),
        ("DescribeLeg", new),
        ("LegReplaced", new),
    ]
    assert told[-2] == scene.all(DescribeLeg)[-1]
