"""Updates the call metrics from the journal. Thread: the controller's loop."""

from dataclasses import dataclass
from typing import assert_never

from b2bua.calls.orders import CallChanged, CallOver, NoteFinding
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
from b2bua.web.metrics import Metrics

__all__ = ["CallMetrics"]


@dataclass(slots=True)
class _SetUp:
    """The call set-up of a session: from the INVITE received to the first INVITE sent."""

    invited_at: float
    application_s: float = 0.0
    """Seconds spent waiting for the application so far."""
    own_ms: float | None = None
    """Milliseconds from INVITE received to INVITE sent, without the time spent in the application."""

    def invite_sent(self, at: float) -> None:
        """Note that an INVITE was sent; only the first one counts."""
        if self.own_ms is None:
            self.own_ms = max(0.0, at - self.invited_at - self.application_s) * 1000


class CallMetrics:
    """A journal subscriber that updates the metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._set_ups: dict[CallSid | None, _SetUp] = {}
        """Set-ups by session; each is removed when its session ends."""

    def recall(self, entry: Entry) -> None:
        """Remember a session of an earlier run, which has counted it (``Rememberer``)."""
        fact = entry.fact
        if isinstance(fact, SessionBegun):
            self._set_ups[entry.session] = _SetUp(fact.invited_at)
        elif isinstance(fact, BranchReport) and fact.stage == "initiated":
            self._set_ups[entry.session].invite_sent(entry.at)

    def note(self, entry: Entry) -> None:
        """Count a fact (``Subscriber``)."""
        fact, metrics = entry.fact, self._metrics
        match fact:
            case CallsRefused():
                metrics.call_refused(fact.reason, fact.count)
            case WorkersShort():
                metrics.workers_short(fact.targets)
            case SessionBegun():
                self._set_ups[entry.session] = _SetUp(fact.invited_at)
                metrics.call_started(fact.direction)
            case SessionEnded():
                self._set_ups.pop(entry.session, None)
            case SessionFailed():
                metrics.session_failed()
            case RequestMade():
                if (set_up := self._set_ups.get(entry.session)) is not None:
                    set_up.application_s += fact.took_s
                metrics.webhook(fact.took_s, fact.failure)
            case CallbackSettled():
                metrics.called_back(fact.failure)
            case NoteFinding():
                metrics.finding(fact.finding.number)
            case BranchReport():
                self._branch(entry, fact)
            case CallOver():
                known = self._set_ups.get(entry.session)
                metrics.call_ended(fact.status, known.own_ms if known is not None else None)
            case MediaMeasured():
                metrics.leg_ended(fact.lost / max(1, fact.lost + fact.received), fact.jitter_ms)
            case ForeignMedia():
                metrics.foreign_packets(fact.packets)
            case CallChanged() | Bridged() | RecordingChanged():
                pass
            case _:
                assert_never(fact)

    def _branch(self, entry: Entry, report: BranchReport) -> None:
        if report.stage == "initiated":
            if (set_up := self._set_ups.get(entry.session)) is not None:
                set_up.invite_sent(entry.at)
            self._metrics.call_started("outbound-dial")
        elif report.stage == "completed" and report.outcome is not None:
            self._metrics.dial_ended(report.outcome.status)
