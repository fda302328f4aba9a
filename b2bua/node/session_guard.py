"""The guard of a running session: an error within it ends its own calls, properly, and concerns nobody else.

Every entry into a session leads through here, so that its clock goes on whatever raises. The first error ends
the session in order; another one, or a session that does not end in time, ends it without its machines: what
it owes then is known from ``Owed``. Thread: the controller's loop.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Protocol

from b2bua.calls.orders import NoteFinding, Order, Output
from b2bua.calls.owed import Owed
from b2bua.calls.session import Session
from b2bua.core.errors import LocalStateError
from b2bua.core.events import LegEnded
from b2bua.core.ids import LegId
from b2bua.node.facts import JournalFact, SessionFailed
from b2bua.twiml.findings import Finding

__all__ = ["OrderExecutor", "SessionGuard", "do_all"]

log = logging.getLogger(__name__)

_FAULT = Finding(
    number=12400, severity="error", text="an error of the node's has ended the call", line=0, column=0
)
_FAIL_LIMIT_S = 40.0
"""For a session that has failed to end in order: a leg may take 35 s, one that does not answer our BYE."""
_WORDS_LIMIT_S = 5.0
"""Likewise when its legs have ended: what is left are words, and a recording to be made."""


class OrderExecutor(Protocol):
    """Who carries out what the session orders."""

    def carry_out(self, orders: Iterable[Output], now: float) -> None:
        """Do all of them, whatever becomes of one.

        Raises:
            Exception: of what was wrong with some.
        """

    def execute(self, order: Order, now: float) -> None:
        """Do one that is not for a host."""

    def publish(self, fact: JournalFact, now: float) -> None:
        """Put a fact of the session into the journal; does not raise."""

    def end(self) -> None:
        """Called once: tell the hosts and whoever began the session that it is over."""


class SessionGuard:
    """See the module's docstring.

    Args:
        session: the machine.
        owed: what is owed by it.
        executor: carries out its orders.
    """

    def __init__(self, session: Session, owed: Owed, executor: OrderExecutor) -> None:
        self._session = session
        self._owed = owed
        self._executor = executor
        self._timer: asyncio.TimerHandle | None = None
        self._fail_until: float | None = None
        """When a session that has failed must have ended; None: all is well."""
        self._is_over = False

    def step(self, act: Callable[[float], list[Output]]) -> None:
        """The one way into the session: do what it orders. Nothing reaches one that is over."""
        if self._is_over:
            return
        with self.guarded() as now:
            self._executor.carry_out(act(now), now)

    @contextlib.contextmanager
    def guarded(self) -> Iterator[float]:
        """What goes wrong in here ends this session, and no other; the clock goes on in any case."""
        try:
            yield time.monotonic()
        except Exception:
            self._fail(time.monotonic())
        finally:
            self._set_timer(time.monotonic())

    def conclude(self, now: float) -> None:
        """The session has ordered all that it will, or nothing can be had of it any more.

        Raises:
            Exception: something that it owed is lost.
        """
        do_all(partial(self._settle, now) if self._fail_until is not None else None, self._end)

    # -- errors -------------------------------------------------------------------------------------

    def _fail(self, now: float) -> None:
        """An exception is being handled: end the call in order, and when it is not the first, without."""
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
            self._executor.carry_out(self._session.fail(now), now)
            self._executor.carry_out(self._owed.hang_up(), now)
            for leg in self._unknown_legs():
                self._executor.carry_out(self._session.handle(_lost(leg, now), now), now)
        except Exception:
            log.exception("a session could not be ended in order", extra={"call_sid": self._session.call_sid})
            self._give_up(now)

    def _unknown_legs(self) -> list[LegId]:
        """Those that the session believes in, and the worker has never heard of."""
        if self._is_over:
            return []
        return [leg for leg in self._session.live_legs() if not self._owed.has_leg(leg)]

    def _give_up(self, now: float) -> None:
        """End the call without its session."""
        if self._is_over:
            return
        try:
            self.conclude(now)
        except Exception:
            extra = {"call_sid": self._session.call_sid}
            log.exception("something that a session owed is lost", extra=extra)

    def _settle(self, now: float) -> None:
        """Do and say what a session that has failed did not."""
        do_all(*(partial(self._pay, debt, now) for debt in self._owed.settle(now)))

    def _pay(self, debt: Callable[[], list[Output]], now: float) -> None:
        for order in debt():
            if isinstance(order, Order):
                self._executor.execute(order, now)

    def _end(self) -> None:
        """Nothing more will come of it."""
        if self._is_over:
            return
        self._is_over = True
        self._cancel_timer()
        self._executor.end()

    # -- the clock ----------------------------------------------------------------------------------

    def _set_timer(self, now: float) -> None:
        self._cancel_timer()
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
        deadlines = [at for at in (due, self._fail_until) if at is not None]
        if deadlines:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, min(deadlines) - now), self.step, self._do_due)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _do_due(self, now: float) -> list[Output]:
        if self._fail_until is not None and now >= self._fail_until:
            raise LocalStateError("a session that has failed does not end")
        return self._session.tick(now)


def do_all(*jobs: Callable[[], None] | None) -> None:
    """Do each of them, whatever becomes of the others.

    Raises:
        ExceptionGroup: what has gone wrong.
    """
    errors: list[Exception] = []
    for job in jobs:
        try:
            if job is not None:
                job()
        except Exception as error:
            errors.append(error)
    if errors:
        raise ExceptionGroup("not all was done", errors)


def _lost(leg: LegId, now: float) -> LegEnded:
    """The end of a leg that its worker will not report."""
    return LegEnded(leg=leg, at=now, cause="worker", sip_code=503, reason="worker died", headers=())
