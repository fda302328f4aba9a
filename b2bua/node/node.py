"""A node: starts, runs and ends edge, relay, fork server, workers, web client and HTTP server together.

Thread: the controller's loop.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import phonenumbers

from b2bua.core.admission import Lease
from b2bua.core.errors import WebhookError
from b2bua.core.ids import CallSid, WorkerId
from b2bua.engine.pool import Pool, WorkerState
from b2bua.node.account import own_account
from b2bua.node.api_setup import make_api
from b2bua.node.call_log import CallLog
from b2bua.node.call_metrics import CallMetrics
from b2bua.node.configuration import Configuration
from b2bua.node.documents import Documents
from b2bua.node.edge_config import edge_config
from b2bua.node.edge_link import EdgeLink
from b2bua.node.facts import CallsRefused, JournalFact, callback_settled
from b2bua.node.inheritance import Inheritance
from b2bua.node.journal import Entry, Journal
from b2bua.node.ledger import Ledger
from b2bua.node.live_calls import LiveCalls
from b2bua.node.media_net import MediaNet
from b2bua.node.meetings import Meetings
from b2bua.node.part_options import pool_options, prompt_options
from b2bua.node.prompt_maker import PromptMaker
from b2bua.node.pruning import prune_forever
from b2bua.node.queues import Queues
from b2bua.node.ready import Ready
from b2bua.node.recordings import Recordings
from b2bua.node.registrations import Registrations
from b2bua.node.relay_link import RelayLink
from b2bua.node.room_setup import make_rooms
from b2bua.node.session_maker import NodeFacts
from b2bua.node.session_tasks import SessionTasks
from b2bua.node.tone_files import write_tones
from b2bua.node.trunk_states import TrunkStates
from b2bua.node.unexpected_log import UnexpectedLog
from b2bua.run_folder import RunFolder
from b2bua.settings import Settings
from b2bua.sip.edge_control import EdgeReady
from b2bua.store.outbox import StoreOutbox
from b2bua.store.records import AccountRow
from b2bua.store.store import Store
from b2bua.watch import Watch
from b2bua.web.api.sound import SoundFiles
from b2bua.web.metrics import Metrics
from b2bua.web.server import HttpServer
from b2bua.web.webhooks import WebhookClient, WebhookRequest

__all__ = ["Node", "Ready"]

log = logging.getLogger(__name__)

_HANGUP_LIMIT_S = 5.0
"""Limit for hanging up the last calls and sending their last webhooks when a node ends."""


class Node:
    """All parts of a node, and its running sessions.

    Args:
        settings: the whole configuration.
        run: the run folder, by which the node's other processes are found.
        http: the socket that HTTP is served on.
        generation: counts the node's controllers, from 1.
    """

    def __init__(self, settings: Settings, run: RunFolder, http: socket.socket, generation: int = 1) -> None:
        self.configuration = Configuration(settings)
        self._run = run
        self._folder = run.path
        self._http = http
        self._generation = generation
        self.account = AccountRow(sid="", auth_token="", created_at=datetime.now(UTC))
        """The account of the calls; known once ``start`` has opened the store."""
        self.documents = Documents()
        self._tasks = SessionTasks()
        self._background = Watch()
        self._parts = AsyncExitStack()
        """Ends the parts that have been started, in reverse order."""
        self._registrations = Registrations(settings.sip.domain)
        self.relay_records = settings.rtp.clock_rate_hz == 8000
        """See ``SessionServices``: the relay's files are G.711."""
        self._inheritance = Inheritance(run.path)
        self._public_url = settings.http.public_url
        self._trunks = TrunkStates()
        self.metrics = Metrics()
        self.journal = Journal(self.metrics.subscriber_failed)

    async def start(self) -> Ready:
        """Start all parts; returns when SIP and HTTP accept connections.

        Raises:
            ConfigError: a configured address cannot be listened on.
            B2buaError: a process did not start.
        """
        async with AsyncExitStack() as parts:  # a failed start ends the parts already started
            ready = await self._start(parts)
            self._parts = parts.pop_all()
        return ready

    async def _start(self, parts: AsyncExitStack) -> Ready:
        """Start each part after those it depends on, registering its cleanup before it starts."""
        settings = self.configuration.settings
        parts.callback(self._http.close)
        parts.push_async_callback(self._background.close)
        parts.callback(UnexpectedLog(self.metrics).close)
        await self._open_store(parts)
        self.recordings = Recordings(settings.storage.recordings, self.account.sid, self.journal)
        self.recordings.store = self.store
        parts.push_async_callback(self.recordings.close, 0.0)
        self.recordings.open()
        edge = await self._start_processes(parts)
        self._registrations.store = self.store
        if not edge.workers:  # else it has told us what is registered
            users = {user.name for user in settings.users}
            for bindings in self._registrations.restore(await self.store.registrations(), users):
                self.edge.restore(bindings)
        await self._inheritance.resume(self.pool.earlier, edge.workers, self)
        self.pool.edge_is_back(edge.workers)
        await self.pool.start(edge.inner_port)
        self._watch()
        self._public_url = await self._start_http(parts)
        parts.push_async_callback(self._finish_deliveries)
        self.recordings.start(self.outbox, self._public_url, self._background)
        if keep_days := settings.storage.keep_days:
            sound = SoundFiles(settings.storage.recordings)
            pruning = self._background.run("pruning", lambda: prune_forever(self.store, sound, keep_days))
            parts.push_async_callback(pruning.close)
        return Ready(
            sip=tuple(f"{each.transport}:{each.host}:{each.port}" for each in edge.listening),
            http=self._public_url,
            workers=self.pool.count(),
            capacity=self.calls.capacity,
        )

    async def _open_store(self, parts: AsyncExitStack) -> None:
        """Open the database, look up the account, and subscribe the consumers of the journal."""
        settings = self.configuration.settings
        self.store = await Store.open(settings.storage.database, self._background)
        parts.push_async_callback(self._close_store)
        self.account = await own_account(self.store, settings)
        self.ledger = Ledger(self.store, self.account.sid)
        self.journal.subscribe("ledger", self.ledger)
        self.journal.subscribe("metrics", CallMetrics(self.metrics))
        self.journal.subscribe("log", CallLog())
        await self._inheritance.open()
        parts.push_async_callback(self._inheritance.close)
        rows = await self.store.queues()
        self.queues = Queues(self.account.sid, self.store, rows, self._inheritance.machines)

    async def _close_store(self) -> None:
        if unwritten := await self.store.close():
            log.error("rows not written to the database", extra={"count": unwritten})

    async def _start_processes(self, parts: AsyncExitStack) -> EdgeReady:
        """Start the web client, then the edge, the fork server and the prompt processes concurrently."""
        settings = self.configuration.settings
        self._webhooks = WebhookClient(self.account.auth_token)
        parts.push_async_callback(self._webhooks.close)
        self.outbox = StoreOutbox(
            self.store, self._webhooks.for_call, report=self._called_back, watch=self._background
        )
        parts.push_async_callback(self.outbox.drain, 0.0)
        await self.outbox.resume()
        self.prompts = PromptMaker(prompt_options(settings, self._folder), self._webhooks)
        parts.push_async_callback(self.prompts.close)
        parts.push_async_callback(self._tasks.close)
        net = self._net = await MediaNet.chosen(settings, self._run)
        self.relay = RelayLink(net.relay, net.relay_config(settings), self._background)
        parts.push_async_callback(self.relay.close)
        self.meetings = Meetings(self.relay)
        self.calls: LiveCalls = LiveCalls(self, self._webhooks.for_call, self._inheritance.sessions)
        self.rooms = make_rooms(self, self._folder / "tones", self._webhooks.for_call)
        self.journal.subscribe("rooms", self.rooms)
        self.edge: EdgeLink = EdgeLink(
            self._run.edge,
            self._background,
            self._lease_taken,
            self._publish,
            self._trunks.changed,
            self._registrations.changed,
            self._edge_is_back,
        )
        parts.push_async_callback(self.edge.close)
        options = pool_options(settings, self._run, net, self._generation)
        self.pool: Pool = Pool(
            options,
            self.edge,
            self.calls.incoming,
            lambda reason: self._publish(CallsRefused(reason=reason)),
            self._background,
        )
        parts.push_async_callback(self.pool.close)
        await self._inheritance.recall(self.calls.maker, self.facts(), self.calls.sessions, self)
        edge, *others = await asyncio.gather(
            self.edge.start(edge_config(settings, net, self._run.secret)),
            self.relay.start(),
            self.pool.prepare(),
            asyncio.to_thread(write_tones, self._folder / "tones", settings.rtp.clock_rate_hz),
            # Otherwise the metadata of each country is loaded in the loop, when first needed.
            asyncio.to_thread(phonenumbers.PhoneMetadata.load_all),
            self.prompts.start(),
            return_exceptions=True,  # after a failure none of the others may still be starting
        )
        for each in (edge, *others):
            if isinstance(each, BaseException):
                raise each
        assert isinstance(edge, EdgeReady)
        return edge

    async def _start_http(self, parts: AsyncExitStack) -> str:
        """Start the HTTP server; returns the URL under which the node can be reached."""
        http = self.configuration.settings.http
        server = HttpServer(self._http, self, make_api(self), self.metrics, self._background)
        parts.push_async_callback(server.close)
        port = await server.start()
        return http.public_url or f"http://{http.listen.host}:{port}"

    def _edge_is_back(self, edge: EdgeReady) -> None:
        """Give an edge that was started again what the one before knew."""
        for bindings in self._registrations.all():
            self.edge.restore(bindings)
        self.pool.edge_is_back(edge.workers)

    async def drain(self, limit_s: float) -> None:
        """Take no new calls; wait until the calls in progress have ended, at most ``limit_s`` seconds."""
        self.calls.drain()
        self.edge.drain()
        self.rooms.drain()
        try:
            async with asyncio.timeout(limit_s):
                await self.calls.all_over()
        except TimeoutError:
            log.warning("hanging up the remaining calls", extra={"calls": len(self.calls)})

    async def leave(self) -> None:
        """Write down what is not written yet; nothing is ended, since another controller goes on with it."""
        await self.store.flush()

    async def close(self) -> None:
        """Hang up the remaining calls, send pending callbacks, end all processes."""
        self.queues.close()
        self.rooms.close()
        self.calls.cancel()
        try:
            async with asyncio.timeout(_HANGUP_LIMIT_S):
                await self.calls.all_over()
                await self._tasks.all_ended()
        except TimeoutError:
            log.warning("stopped with calls or webhooks unfinished", extra={"calls": len(self.calls)})
        await self._parts.aclose()

    async def _finish_deliveries(self) -> None:
        """Make the recordings that have ended, then send the pending callbacks."""
        await self.recordings.close(_HANGUP_LIMIT_S)
        lost = await self.outbox.drain(_HANGUP_LIMIT_S)
        if lost:
            log.warning("status callbacks left for the next start", extra={"count": lost})

    def reload(self, settings: Settings) -> None:
        """Take what needs no restart from ``settings`` (``Configuration``); calls in progress keep theirs."""
        self.configuration.reload(settings)
        self.edge.configure(edge_config(self.configuration.settings, self._net, self._run.secret))

    def _watch(self) -> None:
        """Give the metrics the functions that return current values."""
        self.metrics.workers(lambda: {state: self.pool.count(state) for state in WorkerState})
        self.metrics.calls(self.ledger.statuses)
        self.metrics.outbox(lambda: len(self.outbox))
        self.metrics.recordings(lambda: len(self.recordings))
        self.metrics.registered(lambda: len(self._registrations))
        self.metrics.capacity(lambda: self.calls.capacity)
        self.metrics.trunks(lambda: self._trunks.of(each.name for each in self.configuration.settings.trunks))

    def _called_back(self, call: CallSid, request: WebhookRequest, error: WebhookError | None) -> None:
        """Publish that a status callback was delivered or given up."""
        if not call.startswith("CF"):  # a conference's is of no call
            self._publish(callback_settled(call, request, error))

    def _publish(self, fact: JournalFact) -> None:
        """Put a fact that belongs to no session, or to one that may be over, into the journal."""
        self.journal.publish(Entry(at=time.monotonic(), fact=fact))

    # -- health -------------------------------------------------------------------------------------

    def reasons_not_to_call(self) -> list[str]:
        """Return why the node can take no calls now or soon; empty if it is healthy."""
        return [*self.calls.what_forbids(), *self.pool.reasons(), *self._background.reasons()]

    # -- calls --------------------------------------------------------------------------------------

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run a task of a session (``SessionServices``)."""
        self._tasks.spawn(work)

    def _lease_taken(self, worker: WorkerId, lease: Lease) -> None:
        self.pool.lease_taken(worker, lease)
        self.documents.look_ahead()

    def facts(self) -> NodeFacts:
        """Return what a session is told of the node."""
        return NodeFacts(
            account_sid=self.account.sid,
            public_url=self._public_url,
            raw_recordings=str(self.recordings.raw_folder),
            trunk_is_down=self._trunks.is_down,
            owns_number=self.configuration.numbers.owns,
            knows_dialog=self.calls.knows_dialog,
            contacts=self._registrations.contacts,
        )
