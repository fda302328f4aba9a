"""``<Enqueue>`` and ``<Dial><Queue>`` on a call: what they tell their queue, run, play and report."""

from collections.abc import Callable
from typing import Literal

import pytest
from msgspec import structs

from b2bua.calls.orders import (
    CallCanceled,
    FetchDocument,
    FromQueue,
    PreparePrompt,
    PromptReady,
    Redirected,
    ReportStatus,
    ToQueue,
)
from b2bua.core.commands import Connection, ListenForKeys, SendDtmf, SetMedia, StartPrompt, StopPrompt, away
from b2bua.core.events import DtmfReceived, PromptEnded
from b2bua.core.ids import CallSid, LegId
from b2bua.core.queue_inputs import (
    AgentEntered,
    AgentLeft,
    CallerEntered,
    CallerExit,
    CallerLeft,
    Following,
    OfferEnded,
    WaitEnded,
    WaitFailed,
    WaitFetched,
)
from b2bua.core.queue_outputs import (
    AgentDone,
    AskWait,
    BridgeCalls,
    CallerDone,
    EndBridge,
    PlayRingback,
    PlayWait,
    QueueEvent,
    QueueOutput,
    QueueResult,
    SayPosition,
    StartOffer,
    StopWait,
)
from b2bua.core.room_inputs import Document
from tests.unit.calls.scene import Scene

pytestmark = pytest.mark.unit

CALL, OTHER = CallSid("CA1"), CallSid("CA9")
PARTNER = LegId("p")
WAIT = Document("http://app.test/wait")


class Queued(Scene):
    """A call in a queue."""

    def says(self, output: QueueOutput, partner: LegId | None = None) -> "Queued":
        entry = self.all(ToQueue)[0].entry
        self.bring(FromQueue(call_sid=CALL, entry=entry, queue_sid="QU1", output=output, partner=partner))
        return self

    def told(self) -> list[object]:
        return [order.event for order in self.all(ToQueue)]

    def params(self) -> dict[str, str]:
        return dict(self.last_fetch().params)

    def hears(self) -> tuple[Connection, ...]:
        graphs = self.all(SetMedia)
        return graphs[-1].connections if graphs else ()


def caller(more: str = 'waitUrl="/wait" action="/left"', after: str = "") -> Queued:
    scene = Queued()
    scene.document(f"<Response><Enqueue {more}>q</Enqueue>{after}</Response>").confirms()
    return scene


def agent(more: str = 'action="/done"', noun: str = 'url="/offer"') -> Queued:
    scene = Queued()
    scene.document(f"<Response><Dial {more}><Queue {noun}>q</Queue></Dial></Response>").confirms()
    return scene


def ask(document: Document = WAIT) -> AskWait:
    return AskWait(call=CALL, document=document, position=2, waited_s=3, average_s=4, size=5, max_size=6)


def done(result: QueueResult, *, goes_on: bool) -> CallerDone:
    return CallerDone(call=CALL, result=result, goes_on=goes_on, waited_s=7, position=1)


def test_a_caller_enters_with_its_wait_document() -> None:
    scene = caller()
    assert scene.told() == [CallerEntered(call=CALL, wait=WAIT)]
    assert [(order.queue, order.max_size) for order in scene.all(ToQueue)] == [("q", 1000)]


def test_the_wait_document_runs_on_top_and_its_end_is_told() -> None:
    scene = caller().says(ask())
    assert scene.last_fetch().url == "http://app.test/wait"
    assert scene.params() | {"QueuePosition": "2", "QueueTime": "3", "AvgQueueTime": "4"} == scene.params()
    assert (
        scene.params() | {"CurrentQueueSize": "5", "MaxQueueSize": "6", "QueueSid": "QU1"} == scene.params()
    )
    scene.document("<Response><Pause length='2'/></Response>", "http://app.test/wait")
    assert scene.told()[1:] == [WaitFetched(call=CALL)]
    scene.at(3)
    assert scene.told()[2:] == [WaitEnded(call=CALL)]
    scene.says(ask())
    assert [each.url for each in scene.all(FetchDocument)][-2:] == ["http://app.test/wait"] * 2


def test_a_document_that_cannot_be_had_is_told_and_music_plays_until_the_next_one() -> None:
    scene = caller().says(ask())
    scene.no_document()
    assert scene.told()[1:] == [WaitFailed(call=CALL)]
    scene.says(PlayWait(call=CALL, music=True))
    assert scene.hears() == (Connection("tone:music", "a"),)
    scene.says(ask())
    assert scene.hears() == (Connection("tone:music", "a"),)
    scene.document("<Response><Pause length='2'/></Response>")
    assert scene.hears() == ()


@pytest.mark.parametrize(("verb", "way"), [("Leave", CallerExit.LEAVE), ("Hangup", CallerExit.HANGUP)])
def test_verbs_that_end_the_wait(verb: str, way: CallerExit) -> None:
    scene = caller().says(ask())
    scene.document(f"<Response><{verb}/></Response>")
    assert scene.told()[1:] == [WaitFetched(call=CALL), CallerLeft(call=CALL, exit=way)]


@pytest.mark.parametrize(
    ("document", "following"),
    [
        ("<Redirect>/more</Redirect>", Following(url="http://app.test/more")),
        ("<Redirect method='GET'/>", Following(url="http://app.test/wait", method="GET")),
        (
            "<Gather numDigits='1' action='/key'/>",
            Following(url="http://app.test/key", params=(("Digits", "5"), ("FinishedOnKey", "")), once=True),
        ),
    ],
)
def test_the_queue_has_its_say_before_a_wait_document_leads_on(document: str, following: Following) -> None:
    scene = caller().says(ask())
    scene.document(f"<Response>{document}</Response>", "http://app.test/wait")
    if following.once:
        scene.presses("5")
    assert scene.told()[1:] == [WaitFetched(call=CALL), WaitEnded(call=CALL, following=following)]
    scene.says(structs.replace(ask(), following=following, position=1))
    fetch = scene.last_fetch()
    assert (fetch.url, fetch.method, fetch.once) == (following.url, following.method, following.once)
    assert scene.params() | {"QueuePosition": "1", **dict(following.params)} == scene.params()


def test_a_document_before_the_bridge_keeps_its_parameters() -> None:
    scene = caller().says(StartOffer(call=CALL, agent=OTHER, document=WAIT, waited_s=7))
    scene.document("<Response><Redirect>/more</Redirect></Response>")
    assert scene.last_fetch().url == "http://app.test/more"
    assert (scene.params()["DequeingCallSid"], scene.params()["QueueTime"]) == (OTHER, "7")


def test_our_extensions_of_the_verb() -> None:
    scene = caller('priority="7" maxWait="60" announcePosition="30" statusCallback="/queue"')
    [entered] = scene.told()
    assert entered == CallerEntered(
        call=CALL,
        priority=7,
        max_wait_s=60,
        say_every_s=30,
        events=frozenset(("joined", "offered", "bridged", "left")),
    )


def test_what_happens_in_the_queue_is_reported_until_the_end() -> None:
    scene = caller('statusCallback="/queue" statusCallbackMethod="GET" statusCallbackEvent="joined left"')
    joined = QueueEvent(call=CALL, name="joined", position=2, size=2, waited_s=0)
    scene.says(joined)
    scene.ends("a")
    scene.says(
        QueueEvent(
            call=CALL, name="left", position=1, size=0, waited_s=9, agent=OTHER, result=QueueResult.HANGUP
        )
    )
    first, last = (each for each in scene.all(ReportStatus) if each.url == "http://app.test/queue")
    params = dict(first.params)
    assert (first.method, params["StatusCallbackEvent"], params["QueueSid"]) == ("GET", "joined", "QU1")
    assert (params["QueuePosition"], params["CurrentQueueSize"], params["SequenceNumber"]) == ("2", "2", "0")
    assert (params["FriendlyName"], params["CallStatus"]) == ("q", "in-progress")
    params = dict(last.params)
    assert (params["StatusCallbackEvent"], params["QueueResult"], params["SequenceNumber"]) == (
        "left",
        "hangup",
        "1",
    )
    assert (params["DequeingCallSid"], params["QueueTime"], params["CallStatus"]) == (OTHER, "9", "completed")


def test_the_music_stops_while_a_position_is_said() -> None:
    scene = caller('announcePosition="30" announceText="Platz {position}." announceLanguage="de"')
    scene.says(PlayWait(call=CALL, music=True)).says(SayPosition(call=CALL, position=2))
    [order] = scene.all(PreparePrompt)
    assert order.say is not None
    assert (order.say.text, order.say.language) == ("Platz 2.", "de")
    music = (Connection("tone:music", "a"),)
    assert scene.hears() == music
    scene.bring(PromptReady(request=order.request, file="/say.wav", duration_s=2.0))
    [start] = scene.all(StartPrompt)
    assert scene.hears() == ()
    scene.bring(PromptEnded(prompt=start.prompt, at=scene.now, complete=True))
    assert scene.hears() == music
    scene.says(SayPosition(call=CALL, position=1))
    scene.bring(PromptReady(request=scene.all(PreparePrompt)[-1].request, file="/say.wav", duration_s=2.0))
    scene.says(StopWait(call=CALL)).says(BridgeCalls(call=CALL, agent=OTHER), PARTNER)
    assert [each.prompt for each in scene.all(StopPrompt)] == [scene.all(StartPrompt)[-1].prompt]
    assert scene.hears() == (Connection(away(PARTNER), "a"), Connection("a", away(PARTNER)))


def test_a_fallback_of_the_call_is_not_for_wait_documents() -> None:
    number = {"voice_url": "http://app.test/voice", "fallback_url": "http://app.test/fallback"}
    scene = Queued(number=number)
    scene.document('<Response><Enqueue waitUrl="/wait">q</Enqueue></Response>').confirms()
    scene.says(ask()).no_document()
    assert scene.told()[-1] == WaitFailed(call=CALL)
    assert scene.last_fetch().url == "http://app.test/wait"


def test_the_result_replaces_the_rest_of_the_document() -> None:
    scene = caller(after="<Hangup/>").says(ask())
    scene.document("<Response><Leave/></Response>")
    scene.says(done(QueueResult.LEAVE, goes_on=True))
    assert scene.last_fetch().url == "http://app.test/left"
    assert scene.last_fetch().once
    assert scene.params()["QueueResult"] == "leave"
    assert (scene.params()["QueueTime"], scene.params()["QueuePosition"]) == ("7", "1")
    assert "HangupLeg" not in scene.kinds()
    scene.document("<Response/>")
    assert "HangupLeg" in scene.kinds()


def test_without_action_the_next_verb_runs() -> None:
    scene = caller('waitUrl=""', "<Redirect>/next</Redirect>").says(done(QueueResult.LEAVE, goes_on=True))
    assert scene.last_fetch().url == "http://app.test/next"


def test_a_caller_who_hangs_up_is_reported_once_the_queue_has_said_the_result() -> None:
    scene = caller().says(ask())
    scene.ends("a")
    assert scene.told()[-1] == CallerLeft(call=CALL, exit=CallerExit.HUNG_UP)
    assert "EndSession" not in scene.kinds()
    scene.says(done(QueueResult.HANGUP, goes_on=False))
    assert scene.params()["QueueResult"] == "hangup"
    assert not scene.last_fetch().expects_document
    assert scene.kinds()[-1] == "EndSession"


def test_a_session_does_not_wait_for_ever_for_its_result() -> None:
    scene = caller()
    scene.ends("a")
    scene.at(60)
    assert scene.kinds()[-1] == "EndSession"


def test_a_redirected_caller_is_reported_while_its_new_document_runs() -> None:
    scene = caller().says(ask())
    scene.bring(Redirected(url="http://app.test/new"))
    assert scene.told()[-1] == CallerLeft(call=CALL, exit=CallerExit.REDIRECTED)
    new = scene.last_fetch()
    scene.says(done(QueueResult.REDIRECTED, goes_on=False))
    report = scene.last_fetch()
    assert (report.url, report.expects_document) == ("http://app.test/left", False)
    assert scene.params()["QueueResult"] == "redirected"
    assert new.url == "http://app.test/new"


def test_a_bridge_that_ends_as_the_caller_is_redirected_is_reported() -> None:
    scene = caller().says(BridgeCalls(call=CALL, agent=OTHER), PARTNER)
    scene.bring(Redirected(url="http://app.test/new"))
    scene.says(done(QueueResult.BRIDGED, goes_on=True))
    assert scene.params()["QueueResult"] == "bridged"


def test_a_result_is_reported_once() -> None:
    scene = caller().says(done(QueueResult.LEAVE, goes_on=True))
    scene.says(done(QueueResult.HANGUP, goes_on=False))
    assert [each.url for each in scene.all(FetchDocument)].count("http://app.test/left") == 1


def test_the_document_before_the_bridge_and_the_bridge() -> None:
    scene = caller().says(ask())
    scene.document("<Response><Play>/music.wav</Play></Response>")
    scene.says(StopWait(call=CALL))
    offer = Document("http://app.test/offer", "GET")
    scene.says(StartOffer(call=CALL, agent=OTHER, document=offer, waited_s=8))
    assert (scene.last_fetch().url, scene.last_fetch().method) == ("http://app.test/offer", "GET")
    assert scene.params()["DequeingCallSid"] == OTHER
    scene.document("<Response><Hangup/></Response>")  # skipped: an offer cannot end the call
    assert scene.told()[-1] == OfferEnded(call=CALL)
    scene.says(BridgeCalls(call=CALL, agent=OTHER), PARTNER)
    assert scene.hears() == (Connection(away(PARTNER), "a"), Connection("a", away(PARTNER)))
    scene.says(EndBridge(call=CALL, agent=OTHER))
    assert scene.hears() == ()


def test_an_enqueue_without_a_name_is_an_error_at_once() -> None:
    scene = Queued()
    scene.document('<Response><Enqueue action="/left"></Enqueue></Response>').confirms()
    assert scene.told() == []
    assert scene.params()["QueueResult"] == "error"
    assert "QueueSid" not in scene.params()


def test_leave_elsewhere_is_skipped() -> None:
    scene = Queued()
    scene.document("<Response><Leave/><Redirect>/next</Redirect></Response>").confirms()
    assert scene.last_fetch().url == "http://app.test/next"


def sent_on(scene: Queued) -> str:
    """Keys for the partner."""
    return "".join(order.digits for order in scene.orders if isinstance(order, SendDtmf))


@pytest.mark.parametrize("make", [caller, agent])
def test_a_key_that_the_partner_has_not_received_is_sent_to_it_during_the_bridge(
    make: Callable[[], Queued],
) -> None:
    scene = make()

    def key(digit: str, method: Literal["info", "rfc4733", "inband"], *, passed: bool = False) -> None:
        scene.bring(DtmfReceived(leg=LegId("a"), at=scene.now, digit=digit, method=method, passed=passed))

    key("1", "info")
    scene.says(BridgeCalls(call=CALL, agent=OTHER), PARTNER)
    key("2", "info")
    key("3", "rfc4733", passed=True)
    key("4", "rfc4733")
    key("5", "inband")
    assert SendDtmf(leg=away(PARTNER), digits="2") in scene.orders
    assert sent_on(scene) == "24"
    scene.says(EndBridge(call=CALL, agent=OTHER))
    key("6", "info")
    assert sent_on(scene) == "24"


def test_an_agent_hears_ringback_and_then_the_caller() -> None:
    scene = agent('action="/done" timeout="20" hangupOnStar="true" ringTone="de"')
    offer = Document("http://app.test/offer")
    assert scene.told() == [AgentEntered(call=CALL, timeout_s=20, offer=offer)]
    scene.says(PlayRingback(agent=CALL))
    assert scene.hears() == (Connection("tone:de", "a"),)
    scene.says(BridgeCalls(call=OTHER, agent=CALL), PARTNER)
    assert scene.hears() == (Connection(away(PARTNER), "a"), Connection("a", away(PARTNER)))
    assert ListenForKeys(leg=LegId("a"), wanted=True) in scene.orders
    scene.presses("*")
    assert scene.told()[1:] == [AgentLeft(call=CALL)]
    finished = AgentDone(agent=CALL, status="completed", caller=OTHER, waited_s=5, bridge_s=6)
    scene.says(finished)
    assert scene.params()["DialCallStatus"] == "completed"
    assert scene.params()["DialCallSid"] == OTHER
    assert (scene.params()["QueueTime"], scene.params()["DialCallDuration"]) == ("5", "6")


def test_the_time_limit_counts_from_the_bridge() -> None:
    scene = agent('timeLimit="10"')
    scene.at(20)
    scene.says(BridgeCalls(call=OTHER, agent=CALL), PARTNER)
    scene.at(29)
    assert len(scene.told()) == 1
    scene.at(31)
    assert scene.told()[1:] == [AgentLeft(call=CALL)]


def test_an_agent_who_is_redirected_leaves_and_no_action_is_requested() -> None:
    scene = agent().says(PlayRingback(agent=CALL))
    scene.bring(Redirected(url="http://app.test/new"))
    assert scene.told()[1:] == [AgentLeft(call=CALL)]
    scene.says(AgentDone(agent=CALL, status="no-answer"))
    assert scene.last_fetch().url == "http://app.test/new"
    assert scene.hears() == ()


def test_an_agent_whose_call_is_ended_is_reported() -> None:
    scene = agent().says(PlayRingback(agent=CALL))
    scene.bring(CallCanceled(by="api"))
    scene.says(AgentDone(agent=CALL, status="no-answer"))
    assert scene.params()["DialCallStatus"] == "no-answer"


def test_what_is_meant_for_another_entrance_is_ignored() -> None:
    scene = caller()
    told = FromQueue(call_sid=CALL, entry=999, queue_sid="QU1", output=done(QueueResult.LEAVE, goes_on=True))
    scene.bring(told)
    assert scene.last_fetch().url == "http://app.test/voice"
