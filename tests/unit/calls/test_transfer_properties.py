"""Whatever happens around transfers, in whatever order: each leg ends once, each REFER gets one last word."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b2bua.calls.orders import CallCanceled, CallOver, FetchDocument, FetchFailed, Redirected
from b2bua.core.commands import AllowRefer, EndSession, HangupLeg, InviteLeg, NotifyTransfer
from b2bua.core.events import LegReferred
from b2bua.core.ids import LegId
from tests.unit.calls.scene import A, Scene

pytestmark = pytest.mark.unit

DIAL = '<Dial referUrl="/refer" action="/after" answerOnBridge="{keep}" hangupOnStar="true">{nouns}</Dial>'
BOB = "<Sip>sip:bob@192.0.2.9</Sip>"
DOCUMENTS = [
    f"<Response>{DIAL.format(keep='true', nouns='<Sip>sip:carol@192.0.2.7</Sip>')}</Response>",
    f"<Response>{DIAL.format(keep='false', nouns='<Sip>sip:carol@192.0.2.7</Sip>' + BOB)}</Response>",
    "<Response><Pause length='5'/></Response>",
    "<Response><Dial>nobody</Dial><Redirect>/next</Redirect></Response>",
    "<Response/>",
]
HAPPENINGS = """refer refer attended document document none ring answer answer fail end ended
    caller-ends star time redirect cancel""".split()
steps = st.lists(
    st.tuples(st.sampled_from(HAPPENINGS), st.integers(0, 4)),
    max_size=25,
)


class Story:
    """A session, and a world that behaves: what is hung up ends, what has ended says nothing more."""

    def __init__(self, keep: bool) -> None:
        self.scene = Scene()
        self.scene.dialogs = ["other"]
        self.open: list[LegId] = [A]
        self.hung_up: Counter[LegId] = Counter()
        self.answered: set[LegId] = {A}
        self.allowed: set[LegId] = set()
        self.waiting: Counter[LegId] = Counter()
        """Transferors who are owed a last word."""
        self.unanswered: list[FetchDocument] = []
        self.ends = 0
        self.over = 0
        self.look()
        self.answer_fetch(f"<Response>{DIAL.format(keep=str(keep).lower(), nouns=BOB)}</Response>")
        self.do("answer", 0)
        self.scene.confirms()
        self.look()

    def look(self) -> None:
        for order in self.scene.take():
            match order:
                case InviteLeg():
                    assert order.leg not in self.open
                    self.open.append(order.leg)
                case HangupLeg():
                    self.hung_up[order.leg] += 1
                    assert self.hung_up[order.leg] == 1
                    assert order.leg in self.open
                case AllowRefer():
                    self.allowed.add(order.leg)
                case NotifyTransfer():
                    assert self.waiting[order.leg] == 1, "a word to nobody, or after the last"
                    self.waiting[order.leg] -= order.sip_code >= 200
                case FetchDocument():
                    self.unanswered.append(order)
                case CallOver():
                    self.over += 1
                case EndSession():
                    self.ends += 1

    def answer_fetch(self, twiml: str | None) -> None:
        if not self.unanswered:
            return
        fetch = self.unanswered.pop(0)
        if twiml is None:
            self.scene.bring(FetchFailed(request=fetch.request, number=11200, text="broken", url=fetch.url))
        else:
            self.scene.orders.append(fetch)  # which ``document`` answers
            self.scene.document(twiml, fetch.url)
            self.scene.orders.remove(fetch)
        self.look()

    def callees(self, *, answered: bool) -> list[LegId]:
        legs = [leg for leg in self.open if leg != A and not self.hung_up[leg]]
        return [leg for leg in legs if (leg in self.answered) == answered]

    def do(self, what: str, n: int) -> None:
        ringing, talking = self.callees(answered=False), self.callees(answered=True)
        match what:
            case "refer" | "attended" if may := [leg for leg in talking if leg in self.allowed]:
                self.refer(may[n % len(may)], attended=what == "attended")
            case "document":
                self.answer_fetch(DOCUMENTS[n])
            case "none":
                self.answer_fetch(None)
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
            case "star" if A in self.open:
                self.scene.presses("*")
            case "time":
                self.scene.at(self.scene.now + (1.0, 6.0, 40.0, 800.0, 20000.0)[n])
            case "redirect" if n == 0:
                self.scene.bring(Redirected(url="http://app.test/elsewhere"))
            case "cancel" if n == 0:
                self.scene.bring(CallCanceled(by="api"))
        self.look()

    def refer(self, leg: LegId, *, attended: bool) -> None:
        if self.waiting[leg]:
            return  # the worker declines it
        self.waiting[leg] += 1
        self.scene.bring(
            LegReferred(
                leg=leg,
                at=self.scene.now,
                refer_to="<sip:carol@192.0.2.7>",
                referred_by="",
                replaces="other;to-tag=1;from-tag=2" if attended else "",
                quiet=False,
            )
        )

    def end(self, leg: LegId, code: int = 200) -> None:
        self.open.remove(leg)
        self.scene.ends(leg, code, ours=bool(self.hung_up[leg]))
        self.look()

    def end_hung_up(self) -> None:
        for leg in [leg for leg in self.open if self.hung_up[leg]]:
            self.end(leg)

    def finish(self) -> None:
        for _ in range(100):
            self.end_hung_up()
            if self.ends:
                return
            while self.unanswered:
                self.answer_fetch(None)
            deadline = self.scene.session.next_deadline()
            assert deadline is not None, "waits for nothing, for ever"
            self.scene.at(max(self.scene.now, deadline))
            self.look()
        raise AssertionError("it does not end")


@settings(database=None, max_examples=200)
@given(told=steps, keep=st.booleans())
def test_it_comes_to_an_end(told: list[tuple[str, int]], keep: bool) -> None:
    story = Story(keep)
    for what, n in told:
        story.do(what, n)
    story.finish()
    assert story.ends == 1
    assert story.over == 1
    assert story.open == []
    assert not any(story.waiting.values())
    assert story.scene.session.next_deadline() is None
