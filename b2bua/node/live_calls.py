"""The sessions in progress of a node: which there are, whether another fits, and how one begins.

A session begins when a worker has received a call, or when REST orders one. Thread: the controller's loop.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from b2bua.calls.orders import RecordCall, SessionInput
from b2bua.calls.outbound import OutboundCall
from b2bua.calls.script import Script
from b2bua.core.admission import AdmittedCall
from b2bua.core.errors import CapacityError
from b2bua.core.ids import CallSid
from b2bua.engine.pool import Pool, WorkerHandle
from b2bua.node.configuration import Configuration
from b2bua.node.ids import RandomIds
from b2bua.node.numbers import script_for
from b2bua.node.relay_link import RelayLink
from b2bua.node.running_session import RunningSession
from b2bua.node.session_maker import LogKeeper, NodeFacts, SessionMaker
from b2bua.node.session_services import SessionServices
from b2bua.store.store import Store
from b2bua.twiml import verbs
from b2bua.twiml.findings import Finding
from b2bua.web.api.slots import waiting
from b2bua.web.webhooks import CallWebhooks

__all__ = ["LiveCalls"]


class _Node(SessionServices, Protocol):
    """The parts of a node that carry calls; ``pool`` and ``relay`` exist once a first call can come."""

    configuration: Configuration
    store: Store
    pool: Pool
    relay: RelayLink

    def facts(self) -> NodeFacts:
        """Return what a session is told of the node."""


class LiveCalls:
    """All running sessions, by the sid of their first call; steered by REST (``control.Steered``).

    Args:
        node: its other parts.
        webhooks: returns those of a new session.
        logs: keeps what comes into the sessions.
    """

    def __init__(self, node: _Node, webhooks: Callable[[], CallWebhooks], logs: LogKeeper) -> None:
        self._node = node
        self._ids = RandomIds()
        self.maker = SessionMaker(node, webhooks, logs, self._over)
        self.sessions: dict[CallSid, RunningSession] = {}
        """Sessions of an earlier controller are put in here before the node's parts are connected."""
        self._making = 0
        """Number of calls by REST that wait for a worker."""
        self._draining = False
        self._last_over = asyncio.Event()

    def __len__(self) -> int:
        return len(self.sessions)

    # -- room for more ------------------------------------------------------------------------------

    @property
    def capacity(self) -> int:
        """Concurrent calls the node can carry."""
        node = self._node
        most = node.configuration.settings.security.max_calls
        return min(node.pool.max_workers, most, node.relay.pairs // 2)

    def what_forbids(self) -> list[str]:
        """Return why no call can be taken now; if workers cannot be started, an idle one still takes it."""
        reasons = ["draining"] if self._draining else []
        if self._node.store.is_in_trouble:
            reasons.append("the database does not accept writes")
        if len(self.sessions) >= self.capacity:
            reasons.append("all workers are busy")
        return reasons

    def knows_dialog(self, sip_call_id: str) -> bool:
        """Return whether a session has the dialog."""
        return any(call.has_dialog(sip_call_id) for call in self.sessions.values())

    # -- beginning ----------------------------------------------------------------------------------

    def incoming(self, worker: WorkerHandle, call: AdmittedCall) -> RunningSession:
        """Begin the session of a call that a worker has received."""
        configuration = self._node.configuration
        script = script_for(call, configuration.settings, configuration.numbers)
        return self._begin(call, worker, script)

    def route(self, dial: verbs.Dial, from_: str) -> tuple[OutboundCall | None, tuple[Finding, ...]]:
        """Find the route of a call (``Steered``)."""
        context = self._node.facts().context(self._node.configuration.settings, self._ids)
        return OutboundCall.routed(dial, from_, context)

    async def call(
        self,
        opening: OutboundCall,
        script: Script,
        record: RecordCall | None,
        findings: tuple[Finding, ...] = (),
    ) -> CallSid:
        """Begin an outbound call; ``findings`` are kept with it (``Steered``).

        Raises:
            CapacityError: the node can take no call now.
        """
        if self.what_forbids() or len(self.sessions) + self._making >= self.capacity:
            raise CapacityError("no call can be placed now")

        def begin(worker: WorkerHandle) -> RunningSession:
            call = self._begin(opening, worker, script, record)
            call.note(findings)
            return call

        self._making += 1
        async with waiting():
            try:
                call = await self._node.pool.take(begin)
            finally:
                self._making -= 1
        return call.sid

    def _begin(
        self,
        opening: AdmittedCall | OutboundCall,
        worker: WorkerHandle,
        script: Script | None,
        record: RecordCall | None = None,
    ) -> RunningSession:
        settings = self._node.configuration.settings
        call = self.maker.begin(opening, worker, settings, self._node.facts(), script, record)
        self.sessions[call.sid] = call
        call.start()
        return call

    # -- going on and ending ------------------------------------------------------------------------

    def bring(self, call_sid: str, event: SessionInput) -> bool:
        """Give an order to the session whose first call is ``call_sid``; returns False if there is none."""
        call = self.sessions.get(CallSid(call_sid))
        if call is not None:
            call.bring(event)
        return call is not None

    def drain(self) -> None:
        """Let REST begin no more calls."""
        self._draining = True

    def cancel(self) -> None:
        """Hang up all calls, because the node ends."""
        for call in list(self.sessions.values()):
            call.cancel("node")

    async def all_over(self) -> None:
        """Wait until no session is left."""
        if self.sessions:
            self._last_over.clear()
            await self._last_over.wait()

    def _over(self, call: RunningSession) -> None:
        self.sessions.pop(call.sid, None)
        if not self.sessions:
            self._last_over.set()
