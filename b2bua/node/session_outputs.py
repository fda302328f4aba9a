"""Carries out what the state machine of a session puts out: commands to hosts, facts, and the node's work.

Nothing is decided here. While a session is made again from its log, its outputs are noted instead, and what
is left of them is done when it goes on. Thread: the controller's loop.
"""

import asyncio
from functools import partial
from typing import Protocol

from b2bua.calls.orders import (
    CallChanged,
    CallOver,
    FinishRecording,
    KeepRecording,
    NoteFinding,
    Order,
    Output,
    SessionInput,
)
from b2bua.calls.owed import Owed
from b2bua.calls.placement import Placement
from b2bua.calls.session import Session
from b2bua.core.commands import EndSession, LegCommand
from b2bua.core.dial_report import BranchReport, Bridged
from b2bua.node.facts import JournalFact, SessionEnded, WorkersShort
from b2bua.node.helpers import TOO_FEW
from b2bua.node.recalled_work import RecalledWork
from b2bua.node.session_facts import SessionFacts
from b2bua.node.session_guard import do_all
from b2bua.node.session_hosts import SessionHosts
from b2bua.node.session_log import SessionLog
from b2bua.node.session_work import SessionWork

__all__ = ["OutputOwner", "SessionOutputs"]


class OutputOwner(Protocol):
    """The session whose outputs they are."""

    def bring(self, event: SessionInput) -> None:
        """Give the session an event."""

    def over(self) -> None:
        """Everything has been carried out and published."""


class SessionOutputs:
    """The outputs of one session (``OrderExecutor``).

    Args:
        owner: the running session.
        session: the state machine.
        placement: knows which leg is where.
        hosts: take the commands.
        facts: take what the journal is told.
        work: takes the orders for the node.
        owed: notes what was carried out.
        log: knows whether the session is being made again.
    """

    def __init__(
        self,
        owner: OutputOwner,
        session: Session,
        placement: Placement,
        hosts: SessionHosts,
        facts: SessionFacts,
        work: SessionWork,
        owed: Owed,
        log: SessionLog,
    ) -> None:
        self._owner = owner
        self._session = session
        self._placement = placement
        self._hosts = hosts
        self._facts = facts
        self._work = work
        self._owed = owed
        self._log = log
        self.recalled = RecalledWork()
        """What was ordered in an earlier run."""

    def carry_out(self, orders: list[Output], now: float) -> None:
        """Carry out all orders but the end of the session (``OrderExecutor``)."""
        commands: list[LegCommand] = [each for each in orders if not isinstance(each, Order)]
        do_all(
            *(partial(self._keep, each) for each in orders if isinstance(each, KeepRecording)),
            # Commands to workers come before the rest: a peer waits for them, and for nothing else.
            partial(self._send, [each for each in commands if not isinstance(each, EndSession)], now),
            partial(self._owed.carried_out, orders, self._session, now),
            *(partial(self.execute, each, now) for each in orders if isinstance(each, Order)),
        )

    def execute(self, order: Order, now: float) -> None:
        """Carry out an order that is not for a worker (``OrderExecutor``)."""
        match order:
            case CallChanged():
                self._hosts.name_dialog(order.sip_call_id)
                self.publish(order, now)
            case NoteFinding() | BranchReport() | Bridged() | CallOver():
                self.publish(order, now)
            case _ if self._log.is_recalling:
                self.recalled.note(order, now)
            case _:
                if isinstance(order, FinishRecording):
                    self._hosts.drop(order.recording)
                self._work.do(order)

    def publish(self, fact: JournalFact, now: float) -> None:
        """Put a fact into the journal (``OrderExecutor``)."""
        self._facts.publish(fact, now)

    def end(self) -> None:
        """Tell the hosts and the owner that the session is over (``OrderExecutor``)."""
        if self._log.is_recalling:
            return  # ``RunningSession.resume`` comes back
        do_all(
            partial(self._hosts.end, self._owed.hang_up()),
            partial(self._facts.happened, SessionEnded()),
            partial(self._facts.then, self._owner.over),
        )

    def do_left_over(self, until: float) -> None:
        """Do what was ordered in an earlier run, which ended at ``until``, and not done."""
        for kept in self.recalled.recordings():
            self._work.adopt(kept)
        for report, may_be_lost in self.recalled.reports(until):
            self._work.report_again(report, is_sent=not may_be_lost)
        for order in self.recalled.left_over():
            self._work.do(order)
        self._hosts.want(self.recalled.hosts_wanted)
        for ended in self.recalled.ended:
            self._owner.bring(ended)

    def _keep(self, order: KeepRecording) -> None:
        if not self._log.is_recalling:
            self._hosts.hold(order.recording, self._work.keep(order))

    def _send(self, commands: list[LegCommand], now: float) -> None:
        self._hosts.send(commands, now)
        for part in self._placement.take_host_parts():
            if self._log.is_recalling:
                self.recalled.taken_over(part)
            else:
                self._work.take_over(part)
        self._owed.sent(commands)
        wanted = self._placement.take_wanted()
        if self._log.is_recalling:
            self.recalled.hosts_wanted += wanted
        else:
            self._hosts.want(wanted)
        if targets := self._placement.take_short():
            self._facts.publish(WorkersShort(call_sid=self._session.call_sid, targets=targets), now)
            self._facts.note([TOO_FEW])
        for ended in self._placement.take_ended():
            if self._log.is_recalling:
                self.recalled.ended.append(ended)
            else:
                asyncio.get_running_loop().call_soon(self._owner.bring, ended)
