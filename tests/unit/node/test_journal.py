"""Facts of calls are published once, in order, to all subscribers, even if one of them fails."""

import logging
from collections import Counter
from typing import Any

import pytest
from msgspec import structs

from b2bua.calls.orders import CallChanged, CallOver, NoteFinding
from b2bua.core.dial_report import BranchReport
from b2bua.core.events import MediaMeasured
from b2bua.core.ids import CallSid, HostId, LegId, SipCallId
from b2bua.core.outcomes import HangupReason, hung_up_outcome
from b2bua.node.call_log import CallLog
from b2bua.node.call_metrics import CallMetrics
from b2bua.node.facts import (
    CallbackSettled,
    CallsRefused,
    JournalFact,
    RequestMade,
    SessionBegun,
    SessionEnded,
    SessionFailed,
)
from b2bua.node.journal import Entry, Journal
from b2bua.node.ledger import Ledger
from b2bua.store.records import CallRow, EventRow, LegRow, NotificationRow, Record
from b2bua.twiml.findings import Finding
from b2bua.web.metrics import Metrics
from tests.unit.node.faults import Fault, injected
from tests.unit.node.scene import World
from tests.unit.node.test_call_faults import STORIES, play

pytestmark = pytest.mark.unit

SESSION = CallSid("CA1")
CHILD = CallSid("CA2")
BEGUN = SessionBegun(direction="inbound", host="w1", invited_at=100.0, sip_call_id=SipCallId("call-1"))


class Heard(list[JournalFact]):
    """A subscriber that keeps all facts."""

    def note(self, entry: Entry) -> None:
        self.append(entry.fact)


class Faulty:
    """A subscriber that raises."""

    def note(self, entry: Entry) -> None:
        raise ZeroDivisionError


def entry(fact: JournalFact, at: float = 100.0, host: str | None = None) -> Entry:
    return Entry(at=at, session=SESSION, host=None if host is None else HostId(host), fact=fact)


def request(took_s: float, **facts: Any) -> RequestMade:
    return RequestMade(
        call_sid=SESSION,
        kind="document",
        method="POST",
        url="http://app.test/voice",
        params=(("CallSid", SESSION),),
        took_s=took_s,
        status=200,
        content_type="text/xml",
        body="<Response/>",
        failure=facts.pop("failure", None),
    )


def initiated(leg: str = "b1") -> BranchReport:
    return BranchReport(leg=LegId(leg), child=CHILD, stage="initiated", at=0.0)


def changed(sid: CallSid, status: str, **facts: Any) -> CallChanged:
    return CallChanged(
        call_sid=sid,
        parent_sid=None if sid == SESSION else SESSION,
        from_="+14155550123",
        to="+14155550199",
        direction="inbound",
        status=status,
        leg=LegId("a"),
        sip_call_id=f"dialog of {sid}",
        **facts,
    )


class TestJournal:
    def test_one_that_raises_keeps_no_other_from_it(self, caplog: pytest.LogCaptureFixture) -> None:
        faults: list[str] = []
        journal, first, last = Journal(faults.append), Heard(), Heard()
        journal.subscribe("first", first)
        journal.subscribe("faulty", Faulty())
        journal.subscribe("last", last)
        assert not journal.publish(entry(BEGUN))
        assert (first, last, faults) == ([BEGUN], [BEGUN], ["faulty"])
        (record,) = caplog.records
        assert record.message == "a fact is lost" and record.exc_info is not None
        assert vars(record)["call_sid"] == SESSION and vars(record)["subscriber"] == "faulty"

    def test_it_says_whether_all_have_taken_it(self) -> None:
        journal = Journal(lambda name: None)
        journal.subscribe("one", Heard())
        assert journal.publish(entry(BEGUN))

    def test_a_lost_fact_is_counted(self) -> None:
        metrics = Metrics()
        journal = Journal(metrics.subscriber_failed)
        journal.subscribe("faulty", Faulty())
        journal.publish(entry(BEGUN))
        assert b'b2bua_journal_faults_total{subscriber="faulty"} 1.0' in metrics.text()


class TestSessions:
    @pytest.mark.parametrize("name", STORIES)
    def test_a_session_is_told_from_its_beginning_to_its_end(self, name: str) -> None:
        check_frame(play(name)[0])

    @pytest.mark.parametrize("lasts", [False, True], ids=["in order", "without its session"])
    def test_also_one_that_fails(self, lasts: bool) -> None:
        with injected(Fault("Dial.handle", 5, "before", lasts=lasts)):
            world, _ = play("bridged")
        check_frame(world)
        assert any(isinstance(each.fact, SessionFailed) for each in world.entries)

    @pytest.mark.parametrize("method", ["Metrics.call_ended", "World.put", "CallLog.note", "Ledger.note"])
    def test_a_subscriber_that_always_raises_does_not_touch_the_call(
        self, method: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.CRITICAL)
        expected = [type(each.fact) for each in play("bridged")[0].entries]
        with injected(Fault(method, 0, "before", lasts=True)) as raised:
            world, wrong = play("bridged")
        assert raised[0] == len(world.lost_facts) > 0
        assert wrong == []
        assert [type(each.fact) for each in world.entries] == expected


def check_frame(world: World) -> None:
    facts = [each.fact for each in world.entries]
    kinds = Counter(type(fact) for fact in facts)
    assert isinstance(facts[0], SessionBegun)
    after_end = facts[facts.index(SessionEnded()) + 1 :]
    assert all(isinstance(fact, RequestMade) for fact in after_end), after_end
    assert kinds[SessionBegun] == kinds[SessionEnded] == 1
    assert {each.session for each in world.entries} == {SESSION}
    rows = [each for each in world.entries if isinstance(each.fact, CallChanged)]
    assert rows and all(each.host == world.worker for each in rows)
    # What subscribers keep of a session goes with it.
    assert vars(world.call_metrics)["_set_ups"] == {}
    assert vars(world.call_log)["_sessions"] == {}


class TestMetrics:
    def test_set_up_time_is_without_what_the_application_took(self) -> None:
        metrics = Metrics()
        counted = CallMetrics(metrics)
        for each in (
            entry(BEGUN, 100.0),
            entry(request(2.0), 102.1),
            entry(initiated("b1"), 102.25),
            entry(initiated("b2"), 109.0),
            entry(CallOver(call_sid=SESSION, status="completed", duration_s=1.0, timeline={}), 110.0),
            entry(SessionEnded(), 110.0),
        ):
            counted.note(each)
        text = metrics.text().decode()
        assert "b2bua_call_setup_seconds_sum 0.25" in text
        assert "b2bua_call_setup_seconds_count 1.0" in text
        assert 'b2bua_calls_started_total{direction="outbound-dial"} 2.0' in text
        assert 'b2bua_calls_ended_total{outcome="completed"} 1.0' in text

    def test_a_session_that_dialled_nobody_has_none(self) -> None:
        metrics = Metrics()
        counted = CallMetrics(metrics)
        counted.note(entry(BEGUN))
        counted.note(entry(CallOver(call_sid=SESSION, status="busy", duration_s=0.0, timeline={})))
        assert "b2bua_call_setup_seconds_count 0.0" in metrics.text().decode()

    def test_facts_that_come_after_the_end_are_counted(self) -> None:
        metrics = Metrics()
        counted = CallMetrics(metrics)
        outcome = hung_up_outcome(HangupReason.FAULT)
        late = [
            request(1.0, failure=11200),
            CallbackSettled(
                call_sid=SESSION, method="POST", url="", params=(), status=None, failure=11205, text="away"
            ),
            MediaMeasured(leg=LegId("a"), at=1.0, received=90, lost=10, jitter_ms=5.0),
            BranchReport(leg=LegId("b1"), child=CHILD, stage="completed", at=1.0, outcome=outcome),
            NoteFinding(call_sid=SESSION, finding=Finding(number=12345, text="")),
            SessionFailed(),
        ]
        for fact in late:
            counted.note(entry(fact))
        text = metrics.text().decode()
        for line in (
            'b2bua_webhook_failures_total{number="11200"} 1.0',
            'b2bua_webhook_failures_total{number="11205"} 1.0',
            'b2bua_status_callbacks_total{outcome="given-up"} 1.0',
            "b2bua_rtp_loss_ratio_sum 0.1",
            'b2bua_dials_ended_total{outcome="failed"} 1.0',
            'b2bua_findings_total{number="12345"} 1.0',
            "b2bua_session_faults_total 1.0",
        ):
            assert line in text, line


def test_the_last_line_of_a_call_has_its_legs_and_their_media(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    line = CallLog()
    for each in (
        entry(BEGUN, 100.0),
        entry(changed(SESSION, "ringing"), 100.0),
        entry(changed(CHILD, "queued"), 101.0),
        entry(changed(CHILD, "in-progress"), 103.5),
        entry(MediaMeasured(leg=LegId("b1"), at=104.0, received=10, lost=1, jitter_ms=2.0), 104.0),
        entry(CallOver(call_sid=SESSION, status="completed", duration_s=1.0, timeline={"answered": 3.5})),
    ):
        line.note(each)
    facts = vars(caplog.records[-1])
    assert (facts["message"], facts["call_sid"], facts["sip_call_id"]) == ("call_ended", "CA1", "call-1")
    assert facts["legs"] == [
        {"call_sid": "CA2", "sip_call_id": "dialog of CA2", "timeline": {"queued": 0.0, "in-progress": 2.5}}
    ]
    assert facts["media"] == [{"leg_id": "b1", "received": 10, "lost": 1, "jitter_ms": 2.0}]


def test_a_finding_is_logged_with_its_place_and_without_what_may_be_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    finding = Finding(number=13212, text="soon", line=3, column=7)
    line = CallLog()
    url = "https://ann:secret@app.test/voice?token=abc&To=%2B14155550100"
    for each in (
        entry(BEGUN),
        entry(structs.replace(request(0.1), url=url)),
        entry(NoteFinding(call_sid=SESSION, finding=finding)),
    ):
        line.note(each)
    facts = vars(caplog.records[-1])
    assert (facts["url"], facts["line"], facts["column"]) == ("https://app.test/voice?…", 3, 7)


class TestRefusedCalls:
    """Calls without a session: they are counted, those of the edge are logged, and none is stored."""

    def publish(self, *facts: CallsRefused) -> tuple[str, list[Record]]:
        metrics, rows, journal = Metrics(), Rows(), Journal(lambda name: None)
        journal.subscribe("ledger", Ledger(rows, "AC1"))
        journal.subscribe("metrics", CallMetrics(metrics))
        journal.subscribe("log", CallLog())
        assert all(journal.publish(Entry(at=100.0, fact=fact)) for fact in facts)
        return metrics.text().decode(), rows

    def test_those_of_the_edge(self, caplog: pytest.LogCaptureFixture) -> None:
        source = "udp:192.0.2.1:5060"
        facts = [CallsRefused(reason="rate", count=count, source=source) for count in (1, 12)]
        text, rows = self.publish(*facts)
        assert 'b2bua_calls_refused_total{reason="rate"} 13.0' in text
        assert rows == []
        first, second = (vars(record) for record in caplog.records)
        assert (first["message"], first["levelname"], first["count"]) == ("calls refused", "WARNING", 1)
        assert (second["reason"], second["count"], second["pii_source"]) == ("rate", 12, source)

    def test_that_of_a_worker_which_the_pool_has_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        text, rows = self.publish(CallsRefused(reason="not admitted"))
        assert 'b2bua_calls_refused_total{reason="not admitted"} 1.0' in text
        assert not rows and not caplog.records


class Rows(list[Record]):
    """A store."""

    def put(self, record: Record) -> None:
        self.append(record)


def test_the_ledger_keeps_what_is_published() -> None:
    rows = Rows()
    ledger = Ledger(rows, "AC1")
    for each in (
        entry(changed(SESSION, "ringing"), 100.0, "w7"),
        entry(request(0.25), 101.0),
        entry(NoteFinding(call_sid=SESSION, finding=Finding(number=12345, text="at //ann:secret@app.test"))),
        entry(changed(SESSION, "completed", ended=True), 104.0, "w7"),
    ):
        ledger.note(each)
    calls = [row for row in rows if isinstance(row, CallRow)]
    assert [row.status for row in calls] == ["ringing", "completed"] and calls[-1].ended_at is not None
    legs = [row for row in rows if isinstance(row, LegRow)]
    assert (legs[-1].worker, legs[-1].timeline) == ("w7", {"ringing": 0.0, "completed": 4.0})
    (event,) = (row for row in rows if isinstance(row, EventRow))
    assert (event.kind, event.elapsed_ms, event.params) == ("document", 250, {"CallSid": "CA1"})
    (note,) = (row for row in rows if isinstance(row, NotificationRow))
    assert (note.text, note.request_url) == ("at //app.test", "http://app.test/voice")
