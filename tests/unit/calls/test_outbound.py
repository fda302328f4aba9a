"""Calls by REST: one way after another to the callee, as a Dial takes them."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from b2bua.calls.orders import CallCanceled, CallChanged, CallOver, FetchDocument, ReportStatus
from b2bua.calls.outbound import OutboundCall
from b2bua.calls.session import Session
from b2bua.core.commands import EndSession, HangupLeg, InviteLeg
from b2bua.core.events import EndCause, LegEnded
from b2bua.core.ids import LegId
from b2bua.twiml.verbs import Dial, Number
from tests.unit.calls.scene import Scene

pytestmark = pytest.mark.unit

DIAL = Dial(line=0, column=0, children=(Number(line=0, column=0, text="+14155550199"),))
STAGES = ("initiated", "ringing", "answered", "completed")


def placed(trunks: int = 2) -> Scene:
    """A call that was just made to a number which all of these trunks take."""
    known: list[dict[str, Any]] = [
        {
            "name": f"t{n}",
            "uri": f"sip:192.0.2.1{n}",
            "username": f"u{n}",
            "password": f"p{n}",
            "prefixes": ["+1415"],
            "match": [f"192.0.2.1{n}"],
        }
        for n in range(trunks)
    ]
    number = {"voice_url": "http://app.test/voice", "status_callback": "http://app.test/status"}
    scene = Scene(settings={"trunks": known}, number=number)
    assert scene.context.script is not None
    script = structs.replace(scene.context.script, status_callback_events=STAGES)
    call, _ = OutboundCall.routed(DIAL, "+14155550100", scene.context)
    assert call is not None
    scene.session = Session(replace(scene.context, script=script), call, 0.0)
    scene.orders = scene.session.start(0.0)
    return scene


def invited(scene: Scene) -> list[str]:
    """The hosts that were sent an INVITE."""
    return [invite.uri.rpartition("@")[2] for invite in scene.all(InviteLeg)]


def last(scene: Scene) -> LegId:
    return scene.all(InviteLeg)[-1].leg


def refused(scene: Scene, code: int = 503, cause: EndCause = "peer", contact: str = "") -> Scene:
    """The present leg ends without an answer."""
    headers = (("Contact", contact),) if contact else ()
    return scene.bring(
        LegEnded(leg=last(scene), at=scene.now, cause=cause, sip_code=code, reason="", headers=headers)
    )


def told(scene: Scene) -> list[str]:
    return [dict(report.params)["CallStatus"] for report in scene.all(ReportStatus)]


def test_the_next_trunk_is_tried_as_the_same_call() -> None:
    scene = refused(placed())
    first, second = scene.all(InviteLeg)
    assert invited(scene) == ["192.0.2.10", "192.0.2.11"]
    assert (second.username, second.password) == ("u1", "p1")
    assert dict(first.headers)["X-Twilio-CallSid"] == dict(second.headers)["X-Twilio-CallSid"]
    assert dict(second.headers)["X-Twilio-CallSid"] == scene.session.call_sid
    assert first.leg != second.leg and first.sip_call_id != second.sip_call_id
    scene.rings(second.leg).answers(second.leg)
    assert [fetch.url for fetch in scene.all(FetchDocument)] == ["http://app.test/voice"]
    assert told(scene) == ["initiated", "ringing", "in-progress"]
    scene.ends(second.leg)
    assert told(scene)[-1] == "completed"
    assert [over.status for over in scene.all(CallOver)] == ["completed"]


def test_four_trunks_are_enough() -> None:
    scene = placed(trunks=6)
    for _ in range(4):
        refused(scene)
    assert invited(scene) == [f"192.0.2.1{n}" for n in range(4)]
    assert told(scene) == ["initiated", "failed"]
    assert scene.kinds()[-1] == "EndSession"


@pytest.mark.parametrize(("code", "status"), [(486, "busy"), (404, "failed"), (603, "busy")])
def test_what_the_callee_says_is_final(code: int, status: str) -> None:
    scene = refused(placed(), code)
    assert invited(scene) == ["192.0.2.10"]
    assert told(scene) == ["initiated", status]


def test_a_trunk_that_has_rung_has_reached_the_callee() -> None:
    scene = placed()
    refused(scene.rings(last(scene)))
    assert invited(scene) == ["192.0.2.10"]
    assert told(scene) == ["initiated", "ringing", "failed"]


@pytest.mark.parametrize("cause", ["timeout", "unreachable"])
def test_a_trunk_that_is_not_there_is_passed_over(cause: EndCause) -> None:
    assert len(invited(refused(placed(), 408, cause))) == 2


@pytest.mark.parametrize("cause", ["worker", "capacity"])
def test_this_nodes_own_trouble_is_no_trunks(cause: EndCause) -> None:
    scene = refused(placed(), 503, cause)
    assert len(invited(scene)) == 1
    assert scene.all(EndSession)


def test_all_trunks_share_one_ringing_time() -> None:
    scene = placed().at(40.0)
    refused(scene, 408, "timeout")
    scene.at(59.0)
    assert not scene.all(HangupLeg)
    scene.at(61.0)
    assert [hangup.leg for hangup in scene.all(HangupLeg)] == [last(scene)]
    refused(scene, 487, "local")
    assert len(invited(scene)) == 2
    assert told(scene) == ["initiated", "no-answer"]


def test_what_is_canceled_is_not_tried_again() -> None:
    scene = refused(placed(trunks=3))
    scene.bring(CallCanceled(by="api"))
    assert [hangup.leg for hangup in scene.all(HangupLeg)] == [last(scene)]
    refused(scene)
    assert len(invited(scene)) == 2
    assert told(scene)[-1] == "canceled"


def test_a_trunk_may_send_the_call_elsewhere_even_after_it_has_rung() -> None:
    scene = placed()
    refused(scene.rings(last(scene)), 302, contact="<sip:+14155550199@192.0.2.10:5090>")
    assert invited(scene) == ["192.0.2.10", "192.0.2.10:5090"]
    assert [change.status for change in scene.all(CallChanged)] == ["queued", "ringing"]
    refused(scene)
    assert invited(scene)[-1] == "192.0.2.11"
    scene.rings(last(scene)).answers(last(scene))
    assert told(scene) == ["initiated", "ringing", "in-progress"]


CODES = st.sampled_from([302, 404, 408, 480, 486, 500, 503, 603])
CAUSES: st.SearchStrategy[EndCause] = st.sampled_from(["peer", "timeout", "unreachable", "worker"])
TRIES = st.lists(st.tuples(CODES, CAUSES, st.booleans(), st.integers(10, 30)), max_size=20)


@given(st.integers(1, 6), TRIES)
def test_whatever_becomes_of_them_the_call_ends_once(
    trunks: int, tries: list[tuple[int, EndCause, bool, int]]
) -> None:
    scene = placed(trunks)
    for code, cause, rings, host in tries:
        if rings:
            scene.rings(last(scene))
        refused(scene, code, cause, contact=f"<sip:x@192.0.2.{host}>")
    scene.at(200.0)
    legs = [invite.leg for invite in scene.all(InviteLeg)]
    assert len(legs) == len(set(legs)) <= 4 + 5
    assert len(scene.all(CallOver)) == len(scene.all(EndSession)) == 1
    assert told(scene).count("initiated") == 1 and told(scene).count("ringing") <= 1
    assert [change.ended for change in scene.all(CallChanged)].count(True) == 1
