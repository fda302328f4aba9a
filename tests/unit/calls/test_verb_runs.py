"""Verbs that take time, on a caller's leg: their orders, what ends them, what is reported."""

from typing import Any

import pytest

from b2bua.calls.orders import (
    FetchDocument,
    KeepRecording,
    NoteFinding,
    PreparePrompt,
    PromptFailed,
    PromptReady,
    RecordingFinished,
    Redirected,
)
from b2bua.core.commands import (
    HangupLeg,
    ListenForKeys,
    ReferLeg,
    SendDtmf,
    StartPrompt,
    StartRecording,
    StopPrompt,
    StopRecording,
    WatchSilence,
)
from b2bua.core.events import PromptEnded, RecordingStopped, ReferProgress, SilenceReached
from b2bua.core.ids import LegId, RecordingSid
from tests.unit.calls.scene import A, Scene

pytestmark = pytest.mark.unit


def run(twiml: str) -> Scene:
    return Scene().document(f"<Response>{twiml}</Response>").confirms()


def ready(scene: Scene, request: int, duration_s: float = 1.0) -> Scene:
    return scene.bring(PromptReady(request=request, file=f"/cache/{request}.wav", duration_s=duration_s))


def made(scene: Scene) -> list[int]:
    return [order.request for order in scene.all(PreparePrompt)]


def ended(scene: Scene, which: int = -1) -> Scene:
    prompt = scene.all(StartPrompt)[which].prompt
    return scene.bring(PromptEnded(at=scene.now, prompt=prompt, complete=True))


def noted(scene: Scene) -> list[int]:
    return [order.finding.number for order in scene.all(NoteFinding)]


class TestPrompts:
    def test_the_next_is_made_while_the_first_plays(self) -> None:
        scene = run("<Gather><Say>one</Say><Say>two</Say><Say>three</Say></Gather>")
        assert len(made(scene)) == 1
        ready(scene, made(scene)[0])
        assert len(made(scene)) == 2
        assert len(scene.all(StartPrompt)) == 1

    def test_one_that_was_made_early_waits_for_its_turn(self) -> None:
        scene = run("<Gather><Say>one</Say><Say>two</Say></Gather>")
        ready(scene, made(scene)[0])
        ready(scene, made(scene)[1])
        assert len(scene.all(StartPrompt)) == 1
        ended(scene)
        assert [order.file for order in scene.all(StartPrompt)][-1] == f"/cache/{made(scene)[1]}.wav"

    def test_one_that_cannot_be_had_is_noted_with_its_place_and_passed_over(self) -> None:
        scene = run("<Play>http://x.test/a.wav</Play><Say>two</Say>")
        scene.bring(PromptFailed(request=made(scene)[0], number=11200, text="HTTP 404"))
        (note,) = scene.all(NoteFinding)
        assert (note.finding.number, note.finding.line) == (11200, 1)
        assert len(made(scene)) == 2

    def test_an_answer_that_never_comes_is_not_waited_for(self) -> None:
        scene = run("<Say>one</Say>").at(61.0)
        assert scene.all(HangupLeg)

    def test_an_end_that_is_never_told_is_not_waited_for(self) -> None:
        scene = run('<Say loop="2">one</Say>')
        ready(scene, made(scene)[0], duration_s=2.0).at(33.0)
        assert not scene.all(HangupLeg)
        scene.at(34.1)
        assert scene.all(StopPrompt)
        assert scene.all(HangupLeg)

    def test_without_end_it_plays_until_the_caller_leaves(self) -> None:
        scene = run('<Play loop="0">http://x.test/a.wav</Play>')
        ready(scene, made(scene)[0]).at(10_000.0)
        assert scene.all(StartPrompt)[0].loops == 0
        assert not scene.all(HangupLeg)
        scene.ends("a")
        assert scene.all(StopPrompt)
        assert scene.kinds()[-1] == "EndSession"

    def test_keys_are_sent_at_their_times(self) -> None:
        scene = run('<Play digits="1w2"/>')
        assert [order.digits for order in scene.all(SendDtmf)] == ["1"]
        scene.at(0.7)
        assert len(scene.all(SendDtmf)) == 1
        scene.at(2.0)
        assert [order.digits for order in scene.all(SendDtmf)] == ["1", "2"]
        assert scene.all(HangupLeg)

    def test_a_late_end_of_another_prompt_changes_nothing(self) -> None:
        scene = run("<Say>one</Say><Say>two</Say>")
        ready(scene, made(scene)[0])
        ended(scene)
        ready(scene, made(scene)[1])
        ended(scene, 0)
        assert not scene.all(HangupLeg)
        assert ended(scene).all(HangupLeg)


class TestGather:
    def test_the_first_key_stops_the_prompt_and_time_begins_again_with_each(self) -> None:
        scene = run('<Gather action="/got" timeout="3"><Say>press</Say></Gather>')
        ready(scene, made(scene)[0]).at(0.5).presses("1")
        assert scene.all(StopPrompt)
        scene.at(3.0).presses("2").at(5.9)
        assert scene.last_fetch().url != "http://app.test/got"
        scene.at(6.0)
        assert dict(scene.last_fetch().params)["Digits"] == "12"

    def test_time_for_the_first_key_begins_after_the_prompt(self) -> None:
        scene = run('<Gather timeout="3"><Say>press</Say></Gather><Pause length="9"/>')
        ready(scene, made(scene)[0], duration_s=8.0).at(8.0)
        ended(scene).at(10.9).presses("7").at(13.9)
        assert dict(scene.last_fetch().params)["Digits"] == "7"

    @pytest.mark.parametrize(
        ("attributes", "keys", "digits", "finished"),
        [
            ('numDigits="2"', "123", "12", ""),
            ('finishOnKey="*"', "1#*", "1#", "*"),
            ("", "12#", "12", "#"),
            ('finishOnKey="" numDigits="3"', "1#*", "1#*", ""),
        ],
    )
    def test_what_ends_it(self, attributes: str, keys: str, digits: str, finished: str) -> None:
        scene = run(f'<Gather action="/got" {attributes}/>')
        for key in keys:
            scene.presses(key)
        (fetch,) = [order for order in scene.all(FetchDocument) if order.url.endswith("/got")]
        told = dict(fetch.params)
        assert (told["Digits"], told["FinishedOnKey"]) == (digits, finished)

    def test_without_a_key_the_document_goes_on(self) -> None:
        scene = run('<Gather action="/got" timeout="2"/>').at(2.0)
        assert len(scene.all(FetchDocument)) == 1
        assert scene.all(HangupLeg)

    def test_an_empty_result_is_told_where_the_document_asks_for_it(self) -> None:
        scene = run('<Gather action="/got" timeout="2" actionOnEmptyResult="true"/>').at(2.0)
        assert dict(scene.last_fetch().params)["Digits"] == ""

    def test_tones_are_listened_for_while_it_runs(self) -> None:
        scene = run('<Gather timeout="2"/><Pause length="2"/>').at(2.0)
        assert [order.wanted for order in scene.all(ListenForKeys)] == [True, False]

    def test_the_caller_who_leaves_ends_it_and_nothing_is_asked_for(self) -> None:
        scene = run('<Gather action="/got"/>').presses("1").ends("a")
        assert len(scene.all(FetchDocument)) == 1
        assert scene.kinds()[-1] == "EndSession"


class TestRefer:
    TWIML = '<Refer action="/after"><Sip>sip:carol@192.0.2.7?X-Why=you</Sip></Refer>'

    def progress(self, scene: Scene, status: int, *, by_notify: bool, final: bool) -> Scene:
        return scene.bring(
            ReferProgress(leg=A, at=scene.now, status=status, by_notify=by_notify, final=final)
        )

    def test_what_the_phone_says_is_told(self) -> None:
        scene = run(self.TWIML)
        (refer,) = scene.all(ReferLeg)
        assert (refer.leg, refer.refer_to) == (LegId("a"), "sip:carol@192.0.2.7")
        self.progress(scene, 202, by_notify=False, final=False)
        self.progress(scene, 100, by_notify=True, final=False)
        self.progress(scene, 200, by_notify=True, final=True)
        told = dict(scene.last_fetch().params)
        assert told["ReferCallStatus"] == "completed"
        assert (told["ReferSipResponseCode"], told["NotifySipResponseCode"]) == ("202", "200")

    def test_a_phone_that_declines_has_failed(self) -> None:
        scene = self.progress(run(self.TWIML), 603, by_notify=False, final=True)
        told = dict(scene.last_fetch().params)
        assert (told["ReferCallStatus"], told["ReferSipResponseCode"]) == ("failed", "603")
        assert "NotifySipResponseCode" not in told

    def test_a_phone_that_says_nothing_more_is_not_waited_for(self) -> None:
        scene = self.progress(run(self.TWIML), 202, by_notify=False, final=False).at(180.0)
        assert dict(scene.last_fetch().params)["ReferCallStatus"] == "no-answer"

    def test_a_target_that_is_none_is_noted(self) -> None:
        scene = run('<Refer action="/after"><Sip>http://x/</Sip></Refer>')
        assert noted(scene) == [13243]
        assert dict(scene.last_fetch().params)["ReferCallStatus"] == "failed"
        assert not scene.all(ReferLeg)


class TestRecord:
    RECORD = '<Record action="/done" timeout="3" maxLength="20" finishOnKey="#"/><Pause/>'

    def recording(self, twiml: str = RECORD) -> Scene:
        """The beep has ended."""
        return ended(run(twiml))

    def finished(self, scene: Scene, status: str = "completed") -> Scene:
        (begun,) = scene.all(StartRecording)
        scene.bring(
            RecordingStopped(recording=begun.recording, at=scene.now, files=(), duration_s=4.0, reason="")
        )
        sid = RecordingSid(begun.recording)
        length = 3.0 if status == "completed" else 0.0
        return scene.bring(RecordingFinished(recording=sid, status=status, duration_s=length))  # type: ignore[arg-type]

    def test_begins_after_the_beep_with_what_the_caller_says(self) -> None:
        scene = run(self.RECORD)
        assert [order.file for order in scene.all(StartPrompt)] == ["tone:beep"]
        assert not scene.all(StartRecording)
        ended(scene)
        (begun,) = scene.all(KeepRecording)
        assert (begun.plan.source, begun.plan.track, begun.plan.trim) == ("RecordVerb", "inbound", True)
        assert [order.timeout_s for order in scene.all(WatchSilence)] == [3]

    def test_without_a_beep_it_begins_at_once(self) -> None:
        assert run('<Record playBeep="false"/>').all(StartRecording)

    @pytest.mark.parametrize(
        ("end", "digits"),
        [
            (lambda scene: scene.presses("1").presses("#"), "#"),
            (lambda scene: scene.bring(SilenceReached(leg=A, at=scene.now, heard=True)), ""),
            (lambda scene: scene.at(20.0), ""),
        ],
    )
    def test_what_ends_it_and_what_is_told(self, end: Any, digits: str) -> None:
        scene = end(self.recording())
        assert scene.all(StopRecording)
        assert not [order for order in scene.all(FetchDocument) if order.url.endswith("/done")]
        told = dict(self.finished(scene).last_fetch().params)
        assert (told["Digits"], told["RecordingDuration"]) == (digits, "3")
        assert told["RecordingUrl"].endswith(told["RecordingSid"])

    def test_a_caller_who_hangs_up_has_left_a_message(self) -> None:
        scene = self.recording().ends("a")
        assert scene.kinds()[-1] != "EndSession"
        fetch = self.finished(scene).last_fetch()
        assert dict(fetch.params)["Digits"] == "hangup"
        assert not fetch.expects_document
        assert scene.kinds()[-1] == "EndSession"

    def test_where_nothing_was_said_the_document_goes_on(self) -> None:
        scene = self.recording().bring(SilenceReached(leg=A, at=0.0, heard=False))
        self.finished(scene, "absent")
        assert len(scene.all(FetchDocument)) == 1
        assert scene.at(30.0).all(HangupLeg)

    def test_a_file_that_is_never_made_is_not_waited_for(self) -> None:
        scene = self.recording().presses("#").at(9.0)
        assert dict(scene.last_fetch().params)["Digits"] == "#"

    def test_a_transcription_is_asked_for_with_the_calls_parameters(self) -> None:
        scene = ended(run('<Record transcribe="true" transcribeCallback="/words"/>'))
        (begun,) = scene.all(KeepRecording)
        assert begun.plan.transcribe_url.endswith("/words")
        told = dict(begun.plan.transcribe_params)
        assert (told["CallSid"], told["CallStatus"]) == (begun.plan.call_sid, "in-progress")
        assert {"From", "To", "FromCity"} <= set(told)

    def test_a_redirect_ends_it_untold(self) -> None:
        scene = self.recording().bring(Redirected(url="http://app.test/else", method="GET"))
        assert scene.all(StopRecording)
        self.finished(scene)
        assert not [order for order in scene.all(FetchDocument) if order.url.endswith("/done")]
