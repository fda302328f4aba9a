"""Logs calls from the journal: the start of each call, its warnings, its branches, and one line at its end.

Thread: the controller's loop.
"""

import logging
from dataclasses import dataclass, field
from typing import assert_never

from b2bua.calls.orders import CallChanged, CallOver, NoteFinding
from b2bua.core.credentials import without_userinfo
from b2bua.core.dial_report import BranchReport, Bridged
from b2bua.core.events import MediaMeasured
from b2bua.core.ids import CallSid, SipCallId
from b2bua.core.personal import without_personal
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

__all__ = ["CallLog"]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _CallLine:
    """One call of a session, as shown in the session's last log line."""

    sip_call_id: str
    began_at: float
    timeline: dict[str, float] = field(default_factory=dict)
    """Seconds from the start of the call to each CallStatus."""


@dataclass(slots=True)
class _SessionLine:
    """The facts of a session that its last log line shows."""

    sip_call_id: SipCallId
    calls: dict[CallSid, _CallLine] = field(default_factory=dict)
    media: list[MediaMeasured] = field(default_factory=list)
    """Media statistics of all legs that have ended."""
    asked: dict[CallSid, str] = field(default_factory=dict)
    """URL that each call has requested last: the one of its document."""
    has_foreign_media: bool = False
    """Whether packets from elsewhere were logged: once a call is enough."""


class CallLog:
    """A journal subscriber that writes calls to the log."""

    def __init__(self) -> None:
        self._sessions: dict[CallSid | None, _SessionLine] = {}

    def recall(self, entry: Entry) -> None:
        """Remember a session of an earlier run (``Rememberer``)."""
        fact, session = entry.fact, self._sessions.get(entry.session)
        match fact:
            case SessionBegun():
                self._sessions[entry.session] = _SessionLine(fact.sip_call_id)
            case CallChanged() if session is not None:
                _keep_change(session, fact, entry.at)
            case _:
                pass

    def note(self, entry: Entry) -> None:
        """Log a fact, or keep it for the last line of its call (``Subscriber``)."""
        fact, session = entry.fact, self._sessions.get(entry.session)
        match fact:
            case CallsRefused():
                _log_refused(fact)
            case WorkersShort():
                extra = {"call_sid": fact.call_sid, "targets": fact.targets}
                log.warning("too few workers to ring all targets", extra=extra)
            case SessionBegun():
                self._sessions[entry.session] = _SessionLine(fact.sip_call_id)
                _log_begin(entry.session, fact)
            case SessionEnded():
                self._sessions.pop(entry.session, None)
            case CallChanged():
                if session is not None:
                    _keep_change(session, fact, entry.at)
            case MediaMeasured():
                if session is not None:
                    session.media.append(fact)
            case CallOver():
                if session is not None:
                    _log_end(fact, session)
            case NoteFinding():
                _log_finding(fact, session.asked.get(fact.call_sid, "") if session is not None else "")
            case BranchReport():
                _log_branch(entry.session, fact)
            case Bridged():
                log.debug("bridged", extra={"call_sid": entry.session, "leg_id": fact.leg})
            case RecordingChanged():
                _log_recording(fact)
            case ForeignMedia():
                if session is not None and not session.has_foreign_media:
                    session.has_foreign_media = True
                    facts = {"call_sid": entry.session, "pii_source": fact.source, "packets": fact.packets}
                    log.warning("packets from elsewhere dropped", extra=facts)
            case RequestMade():
                if session is not None:
                    session.asked[fact.call_sid] = fact.url
            case CallbackSettled() | SessionFailed():
                pass  # the components behind these facts log their own failures
            case _:
                assert_never(fact)


def _log_refused(refused: CallsRefused) -> None:
    if refused.source:  # else the pool has logged it, as an error
        facts = {"reason": refused.reason, "pii_source": refused.source, "count": refused.count}
        log.warning("calls refused", extra=facts)


def _log_begin(call_sid: CallSid | None, begun: SessionBegun) -> None:
    facts: dict[str, object] = {"call_sid": call_sid, "worker": begun.host}
    if begun.direction == "inbound":
        facts |= {
            "sip_call_id": begun.sip_call_id,
            "trunk": begun.trunk,
            "pii_source": begun.source,
            "pii_user": begun.user,
            "known_number": begun.is_known_number,
        }
    else:
        facts |= {"source": "api"}
    log.info("call", extra=facts)


def _keep_change(session: _SessionLine, change: CallChanged, at: float) -> None:
    call = session.calls.setdefault(change.call_sid, _CallLine(change.sip_call_id, at))
    call.timeline.setdefault(change.status, round(at - call.began_at, 4))


def _log_finding(note: NoteFinding, url: str) -> None:
    """Log a finding with its place; ``url``: its document's, whose query may have personal data."""
    finding = note.finding
    level = logging.ERROR if finding.severity == "error" else logging.WARNING
    facts: dict[str, object] = {"call_sid": note.call_sid, "number": finding.number, "text": finding.text}
    if url:
        facts["url"] = without_personal(without_userinfo(url))
    facts |= {"line": finding.line, "column": finding.column}
    log.log(level, "twiml", extra=facts)


def _log_branch(call_sid: CallSid | None, report: BranchReport) -> None:
    facts: dict[str, object] = {"call_sid": call_sid, "leg_id": report.leg}
    facts |= {"child_sid": report.child, "stage": report.stage}
    if report.outcome is not None:
        facts |= {"outcome": report.outcome.status, "sip_code": report.outcome.sip_code}
    log.log(logging.INFO if report.stage == "completed" else logging.DEBUG, "branch", extra=facts)


def _log_recording(changed: RecordingChanged) -> None:
    row = changed.row
    if row.status not in ("completed", "absent"):
        return
    facts = {"call_sid": row.call_sid, "recording": row.sid, "status": row.status}
    log.info("recording", extra=facts | {"duration_s": changed.duration_s, "reason": changed.reason})


def _log_end(over: CallOver, session: _SessionLine) -> None:
    """Log the whole call in one line."""
    log.info(
        "call_ended",
        extra={
            "call_sid": over.call_sid,
            "sip_call_id": session.sip_call_id,
            "status": over.status,
            "duration_s": round(over.duration_s, 3),
            "timeline": over.timeline,
            "legs": [
                {"call_sid": sid, "sip_call_id": call.sip_call_id, "timeline": call.timeline}
                for sid, call in session.calls.items()
                if sid != over.call_sid
            ],
            "media": [
                {
                    "leg_id": each.leg,
                    "received": each.received,
                    "lost": each.lost,
                    "jitter_ms": each.jitter_ms,
                }
                for each in session.media
            ],
        },
    )
