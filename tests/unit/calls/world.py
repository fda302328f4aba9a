"""A session, and a world around it that behaves: what was asked for comes once, what is hung up ends, and
what has ended says nothing more. Property tests choose what happens; the world checks what must always hold.
"""

from collections import Counter

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
    AllowRefer,
    EndSession,
    HangupLeg,
    InviteLeg,
    NotifyTransfer,
    StartPrompt,
    StartRecording,
    StopRecording,
    WatchForMachine,
)
from b2bua.core.events import (
    LegReferred,
    MachineJudged,
    PromptEnded,
    RecordingStarted,
    RecordingStopped,
    ReferProgress,
    SilenceReached,
)
from b2bua.core.ids import LegId, RecordingSid
from tests.unit.calls.scene import A, Scene

CHOICES = 5
"""``do`` takes a number below this, which chooses among what can happen."""
PARENT = "CA1"
OTHER_DIALOG = "other"
"""Call-ID of a dialog of the node's that an attended transfer names."""

_PASSES_S = (0.5, 6.0, 40.0, 800.0, 20000.0)
_FAILURES = (11200, 11770, 12100, 11205, 11200)


class World:
    """A session and what it has asked for.

    Args:
        scene: the session, of which nothing has been taken yet.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.open: list[LegId] = [A]
        self.hung_up: Counter[LegId] = Counter()
        self.answered: set[LegId] = set()
        self.may_refer: set[LegId] = set()
        self.referring: Counter[LegId] = Counter()
        """Transferors who are owed a last word."""
        self.fetches: list[FetchDocument] = []
        self.prepares: list[PreparePrompt] = []
        self.playing: list[str] = []
        self.judging: list[LegId] = []
        self.recordings: list[RecordingSid] = []
        self.unfinished: list[RecordingSid] = []
        self.over: Counter[str] = Counter()
        self.ends = 0
        self.frames: dict[int, tuple[Frame, FrameEnd | None]] = {}
        self.children: list[str] = []
        self.look()

    # -- what the session orders ---------------------------------------------------------------------

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
                case AllowRefer():
                    self.may_refer.add(order.leg)
                case NotifyTransfer():
                    assert self.referring[order.leg] == 1, "a word to nobody, or after the last"
                    self.referring[order.leg] -= order.sip_code >= 200
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
                case WatchForMachine():
                    assert order.leg in self.answered and not self.hung_up[order.leg]
                    self.judging.append(order.leg)
                case StopRecording():
                    assert order.recording in self.recordings
                case KeepRecording():
                    self.unfinished.append(order.recording)
                case FinishRecording():
                    assert order.recording in self.unfinished, "unknown, or finished before"
                    self.unfinished.remove(order.recording)
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
        """The callees that we have not hung up."""
        live = [leg for leg in self.open if leg != A and not self.hung_up[leg]]
        return [leg for leg in live if (leg in self.answered) == answered]

    # -- what happens --------------------------------------------------------------------------------

    def do(self, what: str, n: int, twiml: str = "") -> None:
        """Let something happen if it can; ``n`` chooses to whom or how, ``twiml`` is a document's text."""
        self._on_request(what, n, twiml)
        self._on_leg(what, n)
        self._from_above(what, n)
        self.look()

    def _on_request(self, what: str, n: int, twiml: str) -> None:
        match what:
            case "document" if self.fetches:
                fetch = self.fetches.pop(n % len(self.fetches))
                self.scene.orders.append(fetch)  # which ``document`` answers
                self.scene.document(twiml, fetch.url)
                self.scene.orders.remove(fetch)
            case "none" if self.fetches:
                fetch = self.fetches.pop(n % len(self.fetches))
                failed = FetchFailed(request=fetch.request, number=_FAILURES[n], text="broken", url=fetch.url)
                self.scene.bring(failed)
            case "ready" if self.prepares:
                request = self.prepares.pop(0).request
                self.scene.bring(PromptReady(request=request, file="/x.wav", duration_s=2.0))
            case "failed" if self.prepares:
                request = self.prepares.pop(0).request
                self.scene.bring(PromptFailed(request=request, number=11200, text="broken"))

    def _on_leg(self, what: str, n: int) -> None:
        ringing, talking = self.legs(answered=False), self.legs(answered=True)
        now = self.scene.now
        match what:
            case "prompt-ended" if self.playing:
                self.scene.bring(PromptEnded(at=now, prompt=self.playing.pop(0), complete=True))
            case "judged" if self.judging:
                leg = self.judging.pop(0)
                if leg in self.open:
                    self.scene.bring(MachineJudged(leg=leg, at=now, answered_by="human", duration_ms=2000))
            case "key":
                self.scene.presses("1#*23"[n], self.open[0] if self.open else "a")
            case "star" if A in self.open:
                self.scene.presses("*")
            case "silence" if A in self.open:
                self.scene.bring(SilenceReached(leg=A, at=now, heard=bool(n % 2)))
            case "refer" | "attended" if may := [leg for leg in talking if leg in self.may_refer]:
                self.refer(may[n % len(may)], attended=what == "attended")
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
            case "caller-ends" if A in self.open and n == 0:
                self.end(A)
            case "recording" if self.recordings:
                self.record(self.recordings[n % len(self.recordings)], n)

    def _from_above(self, what: str, n: int) -> None:
        match what:
            case "time":
                self.scene.at(self.scene.now + _PASSES_S[n])
            case "redirect" if n == 0:
                self.scene.bring(Redirected(url="http://app.test/elsewhere"))
            case "redirect-child" if self.children:
                child = self.children[n % len(self.children)]
                self.scene.bring(Redirected(call_sid=child, url="http://app.test/elsewhere"))
            case "cancel" if n == 0:
                self.scene.bring(CallCanceled(by="api"))
            case "cancel-child" if self.children:
                self.scene.bring(CallCanceled(call_sid=self.children[n % len(self.children)], by="api"))

    def refer(self, leg: LegId, *, attended: bool) -> None:
        if self.referring[leg]:
            return  # the worker declines it
        self.referring[leg] += 1
        self.scene.bring(
            LegReferred(
                leg=leg,
                at=self.scene.now,
                refer_to="<sip:carol@192.0.2.7>",
                referred_by="",
                replaces=f"{OTHER_DIALOG};to-tag=1;from-tag=2" if attended else "",
                quiet=False,
            )
        )

    def record(self, recording: RecordingSid, n: int) -> None:
        now = self.scene.now
        if n:
            self.scene.bring(RecordingStarted(recording=recording, at=now))
            return
        self.recordings.remove(recording)
        stopped = RecordingStopped(recording=recording, at=now, files=(), duration_s=1.0, reason="")
        self.scene.bring(stopped)
        self.scene.bring(RecordingFinished(recording=recording, status="completed", duration_s=1.0))

    # -- the end -------------------------------------------------------------------------------------

    def end(self, leg: LegId, code: int = 200) -> None:
        self.open.remove(leg)
        self.scene.ends(leg, code, ours=bool(self.hung_up[leg]))
        self.look()

    def end_hung_up(self) -> None:
        for leg in [leg for leg in self.open if self.hung_up[leg]]:
            self.end(leg)

    def finish(self) -> None:
        """Let everything happen that is due, until the session ends; check that nothing is left."""
        for _ in range(200):
            self.end_hung_up()
            if self.ends:
                break
            while self.fetches:
                self.do("none", 0)
            deadline = self.scene.session.next_deadline()
            assert deadline is not None, "waits for nothing, for ever"
            self.scene.at(max(self.scene.now, deadline))
            self.look()
        assert self.ends == 1, "it does not end"
        assert self.over[PARENT] == 1
        assert max(self.over.values()) == 1
        assert self.open == []
        assert not any(self.referring.values())
        assert self.unfinished == []
        assert self.scene.session.next_deadline() is None
