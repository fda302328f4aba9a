"""A session's handling of documents, verbs, legs and time."""

import pytest

from b2bua.calls.orders import (
    CallCanceled,
    CallOver,
    DocumentFetched,
    FetchDocument,
    NoteFinding,
    ReportStatus,
)
from b2bua.core.commands import AnswerLeg, EndSession, HangupLeg, InviteLeg, ProgressLeg, RingLeg, SetMedia
from b2bua.twiml.parse import parse
from tests.unit.calls.scene import A, Scene

pytestmark = pytest.mark.unit

DIAL = '<Response><Dial answerOnBridge="true"><Sip>sip:bob@192.0.2.9</Sip></Dial></Response>'
DIAL_WITH_ACTION = DIAL.replace('"true"', '"true" action="/after"')


def params(fetch: FetchDocument) -> dict[str, str]:
    return dict(fetch.params)


class TestDocuments:
    def test_a_number_nobody_has_is_404(self) -> None:
        scene = Scene(number=None)
        assert scene.all(HangupLeg) == [HangupLeg(leg=A, sip_code=404)]

    def test_the_first_request_tells_who_calls_whom(self) -> None:
        told = params(Scene().last_fetch())
        assert told["From"] == "+14155550123"
        assert told["To"] == "+14155550199"
        assert told["CallStatus"] == "ringing"
        assert told["SipCallId"] == "call-1"
        assert told["SipSourceIp"] == "192.0.2.1"
        assert told["CallerName"] == "Ann"

    def test_private_headers_of_the_edge_are_not_told(self) -> None:
        scene = Scene(headers=(("X-B2bua-Source", "udp:1"), ("X-Tenant", "7")))
        told = params(scene.last_fetch())
        assert told["SipHeader_X-Tenant"] == "7"
        assert not any("b2bua" in name.lower() for name in told)

    def test_a_late_document_is_ignored(self) -> None:
        scene = Scene().document("<Response><Redirect>/next</Redirect></Response>")
        first = scene.all(FetchDocument)[0]
        before = len(scene.orders)
        scene.bring(DocumentFetched(request=first.request, url="", document=parse(DIAL)))
        assert len(scene.orders) == before

    def test_a_failed_fetch_goes_to_the_fallback_with_what_failed(self) -> None:
        scene = Scene(number={"voice_url": "http://app.test/voice", "fallback_url": "http://app.test/fb"})
        scene.no_document(11205)
        assert scene.last_fetch().url == "http://app.test/fb"
        told = params(scene.last_fetch())
        assert (told["ErrorCode"], told["ErrorUrl"]) == ("11205", "http://app.test/voice")

    @pytest.mark.parametrize(
        "verb",
        [
            "<Redirect>ftp://ann:s3cret@h/x</Redirect>",
            '<Dial action="ftp://h/x"><Number>nobody</Number></Dial>',
        ],
    )
    def test_an_address_that_is_none_goes_to_the_fallback_too(self, verb: str) -> None:
        scene = Scene(number={"voice_url": "http://app.test/voice", "fallback_url": "http://app.test/fb"})
        scene.document(f"<Response>{verb}</Response>")
        told = params(scene.last_fetch())
        assert (told["ErrorCode"], told["ErrorUrl"]) == ("11100", "ftp://h/x")
        scene.document("<Response><Hangup/></Response>")
        assert scene.all(HangupLeg)

    def test_without_fallback_the_caller_hears_the_error_and_is_hung_up(self) -> None:
        scene = Scene().no_document()
        assert "AnswerLeg" in scene.kinds()
        assert scene.all(SetMedia)[0].connections[0].source == "tone:error"
        scene.confirms().at(10.0)
        assert scene.all(HangupLeg)

    def test_a_fallback_that_fails_too_is_the_end(self) -> None:
        scene = Scene(number={"voice_url": "http://app.test/voice", "fallback_url": "http://app.test/fb"})
        scene.no_document().no_document()
        assert len(scene.all(FetchDocument)) == 2
        assert scene.all(AnswerLeg)

    def test_findings_are_noted(self) -> None:
        scene = Scene().document('<Response><Dial timeout="x"><Sip>sip:b@192.0.2.9</Sip></Dial></Response>')
        assert 13212 in [note.finding.number for note in scene.all(NoteFinding)]


class TestVerbs:
    @pytest.mark.parametrize(
        ("twiml", "code"),
        [
            ("<Response><Reject/></Response>", 404),
            ('<Response><Reject reason="busy"/></Response>', 486),
            ("<Response></Response>", 480),
        ],
    )
    def test_what_never_answers(self, twiml: str, code: int) -> None:
        scene = Scene().document(twiml)
        assert scene.all(HangupLeg) == [HangupLeg(leg=A, sip_code=code)]
        assert not scene.all(AnswerLeg)

    def test_hangup_answers_and_hangs_up(self) -> None:
        scene = Scene().document("<Response><Hangup/></Response>")
        assert scene.kinds()[-2:] == ["AnswerLeg", "HangupLeg"]

    def test_pause_first_waits_unanswered(self) -> None:
        scene = Scene().document('<Response><Pause length="3"/><Hangup/></Response>')
        scene.at(2.9)
        assert not scene.all(AnswerLeg)
        scene.at(3.1)
        assert scene.all(AnswerLeg)

    def test_redirect_keeps_ringing_and_resolves_against_the_document(self) -> None:
        scene = Scene().document(
            '<Response><Redirect method="GET">next?x=1</Redirect></Response>', url="http://app.test/a/b"
        )
        fetch = scene.last_fetch()
        assert (fetch.url, fetch.method) == ("http://app.test/a/next?x=1", "GET")
        assert not scene.all(AnswerLeg)

    def test_hundreds_of_dials_that_fail_at_once_are_run_through(self) -> None:
        dials = "<Dial><Number>x</Number></Dial>" * 240
        scene = Scene().document(f"<Response>{dials}<Hangup/></Response>")
        assert scene.all(HangupLeg)


class TestDial:
    def test_answer_on_bridge_rings_then_answers_with_the_callee(self) -> None:
        scene = Scene().document(DIAL)
        assert scene.all(RingLeg)
        assert not scene.all(AnswerLeg)
        scene.answers()
        assert scene.all(AnswerLeg)
        assert {(c.source, c.sink) for c in scene.all(SetMedia)[-1].connections} == {("a", "b1"), ("b1", "a")}

    def test_ring_tone_makes_early_media(self) -> None:
        scene = Scene().document(DIAL.replace("<Dial", '<Dial ringTone="uk"'))
        assert scene.all(ProgressLeg)
        assert scene.all(SetMedia)[0].connections[0].source == "tone:uk"

    def test_an_unanswered_caller_gets_the_callees_failure(self) -> None:
        scene = Scene().document(DIAL).ends("b1", 486)
        assert scene.all(HangupLeg) == [HangupLeg(leg=A, sip_code=486)]

    def test_the_next_verb_answers_after_a_failed_dial(self) -> None:
        scene = Scene().document(DIAL.replace("</Response>", "<Hangup/></Response>")).ends("b1", 486)
        assert scene.kinds()[-2:] == ["AnswerLeg", "HangupLeg"]

    def test_action_is_asked_once_with_the_outcome(self) -> None:
        scene = Scene().document(DIAL_WITH_ACTION).rings().at(2.0).answers().confirms().at(12.0).ends("b1")
        fetches = scene.all(FetchDocument)
        assert [fetch.url for fetch in fetches[1:]] == ["http://app.test/after"]
        told = params(fetches[1])
        assert told["DialCallStatus"] == "completed"
        assert told["DialBridged"] == "true"
        assert told["DialCallSid"] == "CA2"
        assert told["DialCallDuration"] == "10"
        assert told["DialRingDuration"] == "2000"
        assert told["DialHangupBy"] == "callee"
        assert told["DialHangupCause"] == "16"
        assert told["CallStatus"] == "in-progress"
        assert told["DialSipResponseCode"] == "200"
        assert fetches[1].once
        assert fetches[1].expects_document

    def test_action_is_asked_although_the_caller_has_gone(self) -> None:
        scene = Scene().document(DIAL_WITH_ACTION).answers().confirms().at(5.0).ends("a")
        fetch = scene.last_fetch()
        assert fetch.url == "http://app.test/after"
        assert not fetch.expects_document
        assert params(fetch)["CallStatus"] == "completed"
        assert params(fetch)["DialHangupBy"] == "caller"
        scene.ends("b1", ours=True)
        assert scene.kinds()[-2:] == ["CallOver", "EndSession"]
        before = len(scene.orders)
        scene.document(DIAL)
        assert len(scene.orders) == before

    def test_the_document_after_action_replaces_the_rest(self) -> None:
        scene = (
            Scene().document(DIAL_WITH_ACTION.replace("</Response>", "<Pause/></Response>")).ends("b1", 404)
        )
        scene.document("<Response><Hangup/></Response>", url="http://app.test/after")
        assert scene.kinds()[-2:] == ["AnswerLeg", "HangupLeg"]

    def test_more_targets_than_slots_are_warned_about(self) -> None:
        sips = "".join(f"<Sip>sip:u{n}@192.0.2.9</Sip>" for n in range(5))
        scene = Scene(slots=4).document(f"<Response><Dial>{sips}</Dial></Response>")
        assert len(scene.all(InviteLeg)) == 3
        assert 12400 in [note.finding.number for note in scene.all(NoteFinding)]

    def test_the_callers_star_ends_the_callee_and_the_document_goes_on(self) -> None:
        twiml = DIAL.replace("<Dial", '<Dial hangupOnStar="true"').replace("</Dial>", "</Dial><Pause/>")
        scene = Scene().document(twiml).answers().confirms().presses("*")
        assert [order.leg for order in scene.all(HangupLeg)] == ["b1"]

    def test_cancel_by_the_node_hangs_everybody_up(self) -> None:
        scene = Scene().document(DIAL).answers().confirms().bring(CallCanceled(by="node"))
        assert {order.leg for order in scene.all(HangupLeg)} == {"a", "b1"}


class TestEnd:
    def test_the_call_is_over_once_when_every_leg_has_ended(self) -> None:
        scene = Scene(number={"voice_url": "http://app.test/v", "status_callback": "http://app.test/s"})
        scene.document(DIAL).answers().confirms().at(7.0).ends("a")
        assert not scene.all(CallOver)
        scene.ends("b1", ours=True)
        assert len(scene.all(EndSession)) == 1
        over = scene.all(CallOver)[0]
        assert (over.status, over.duration_s) == ("completed", 7.0)
        report = dict(scene.all(ReportStatus)[0].params)
        assert report["CallStatus"] == "completed"
        assert report["CallDuration"] == "7"
        assert scene.session.next_deadline() is None

    def test_a_caller_who_gives_up_while_it_rings_is_canceled(self) -> None:
        scene = Scene().document(DIAL).ends("a", 487)
        assert [order.leg for order in scene.all(HangupLeg)] == ["b1"]
        scene.ends("b1", 487, ours=True)
        assert scene.all(CallOver)[0].status == "canceled"

    def test_a_caller_who_gives_up_while_we_fetch_ends_the_call(self) -> None:
        scene = Scene().ends("a", 487)
        assert scene.kinds()[-2:] == ["CallOver", "EndSession"]
