"""What a session still owes, as seen from outside: ends of legs, final reports, finished recordings.

This is derived from the session's inputs and from those of its orders that were carried out. If a machine of
the session raises, the orders of that step are lost, and the machine's state no longer reflects what has
happened. ``Owed`` does, so that the call can be ended properly in any state. Sans I/O; it must not rely on
the state of a machine.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

from msgspec import structs

from b2bua.calls.action import action_parameters
from b2bua.calls.call_report import CallReport
from b2bua.calls.frame_stack import OwedAction
from b2bua.calls.orders import (
    CallChanged,
    CallOver,
    FetchDocument,
    FinishRecording,
    KeepRecording,
    Output,
    ReportStatus,
)
from b2bua.calls.parameters import CallStatus
from b2bua.calls.session import Session
from b2bua.calls.verb_run import AskFor
from b2bua.core.commands import HangupLeg, InviteLeg, LegCommand
from b2bua.core.dial_report import Bridged, DialResult
from b2bua.core.ids import CallSid, LegId, RecordingSid
from b2bua.core.outcomes import HangupReason, hung_up_outcome

__all__ = ["FAILED_SIP_CODE", "Owed"]

FAILED_SIP_CODE = 500
"""The final response to an unanswered caller whose call failed by an internal error (RFC 3261 §21.5.1)."""


@dataclass(slots=True)
class _Call:
    """A call that may be known to the application, kept until its final report has been made."""

    row: CallChanged
    report: CallReport | None = None
    """None: the session has not provided it."""
    answered_at: float | None = None
    is_reported: bool = False
    """Whether the last status callback was issued."""
    is_over: bool = False
    """Whether ``CallOver`` was issued."""

    @property
    def status(self) -> CallStatus:
        """The final status."""
        return cast(CallStatus, self.row.status) if self.row.ended else "failed"

    @property
    def needs_nothing(self) -> bool:
        """Whether nothing more is to be reported, according to a session that has not failed."""
        is_reported = self.is_reported or (self.report is not None and self.report.has_reached("completed"))
        return self.row.ended and is_reported

    def talked_s(self, now: float) -> float:
        """Return the seconds since the answer."""
        return 0.0 if self.answered_at is None else now - self.answered_at


class Owed:
    """Keeps track of what one session owes, and settles it if the session fails.

    Args:
        leg: the caller's leg of an inbound call; None for a call that we make.
    """

    def __init__(self, leg: LegId | None) -> None:
        self._legs: dict[LegId, bool] = {} if leg is None else {leg: False}
        """Legs that the worker has, and whether it was ordered to hang them up."""
        self._recordings: dict[RecordingSid, None] = {}
        self._calls: dict[CallSid, _Call] = {}
        self._bridged: dict[CallSid, CallSid] = {}
        """The child call with which each call was bridged by its present or latest Dial."""
        self._actions: dict[CallSid, OwedAction] = {}
        self._has_failed = False

    def has_leg(self, leg: LegId) -> bool:
        """Return whether the worker will report the end of this leg."""
        return leg in self._legs

    @property
    def nothing_is_open(self) -> bool:
        """Whether all legs have ended and all recordings are complete."""
        return not self._legs and not self._recordings

    # -- facts --------------------------------------------------------------------------------------

    def leg_ended(self, leg: LegId) -> None:
        """Note that the end of a leg was reported."""
        self._legs.pop(leg, None)

    def sent(self, orders: list[LegCommand]) -> None:
        """Note the commands that were sent to the worker."""
        for order in orders:
            match order:
                case InviteLeg():
                    self._legs[order.leg] = False
                case HangupLeg() if order.leg in self._legs:
                    self._legs[order.leg] = True

    def carried_out(self, orders: list[Output], session: Session, now: float) -> None:
        """Note the orders of a step that the session has completed without an error.

        Raises:
            Exception: the session failed to answer about its calls; the orders themselves are noted by then.
        """
        for order in orders:
            self._note(order, now)
        for call_sid, call in self._calls.items():
            call.report = call.report or session.report_of(call_sid)
        if not self._has_failed:
            self._calls = {sid: call for sid, call in self._calls.items() if not call.needs_nothing}
            self._actions = session.owed_actions()

    def _note(self, order: Output, now: float) -> None:
        match order:
            case KeepRecording():
                self._recordings[order.recording] = None
            case FinishRecording():
                self._recordings.pop(order.recording, None)
            case CallChanged():
                self._changed(order, now)
            case Bridged():
                self._connected(order.leg)
            case CallOver() if order.call_sid in self._calls:
                self._calls[order.call_sid].is_over = True
            case ReportStatus(last=True) if order.call_sid in self._calls:
                self._calls[order.call_sid].is_reported = True
            case FetchDocument(once=True):
                self._asked(order)

    def _changed(self, change: CallChanged, now: float) -> None:
        call = self._calls.get(change.call_sid)
        if call is None:
            call = self._calls[change.call_sid] = _Call(change)
            if change.parent_sid is not None:
                self._bridged.pop(change.parent_sid, None)
        call.row = change
        if change.status == "in-progress" and call.answered_at is None:
            call.answered_at = now

    def _connected(self, leg: LegId) -> None:
        rows = [call.row for call in self._calls.values() if call.row.status == "in-progress"]
        children = [row for row in rows if row.parent_sid is not None]
        # A child reached by an alternative INVITE has a different leg from the one in its row.
        for row in sorted(children, key=lambda row: row.leg == leg):
            assert row.parent_sid is not None
            self._bridged[row.parent_sid] = row.call_sid

    def _asked(self, order: FetchDocument) -> None:
        params = dict(order.params)
        if "DialCallStatus" in params:
            self._actions.pop(CallSid(params.get("CallSid", "")), None)

    def step_failed(self) -> None:
        """Note that a machine has raised; from now on only what is already known can be owed."""
        self._has_failed = True

    # -- settling -----------------------------------------------------------------------------------

    def hang_up(self) -> list[HangupLeg]:
        """Return commands to hang up the worker's legs that were not hung up yet."""
        left = [leg for leg, is_hung_up in self._legs.items() if not is_hung_up]
        return [HangupLeg(leg=leg, sip_code=FAILED_SIP_CODE) for leg in left]

    def settle(self, now: float) -> list[Callable[[], list[Output]]]:
        """Return, once, the debts of a session that will issue no more orders.

        Each returned function produces some of the orders, independently of whether the others fail.
        """
        debts: list[Callable[[], list[Output]]] = []
        for recording in self._recordings:
            debts.append(partial(_finish, recording))
        for call in self._calls.values():
            debts.append(partial(_close, call, now))
        for call_sid, action in self._actions.items():
            debts.append(partial(self._action, call_sid, action, now))
        for call in self._calls.values():
            debts.append(partial(_last_words, call, now))
        self._recordings, self._actions = {}, {}
        return debts

    def _action(self, call_sid: CallSid, action: OwedAction, now: float) -> list[Output]:
        frame, verb = action
        child = self._bridged.get(call_sid)
        call = self._calls.get(child) if child is not None else None
        result = DialResult(
            outcome=hung_up_outcome(HangupReason.FAULT),
            leg=None,
            child=child,
            kind=None,
            sip_call_id=None,
            bridged=child is not None,
            duration_s=call.talked_s(now) if call is not None else 0.0,
            ring_duration_ms=0,
            headers=(),
        )
        params = action_parameters(result)
        ask = AskFor(url=verb.action or "", method=verb.method, params=params, once=True)
        return frame.source.request(ask, now)


def _finish(recording: RecordingSid) -> list[Output]:
    reason = "internal error of the node"
    return [FinishRecording(recording=recording, pauses=(), duration_s=0.0, reason=reason)]


def _close(call: _Call, now: float) -> list[Output]:
    """Fix the call's final status, and return its last record if that is still missing."""
    if call.report is not None:
        call.report.end_as(call.status)
    if call.row.ended:
        return []
    return [structs.replace(call.row, status="failed", ended=True, duration_s=call.talked_s(now))]


def _last_words(call: _Call, now: float) -> list[Output]:
    orders: list[Output] = []
    if not call.is_over and call.row.parent_sid is None:
        sid, duration_s = call.row.call_sid, call.talked_s(now)
        orders.append(CallOver(call_sid=sid, status=call.status, duration_s=duration_s, timeline={}))
    if not call.is_reported and call.report is not None:
        orders += call.report.last_word(call.talked_s(now))
    return orders
