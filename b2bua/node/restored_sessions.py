"""The sessions of the controller before: made again from their logs, and taken up where they are now.

First all are made again, while nothing is connected yet, so that nothing is done twice. Then, when the
workers have said hello, each goes on: orders and requests that were lost are repeated, and the workers tell
what has happened meanwhile. Thread: the controller's loop.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Protocol

from b2bua.calls.input_log import LoggedStep, LogHeader, SeededIds
from b2bua.core.ids import CallSid, HostId, WorkerId
from b2bua.engine.pool_clients import SessionSink
from b2bua.engine.protocol import WorkerHello
from b2bua.engine.worker_handle import WorkerHandle
from b2bua.node.input_logs import FoundLog
from b2bua.node.recalled_work import FoundHost, RecalledHost
from b2bua.node.running_session import RunningSession
from b2bua.node.session_log import SessionLog
from b2bua.node.session_maker import NodeFacts, SessionMaker
from b2bua.settings import Settings

__all__ = ["FoundWorkers", "RestoredSessions"]

log = logging.getLogger(__name__)


class FoundWorkers(Protocol):
    """The workers that have gone on (``engine.earlier_workers``)."""

    def greeting(self, worker: WorkerId) -> WorkerHello | None:
        """Return what a worker has said of its session."""

    def follow(self, worker: WorkerId, session: SessionSink, number: int, heard: int) -> WorkerHandle | None:
        """Give a session its worker."""


class RestoredSessions:
    """Restores the sessions of one node.

    Args:
        maker: makes them.
        boot: identifies this run of the machine's clock.
        on_unfit: called for a session that cannot be made again.
    """

    def __init__(self, maker: SessionMaker, boot: str, on_unfit: Callable[[CallSid], None]) -> None:
        self._maker = maker
        self._boot = boot
        self._on_unfit = on_unfit
        self._made: list[tuple[RunningSession, SessionLog, int]] = []

    def recall(
        self,
        found: Iterable[FoundLog[LogHeader, LoggedStep]],
        facts: NodeFacts,
        calls: MutableMapping[CallSid, RunningSession],
    ) -> None:
        """Make the sessions again, and add them to ``calls``."""
        fit = [each for each in found if self._is_fit(each)]
        for each in sorted(fit, key=lambda each: each.header.began_at if each.header else 0.0):
            assert each.header is not None and each.settings is not None
            made = self._make(each, each.header, each.settings, facts)
            if made is not None:
                calls[made[0].sid] = made[0]
                self._made.append((*made, each.size))

    def resume(self, workers: FoundWorkers) -> None:
        """Let the sessions go on."""
        for call, noted, size in self._made:
            call.resume(size, self._hosts(call, noted, workers))
        if self._made:
            log.warning("calls of the previous controller go on", extra={"count": len(self._made)})

    def _is_fit(self, found: FoundLog[LogHeader, LoggedStep]) -> bool:
        header = found.header
        if header is not None and header.boot == self._boot and header.is_whole and found.settings:
            return True
        log.error("a call of the previous controller is not known any more")
        found.file.close()
        return False

    def _make(
        self, found: FoundLog[LogHeader, LoggedStep], header: LogHeader, settings: Settings, facts: NodeFacts
    ) -> tuple[RunningSession, SessionLog] | None:
        try:
            call, noted = self._maker.again(header, found.steps, settings, facts, found.file)
        except Exception:  # other code may have written the log
            log.exception("a call of the previous controller cannot be made again")
            self._on_unfit(SeededIds(header.seed).call_sid())
            found.file.close()
            return None
        if not noted.differs:
            return call, noted
        log.error("this code would have handled a call otherwise", extra={"call_sid": call.sid})
        call.abandon()
        self._on_unfit(call.sid)
        found.file.close()
        return None

    def _hosts(
        self, call: RunningSession, noted: SessionLog, workers: FoundWorkers
    ) -> Mapping[HostId, FoundHost]:
        hosts: dict[HostId, FoundHost] = {}
        for host, recalled in call.hosts.items():
            worker = WorkerId(host)
            greeting = workers.greeting(worker)
            if greeting is None or not isinstance(recalled, RecalledHost):
                continue
            handle = workers.follow(worker, call, recalled.session, noted.heard_of(host))
            if handle is not None:
                hosts[host] = FoundHost(
                    host=handle, orders=greeting.orders, recordings=frozenset(greeting.recordings)
                )
        return hosts
