"""Calls between two workers of a session: nobody else can place one, and nothing of them gets outside."""

import pytest

from b2bua.core.ids import WorkerId
from b2bua.sip.edge_control import WorkerGone, WorkerTaken
from b2bua.sip.flow import Send
from b2bua.sip.inside import is_from_edge, is_link, must_encrypt
from b2bua.sip.message import make_response, parse_message
from tests.unit.sip.edge_scene import CALLER, SECRET, W1, W2, Scene, invite, worker_invite

pytestmark = pytest.mark.unit

LINK = "sip:w2@link.invalid"


class LinkScene(Scene):
    """Two workers with sessions."""

    def __init__(self) -> None:
        super().__init__()
        self.take("w1", W1.port)
        self.take("w2", W2.port)

    def take(self, worker: str, port: int) -> None:
        self.proxy.obey(WorkerTaken(worker=WorkerId(worker), sip_port=port), self.now)


def link(uri: str = LINK, *, method: str = "INVITE", **changes: str | None) -> bytes:
    return worker_invite(uri, method=method, **{"X_B2bua_Link": SECRET, **changes})


def test_it_goes_to_the_worker_that_it_names() -> None:
    scene = LinkScene()
    request, to = scene.request(link(), W1)
    assert to == W2
    assert is_from_edge(request, SECRET)
    assert is_link(request) and not must_encrypt(request)
    assert request.get("x-b2bua-link") is None
    assert request.all("route") == [] and request.all("record-route") == []
    assert request.get("contact") == "<sip:w1@127.0.0.1:10001;ob>"


def test_its_answers_go_back_unchanged() -> None:
    scene = LinkScene()
    request, _ = scene.request(link(), W1)
    contact = ("Contact", "<sip:w2@127.0.0.1:10002;ob>")
    ok = make_response(request, 200, to_tag="x", headers=(contact,))
    response, to = scene.response(ok.to_bytes(), W2)
    assert to == W1
    assert response.get("contact") == contact[1]
    assert len(response.all("via")) == 1


@pytest.mark.parametrize("method", ["CANCEL", "ACK"])
def test_what_follows_it_goes_the_same_way(method: str) -> None:
    scene = LinkScene()
    first, _ = scene.request(link(), W1)
    changes: dict[str, str | None] = {"X_B2bua_Link": None, "Content_Type": None}
    request, to = scene.request(link(method=method, CSeq=f"1 {method}", **changes), W1)
    assert to == W2
    assert request.top_via.branch == first.top_via.branch


def test_it_is_no_call_of_the_node() -> None:
    scene = LinkScene()
    outputs = scene.give(link(), W1)
    assert [type(output) for output in outputs] == [Send]
    assert scene.proxy.leases.busy == 0


@pytest.mark.parametrize("header", [{"X_B2bua_Link": None}, {"X_B2bua_Link": "5" * 30}])
def test_without_the_secret_it_is_an_invite_like_others(header: dict[str, str | None]) -> None:
    scene = LinkScene()
    assert not any(isinstance(output, Send) and output.to == W2 for output in scene.give(link(**header), W1))


def test_nobody_outside_can_place_one() -> None:
    scene = Scene()
    message, _ = scene.request(invite("sip:w2@203.0.113.7", X_B2bua_Link=SECRET), CALLER)
    assert message.get("x-b2bua-link") is None
    assert not is_link(message)


def test_a_worker_without_a_session_gets_none() -> None:
    scene = LinkScene()
    scene.grant("w2", W2.port)
    assert scene.status(link(), W1) == 481
    scene.proxy.obey(WorkerGone(worker=WorkerId("w2")), scene.now)
    assert scene.status(link(Via="SIP/2.0/UDP 127.0.0.1:10001;rport;branch=z9hG4bKworker2"), W1) == 481


def test_what_comes_after_its_worker_has_gone_is_answered() -> None:
    scene = LinkScene()
    scene.give(link(), W1)
    scene.proxy.obey(WorkerGone(worker=WorkerId("w2")), scene.now)
    cancel = link(method="CANCEL", CSeq="1 CANCEL", X_B2bua_Link=None)
    assert scene.status(cancel, W1) == 481


def test_a_retransmission_is_forwarded_as_the_first_was() -> None:
    scene = LinkScene()
    first, _ = scene.request(link(), W1)
    again, _ = scene.request(link(), W1)
    assert parse_message(first.to_bytes()).top_via == again.top_via
