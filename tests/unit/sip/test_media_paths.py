"""Session descriptions that pass the edge with a relay: who sees which port, what the relay is told."""

import pytest

from b2bua.relay.control import DescribeLeg, OpenLeg
from tests.unit.sip.edge_scene import CALLEE, W1, invite, worker_invite
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

pytestmark = pytest.mark.unit


def test_a_call_in() -> None:
    scene = MediaScene()
    request, _ = scene.request(with_sdp(invite(), party_sdp()))
    assert media(request) == (INNER_HOST, PAIRS[0].inner)
    assert "a=rtcp-mux\r\n" in sdp(request)
    assert scene.news == [OpenLeg(leg=LEG, pair=PAIRS[0])]
    response, _ = scene.response(answered(request, 200, worker_sdp(formats="8 101")), W1)
    assert media(response) == (MEDIA, PAIRS[0].outer)
    assert "rtcp-mux" not in sdp(response)
    assert f"a=rtcp:{PAIRS[0].outer + 1}\r\n" in sdp(response)
    (described,) = scene.all(DescribeLeg)
    assert (described.far.host, described.far.port, described.far.rtcp_port) == ("192.0.2.1", 4000, 4001)
    assert (described.near.host, described.near.port, described.near.rtcp_port) == (
        INNER_HOST,
        41_000,
        41_000,
    )
    assert described.far.formats == ((0, "PCMU/8000"), (8, "PCMA/8000"), (101, "telephone-event/8000"))
    assert described.near.formats == ((8, "PCMA/8000"), (101, "telephone-event/8000"))


def test_a_call_out() -> None:
    scene = MediaScene()
    request, _ = scene.request(with_sdp(worker_invite(), worker_sdp()), W1)
    assert media(request) == (MEDIA, PAIRS[0].outer)
    accepted = answered(request, 200, party_sdp("192.0.2.99", 6000))
    response, _ = scene.response(accepted, CALLEE)
    assert media(response) == (INNER_HOST, PAIRS[0].inner)
    assert scene.described == [("192.0.2.99", 6000, INNER_HOST, 41_000)]
