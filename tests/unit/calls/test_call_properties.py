"""Whatever comes in any order to a call that runs documents: frames end once, one verb runs, all ends."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b2bua.calls.call_run import CallRun
from b2bua.calls.frame import Frame, FrameEnd
from b2bua.calls.orders import (
    CallCanceled,
    CallChanged,
    CallOver,
    FetchDocument,
    FetchFailed,
    FinishRecording,
    KeepRecording,
    PreparePrompt,
    PromptFailed,
    PromptReady,
    RecordingFinished,
    Redirected,
)
from b2bua.core.commands import (
    EndSession,
    HangupLeg,
    InviteLeg,
    StartPrompt,
    StartRecording,
    StopRecording,
)
from b2bua.core.events import PromptEnded, RecordingStarted, RecordingStopped, ReferProgress, SilenceReached
from b2bua.core.ids import LegId, RecordingSid
from tests.unit.calls.scene import A, Scene

pytestmark = pytest.mark.unit

VERBS = [
    "<Say>hello</Say>",
    "<Play loop='0'>http://app.test/a.wav</Play>",
    "<Pause length='3'/>",
    "<Gather action='/gathered' timeout='4'><Say>press</Say></Gather>",
    "<Record action='/recorded' maxLength='20'/>",
    "<Redirect>/next</Redirect>",
    "<Redirect>ftp://no.test/</Redirect>",
    "<Refer action='/referred'><Sip>sip:x@192.0.2.9</Sip></Refer>",
    "<Dial action='/after'><Sip>sip:bob@192.0.2.9</Sip></Dial>",
    "<Dial record='true'><Sip url='/ask' statusCallback='/s'>sip:bob@192.0.2.9</Sip>"
    "<Sip>sip:carol@192.0.2.9</Sip></Dial>",
    "<Dial answerOnBridge='true'><Number>nobody</Number></Dial>",
    "<Hangup/>",
    "<Reject/>",
]
HAPPENINGS = """document document document none ready ready failed prompt-ended key silence refer-progress
    ring answer answer fail end ended recording time time caller-ends redirect redirect-child cancel
    cancel-child""".split()
documents = st.lists(st.sampled_from(VERBS), max_size=4).map("".join).map("<Response>{}</Response>".format)
steps = st.lists(
    st.tuples(st.sampled_from(HAPPENINGS), st.integers(0, 4), documents), min_size=3, max_size=30
)


class World:
    """A session, and a world that behaves: what was asked for comes once, what is hung up ends."""

    def __init__(self) -> None:
        self.scene = Scene(
            number={
                "voice_url": "http://app.test/voice",
                "fallback_url": "http://app.test/fallback",
                "status_callback": "http://app.test/status",
            }
        )
        self.open: list[LegId] = [A]
        self.hung_up: Counter[LegId] = Counter()
        self.answered: set[LegId] = set()
        self.fetches: list[FetchDocument] = []
        self.prepares: list[PreparePrompt] = []
        self.playing: list[str] = []
        self.recordings: list[RecordingSid] = []
        self.over: Counter[str] = Counter()
        self.ends = 0
        self.frames: dict[int, tuple[Frame, FrameEnd | None]] = {}
        self.children: list[str] = []
        self.look()

    def look(self) -> None:
        for order in self.scene.take():
            assert not self.ends, "an output after the end"
            match order:
                case InviteLeg():
                    assert order.leg not in self.open
                    self.open.append(order.leg)
                case HangupLeg():
                    self.hung_up[order.leg] += 1
                    assert self.hung_up[order.leg] == 1
                    assert order.leg in self.open
                case FetchDocument():
                    self.fetches.append(order)
                case PreparePrompt():
                    self.prepares.append(order)
                case StartPrompt():
                    assert order.leg in self.open and not self.hung_up[order.leg]
                    self.playing.append(order.prompt)
                case StartRecording():
                    assert order.parent in self.open and not self.hung_up[order.parent]
                    self.recordings.append(RecordingSid(order.recording))
                case StopRecording():
                    assert order.recording in self.recordings
                case CallChanged(parent_sid=str(), ended=False):
                    self.children.append(order.call_sid)
                case CallOver():
                    self.over[order.call_sid] += 1
                case EndSession():
                    self.ends += 1
        for call in self.scene.session._calls:
            self.watch(call)

    def watch(self, call: CallRun) -> None:
        """Each frame ends once; only the topmost runs a verb, those beneath keep theirs."""
        for frame in call.stack.frames:
            _, end = self.frames.get(id(frame), (frame, None))
            assert end in (None, frame.end), "a frame has ended twice"
            self.frames[id(frame)] = (frame, frame.end)
        for frame in call.stack.frames[:-1]:
            assert frame._covered and frame.end is None
        assert not call.stack.frames[-1]._covered

    def legs(self, *, answered: bool) -> list[LegId]:
        live = [leg for leg in self.open if leg != A and not self.hung_up[leg]]
        return [leg for leg in live if (leg in self.answered) == answered]

    def do(self, what: str, n: int, twiml: str) -> None:
        ringing, talking = self.legs(answered=False), self.legs(answered=True)
        now = self.scene.now
        match what:
            case "document" if self.fetches:
                fetch = self.fetches.pop(n % len(self.fetches))
                self.scene.orders.append(fetch)
                self.scene.document(twiml, fetch.url)
                self.scene.orders.remove(fetch)
            case "none" if self.fetches:
                fetch = self.fetches.pop(n % len(self.fetches))
                number = (11200, 11770, 12100, 11205, 11200)[n]
                failed = FetchFailed(request=fetch.request, number=number, text="broken", url=fetch.url)
                self.scene.bring(failed)
            case "ready" if self.prepares:
                request = self.prepares.pop(0).request
                self.scene.bring(PromptReady(request=request, file="/x.wav", duration_s=2.0))
            case "failed" if self.prepares:
                request = self.prepares.pop(0).request
                self.scene.bring(PromptFailed(request=request, number=11200, text="broken"))
            case "prompt-ended" if self.playing:
                self.scene.bring(PromptEnded(at=now, prompt=self.playing.pop(0), complete=True))
            case "key":
                self.scene.presses("1#*23"[n], self.open[0] if self.open else "a")
            case "silence" if A in self.open:
                self.scene.bring(SilenceReached(leg=A, at=now, heard=bool(n % 2)))
            case "refer-progress" if A in self.open:
                progress = ReferProgress(leg=A, at=now, status=200, by_notify=bool(n % 2), final=bool(n // 2))
                self.scene.bring(progress)
            case "ring" if ringing:
                self.scene.rings(ringing[n % len(ringing)])
            case "answer" if ringing:
                self.answered.add(ringing[n % len(ringing)])
                self.scene.answers(ringing[n % len(ringing)])
            case "fail" if ringing:
                self.end(ringing[n % len(ringing)], 486)
            case "end" if talking:
                self.end(talking[n % len(talking)])
            case "ended":
                self.end_hung_up()
            case "recording" if self.recordings:
                self.record(self.recordings[n % len(self.recordings)], n)
            case "time":
                self.scene.at(now + (0.5, 2.0, 6.0, 40.0, 20000.0)[n])
            case "caller-ends" if A in self.open and n < 2:
                self.end(A)
            case "redirect" if n < 2:
                self.scene.bring(Redirected(url="http://app.test/elsewhere"))
            case "redirect-child" if self.children:
                child = self.children[n % len(self.children)]
                self.scene.bring(Redirected(call_sid=child, url="http://app.test/elsewhere"))
            case "cancel" if n < 2:
                self.scene.bring(CallCanceled(by="api"))
            case "cancel-child" if self.children:
                self.scene.bring(CallCanceled(call_sid=self.children[n % len(self.children)], by="api"))
        self.look()

    def record(self, recording: RecordingSid, n: int) -> None:
        now = self.scene.now
        if n:
            self.scene.bring(RecordingStarted(recording=recording, at=now))
            return
        self.recordings.remove(recording)
        stopped = RecordingStopped(recording=recording, at=now, files=(), duration_s=1.0, reason="")
        self.scene.bring(stopped)
        self.scene.bring(RecordingFinished(recording=recording, status="completed", duration_s=1.0))

    def end(self, leg: LegId, code: int = 200) -> None:
        self.open.remove(leg)
        self.scene.ends(leg, code, ours=bool(self.hung_up[leg]))
        self.look()

    def end_hung_up(self) -> None:
        for leg in [leg for leg in self.open if self.hung_up[leg]]:
            self.end(leg)

    def finish(self) -> None:
        for _ in range(200):
            self.end_hung_up()
            if self.ends:
                return
            while self.fetches:
                self.do("none", 0, "")
            deadline = self.scene.session.next_deadline()
            assert deadline is not None, "waits for nothing, for ever"
            self.scene.at(max(self.scene.now, deadline))
            self.look()
        raise AssertionError("it does not end")


@settings(database=None, max_examples=200)
@given(first=documents, told=steps)
def test_every_call_comes_to_one_end(first: str, told: list[tuple[str, int, str]]) -> None:
    world = World()
    world.do("document", 0, first)
    for what, n, twiml in told:
        if not world.ends:
            world.do(what, n, twiml)
    world.finish()
    assert world.ends == 1
    assert world.over["CA1"] == 1
    assert max(world.over.values()) == 1
    assert world.open == []
    assert world.scene.session.next_deadline() is None
    kept = [order.recording for order in world.scene.all(KeepRecording)]
    assert not world.scene.all(FinishRecording) or kept
