"""The guard of a running session: an error in a session ends its own calls properly and affects no other.

Every entry into a session passes through the guard, so that its timer is always set again, whatever raises.
The first error ends the session in order. After a second error, or if the session does not end in time, the
guard ends it without its state machines; ``Owed`` then knows what remains to be done. Thread: the
controller's loop.
"""

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Protocol

from b2bua.calls.input_log import Faulted, LogInput
from b2bua.calls.orders import NoteFinding, Order, Output
from b2bua.calls.owed import Owed
from b2bua.calls.session import Session
from b2bua.core.commands import EndSession
from b2bua.core.errors import LocalStateError
from b2bua.core.events import LegEnded
from b2bua.core.ids import LegId
from b2bua.node.deadline_timer import DeadlineTimer
from b2bua.node.facts import JournalFact, SessionFailed
from b2bua.twiml.findings import Finding

__all__ = ["OrderExecutor", "SessionGuard", "do_all"]

log = logging.getLogger(__name__)

_FAULT = Finding(
    number=12400, severity="error", text="an internal error of the node ended the call", line=0, column=0
)
_FAIL_LIMIT_S = 40.0
"""Time for a failed session to end in order; a leg that does not answer our BYE can take 35 s."""
_WORDS_LIMIT_S = 5.0
"""Time for a failed session to end once its legs have ended; only reports and a recording can be left."""


class InputLog(Protocol):
    """Notes the session's inputs, and knows their time."""

    @property
    def now(self) -> float:
        """The time of the latest input, in monotonic seconds."""

    def take(self, given: LogInput) -> float:
        """Note an input that arises here; returns its time."""

    def settle(self, outputs: Iterable[object]) -> None:
        """Write the input down; before any of the outputs takes effect."""


class OrderExecutor(Protocol):
    """Carries out the orders of the session."""

    def carry_out(self, orders: list[Output], now: float) -> None:
        """Carry out all orders but ``EndSession``, even if some of them fail.

        Raises:
            Exception: the errors of the orders that failed.
        """

    def execute(self, order: Order, now: float) -> None:
        """Carry out an order that is not for a host."""

    def publish(self, fact: JournalFact, now: float) -> None:
        """Put a fact of the session into the journal; does not raise."""

    def end(self) -> None:
        """Tell the hosts and the owner of the session that it is over; called once."""


class SessionGuard:
    """The only entry into a session; ends the session if it fails.

    Args:
        session: the state machine.
        owed: what the session still has to do and report.
        executor: carries out its orders.
        log: has the time of each step, and notes it before its orders are carried out.
        wake: called when a deadline of the session has come; ``come_due`` is to follow.
    """

    def __init__(
        self, session: Session, owed: Owed, executor: OrderExecutor, log: InputLog, wake: Callable[[], None]
    ) -> None:
        self._session = session
        self._owed = owed
        self._executor = executor
        self._log = log
        self._timer = DeadlineTimer(wake)
        """When the timer is due, in monotonic seconds."""
        self._fail_until: float | None = None
        """Deadline for a failed session to end; None: the session has not failed."""
        self._is_over = False

    def step(self, act: Callable[[float], list[Output]]) -> None:
        """Run one step of the session and carry out its orders; does nothing once the session is over."""
        if self._is_over:
            return
        now = self._log.now
        try:
            self._carry_out(act(now), now)
        except Exception:
            self._fail(now)
        finally:
            self._set_timer(now)

    def come_due(self) -> None:
        """Act on deadlines that have passed."""
        self.step(self._do_due)

    def fail(self, now: float) -> None:
        """End the session in order, because something that it needs has failed."""
        self._fail(now)
        self._set_timer(now)

    @contextlib.contextmanager
    def guarded(self) -> Iterator[None]:
        """Run a block outside of a step; its errors end this session and no other."""
        try:
            yield
        except Exception:
            self.fail(self._log.now if self._is_over else self._log.take(Faulted()))

    def cancel(self) -> None:
        """End the guard, and nothing else."""
        self._is_over = True
        self._timer.cancel()

    @property
    def is_over(self) -> bool:
        """Whether the session has ended: it takes nothing any more."""
        return self._is_over

    def _carry_out(self, orders: Iterable[Output], now: float) -> None:
        """Note a step, carry out its orders, and end the session if these are its last."""
        orders = list(orders)
        self._log.settle(orders)
        do_all(
            partial(self._executor.carry_out, orders, now),
            partial(self._conclude, now) if EndSession() in orders else None,
        )

    def _conclude(self, now: float) -> None:
        """End the session, which has given its last orders or cannot give any more.

        Raises:
            Exception: something that the session owed is lost.
        """
        do_all(partial(self._settle, now) if self._fail_until is not None else None, self._end)

    # -- errors -------------------------------------------------------------------------------------

    def _fail(self, now: float) -> None:
        """Handle an exception: after the first, end the call in order; after another, without the session."""
        log.exception("a session failed", extra={"call_sid": self._session.call_sid})
        is_first, self._fail_until = self._fail_until is None, now + _FAIL_LIMIT_S
        self._owed.step_failed()
        try:
            self._executor.publish(SessionFailed(), now)
            if is_first:
                self._executor.publish(NoteFinding(call_sid=self._session.call_sid, finding=_FAULT), now)
            if self._is_over:
                return
            if not is_first:
                self._give_up(now)
                return
            self._carry_out(self._session.fail(now), now)
            self._carry_out(self._owed.hang_up(), now)
            for leg in self._unknown_legs():
                self._carry_out(self._session.handle(_lost(leg, now), now), now)
        except Exception:
            log.exception(
                "failed session could not be ended in order", extra={"call_sid": self._session.call_sid}
            )
            self._give_up(now)

    def _unknown_legs(self) -> list[LegId]:
        """Return the legs that the session considers live but that no worker knows of."""
        if self._is_over:
            return []
        return [leg for leg in self._session.live_legs() if not self._owed.has_leg(leg)]

    def _give_up(self, now: float) -> None:
        """End the call without its session's state machine."""
        if self._is_over:
            return
        try:
            self._conclude(now)
        except Exception:
            extra = {"call_sid": self._session.call_sid}
            log.exception("failed session: a pending webhook, recording or call record was lost", extra=extra)

    def _settle(self, now: float) -> None:
        """Do and report what a failed session has left undone."""
        do_all(*(partial(self._pay, debt, now) for debt in self._owed.settle(now)))

    def _pay(self, debt: Callable[[], list[Output]], now: float) -> None:
        for order in debt():
            if isinstance(order, Order):
                self._executor.execute(order, now)

    def _end(self) -> None:
        """Mark the session as over, and tell the executor."""
        if self._is_over:
            return
        self._is_over = True
        self._timer.cancel()
        self._executor.end()

    # -- the timer ----------------------------------------------------------------------------------

    def _set_timer(self, now: float) -> None:
        due = None
        if not self._is_over:
            try:
                due = self._session.next_deadline()
            except Exception:
                self._fail(now)
        if self._is_over:
            return
        if self._fail_until is not None and self._owed.nothing_is_open:
            self._fail_until = min(self._fail_until, now + _WORDS_LIMIT_S)
        self._timer.set((due, self._fail_until))

    def _do_due(self, now: float) -> list[Output]:
        if self._fail_until is not None and now >= self._fail_until:
            raise LocalStateError("a failed session did not end in time")
        return self._session.tick(now)


def do_all(*jobs: Callable[[], None] | None) -> None:
    """Run all jobs, even if some of them raise.

    Raises:
        ExceptionGroup: the errors of the jobs that raised.
    """
    errors: list[Exception] = []
    for job in jobs:
        try:
            if job is not None:
                job()
        except Exception as error:
            errors.append(error)
    if errors:
        raise ExceptionGroup("some jobs failed", errors)


def _lost(leg: LegId, now: float) -> LegEnded:
    """Return the end of a leg that its worker will not report."""
    return LegEnded(leg=leg, at=now, cause="worker", sip_code=503, reason="worker died", headers=())
