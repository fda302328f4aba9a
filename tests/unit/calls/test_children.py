"""Child calls as calls: screening before the bridge, reports, hangup and redirection."""

import pytest

from b2bua.calls.orders import CallCanceled, CallOver, FetchDocument, NoteFinding, Redirected, ReportStatus
from b2bua.core.commands import AnswerLeg, EndSession, HangupLeg, InviteLeg, SetMedia
from b2bua.core.dial_report import Bridged
from b2bua.core.ids import CallSid
from b2bua.twiml.parse import parse
from tests.unit.calls.scene import Scene

pytestmark = pytest.mark.unit

SCREENED = (
    '<Response><Dial answerOnBridge="true" action="/after"><Sip url="/screen" statusCallback="/status"'
    ' statusCallbackEvent="initiated ringing answered completed">sip:bob@192.0.2.9</Sip></Dial></Response>'
)
CHILD = CallSid("CA2")


def screening() -> Scene:
    """Bob has answered and his document was requested."""
    return Scene().document(SCREENED).rings().answers()


class TestScreening:
    def test_the_callees_document_is_asked_for_as_the_childs(self) -> None:
        fetch = screening().last_fetch()
        told = dict(fetch.params)
        assert fetch.url == "http://app.test/screen"
        assert (told["CallSid"], told["ParentCallSid"]) == ("CA2", "CA1")
        assert (told["CallStatus"], told["Direction"]) == ("in-progress", "outbound-dial")
        assert told["To"] == "sip:bob@192.0.2.9"

    def test_falling_off_the_end_accepts(self) -> None:
        scene = screening()
        assert not scene.all(AnswerLeg)
        scene.document('<Response><Pause length="2"/></Response>').at(1.0)
        assert not scene.all(Bridged)
        scene.at(2.0)
        assert scene.all(AnswerLeg)
        assert scene.all(Bridged)

    @pytest.mark.parametrize("twiml", ["<Response><Hangup/></Response>", "<Response><Reject/></Response>"])
    def test_hanging_up_refuses(self, twiml: str) -> None:
        scene = screening().document(twiml)
        assert [order.leg for order in scene.all(HangupLeg)] == ["b1"]
        scene.ends("b1", ours=True)
        assert dict(scene.last_fetch().params)["DialCallStatus"] == "no-answer"

    def test_a_dial_in_it_is_an_error_and_refuses(self) -> None:
        scene = screening().document("<Response><Dial>+14155550100</Dial></Response>")
        (note,) = [note for note in scene.all(NoteFinding) if note.finding.number == 13201]
        assert note.call_sid == CHILD
        assert scene.all(HangupLeg)

    def test_a_document_that_cannot_be_had_refuses(self) -> None:
        scene = screening().no_document()
        assert scene.all(HangupLeg)
        assert not scene.all(Bridged)

    def test_the_caller_who_leaves_ends_it(self) -> None:
        scene = screening().ends("a", 487)
        assert [order.leg for order in scene.all(HangupLeg)] == ["b1"]
        scene.ends("b1", ours=True)
        assert scene.kinds()[-1] == "EndSession"

    def test_the_caller_hears_ringing_all_the_while(self) -> None:
        scene = Scene().document(SCREENED.replace('answerOnBridge="true"', "")).confirms().rings().answers()
        scene.document('<Response><Pause length="2"/></Response>')
        assert scene.all(SetMedia)[-1].connections[0].source == "tone:us"


class TestStatusCallbacks:
    def test_every_stage_is_told_in_order_as_the_childs(self) -> None:
        scene = screening().document("<Response/>").at(7.0).ends("b1")
        told = [(dict(order.params), order) for order in scene.all(ReportStatus)]
        assert [params["CallStatus"] for params, _ in told] == [
            "initiated",
            "ringing",
            "in-progress",
            "completed",
        ]
        assert [params["SequenceNumber"] for params, _ in told] == ["0", "1", "2", "3"]
        assert {order.call_sid for _, order in told} == {CHILD}
        assert {order.url for _, order in told} == {"http://app.test/status"}
        assert told[-1][0]["CallDuration"] == "7"
        assert all(params["CallbackSource"] == "call-progress-events" for params, _ in told)

    def test_only_completed_is_told_when_nothing_else_was_asked_for(self) -> None:
        twiml = '<Response><Dial><Sip statusCallback="/s">sip:b@192.0.2.9</Sip></Dial></Response>'
        scene = Scene().document(twiml).rings().ends("b1", 486)
        (report,) = scene.all(ReportStatus)
        assert dict(report.params)["CallStatus"] == "busy"
        assert dict(report.params)["SequenceNumber"] == "2"


class TestRest:
    def bridged(self) -> Scene:
        scene = screening().document("<Response/>").confirms().at(3.0)
        scene.take()
        return scene

    def test_a_child_is_sent_elsewhere_and_the_dial_ends(self) -> None:
        scene = self.bridged()
        scene.bring(Redirected(call_sid=CHILD, url="http://app.test/own"))
        assert not scene.all(HangupLeg)
        after, own = scene.all(FetchDocument)
        assert dict(after.params)["DialCallStatus"] == "completed"
        assert "DialCallDuration" not in dict(after.params)
        assert (own.url, dict(own.params)["CallSid"]) == ("http://app.test/own", "CA2")
        scene.ends("a")
        assert not scene.all(EndSession)
        scene.document("<Response><Pause/></Response>").at(5.0)
        assert [order.leg for order in scene.all(HangupLeg)] == ["b1"]
        scene.ends("b1", ours=True)
        assert [over.call_sid for over in scene.all(CallOver)] == ["CA1", "CA2"]
        assert [dict(order.params)["CallStatus"] for order in scene.all(ReportStatus)] == ["completed"]
        assert scene.kinds()[-1] == "EndSession"

    def test_it_may_dial_somebody_itself(self) -> None:
        scene = self.bridged()
        twiml = "<Response><Dial><Sip>sip:carol@192.0.2.9</Sip></Dial></Response>"
        scene.bring(Redirected(call_sid=CHILD, document=parse(twiml)))
        (invite,) = scene.all(InviteLeg)
        assert invite.uri == "sip:carol@192.0.2.9"
        scene.answers(invite.leg)
        pairs = {(pair.source, pair.sink) for pair in scene.all(SetMedia)[-1].connections}
        assert pairs == {("b1", invite.leg), (invite.leg, "b1")}

    @pytest.mark.parametrize(
        ("dial", "caller", "shown"),
        [
            ("", "sip:ann@pbx.test", "<sip:ann@node.test>"),
            ("", "sip:ann@192.0.2.7:5070;user=phone", "<sip:ann@node.test>"),
            ("", "tel:+14155550123", "<sip:+14155550123@node.test>"),
            ("", "sip:192.0.2.7", "<sip:anonymous@node.test>"),
            ("", "sip:anonymous@anonymous.invalid", '"Anonymous" <sip:anonymous@anonymous.invalid>'),
            ('callerId="zoe"', "sip:ann@pbx.test", "<sip:zoe@node.test>"),
        ],
    )
    def test_whom_it_dials_sees_the_user_of_its_own_caller(self, dial: str, caller: str, shown: str) -> None:
        scene = Scene(from_header=f"<{caller}>;tag=1").document(
            f"<Response><Dial {dial}><Sip>sip:bob@192.0.2.9</Sip></Dial></Response>"
        )
        scene.rings().answers().confirms().take()
        twiml = "<Response><Dial><Sip>sip:carol@192.0.2.9</Sip></Dial></Response>"
        scene.bring(Redirected(call_sid=CHILD, document=parse(twiml)))
        (invite,) = scene.all(InviteLeg)
        assert invite.from_header == shown

    def test_a_caller_who_asked_for_privacy_keeps_it_there(self) -> None:
        trunk = {"name": "pbx", "uri": "sip:192.0.2.10", "match": ["192.0.2.10"]}
        scene = Scene(
            settings={"trunks": [trunk], "dial": {"trunk": "pbx"}},
            headers=(("Privacy", "id"),),
            trunk="pbx",
        ).document("<Response><Dial><Sip>sip:bob@192.0.2.9</Sip></Dial></Response>")
        scene.rings().answers().confirms().take()
        twiml = "<Response><Dial><Number>+14155550188</Number></Dial></Response>"
        scene.bring(Redirected(call_sid=CHILD, document=parse(twiml)))
        (invite,) = scene.all(InviteLeg)
        assert invite.from_header == '"Anonymous" <sip:anonymous@anonymous.invalid>'
        assert dict(invite.headers)["Privacy"] == "id"
        assert dict(invite.headers)["P-Asserted-Identity"] == "<sip:+14155550123@node.test>"

    def test_a_child_that_is_asked_can_be_sent_elsewhere(self) -> None:
        scene = screening()
        scene.bring(Redirected(call_sid=CHILD, document=parse('<Response><Pause length="9"/></Response>')))
        assert dict(scene.last_fetch().params)["DialCallStatus"] == "canceled"
        assert not scene.all(HangupLeg)

    def test_a_child_that_rings_cannot(self) -> None:
        scene = Scene().document(SCREENED).rings()
        before = len(scene.orders)
        scene.bring(Redirected(call_sid=CHILD, url="http://app.test/own"))
        assert len(scene.orders) == before

    def test_a_child_is_hung_up(self) -> None:
        scene = self.bridged()
        scene.bring(CallCanceled(call_sid=CHILD, by="api"))
        assert [order.leg for order in scene.all(HangupLeg)] == ["b1"]

    def test_a_child_on_its_own_is_hung_up(self) -> None:
        scene = self.bridged()
        scene.bring(Redirected(call_sid=CHILD, document=parse('<Response><Pause length="9"/></Response>')))
        scene.bring(CallCanceled(call_sid=CHILD, by="api"))
        assert [order.leg for order in scene.all(HangupLeg)] == ["b1"]

    def test_a_call_nobody_knows_is_nothing(self) -> None:
        scene = self.bridged()
        scene.bring(CallCanceled(call_sid=CallSid("CA9"), by="api"))
        scene.bring(Redirected(call_sid=CallSid("CA9"), url="http://app.test/"))
        assert scene.orders == []
