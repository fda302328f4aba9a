"""A callee transfers its caller: requests to the application, progress reports, who stays and who leaves."""

import pytest

from b2bua.calls.orders import CallCanceled, FetchDocument, NoteFinding, Redirected
from b2bua.core.commands import (
    AllowRefer,
    HangupLeg,
    InviteLeg,
    NotifyTransfer,
    SetMedia,
    StartRecording,
    StopRecording,
)
from b2bua.core.events import LegReferred
from b2bua.core.ids import LegId
from tests.unit.calls.scene import Scene

pytestmark = pytest.mark.unit

B1, B2 = LegId("b1"), LegId("b2")
TO_CAROL = "<Response><Dial><Sip>sip:carol@192.0.2.7</Sip></Dial></Response>"


def talking(*, keep: bool, refer: str = 'referUrl="/refer"') -> Scene:
    """The caller and Bob talk; ``keep``: Bob waits for the result of a transfer."""
    bridge = 'answerOnBridge="true"' if keep else ""
    scene = Scene().document(
        f'<Response><Dial {refer} {bridge} action="/after"><Sip>sip:bob@192.0.2.9</Sip></Dial></Response>'
    )
    return scene.rings().answers().confirms()


def refers(scene: Scene, *, quiet: bool = False, accepted: bool = True, replaces: str = "") -> Scene:
    return scene.bring(
        LegReferred(
            leg=B1,
            at=scene.now,
            refer_to="<sip:carol@192.0.2.7>",
            referred_by="<sip:bob@192.0.2.9>",
            replaces=replaces,
            quiet=quiet,
            accepted=accepted,
        )
    )


def told(scene: Scene) -> list[int]:
    return [order.sip_code for order in scene.all(NotifyTransfer)]


def hung_up(scene: Scene) -> list[LegId]:
    return [order.leg for order in scene.all(HangupLeg)]


def asked(scene: Scene, path: str) -> list[FetchDocument]:
    return [order for order in scene.all(FetchDocument) if order.url.endswith(path)]


class TestAsking:
    def test_the_application_is_told_whom_and_by_whom(self) -> None:
        scene = refers(talking(keep=False))
        assert [order.leg for order in scene.all(AllowRefer)] == [B1]
        params = dict(asked(scene, "/refer")[0].params)
        assert params["CallSid"] == "CA1"
        assert params["ReferTransferTarget"] == "<sip:carol@192.0.2.7>"
        assert params["ReferredBy"] == "<sip:bob@192.0.2.9>"
        assert "ReferReplaces" not in params

    def test_without_a_refer_url_nobody_may_ask(self) -> None:
        scene = talking(keep=False, refer="")
        assert not scene.all(AllowRefer)
        refers(scene, accepted=False)
        assert [note.finding.number for note in scene.all(NoteFinding)] == [13802]
        assert not told(scene)

    @pytest.mark.parametrize("keep", [False, True])
    def test_a_document_that_cannot_be_had_leaves_the_two_together(self, keep: bool) -> None:
        scene = refers(talking(keep=keep)).no_document()
        assert told(scene) == [503]
        assert not hung_up(scene)
        scene.ends("b1")
        assert dict(asked(scene, "/after")[0].params)["DialCallStatus"] == "completed"


class TestLettingGo:
    def test_the_transferor_is_told_and_hung_up_at_once(self) -> None:
        scene = refers(talking(keep=False))
        scene.document(TO_CAROL, "http://app.test/refer")
        assert told(scene) == [200]
        assert hung_up(scene) == [B1]
        assert [order.leg for order in scene.all(InviteLeg)] == [B1, B2]
        scene.ends("b1", ours=True).answers("b2").ends("b2")
        assert not asked(scene, "/after")
        assert hung_up(scene)[-1] == "a"

    def test_one_that_has_gone_meanwhile_is_told_all_the_same(self) -> None:
        scene = refers(talking(keep=False)).ends("b1")
        assert not asked(scene, "/after")
        scene.document(TO_CAROL, "http://app.test/refer")
        assert told(scene) == [200]
        assert [order.leg for order in scene.all(InviteLeg)] == [B1, B2]

    def test_one_that_has_gone_for_nothing_has_just_hung_up(self) -> None:
        scene = refers(talking(keep=False)).ends("b1").no_document()
        assert told(scene) == [503]
        assert dict(asked(scene, "/after")[0].params)["DialCallStatus"] == "completed"


class TestKeeping:
    def kept(self) -> Scene:
        scene = refers(talking(keep=True))
        return scene.document(TO_CAROL, "http://app.test/refer")

    def test_the_transferor_waits_unheard(self) -> None:
        scene = self.kept()
        assert not hung_up(scene)
        graph = scene.all(SetMedia)[-1].connections
        assert not [c for c in graph if B1 in (c.source, c.sink)]

    def test_it_goes_when_the_target_has_answered(self) -> None:
        scene = self.kept().rings("b2").answers("b2")
        assert told(scene) == [180, 200]
        assert hung_up(scene) == [B1]
        scene.ends("b1", ours=True)
        talking_now = scene.all(SetMedia)[-1].connections
        assert {(c.source, c.sink) for c in talking_now} == {("a", B2), (B2, "a")}
        assert not asked(scene, "/after")

    def test_it_gets_the_caller_back_when_the_target_fails(self) -> None:
        scene = self.kept().ends("b2", 486)
        assert told(scene) == [486]
        assert not hung_up(scene)
        talking_now = scene.all(SetMedia)[-1].connections
        assert {(c.source, c.sink) for c in talking_now} == {("a", B1), (B1, "a")}
        scene.ends("b1")
        assert dict(asked(scene, "/after")[0].params)["DialCallStatus"] == "completed"

    def test_joined_again_it_may_try_another(self) -> None:
        scene = refers(self.kept().ends("b2", 486))
        scene.document(TO_CAROL, "http://app.test/refer").answers("b3")
        assert told(scene) == [486, 200]

    def test_the_caller_who_leaves_takes_all_along(self) -> None:
        scene = self.kept().rings("b2").ends("a")
        assert told(scene) == [180, 487]
        assert sorted(hung_up(scene)) == [B1, B2]
        scene.ends("b1", ours=True).ends("b2", 487)
        assert scene.kinds()[-1] == "EndSession"

    def test_a_transferor_that_leaves_changes_nothing_for_the_caller(self) -> None:
        scene = self.kept().ends("b1").answers("b2")
        assert told(scene) == [200]
        assert not hung_up(scene)
        assert not asked(scene, "/after")

    def test_a_document_that_dials_nobody_lets_it_go(self) -> None:
        scene = refers(talking(keep=True)).document("<Response><Pause/></Response>").at(1.0)
        assert told(scene) == [200]
        assert hung_up(scene) == [B1, "a"]

    def test_whoever_wants_no_word_gets_none(self) -> None:
        scene = refers(talking(keep=True), quiet=True).document(TO_CAROL).rings("b2").answers("b2")
        assert not told(scene)
        assert hung_up(scene) == [B1]

    @pytest.mark.parametrize(
        "order", [CallCanceled(by="api"), Redirected(url="http://app.test/else", method="GET")]
    )
    def test_an_order_from_above_ends_it(self, order: CallCanceled | Redirected) -> None:
        scene = self.kept().bring(order)
        assert told(scene) == [487]
        assert {B1, B2} <= set(hung_up(scene))
        scene.ends("b1", ours=True).ends("b2", 487)
        assert not asked(scene, "/after")


class TestAttended:
    """The REFER names another call of the transferor, which is taken over (RFC 5589 §7)."""

    DIALOG = "other;to-tag=1;from-tag=2"

    def attended(self, document: str = TO_CAROL, *, keep: bool = False, dialog: str = DIALOG) -> Scene:
        scene = talking(keep=keep)
        scene.dialogs = ["other", "id1"]
        refers(scene, replaces=dialog)
        assert dict(asked(scene, "/refer")[0].params)["ReferReplaces"] == dialog
        return scene.document(document, "http://app.test/refer")

    @pytest.mark.parametrize("keep", [False, True])
    def test_nobody_is_rung_and_the_transferor_waits(self, keep: bool) -> None:
        scene = self.attended(keep=keep)
        invite = scene.all(InviteLeg)[-1]
        assert invite.uri == "sip:replaced@node.test"
        assert dict(invite.headers)["Replaces"] == self.DIALOG
        assert not hung_up(scene)
        scene.answers("b2")
        assert told(scene) == [200]
        assert hung_up(scene) == [B1]

    def test_a_party_that_is_gone_gives_the_caller_back(self) -> None:
        scene = self.attended().ends("b2", 481)
        assert len(told(scene)) == 1
        assert told(scene)[0] >= 400
        assert not hung_up(scene)

    def test_whom_a_client_noun_means_needs_no_phone(self) -> None:
        scene = self.attended("<Response><Dial><Client>carol</Client></Dial></Response>")
        assert dict(scene.all(InviteLeg)[-1].headers)["Replaces"] == self.DIALOG

    def test_only_one_callee_can_be_meant(self) -> None:
        several = "<Sip>sip:carol@192.0.2.7</Sip><Sip>sip:dora@192.0.2.8</Sip>"
        scene = self.attended(f"<Response><Dial>{several}</Dial></Response>")
        assert [dict(order.headers).get("Replaces") for order in scene.all(InviteLeg)] == [None] * 3

    def test_it_is_done_once(self) -> None:
        scene = self.attended(
            TO_CAROL.replace("</Dial>", "</Dial><Dial><Sip>sip:dora@192.0.2.8</Sip></Dial>")
        )
        scene.answers("b2").ends("b2")
        assert scene.all(InviteLeg)[-1].uri == "sip:dora@192.0.2.8"

    def test_a_transferor_that_has_gone_meanwhile_changes_nothing(self) -> None:
        scene = talking(keep=False)
        scene.dialogs = ["other"]
        refers(scene, replaces=self.DIALOG).ends("b1").document(TO_CAROL, "http://app.test/refer")
        assert dict(scene.all(InviteLeg)[-1].headers)["Replaces"] == self.DIALOG

    @pytest.mark.parametrize(
        "dialog", ["elsewhere;to-tag=1;from-tag=2", "id1;to-tag=1;from-tag=2", "other", "other;to-tag=1"]
    )
    def test_what_is_no_other_dialog_of_ours_is_dialled(self, dialog: str) -> None:
        scene = self.attended(dialog=dialog)
        assert scene.all(InviteLeg)[-1].uri == "sip:carol@192.0.2.7"
        assert told(scene) == [200]


@pytest.mark.parametrize("keep", [False, True])
def test_the_recording_of_a_dial_ends_when_its_caller_is_handed_over(keep: bool) -> None:
    scene = talking(keep=keep, refer='referUrl="/refer" record="true"')
    refers(scene).document(TO_CAROL)
    assert len(scene.all(StopRecording)) == (not keep)
    scene.answers("b2")
    assert [order.recording for order in scene.all(StopRecording)] == ["RE1"]
    assert len(scene.all(StartRecording)) == 1


TWO_DIALS = (
    '<Response><Dial referUrl="/refer"><Sip>sip:bob@192.0.2.9</Sip></Dial>'
    "<Dial><Sip>sip:dave@192.0.2.8</Sip></Dial></Response>"
)


@pytest.mark.parametrize(
    "order",
    [
        CallCanceled(by="api"),
        CallCanceled(by="node"),
        Redirected(url="http://app.test/else", method="GET"),
    ],
)
def test_a_call_that_ends_during_a_transfer_rings_nobody_else(order: CallCanceled | Redirected) -> None:
    """The transferor has left, so that its Dial is over and the next verb is due."""
    scene = refers(Scene().document(TWO_DIALS).rings().answers().confirms()).ends("b1")
    scene.take()
    scene.bring(order)
    assert told(scene) == [487]
    assert not scene.all(InviteLeg)


def test_a_refer_after_one_that_failed_at_once_is_not_left_waiting() -> None:
    scene = refers(talking(keep=False, refer='referUrl="ftp://no.test/"'))
    assert told(scene) == [503]
    refers(scene)
    assert told(scene) == [503, 503]
