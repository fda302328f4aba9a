"""Who has answered: when it is asked, who is told, and what waits for it."""

from dataclasses import replace

import pytest

from b2bua.calls.detection import Detection
from b2bua.calls.orders import CallChanged, DocumentFetched, FetchDocument, Redirected, ReportStatus
from b2bua.calls.outbound import OutboundCall
from b2bua.calls.session import Session
from b2bua.core.commands import HangupLeg, InviteLeg, SetMedia, WatchForMachine
from b2bua.core.events import AnsweredBy, MachineJudged
from b2bua.core.ids import LegId
from b2bua.twiml.parse import parse
from b2bua.twiml.verbs import Dial, Sip
from tests.unit.calls.scene import Scene

pytestmark = pytest.mark.unit

DIAL = Dial(line=0, column=0, children=(Sip(line=0, column=0, uri="sip:bob@192.0.2.9"),))
SYNC = Detection(mode="DetectMessageEnd", timeout_s=20, speech_ms=3000, waits=True)
ASYNC = Detection(callback="http://app.test/amd", callback_method="GET")


def made(detection: Detection) -> Scene:
    """A call that we have just made."""
    scene = Scene()
    call, _ = OutboundCall.routed(DIAL, "+14155550100", scene.context)
    assert call is not None
    scene.session = Session(scene.context, replace(call, detection=detection), 0.0)
    scene.orders = scene.session.start(0.0)
    return scene


def callee(scene: Scene) -> LegId:
    return scene.all(InviteLeg)[-1].leg


def judged(scene: Scene, answered_by: AnsweredBy = "human", leg: str = "") -> Scene:
    of = LegId(leg) if leg else callee(scene)
    return scene.bring(MachineJudged(leg=of, at=scene.now, answered_by=answered_by, duration_ms=2240))


def told(scene: Scene) -> list[tuple[str, str, dict[str, str]]]:
    return [(order.method, order.url, dict(order.params)) for order in scene.all(ReportStatus)]


class TestTheDocumentWaits:
    def test_for_the_verdict_and_is_told_of_it(self) -> None:
        scene = made(SYNC)
        assert not scene.all(WatchForMachine)
        scene.answers(callee(scene))
        assert scene.all(WatchForMachine) == [
            WatchForMachine(leg=callee(scene), message_end=True, timeout_s=20, speech_ms=3000)
        ]
        assert not scene.all(FetchDocument)
        judged(scene, "machine_end_beep")
        params = dict(scene.last_fetch().params)
        assert (params["AnsweredBy"], params["MachineDetectionDuration"]) == ("machine_end_beep", "2240")
        assert [change.answered_by for change in scene.all(CallChanged)][-1] == "machine_end_beep"
        assert not told(scene)

    def test_but_not_for_ever(self) -> None:
        scene = made(SYNC)
        scene.answers(callee(scene)).at(21.9)
        assert not scene.all(FetchDocument)
        scene.at(22.1)
        assert dict(scene.last_fetch().params)["AnsweredBy"] == "unknown"
        judged(scene)  # late
        assert len(scene.all(FetchDocument)) == 1

    def test_and_is_not_requested_of_a_callee_that_has_left(self) -> None:
        scene = made(SYNC)
        scene.answers(callee(scene)).ends(callee(scene))
        judged(scene).at(60.0)
        assert not scene.all(FetchDocument)

    def test_unless_another_replaces_it(self) -> None:
        scene = made(SYNC)
        scene.answers(callee(scene)).bring(Redirected(url="http://app.test/other"))
        judged(scene).at(60.0)
        assert [fetch.url for fetch in scene.all(FetchDocument)] == ["http://app.test/other"]


class TestTheDocumentRuns:
    def test_at_once_and_the_callback_is_asked(self) -> None:
        scene = made(ASYNC)
        scene.answers(callee(scene))
        assert len(scene.all(FetchDocument)) == len(scene.all(WatchForMachine)) == 1
        assert "AnsweredBy" not in dict(scene.last_fetch().params)
        judged(scene, "machine_start")
        about = {"CallSid": scene.session.call_sid, "AccountSid": "AC1"}
        verdict = {"AnsweredBy": "machine_start", "MachineDetectionDuration": "2240"}
        assert told(scene) == [("GET", "http://app.test/amd", about | verdict)]
        assert len(scene.all(FetchDocument)) == 1

    def test_without_a_callback_only_the_record_has_it(self) -> None:
        scene = made(Detection())
        scene.answers(callee(scene))
        judged(scene)
        assert not told(scene)
        assert [change.answered_by for change in scene.all(CallChanged)][-1] == "human"


class TestDial:
    def dialling(self, attributes: str, *others: str) -> Scene:
        nouns = "".join(f"<Sip {each}>sip:x@192.0.2.9</Sip>" for each in (attributes, *others))
        return Scene().document(f"<Response><Dial>{nouns}</Dial></Response>", "http://app.test/voice")

    def test_the_parties_are_bridged_and_the_callback_is_asked(self) -> None:
        scene = self.dialling(
            'machineDetection="Enable" machineDetectionTimeout="9" machineDetectionSilenceTimeout="3000" '
            'machineDetectionSpeechThreshold="2000" machineDetectionSpeechEndThreshold="900" '
            'amdStatusCallback="/amd" amdStatusCallbackMethod="GET"'
        )
        scene.answers("b1")
        assert len(scene.all(SetMedia)[-1].connections) == 2
        assert scene.all(WatchForMachine) == [
            WatchForMachine(leg=LegId("b1"), timeout_s=9, speech_ms=2000, speech_end_ms=900, silence_ms=3000)
        ]
        judged(scene, leg="b1")
        ((method, url, params),) = told(scene)
        assert (method, url) == ("GET", "http://app.test/amd")
        assert params["CallSid"] != scene.session.call_sid
        assert (params["AnsweredBy"], params["MachineDetectionDuration"]) == ("human", "2240")

    def test_only_targets_whose_noun_asks_for_it_are_judged(self) -> None:
        scene = self.dialling("", 'machineDetection="Enable" amdStatusCallback="/amd"')
        scene.answers("b1")
        assert not scene.all(WatchForMachine)

    def test_one_that_answers_too_late_is_not_judged(self) -> None:
        scene = self.dialling("", 'machineDetection="Enable" amdStatusCallback="/amd"')
        scene.answers("b1").answers("b2")
        assert LegId("b2") in [order.leg for order in scene.all(HangupLeg)]
        assert not scene.all(WatchForMachine)

    def test_a_callee_that_is_screened_is_judged_once(self) -> None:
        scene = self.dialling('machineDetection="Enable" amdStatusCallback="/amd" url="/ask"')
        scene.answers("b1")
        judged(scene, leg="b1")
        assert len(told(scene)) == 1

    def test_a_callee_with_a_document_of_its_own_is_still_told_of(self) -> None:
        scene = self.dialling('machineDetection="Enable" amdStatusCallback="/amd"')
        scene.answers("b1")
        child = next(change.call_sid for change in scene.all(CallChanged) if change.parent_sid)
        scene.bring(Redirected(call_sid=child, url="http://app.test/own"))
        fetch = scene.last_fetch()
        document = parse("<Response><Pause length='9'/></Response>")
        scene.bring(DocumentFetched(request=fetch.request, url=fetch.url, document=document))
        judged(scene, leg="b1")
        assert [url for _, url, _ in told(scene)] == ["http://app.test/amd"]
