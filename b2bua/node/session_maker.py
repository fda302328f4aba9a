"""Makes the sessions of a node: new ones, and those of an earlier run again, from their input logs.

Thread: the controller's loop.
"""

import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from b2bua.calls.context import Ids, SessionContext, SessionIds
from b2bua.calls.input_log import LoggedStep, LogHeader, Lookups, SeededIds
from b2bua.calls.orders import RecordCall
from b2bua.calls.outbound import OutboundCall
from b2bua.calls.script import Script
from b2bua.calls.session import Session
from b2bua.core.admission import AdmittedCall
from b2bua.core.ids import HostId
from b2bua.engine.pool import WorkerHandle
from b2bua.node.recalled_work import RecalledHost
from b2bua.node.running_session import RunningSession
from b2bua.node.session_log import LogFile, SessionLog
from b2bua.node.session_services import SessionServices
from b2bua.settings import Settings
from b2bua.web.webhooks import CallWebhooks

__all__ = ["LogKeeper", "NodeFacts", "SessionMaker"]


class LogKeeper(Protocol):
    """Keeps the input logs of a node."""

    @property
    def code(self) -> str:
        """Identifies the code that runs."""

    @property
    def boot(self) -> str:
        """Identifies the run of the machine's monotonic clock."""

    def settings_id(self, settings: Settings) -> str:
        """Return what identifies these settings in a log."""

    def new_file(self) -> LogFile | None:
        """Return the file of a new session; None: no log is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """What sessions are told of their node."""

    account_sid: str
    public_url: str
    """The node's HTTP server as the application reaches it."""
    raw_recordings: str
    """The folder for raw recording files."""
    trunk_is_down: Callable[[str], bool]
    owns_number: Callable[[str], bool]
    knows_dialog: Callable[[str], bool]
    contacts: Callable[[str], tuple[str, ...]]

    def lookups(self) -> Lookups:
        """Return the questions of a new session."""
        return Lookups(self.trunk_is_down, self.owns_number, self.knows_dialog, self.contacts)

    def context(self, settings: Settings, ids: Ids) -> SessionContext:
        """Return the context in which the route of a call that has no session yet is looked up."""
        return SessionContext(
            settings=settings,
            account_sid=self.account_sid,
            script=None,
            ids=ids,
            most_targets=1,
            trunk_is_down=self.trunk_is_down,
            owns_number=self.owns_number,
            knows_dialog=self.knows_dialog,
            contacts=self.contacts,
        )


class SessionMaker:
    """Makes sessions.

    Args:
        services: used by the sessions.
        webhooks: returns those of a new session.
        logs: keeps what comes into the sessions.
        on_over: called with each session at its end.
        clock: returns monotonic seconds.
        ids: returns the ids that belong to a seed.
    """

    def __init__(
        self,
        services: SessionServices,
        webhooks: Callable[[], CallWebhooks],
        logs: LogKeeper,
        on_over: Callable[[RunningSession], None],
        clock: Callable[[], float] = time.monotonic,
        ids: Callable[[bytes], SessionIds] = SeededIds,
    ) -> None:
        self._services = services
        self._webhooks = webhooks
        self._logs = logs
        self._on_over = on_over
        self._clock = clock
        self._ids = ids

    def begin(
        self,
        opening: AdmittedCall | OutboundCall,
        worker: WorkerHandle,
        settings: Settings,
        facts: NodeFacts,
        script: Script | None,
        record: RecordCall | None = None,
    ) -> RunningSession:
        """Make a session; ``start`` is to follow."""
        incoming = opening if isinstance(opening, AdmittedCall) else None
        header = LogHeader(
            code=self._logs.code,
            boot=self._logs.boot,
            settings=self._logs.settings_id(settings),
            began_at=self._clock() if incoming is None else incoming.invite.at,
            seed=secrets.token_bytes(16),
            incoming=incoming,
            outbound=opening if isinstance(opening, OutboundCall) else None,
            script=script,
            record=record,
            account_sid=facts.account_sid,
            most_targets=settings.dial.max_targets,
            public_url=facts.public_url,
            raw_recordings=facts.raw_recordings,
            host=HostId(worker.worker),
            capacity=worker.capacity,
            host_session=worker.session,
            relay_records=self._services.relay_records,
        )
        lookups = facts.lookups()
        log = SessionLog(header, self._logs.new_file(), lookups, self._clock)
        return self._make(header, settings, lookups, log, worker)

    def again(
        self,
        header: LogHeader,
        steps: Iterable[LoggedStep],
        settings: Settings,
        facts: NodeFacts,
        file: LogFile | None,
    ) -> tuple[RunningSession, SessionLog]:
        """Make a session again; ``RunningSession.resume`` is to follow."""
        lookups = facts.lookups()
        log = SessionLog(header, file, lookups, self._clock, is_kept=True)
        steps = list(steps)
        if steps and steps[0].given is None:
            log.recall(steps.pop(0))
        host = RecalledHost(header.host, header.capacity, header.host_session)
        call = self._make(header, settings, lookups, log, host)
        call.start()
        for step in steps:
            call.recall(step)
        return call, log

    def _make(
        self,
        header: LogHeader,
        settings: Settings,
        lookups: Lookups,
        log: SessionLog,
        worker: WorkerHandle | RecalledHost,
    ) -> RunningSession:
        ids = self._ids(header.seed)
        context = SessionContext(
            settings=settings,
            account_sid=header.account_sid,
            script=header.script,
            ids=ids,
            most_targets=header.most_targets,
            trunk_is_down=lookups.trunk_is_down,
            owns_number=lookups.owns_number,
            knows_dialog=lookups.knows_dialog,
            contacts=lookups.contacts,
            public_url=header.public_url,
            raw_recordings=header.raw_recordings,
        )
        opening = header.incoming or header.outbound
        assert opening is not None
        session = Session(context, opening, header.began_at)
        return RunningSession(session, worker, self._webhooks(), self._services, self._on_over, log, ids)
