"""The facts of one session on their way to the journal.

A call that comes is stored, counted and logged when its first INVITEs have left, if its document is known.

The relay measures a leg's reception until the leg ends, and reports it a moment later. So the last facts of a
call wait for it, at most a quarter of a second.

Thread: the controller's loop.
"""

import asyncio
import time
from collections.abc import Callable, Iterable

from b2bua.calls.orders import CallChanged, CallOver, NoteFinding
from b2bua.calls.placement import Placement
from b2bua.core.events import MediaMeasured
from b2bua.core.ids import CallSid, HostId, LegId
from b2bua.node.facts import JournalFact, SessionEnded
from b2bua.node.journal import Entry, Journal
from b2bua.node.session_log import SessionLog
from b2bua.twiml.findings import Finding

__all__ = ["SessionFacts"]

_PATIENCE_S = 0.25


class SessionFacts:
    """Publishes the facts of one session in their order.

    Args:
        journal: receives them.
        log: knows whether the session is being made again: its facts were published before.
        placement: knows the hosts of legs.
        first: the host of the first leg.
        sid: of the session.
    """

    def __init__(
        self, journal: Journal, log: SessionLog, placement: Placement, first: HostId, sid: CallSid
    ) -> None:
        self._journal = journal
        self._log = log
        self._placement = placement
        self._first = first
        self._sid = sid
        self._unmeasured: dict[LegId, asyncio.TimerHandle] = {}
        """Legs that have ended, and when they are waited for no longer."""
        self._held = False
        self._waiting: list[Entry] = []
        self._after: list[Callable[[], None]] = []

    def hold(self) -> None:
        """Hold back all facts until ``release``: something more urgent comes first."""
        self._held = True

    def release(self) -> None:
        """Publish what was held back."""
        self._held = False
        if not self._unmeasured:
            self._flush()

    def publish(self, fact: JournalFact, now: float) -> None:
        """Publish a fact; the facts that end a call, and all after them, when its legs have been measured.

        Does not raise.
        """
        entry = self._entry(fact, now)
        ends = isinstance(fact, CallOver | SessionEnded)
        if self._log.is_recalling:
            self._journal.recall(entry)
        elif self._held or self._waiting or (ends and self._unmeasured):
            self._waiting.append(entry)
        else:
            self._journal.publish(entry)

    def happened(self, fact: JournalFact) -> None:
        """Publish a fact of this moment, apart from the session's steps."""
        self.publish(fact, time.monotonic())

    def note(self, findings: Iterable[Finding]) -> None:
        """Publish findings about how the call or one of its prompts was made."""
        for finding in findings:
            self.happened(NoteFinding(call_sid=self._sid, finding=finding))

    def leg_ended(self, leg: LegId) -> None:
        """Wait for the measurement of a leg."""
        if leg not in self._unmeasured:
            loop = asyncio.get_running_loop()
            self._unmeasured[leg] = loop.call_later(_PATIENCE_S, self.measured, leg, None)

    def measured(self, leg: LegId, report: MediaMeasured | None) -> None:
        """Publish the measurement of a leg; None: there is none."""
        if (timer := self._unmeasured.pop(leg, None)) is not None:
            timer.cancel()
        if report is not None and report.received:
            self._journal.publish(self._entry(report, report.at))
        if not self._unmeasured and not self._held:
            self._flush()

    def then(self, act: Callable[[], None]) -> None:
        """Call ``act`` when everything has been published."""
        if self._waiting:
            self._after.append(act)
        else:
            act()

    def _entry(self, fact: JournalFact, now: float) -> Entry:
        host = self._host_of(fact) if isinstance(fact, CallChanged) else None
        return Entry(at=now, session=self._sid, host=host, fact=fact)

    def _host_of(self, change: CallChanged) -> HostId:
        """Return the host of a call's leg; for a call that never had a leg, the host of the first leg."""
        host = None if change.leg is None else self._placement.host_of(change.leg)
        return self._first if host is None else host

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for entry in waiting:
            self._journal.publish(entry)
        after, self._after = self._after, []
        for act in after:
            act()
