"""Stores calls while they go on: rows of calls, legs, warnings and requests to the application.

Rows are queued in the order in which things happened, and the store writes them about 0.05 s
later; a call's row is queued before the call requests anything. URLs in the rows contain no credentials. All
data comes from the journal.

Thread: the controller's loop.
"""

import logging
import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol, assert_never

from msgspec import structs

from b2bua.calls.orders import CallChanged, CallOver, NoteFinding
from b2bua.core.credentials import without_userinfo
from b2bua.core.dial_report import BranchReport, Bridged
from b2bua.core.events import MediaMeasured
from b2bua.core.ids import CallSid
from b2bua.node.facts import (
    CallbackSettled,
    CallsRefused,
    ForeignMedia,
    RecordingChanged,
    RequestMade,
    SessionBegun,
    SessionEnded,
    SessionFailed,
    WorkersShort,
)
from b2bua.node.journal import Entry
from b2bua.store.records import CallRow, EventRow, LegRow, NotificationRow, Record

__all__ = ["Ledger"]

log = logging.getLogger(__name__)


class Keeper(Protocol):
    """The part of the store that the ledger uses."""

    def put(self, record: Record) -> None:
        """Queue ``record`` to be written soon."""


@dataclass(slots=True)
class _Open:
    """A call that has not ended."""

    row: CallRow
    leg: LegRow
    began_at: float
    """Monotonic seconds."""
    asked: tuple[str, str] = ("", "")
    """URL and method of the current or the last request."""
    timeline: dict[str, float] = field(default_factory=dict)


class Ledger:
    """A journal subscriber that stores calls.

    Args:
        store: receives the rows.
        account_sid: the account of the calls.
    """

    def __init__(self, store: Keeper, account_sid: str) -> None:
        self._store = store
        self._account_sid = account_sid
        self._open: dict[str, _Open] = {}
        self._recalled: dict[str, CallRow] = {}
        """Calls of an earlier run that have ended; the row may not have been written."""
        self._sequence = 0

    def row(self, call_sid: str) -> CallRow | None:
        """Return the row of a call that has not ended, or None."""
        found = self._open.get(call_sid)
        return found.row if found is not None else None

    def statuses(self) -> Counter[str]:
        """Count the current calls, child calls included, by CallStatus."""
        return Counter(found.row.status for found in self._open.values())

    def calls_by_worker(self) -> dict[str, list[CallSid]]:
        """Return the calls that have not ended by the worker that carries them, oldest first."""
        calls: dict[str, list[CallSid]] = {}
        for found in self._open.values():
            calls.setdefault(found.leg.worker, []).append(CallSid(found.row.sid))
        return calls

    def recall(self, entry: Entry) -> None:
        """Remember a call of an earlier run (``Rememberer``)."""
        change = entry.fact
        if isinstance(change, CallChanged):
            found = self._changed(entry, change, _wall_clock(entry.at))
            if change.ended:
                self._recalled[change.call_sid] = found.row

    def forget(self, call_sid: CallSid) -> None:
        """Forget a call of an earlier run, with those that it made: how it goes on is not known."""
        ended = [sid for sid, row in self._recalled.items() if call_sid in (sid, row.parent_sid)]
        for sid in ended:
            del self._recalled[sid]
        gone = [sid for sid, found in self._open.items() if call_sid in (sid, found.row.parent_sid)]
        for sid in gone:
            del self._open[sid]

    def note(self, entry: Entry) -> None:
        """Store a fact (``Subscriber``)."""
        fact = entry.fact
        match fact:
            case CallChanged():
                self._keep_change(entry, fact)
            case NoteFinding():
                self._keep_finding(fact)
            case RequestMade():
                self._keep_request(fact)
            case CallbackSettled():
                self._keep_callback(fact)
            case RecordingChanged():
                self._store.put(fact.row)
            case BranchReport() | Bridged() | CallOver() | MediaMeasured():
                pass  # ``CallChanged`` has what is stored of them
            case CallsRefused() | ForeignMedia() | WorkersShort():
                pass
            case SessionBegun() | SessionFailed() | SessionEnded():
                pass
            case _:
                assert_never(fact)

    # -- calls --------------------------------------------------------------------------------------

    def _keep_change(self, entry: Entry, change: CallChanged) -> None:
        found = self._changed(entry, change, datetime.now(UTC))
        self._store.put(found.row)
        self._store.put(found.leg)

    def _changed(self, entry: Entry, change: CallChanged, at: datetime) -> _Open:
        found = self._open.get(change.call_sid)
        if found is None:
            found = self._open[change.call_sid] = self._begin(change, entry, at)
        found.timeline.setdefault(change.status, round(entry.at - found.began_at, 4))
        worker = entry.host or found.leg.worker  # a leg's worker may come after the leg is announced
        found.leg = structs.replace(found.leg, timeline=dict(found.timeline), worker=worker)
        row = structs.replace(found.row, status=change.status, updated_at=at, answered_by=change.answered_by)
        if change.status == "ringing" and row.started_at is None:
            row = structs.replace(row, started_at=at)
        if change.status == "in-progress" and row.answered_at is None:
            row = structs.replace(row, answered_at=at, started_at=at)
        if change.ended:
            row = _ended(row, change, at)
            del self._open[change.call_sid]
        found.row = row
        return found

    def _begin(self, change: CallChanged, entry: Entry, at: datetime) -> _Open:
        row = CallRow(
            sid=change.call_sid,
            parent_sid=change.parent_sid,
            from_=change.from_,
            to=change.to,
            direction=change.direction,
            status=change.status,
            created_at=at,
            updated_at=at,
            forwarded_from=change.forwarded_from,
            caller_name=change.caller_name,
            sip_call_id=change.sip_call_id or None,
            account_sid=self._account_sid,
        )
        leg = LegRow(
            call_sid=change.call_sid,
            leg=change.leg or "",
            role="callee" if change.parent_sid else "caller",
            sip_call_id=change.sip_call_id,
            worker=entry.host or "",
            created_at=at,
        )
        return _Open(row, leg, entry.at)

    def recognize(self, rows: tuple[CallRow, ...]) -> tuple[CallRow, ...]:
        """Write the recalled calls down as they are; returns those of ``rows`` that are not among them.

        Args:
            rows: the calls of an earlier run that have not ended in the store.
        """
        recalled, self._recalled = self._recalled, {}
        for found in self._open.values():
            self._store.put(found.row)
            self._store.put(found.leg)
        for row in [recalled[row.sid] for row in rows if row.sid in recalled]:
            self._store.put(row)
        return tuple(row for row in rows if row.sid not in self._open and row.sid not in recalled)

    def end_unfinished(self, rows: tuple[CallRow, ...]) -> None:
        """End the calls of a node that has died or was killed; how they really ended is unknown."""
        at = datetime.now(UTC)
        for row in rows:
            status = "completed" if row.answered_at is not None else "failed"
            self._store.put(structs.replace(row, status=status, ended_at=at, updated_at=at, hangup_by="node"))
        if rows:
            log.warning("calls of the previous run marked as ended", extra={"count": len(rows)})

    def end_cared(self, rows: tuple[CallRow, ...]) -> None:
        """End calls that went on although nobody knew their documents."""
        at = datetime.now(UTC)
        for row in rows:
            talked = None if row.answered_at is None else round((at - row.answered_at).total_seconds())
            status = "failed" if talked is None else "completed"
            ended = structs.replace(row, status=status, ended_at=at, updated_at=at, duration_s=talked)
            self._store.put(ended)

    # -- warnings and requests ----------------------------------------------------------------------

    def _keep_finding(self, fact: NoteFinding) -> None:
        found = self._open.get(fact.call_sid)
        url, method = found.asked if found is not None else ("", "")
        finding = fact.finding
        self._store.put(
            NotificationRow(
                sid=f"NO{secrets.token_hex(16)}",
                call_sid=fact.call_sid,
                severity=finding.severity,
                number=finding.number,
                text=without_userinfo(finding.text),
                created_at=datetime.now(UTC),
                request_url=url,
                request_method=method,
                line=finding.line,
                column=finding.column,
            )
        )

    def _keep_request(self, made: RequestMade) -> None:
        if (found := self._open.get(made.call_sid)) is not None:
            found.asked = (made.url, made.method)
        self._store.put(
            EventRow(
                call_sid=made.call_sid,
                sequence=self._next_sequence(),
                kind=made.kind,
                created_at=datetime.now(UTC),
                method=made.method,
                url=made.url,
                params=dict(made.params),
                status=made.status,
                elapsed_ms=round(made.took_s * 1000),
                content_type=made.content_type,
                body=made.body,
            )
        )

    def _keep_callback(self, settled: CallbackSettled) -> None:
        self._store.put(
            EventRow(
                call_sid=settled.call_sid,
                sequence=self._next_sequence(),
                kind="status",
                created_at=datetime.now(UTC),
                method=settled.method,
                url=settled.url,
                params=dict(settled.params),
                status=settled.status,
                body="" if settled.failure is None else f"{settled.failure} {settled.text}",
            )
        )

    def _next_sequence(self) -> int:
        """Return a number that grows, even across restarts, and so keeps the order of a call's requests."""
        self._sequence = max(self._sequence + 1, time.time_ns() // 1000)
        return self._sequence


def _wall_clock(monotonic: float) -> datetime:
    return datetime.fromtimestamp(time.time() - (time.monotonic() - monotonic), UTC)


def _ended(row: CallRow, change: CallChanged, at: datetime) -> CallRow:
    outcome = change.outcome
    return structs.replace(
        row,
        ended_at=at,
        duration_s=round(change.duration_s) if row.answered_at is not None else None,
        hangup_by=outcome.hangup_by if outcome is not None else None,
        q850=outcome.q850_cause if outcome is not None else None,
        sip_code=outcome.sip_code if outcome is not None else None,
    )
