"""The ledger: which rows the facts of calls become, and in which order."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2bua.calls.orders import CallChanged, CallOver, NoteFinding
from b2bua.core.dial_report import BranchReport, Bridged
from b2bua.core.events import MediaMeasured
from b2bua.core.ids import CallSid, HostId, LegId, SipCallId
from b2bua.core.outcomes import HangupReason, hung_up_outcome
from b2bua.node.facts import (
    CallbackSettled,
    CallsRefused,
    JournalFact,
    RecordingChanged,
    RequestMade,
    SessionBegun,
    SessionEnded,
    SessionFailed,
)
from b2bua.node.journal import Entry
from b2bua.node.ledger import Ledger
from b2bua.store.records import CallRow, EventRow, LegRow, NotificationRow, Record, RecordingRow
from b2bua.twiml.findings import Finding

pytestmark = pytest.mark.unit

PARENT, CHILD, OTHER = CallSid("CA1"), CallSid("CA2"), CallSid("CA3")
NOON = datetime(2025, 11, 27, 12, tzinfo=UTC)


class Rows(list[Record]):
    """A store that keeps the rows in the order in which they are put."""

    def put(self, record: Record) -> None:
        self.append(record)


class Scene:
    """A ledger and its rows."""

    def __init__(self) -> None:
        self.rows = Rows()
        self.ledger = Ledger(self.rows, "AC1")

    def note(self, fact: JournalFact, at: float = 100.0, host: str | None = "w1") -> None:
        self.ledger.note(Entry(at=at, host=None if host is None else HostId(host), fact=fact))

    def changes(self, sid: CallSid, status: str, at: float = 100.0, **facts: Any) -> None:
        """A call changes its status; CA2 is a child call of CA1."""
        self.note(
            CallChanged(
                call_sid=sid,
                parent_sid=PARENT if sid == CHILD else None,
                from_="+14155550123",
                to="+14155550199",
                direction="outbound-dial" if sid == CHILD else "inbound",
                status=status,
                leg=LegId(f"leg of {sid}"),
                sip_call_id=f"dialog of {sid}",
                **facts,
            ),
            at,
            facts.pop("host", "w1"),
        )

    def last(self, kind: type[Any]) -> Any:
        """Return the row of a kind that was put last."""
        return [row for row in self.rows if isinstance(row, kind)][-1]

    @property
    def call(self) -> CallRow:
        found = self.last(CallRow)
        assert isinstance(found, CallRow)
        return found


@pytest.fixture
def scene() -> Scene:
    return Scene()


def request(sid: CallSid = PARENT, url: str = "http://app.test/voice", **facts: Any) -> RequestMade:
    values: dict[str, Any] = {
        "call_sid": sid,
        "kind": "document",
        "method": "POST",
        "url": url,
        "params": (("CallSid", sid), ("From", "+14155550123")),
        "took_s": 0.2504,
        "status": 200,
        "content_type": "text/xml",
        "body": "<Response/>",
        "failure": None,
    }
    return RequestMade(**{**values, **facts})


def callback(**facts: Any) -> CallbackSettled:
    values: dict[str, Any] = {
        "call_sid": PARENT,
        "method": "GET",
        "url": "http://app.test/status",
        "params": (("CallStatus", "completed"),),
        "status": 200,
        "failure": None,
        "text": "",
    }
    return CallbackSettled(**{**values, **facts})


def finding(sid: CallSid, text: str = "Dial: bad timeout") -> NoteFinding:
    return NoteFinding(call_sid=sid, finding=Finding(number=13212, text=text, line=3, column=7))


class TestCalls:
    def test_a_new_call_has_all_that_its_first_record_says(self, scene: Scene) -> None:
        scene.changes(PARENT, "ringing", forwarded_from="+14155550100", caller_name="Ann")
        call, leg = scene.rows
        assert isinstance(call, CallRow) and isinstance(leg, LegRow)  # the call first: the leg refers to it
        assert (call.sid, call.parent_sid, call.account_sid) == ("CA1", None, "AC1")
        assert (call.from_, call.to, call.direction) == ("+14155550123", "+14155550199", "inbound")
        assert (call.forwarded_from, call.caller_name) == ("+14155550100", "Ann")
        assert call.sip_call_id == leg.sip_call_id == "dialog of CA1"
        assert (leg.call_sid, leg.leg, leg.role, leg.worker) == ("CA1", "leg of CA1", "caller", "w1")

    def test_a_child_call_is_the_callees(self, scene: Scene) -> None:
        scene.changes(PARENT, "in-progress")
        scene.changes(CHILD, "queued")
        assert scene.call.parent_sid == PARENT
        assert scene.last(LegRow).role == "callee"

    def test_a_call_without_a_leg(self, scene: Scene) -> None:
        change = CallChanged(
            call_sid=PARENT, parent_sid=None, from_="", to="", direction="outbound-api", status="failed",
            ended=True,
        )  # fmt: skip
        scene.note(change, host=None)
        assert scene.call.sip_call_id is None
        assert (scene.last(LegRow).leg, scene.last(LegRow).worker) == ("", "")

    def test_it_starts_when_it_rings_and_again_when_it_is_answered(self, scene: Scene) -> None:
        scene.changes(PARENT, "queued")
        assert (scene.call.started_at, scene.call.answered_at) == (None, None)
        scene.changes(PARENT, "ringing")
        rang = scene.call.started_at
        assert rang is not None and scene.call.answered_at is None
        scene.changes(PARENT, "ringing")
        assert scene.call.started_at == rang
        scene.changes(PARENT, "in-progress")
        answered = scene.call.answered_at
        assert answered is not None and scene.call.started_at == answered >= rang
        scene.changes(PARENT, "in-progress")
        assert scene.call.answered_at == answered

    def test_the_timeline_has_the_first_moment_of_each_status(self, scene: Scene) -> None:
        for status, at in (("queued", 7.0), ("ringing", 7.25), ("ringing", 8.0), ("in-progress", 9.12344)):
            scene.changes(PARENT, status, at)
        assert scene.last(LegRow).timeline == {"queued": 0.0, "ringing": 0.25, "in-progress": 2.1234}

    def test_the_timeline_of_an_earlier_row_does_not_change(self, scene: Scene) -> None:
        scene.changes(PARENT, "queued", 7.0)
        scene.changes(PARENT, "ringing", 8.0)
        earlier = scene.rows[1]
        assert isinstance(earlier, LegRow) and earlier.timeline == {"queued": 0.0}

    def test_the_end_of_an_answered_call(self, scene: Scene) -> None:
        outcome = hung_up_outcome(HangupReason.TIME_LIMIT)
        scene.changes(CHILD, "in-progress")
        scene.changes(CHILD, "completed", ended=True, duration_s=61.6, outcome=outcome)
        assert (scene.call.status, scene.call.duration_s) == ("completed", 62)
        assert scene.call.ended_at is not None and scene.call.ended_at == scene.call.updated_at
        assert (scene.call.hangup_by, scene.call.q850) == (outcome.hangup_by, outcome.q850_cause)
        assert scene.call.sip_code == outcome.sip_code

    def test_a_call_that_was_not_answered_has_no_duration(self, scene: Scene) -> None:
        scene.changes(PARENT, "ringing")
        scene.changes(PARENT, "canceled", ended=True)
        assert (scene.call.status, scene.call.duration_s, scene.call.hangup_by) == ("canceled", None, None)


class TestCurrentCalls:
    def test_a_call_is_found_until_it_has_ended(self, scene: Scene) -> None:
        assert scene.ledger.row(PARENT) is None
        scene.changes(PARENT, "ringing")
        assert scene.ledger.row(PARENT) == scene.call
        scene.changes(PARENT, "completed", ended=True)
        assert scene.ledger.row(PARENT) is None

    def test_parents_and_children_are_counted_by_status(self, scene: Scene) -> None:
        scene.changes(PARENT, "in-progress")
        scene.changes(CHILD, "ringing")
        scene.changes(OTHER, "in-progress")
        assert scene.ledger.statuses() == {"in-progress": 2, "ringing": 1}
        scene.changes(OTHER, "completed", ended=True)
        assert scene.ledger.statuses() == {"in-progress": 1, "ringing": 1}

    def test_each_worker_carries_its_calls_in_order(self, scene: Scene) -> None:
        scene.changes(PARENT, "in-progress")
        scene.note(
            CallChanged(
                call_sid=OTHER, parent_sid=None, from_="", to="", direction="inbound", status="ringing"
            ),
            host="w2",
        )
        scene.changes(CHILD, "ringing")
        assert scene.ledger.calls_by_worker() == {"w1": [PARENT, CHILD], "w2": [OTHER]}


class TestFindings:
    def test_a_finding_is_a_notification_with_its_place(self, scene: Scene) -> None:
        scene.note(finding(PARENT))
        row = scene.last(NotificationRow)
        assert (row.call_sid, row.number, row.severity, row.text) == (
            "CA1", 13212, "warning", "Dial: bad timeout"
        )  # fmt: skip
        assert (row.line, row.column, row.request_url, row.request_method) == (3, 7, "", "")

    def test_it_names_the_last_request_of_its_own_call(self, scene: Scene) -> None:
        scene.changes(PARENT, "in-progress")
        scene.changes(CHILD, "in-progress")
        scene.note(request(url="http://app.test/first"))
        scene.note(request(url="http://app.test/second", method="GET"))
        scene.note(request(CHILD, "http://app.test/child"))
        scene.note(finding(PARENT))
        row = scene.last(NotificationRow)
        assert (row.request_url, row.request_method) == ("http://app.test/second", "GET")

    def test_credentials_are_removed_from_its_text(self, scene: Scene) -> None:
        scene.note(finding(PARENT, "no answer: http://ann:secret@app.test/voice"))
        assert scene.last(NotificationRow).text == "no answer: http://app.test/voice"

    def test_each_has_an_identifier_of_its_own(self, scene: Scene) -> None:
        scene.note(finding(PARENT))
        scene.note(finding(PARENT))
        first, second = (row.sid for row in scene.rows if isinstance(row, NotificationRow))
        assert first != second and len(first) == len(second) == 34 and first.startswith("NO")


class TestRequests:
    def test_a_request_is_an_event_with_its_answer(self, scene: Scene) -> None:
        scene.note(request(kind="action"))
        row = scene.last(EventRow)
        assert (row.call_sid, row.kind, row.method, row.url) == (
            "CA1", "action", "POST", "http://app.test/voice"
        )  # fmt: skip
        assert row.params == {"CallSid": "CA1", "From": "+14155550123"}
        assert (row.status, row.elapsed_ms, row.content_type, row.body) == (
            200, 250, "text/xml", "<Response/>"
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("facts", "status", "body"),
        [
            ({}, 200, ""),
            ({"status": None, "failure": 11205, "text": "no connection"}, None, "11205 no connection"),
        ],
    )
    def test_a_callback_is_an_event_with_its_result(
        self, scene: Scene, facts: dict[str, Any], status: int | None, body: str
    ) -> None:
        scene.note(callback(**facts))
        row = scene.last(EventRow)
        assert (row.kind, row.method, row.params) == ("status", "GET", {"CallStatus": "completed"})
        assert (row.status, row.body) == (status, body)

    @pytest.mark.parametrize("times", [[5, 5, 5], [9, 5, 4]], ids=["in one instant", "the clock goes back"])
    def test_events_are_in_order_whatever_the_clock_says(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch, times: list[int]
    ) -> None:
        clock = iter(times)
        monkeypatch.setattr("b2bua.node.ledger.time.time_ns", lambda: next(clock) * 1_000_000_000)
        for fact in (request(), callback(), request()):
            scene.note(fact)
        numbers = [row.sequence for row in scene.rows if isinstance(row, EventRow)]
        assert numbers == sorted(set(numbers))

    def test_a_node_started_later_goes_on_with_higher_numbers(self, scene: Scene) -> None:
        for _ in range(3):
            scene.note(request())
        later = Scene()
        later.note(request())
        assert later.last(EventRow).sequence > scene.last(EventRow).sequence


def test_a_recording_is_stored_as_it_is(scene: Scene) -> None:
    row = RecordingRow(
        sid="RE1", call_sid="CA1", status="completed", source="DialVerb", channels=2, track="both",
        created_at=NOON, updated_at=NOON,
    )  # fmt: skip
    scene.note(RecordingChanged(row=row))
    assert scene.rows == [row]


@pytest.mark.parametrize(
    "fact",
    [
        SessionBegun(direction="inbound", host="w1", invited_at=1.0, sip_call_id=SipCallId("c")),
        SessionFailed(),
        SessionEnded(),
        CallsRefused(reason="rate"),
        CallOver(call_sid=PARENT, status="completed", duration_s=1.0, timeline={}),
        MediaMeasured(leg=LegId("a"), at=1.0, received=1, lost=0, jitter_ms=0.0),
        BranchReport(leg=LegId("b"), child=CHILD, stage="initiated", at=1.0),
        Bridged(leg=LegId("b"), at=1.0),
    ],
    ids=lambda fact: type(fact).__name__,
)
def test_other_facts_are_not_stored(scene: Scene, fact: JournalFact) -> None:
    scene.note(fact)
    assert scene.rows == []


class TestUnfinishedCalls:
    def row(self, sid: str, **facts: Any) -> CallRow:
        return CallRow(
            sid=sid, from_="a", to="b", direction="inbound", status="in-progress", created_at=NOON,
            updated_at=NOON, **facts,
        )  # fmt: skip

    def test_calls_of_an_earlier_run_are_ended(self, scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
        answered = self.row("CA8", answered_at=NOON + timedelta(seconds=3))
        scene.ledger.end_unfinished((answered, self.row("CA9")))
        assert [row.status for row in scene.rows if isinstance(row, CallRow)] == ["completed", "failed"]
        for row in scene.rows:
            assert isinstance(row, CallRow)
            assert row.ended_at is not None and row.ended_at == row.updated_at > NOON
            assert row.hangup_by == "node"
        (record,) = caplog.records
        assert record.levelno == logging.WARNING and vars(record)["count"] == 2
        assert not scene.ledger.statuses()

    def test_where_there_are_none_nothing_is_logged(
        self, scene: Scene, caplog: pytest.LogCaptureFixture
    ) -> None:
        scene.ledger.end_unfinished(())
        assert not scene.rows and not caplog.records


STATUSES = ("queued", "ringing", "in-progress")
STEPS: list[Callable[[Scene, CallSid], None]] = [
    *(lambda scene, sid, status=status: scene.changes(sid, status) for status in STATUSES),  # type: ignore[misc]
    lambda scene, sid: scene.changes(sid, "completed", ended=True, duration_s=1.0),
    lambda scene, sid: scene.note(finding(sid)),
    lambda scene, sid: scene.note(request(sid)),
]


@given(
    steps=st.lists(st.tuples(st.sampled_from(STEPS), st.sampled_from([PARENT, CHILD, OTHER])), max_size=30)
)
def test_in_any_order_each_call_has_its_row_first_and_what_ended_is_not_current(
    steps: list[tuple[Callable[[Scene, CallSid], None], CallSid]],
) -> None:
    scene = Scene()
    for step, sid in steps:
        step(scene, sid)
    stored: dict[str, CallRow] = {}
    for row in scene.rows:
        if isinstance(row, CallRow):
            stored[row.sid] = row
        elif isinstance(row, LegRow):
            assert row.call_sid in stored
    current = {sid for sid, row in stored.items() if row.ended_at is None}
    carried = scene.ledger.calls_by_worker()
    assert current == {sid for calls in carried.values() for sid in calls}
    assert sum(scene.ledger.statuses().values()) == len(current)
    for sid, row in stored.items():
        assert scene.ledger.row(sid) == (row if sid in current else None)
        assert row.answered_at is None or (row.started_at == row.answered_at)
