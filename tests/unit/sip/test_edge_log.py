"""The log of the edge's legs: the next edge knows what the one before knew, up to its last step."""

import os
from pathlib import Path

import pytest

from b2bua.core.ids import WorkerId
from b2bua.relay.control import DescribeLeg, EdgeHello, OpenLeg
from b2bua.sip import edge_log
from b2bua.sip.edge_control import GrantLease, WorkerGone, WorkerTaken
from b2bua.sip.edge_log import EdgeLog
from b2bua.sip.flow import Send
from b2bua.sip.message import Request, make_response, parse_message
from b2bua.sip.proxy import Proxy
from tests.unit.sip.edge_scene import (
    CALLEE,
    CALLER,
    INSIDE,
    PUBLIC,
    W1,
    answer,
    config,
    invite,
    worker_invite,
)
from tests.unit.sip.media_scene import LEG, MediaScene, answered, party_sdp, with_sdp, worker_sdp

pytestmark = pytest.mark.unit

AT_W1 = "<sip:w1@127.0.0.1:10001>"
RELAY = {"relay": "/run/relay.sock", "media_host": "203.0.113.8", "inner_host": "127.77.3.1"}


class TwoEdges(MediaScene):
    """A scene whose edge can be killed: the next one has the same secret and the log, and nothing else."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.path = folder / "legs.log"
        self.log = EdgeLog(self.path)

    def step(self) -> "TwoEdges":
        self.log.append(self.proxy.legs.take_log())
        return self

    def killed(self) -> "TwoEdges":
        self.step()
        self.proxy = Proxy(config(**RELAY), self.addresses, b"secret" * 4, 1000)
        self.log = EdgeLog(self.path)
        self.proxy.legs.restore(self.log.found, self.now)
        return self


@pytest.fixture
def scene(tmp_path: Path) -> TwoEdges:
    return TwoEdges(tmp_path)


def called(scene: TwoEdges, *statuses: int) -> Request:
    """The caller's INVITE as its worker has it, with these answers of the worker."""
    request, _ = scene.request(with_sdp(invite(), party_sdp()))
    for status in statuses:
        scene.give(answered(request, status, worker_sdp() if status == 200 else ""), W1)
        scene.step()
    return request


def in_dialog(method: str, *, number: int = 2) -> bytes:
    return invite(
        f"sip:w1@{PUBLIC}:5060",
        method=method,
        To="<sip:100@sip.example.com>;tag=tt",
        CSeq=f"{number} {method}",
        Via=f"SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bK{method}{number}",
        Route=f"<sip:{PUBLIC}:5060;transport=udp;lr>",
    )


def test_a_request_within_a_call_finds_its_worker(scene: TwoEdges) -> None:
    called(scene, 200)
    bye, to = scene.killed().request(in_dialog("BYE"))
    assert (bye.method, to) == ("BYE", W1)
    response, back = scene.response(make_response(bye, 200).to_bytes(), W1)
    assert (response.status, back) == (200, CALLER)


def test_a_call_that_rings_is_canceled_or_answered(scene: TwoEdges) -> None:
    request = called(scene, 180)
    scene.killed()
    assert scene.request(invite(method="CANCEL"))[1] == W1
    assert scene.status(answer(request, 487, contact=AT_W1), W1) == 487


def test_an_invite_that_is_repeated_starts_no_other_call(scene: TwoEdges) -> None:
    called(scene)
    again, to = scene.killed().request(with_sdp(invite(), party_sdp()))
    assert (again.method, to) == ("INVITE", W1)


def test_an_answer_to_a_workers_invite_comes_home(scene: TwoEdges) -> None:
    request, to = scene.request(with_sdp(worker_invite(), worker_sdp()), W1)
    assert to == CALLEE
    scene.killed()
    sdp = party_sdp("192.0.2.99", 4100)
    response, to = scene.response(answered(request, 200, sdp, Contact="<sip:bob@192.0.2.99>"), CALLEE)
    assert (response.status, to) == (200, W1)
    (described,) = scene.all(DescribeLeg)
    assert (described.far.port, described.near.port) == (4100, 41_000), "the offer was before the death"


def test_a_relay_is_told_the_same_as_before(scene: TwoEdges) -> None:
    called(scene, 200)
    before = scene.proxy.media.hello()
    after = scene.killed().proxy.media.hello()
    assert [type(each) for each in after] == [EdgeHello, OpenLeg, DescribeLeg]
    assert after[1:] == before[1:] and after[0] == EdgeHello(free=())


def test_the_worker_keeps_its_call_when_the_controller_tells_of_it(scene: TwoEdges) -> None:
    called(scene, 200)
    scene.killed()
    scene.proxy.obey(WorkerTaken(worker=WorkerId("w1"), sip_port=10_001, leased=True), scene.now)
    assert scene.proxy.leases.busy == 1
    assert scene.request(in_dialog("BYE"))[1] == W1


@pytest.mark.parametrize("ends", ["grant", "gone"])
def test_a_session_that_is_over_is_forgotten(scene: TwoEdges, ends: str) -> None:
    called(scene, 200)
    scene.killed()
    if ends == "grant":
        scene.proxy.obey(GrantLease(worker=WorkerId("w1"), sip_port=10_001), scene.now)
    else:
        told = scene.proxy.obey(WorkerGone(worker=WorkerId("w1")), scene.now)
        (bye,) = [parse_message(each.data) for each in told if isinstance(each, Send)]
        assert isinstance(bye, Request) and bye.method == "BYE"
    scene.killed()
    assert scene.log.found == []
    assert scene.proxy.media.hello() == [EdgeHello(free=())]


def test_a_worker_goes_on_with_its_own_requests(scene: TwoEdges) -> None:
    called(scene, 200)
    scene.killed()
    bye = invite(
        "sip:ann@192.0.2.1:5060",
        method="BYE",
        From="<sip:100@sip.example.com>;tag=tt",
        To='"Ann" <sip:ann@192.0.2.1>;tag=fa',
        Route=INSIDE,
        Via="SIP/2.0/UDP 127.0.0.1:10001;rport;branch=z9hG4bKworkerbye",
    )
    request, to = scene.request(bye, W1)
    assert (request.method, to.host) == ("BYE", "192.0.2.1")


def test_an_entry_that_was_half_written_counts_as_never_written(scene: TwoEdges) -> None:
    called(scene, 200)
    scene.step()
    whole = scene.path.read_bytes()
    found = len(EdgeLog(scene.path).found)
    scene.path.write_bytes(whole + whole[:50])
    assert len(EdgeLog(scene.path).found) == found == 1


def test_it_does_not_grow_for_ever(scene: TwoEdges, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_log, "_SLACK_BYTES", 2000)
    called(scene, 200)
    for number in range(2, 60):
        request, _ = scene.request(in_dialog("UPDATE", number=number))
        scene.give(make_response(request, 200).to_bytes(), W1)
        scene.step()
    assert os.path.getsize(scene.path) < 8000
    assert [(leg.worker, leg.call_id) for leg in EdgeLog(scene.path).found] == [(LEG.worker, LEG.call_id)]
