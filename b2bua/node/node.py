"""A node: edge, fork server, workers, web client and HTTP server, started, run and ended together.

Thread: the controller's loop.
"""

import asyncio
import logging
import secrets
import shutil
import tempfile
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import phonenumbers
from pydantic import SecretStr

from b2bua import __version__
from b2bua.calls.context import SessionContext
from b2bua.calls.orders import RecordCall, SessionInput
from b2bua.calls.outbound import OutboundCall
from b2bua.calls.script import Script
from b2bua.calls.session import Session
from b2bua.core.admission import AdmittedCall, Lease
from b2bua.core.errors import CapacityError, WebhookError
from b2bua.core.ids import CallSid, WorkerId
from b2bua.engine.pool import Pool, PoolOptions, WorkerHandle, WorkerState
from b2bua.node.call_log import CallLog
from b2bua.node.call_metrics import CallMetrics
from b2bua.node.control import Control
from b2bua.node.documents import Documents
from b2bua.node.edge_link import EdgeLink
from b2bua.node.facts import SessionBegun, callback_settled
from b2bua.node.ids import RandomIds
from b2bua.node.journal import Entry, Journal
from b2bua.node.ledger import Ledger
from b2bua.node.numbers import script_for
from b2bua.node.processes import NodeProcesses
from b2bua.node.prompts import PromptOptions, Prompts
from b2bua.node.recordings import Recordings
from b2bua.node.registrations import Registrations
from b2bua.node.running_session import RunningSession
from b2bua.node.unexpected_log import UnexpectedLog
from b2bua.resources import config_file
from b2bua.settings import Settings, TrunkSettings, UserSettings
from b2bua.sip.digest import hash_a1
from b2bua.sip.edge_control import EdgeConfig, EdgeReady, ListenSpec, TlsSpec, TrunkSpec, TrunkState, UserSpec
from b2bua.store.outbox import StoreOutbox
from b2bua.store.records import AccountRow
from b2bua.store.store import Store
from b2bua.twiml import verbs
from b2bua.twiml.findings import Finding
from b2bua.watch import Watch, Watched
from b2bua.web.api.context import ApiContext
from b2bua.web.api.number_book import NumberBook
from b2bua.web.api.slots import waiting
from b2bua.web.api.sound import SoundFiles
from b2bua.web.metrics import Metrics
from b2bua.web.server import HttpServer
from b2bua.web.webhooks import WebhookClient, WebhookRequest
from media.announcements import write_beep, write_error_announcement
from media.tones import load_tone_plans, write_loop

__all__ = ["Node", "Ready"]

log = logging.getLogger(__name__)

_ANY_TARGETS = 1
"""A route is found for one target; this only has to be enough for it."""
_HANGUP_LIMIT_S = 5.0
"""For the last calls to be hung up, and for their last webhooks, when a node ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Where a node can be reached."""

    sip: tuple[str, ...]
    """``udp:127.0.0.1:5060``"""
    http: str
    workers: int
    capacity: int
    """Calls (caller and callees counted as one) it can hold at once."""

    def line(self) -> str:
        """What ``serve`` prints when the node can be used."""
        return (
            f"ready sip={','.join(self.sip)} http={self.http} workers={self.workers} capacity={self.capacity}"
        )


class Node:
    """See the module's docstring.

    Args:
        settings: all of the configuration.
        log_format: ``console`` or ``json``, for the logs of its other processes.
    """

    def __init__(self, settings: Settings, log_format: str) -> None:
        self._settings = settings
        self._log_format = log_format
        self._secret = secrets.token_hex(16)
        self.account = AccountRow(sid="", auth_token="", created_at=datetime.now(UTC))
        """Whose calls these are; known from ``start`` on."""
        self._numbers = NumberBook(settings.numbers)
        self.documents = Documents()
        self._ids = RandomIds()
        self._calls: dict[CallSid, RunningSession] = {}
        self._making = 0
        """Calls by REST that wait for their worker."""
        self._no_calls = asyncio.Event()
        self._no_calls.set()
        self._tasks: set[asyncio.Task[None]] = set()
        """Of calls."""
        self._background = Watch()
        self._pruning: Watched | None = None
        self._registrations = Registrations(settings.sip.domain)
        self._draining = False
        self._public_url = settings.http.public_url
        self._trunks: dict[str, TrunkState] = {}
        self.metrics = Metrics()
        self._unexpected = UnexpectedLog(self.metrics)
        self.journal = Journal(self.metrics.subscriber_failed)
        self.failed = asyncio.Event()
        """Set when the node cannot go on: its edge has died."""

    async def start(self) -> Ready:
        """Start everything; returns when SIP and HTTP accept.

        Raises:
            ConfigError: an address that cannot be listened on.
            B2buaError: a process did not start.
        """
        async with AsyncExitStack() as undo:  # what a start that fails has to end and remove again
            ready = await self._start(undo)
            undo.pop_all()
        return ready

    async def _start(self, undo: AsyncExitStack) -> Ready:
        settings = self._settings
        undo.push_async_callback(self._background.close)
        undo.callback(self._unexpected.close)
        self.store = await Store.open(settings.storage.database, self._background)
        undo.push_async_callback(self.store.close)
        self.account = await own_account(self.store, settings)
        self.ledger = Ledger(self.store, self.account.sid)
        self.journal.subscribe("ledger", self.ledger)
        self.journal.subscribe("metrics", CallMetrics(self.metrics))
        self.journal.subscribe("log", CallLog())
        self.ledger.end_unfinished(await self.store.unfinished_calls())
        self.recordings = Recordings(settings.storage.recordings, self.account.sid, self.journal)
        self.recordings.store = self.store
        self.recordings.open()
        undo.push_async_callback(self.recordings.close, 0.0)
        self._folder = Path(tempfile.mkdtemp(prefix="b2bua-"))
        undo.push_async_callback(asyncio.to_thread, shutil.rmtree, self._folder, ignore_errors=True)
        edge = await self._start_processes(undo)
        self._registrations.store = self.store
        users = {user.name for user in settings.users}
        for bindings in self._registrations.restore(await self.store.registrations(), users):
            self._edge.restore(bindings)
        await self._pool.start(edge.inner_port)
        self._watch()
        listen = settings.http.listen
        api = self._api()
        self._http = HttpServer(listen.host, listen.port, self, api, self.metrics, self._background)
        http_port = await self._http.start()
        self._public_url = settings.http.public_url or f"http://{settings.http.listen.host}:{http_port}"
        self.recordings.start(self.outbox, self._public_url, self._background)
        if settings.storage.keep_days:
            self._pruning = self._background.run("pruning", lambda: self._prune(settings.storage.keep_days))
        return Ready(
            sip=tuple(f"{each.transport}:{each.host}:{each.port}" for each in edge.listening),
            http=self._public_url,
            workers=self._pool.count(),
            capacity=self.capacity,
        )

    async def _start_processes(self, undo: AsyncExitStack) -> EdgeReady:
        """Edge, fork server and what makes prompts, side by side; and who sends webhooks."""
        settings = self._settings
        self._webhooks = WebhookClient(self.account.auth_token)
        undo.push_async_callback(self._webhooks.close)
        self.outbox = StoreOutbox(
            self.store, self._webhooks.for_call, report=self._called_back, watch=self._background
        )
        await self.outbox.resume()
        undo.push_async_callback(self.outbox.drain, 0.0)
        self.prompts = Prompts(self._prompt_options(), self._webhooks)
        undo.push_async_callback(self.prompts.close)
        self._edge = EdgeLink(
            self._folder,
            self._log_format,
            self._lease_taken,
            self.metrics.call_refused,
            self._trunk_told,
            self.failed.set,
            self._registrations.changed,
        )
        undo.push_async_callback(self._edge.close)
        self._pool = Pool(
            self._pool_options(), self._edge, self._incoming, self.metrics.call_refused, self._background
        )
        undo.push_async_callback(self._pool.close)
        edge, *others = await asyncio.gather(
            self._edge.start(edge_config(settings, self._secret)),
            self._pool.prepare(),
            asyncio.to_thread(write_tones, self._folder / "tones", settings.rtp.clock_rate_hz),
            # Of each country when it is first needed, in the loop, if it is not there.
            asyncio.to_thread(phonenumbers.PhoneMetadata.load_all),
            self.prompts.start(),
            return_exceptions=True,  # what one of them has begun is not to go on when another has failed
        )
        for each in (edge, *others):
            if isinstance(each, BaseException):
                raise each
        assert isinstance(edge, EdgeReady)
        return edge

    async def drain(self, limit_s: float) -> None:
        """Take no new calls; wait until those in progress have ended, at most ``limit_s``."""
        self._draining = True
        self._edge.drain()
        try:
            async with asyncio.timeout(limit_s):
                await self._no_calls.wait()
        except TimeoutError:
            log.warning("hanging up what is left", extra={"calls": len(self._calls)})

    async def close(self) -> None:
        """Hang up what is left, send what is owed, end all processes."""
        for call in list(self._calls.values()):
            call.cancel("node")
        try:
            async with asyncio.timeout(_HANGUP_LIMIT_S):
                await self._no_calls.wait()
                while self._tasks:
                    await asyncio.wait(self._tasks)
        except TimeoutError:
            log.warning("ended with calls or webhooks unfinished", extra={"calls": len(self._calls)})
        if self._pruning is not None:
            await self._pruning.close()
        await self.recordings.close(_HANGUP_LIMIT_S)
        lost = await self.outbox.drain(_HANGUP_LIMIT_S)
        if lost:
            log.warning("status callbacks are left for the next start", extra={"count": lost})
        await self._http.close()
        await self._pool.close()
        await self._edge.close()
        for task in self._tasks:
            task.cancel()
        await self.prompts.close()
        await self._webhooks.close()
        self._unexpected.close()
        unwritten = await self.store.close()
        if unwritten:
            log.error("rows were not written", extra={"count": unwritten})
        await self._background.close()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    def reload(self, settings: Settings) -> None:
        """Take numbers, trunks, users and security from ``settings``; calls in progress keep theirs."""
        fresh = {name: getattr(settings, name) for name in ("numbers", "trunks", "users", "security", "dial")}
        self._settings = self._settings.model_copy(update=fresh)
        self._numbers.replace(settings.numbers)
        self._edge.configure(edge_config(self._settings, self._secret))

    def _watch(self) -> None:
        """Let the metrics ask for what is true now."""
        self.metrics.workers(lambda: {state: self._pool.count(state) for state in WorkerState})
        self.metrics.calls(self.ledger.statuses)
        self.metrics.outbox(lambda: len(self.outbox))
        self.metrics.recordings(lambda: len(self.recordings))
        self.metrics.registered(lambda: len(self._registrations))
        self.metrics.capacity(lambda: self.capacity)
        self.metrics.trunks(self._trunk_states)

    def _called_back(self, call: CallSid, request: WebhookRequest, error: WebhookError | None) -> None:
        """A status callback was delivered, or given up."""
        self.journal.publish(Entry(at=time.monotonic(), fact=callback_settled(call, request, error)))

    # -- trunks -------------------------------------------------------------------------------------

    def _trunk_told(self, state: TrunkState) -> None:
        self._trunks[state.trunk] = state

    def _trunk_states(self) -> list[TrunkState]:
        """Of the trunks there are now."""
        return [self._trunks[each.name] for each in self._settings.trunks if each.name in self._trunks]

    def _trunk_is_down(self, name: str) -> bool:
        state = self._trunks.get(name)
        return state is not None and state.down

    # -- health -------------------------------------------------------------------------------------

    @property
    def capacity(self) -> int:
        """Calls it can hold at once."""
        return min(self._pool.max_workers, self._settings.security.max_calls)

    def reasons_not_to_call(self) -> list[str]:
        """Why no call can be taken now, or soon none; empty when all is well."""
        return [*self._what_forbids_calls(), *self._pool.reasons(), *self._background.reasons()]

    def _what_forbids_calls(self) -> list[str]:
        """Not what is wrong with the making of further workers, or beside calls: an idle one takes a call."""
        reasons = []
        if self._draining:
            reasons.append("draining")
        if self.failed.is_set():
            reasons.append("the edge is down")
        if self.store.is_in_trouble:
            reasons.append("the database does not take what it is given")
        if len(self._calls) >= self.capacity:
            reasons.append("all workers are busy")
        return reasons

    # -- calls --------------------------------------------------------------------------------------

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """See ``SessionServices``."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task of a call failed", exc_info=error)

    def _lease_taken(self, worker: WorkerId, lease: Lease) -> None:
        self._pool.lease_taken(worker, lease)

    def _incoming(self, worker: WorkerHandle, call: AdmittedCall) -> RunningSession:
        invite, origin = call.invite, call.origin
        script = script_for(invite.request_uri, self._settings, self._numbers)
        session = Session(self._context(script, worker.capacity - 1), call, invite.at)
        begun = SessionBegun(
            direction="inbound",
            host=worker.worker,
            invited_at=session.a_leg.invited_at,
            sip_call_id=invite.sip_call_id,
            trunk=origin.trunk,
            source=origin.source,
            user=origin.user,
            is_known_number=script is not None,
        )
        return self._begin(session, worker, begun)

    def _context(self, script: Script | None, most_targets: int) -> SessionContext:
        return SessionContext(
            settings=self._settings,
            account_sid=self.account.sid,
            script=script,
            ids=self._ids,
            most_targets=most_targets,
            trunk_is_down=self._trunk_is_down,
            knows_dialog=self._knows_dialog,
            contacts=self._registrations.contacts,
            public_url=self._public_url,
            raw_recordings=str(self.recordings.raw_folder),
        )

    def _knows_dialog(self, call_id: str) -> bool:
        return any(call.has_dialog(call_id) for call in self._calls.values())

    def _begin(
        self, session: Session, worker: WorkerHandle, begun: SessionBegun, record: RecordCall | None = None
    ) -> RunningSession:
        call = RunningSession(session, worker, self._webhooks.for_call(), self, self._call_over, record)
        self._calls[call.sid] = call
        self._no_calls.clear()
        call.start(begun)
        return call

    # -- what programs ask for (``control.Steered``) ------------------------------------------------

    def bring(self, call_sid: str, event: SessionInput) -> bool:
        """Give an order to the session that a caller's call, or one that we make, is of."""
        call = self._calls.get(CallSid(call_sid))
        if call is not None:
            call.bring(event)
        return call is not None

    def route(self, dial: verbs.Dial, from_: str) -> tuple[OutboundCall | None, tuple[Finding, ...]]:
        """Find the way for a call."""
        return OutboundCall.routed(dial, from_, self._context(None, _ANY_TARGETS))

    async def call(
        self,
        opening: OutboundCall,
        script: Script,
        record: RecordCall | None,
        findings: tuple[Finding, ...] = (),
    ) -> CallSid:
        """Begin a call to somebody; ``findings`` are kept with it.

        Raises:
            CapacityError: there is no room.
        """
        if self._what_forbids_calls() or len(self._calls) + self._making >= self.capacity:
            raise CapacityError("no call can be made now")

        def begin(worker: WorkerHandle) -> RunningSession:
            session = Session(self._context(script, worker.capacity - 1), opening, time.monotonic())
            begun = SessionBegun(
                direction="outbound-api",
                host=worker.worker,
                invited_at=session.a_leg.invited_at,
                sip_call_id=session.caller.sip_call_id,
            )
            call = self._begin(session, worker, begun, record)
            call.note(findings)
            return call

        self._making += 1
        async with waiting():
            try:
                call = await self._pool.take(begin)
            finally:
                self._making -= 1
        return call.sid

    def _call_over(self, call: RunningSession) -> None:
        self._calls.pop(call.sid, None)
        if not self._calls:
            self._no_calls.set()

    async def _prune(self, keep_days: int) -> None:
        """Once an hour, delete what is older than that."""
        sound = SoundFiles(self._settings.storage.recordings)
        while True:
            older_than = datetime.now(UTC) - timedelta(days=keep_days)
            try:
                pruned = await self.store.prune(older_than, lambda row: sound.delete(row.sid))
                log.info("pruned", extra=msgspec.structs.asdict(pruned))
            except Exception:  # the database may be away for a while
                log.exception("what is old could not be deleted")
            await asyncio.sleep(3600)

    # -- parts --------------------------------------------------------------------------------------

    def _api(self) -> ApiContext:
        return ApiContext(
            account_sid=self.account.sid,
            directory=self.store.directory,
            control=Control(self, self.ledger, self.recordings),
            numbers=self._numbers,
            sound=SoundFiles(self._settings.storage.recordings),
            processes=NodeProcesses(self._edge, self._pool, self.ledger),
            auth_token=self.account.auth_token,
            public_url=self._settings.http.public_url,
        )

    def _prompt_options(self) -> PromptOptions:
        storage = self._settings.storage
        return PromptOptions(
            cache=storage.cache or self._folder / "prompts",
            max_bytes=storage.cache_mb * 1_000_000,
            sounds=self._settings.folder,
            recordings=storage.recordings,
            clock_rate_hz=self._settings.rtp.clock_rate_hz,
        )

    def _pool_options(self) -> PoolOptions:
        settings = self._settings
        of_some = [trunk.srtp for trunk in settings.trunks] + [user.srtp for user in settings.users]
        return PoolOptions(
            folder=self._folder,
            secret=self._secret,
            idle=settings.workers.idle,
            max=settings.workers.max,
            rtp_bind=settings.rtp.bind,
            rtp_advertise=settings.rtp_address,
            rtp_ports=settings.rtp.ports,
            codecs=settings.rtp.codecs,
            tones_folder=self._folder / "tones",
            user_agent=f"b2bua/{__version__}",
            srtp=any(srtp not in ("", "off") for srtp in (settings.rtp.srtp, *of_some)),
            log_format=self._log_format,
            clock_rate_hz=settings.rtp.clock_rate_hz,
        )


async def own_account(store: Store, settings: Settings) -> AccountRow:
    """Who the webhooks are from and signed by: what is not configured is made once, and kept."""
    sid, token = settings.account.sid or "", settings.account.auth_token
    if sid and token is not None:
        return AccountRow(sid=sid, auth_token=token.get_secret_value(), created_at=datetime.now(UTC))
    kept = await store.account(sid)
    return kept if token is None else msgspec.structs.replace(kept, auth_token=token.get_secret_value())


def edge_config(settings: Settings, secret: str) -> EdgeConfig:
    """What the edge is told of the configuration; ``secret``: its and the workers'."""
    return EdgeConfig(
        secret=secret,
        listen=tuple(ListenSpec(e.transport, e.host, e.port) for e in settings.sip.listen),
        advertise=settings.sip.advertise,
        domain=settings.sip.domain,
        allow=tuple(str(network) for network in settings.security.allow),
        trunks=tuple(
            TrunkSpec(
                name=trunk.name,
                match=tuple(str(network) for network in trunk.match),
                uri=trunk.uri,
                username=trunk.username,
                password=trunk.password.get_secret_value(),
                registers=trunk.registers,
                expires_s=trunk.register_expires_s,
                keepalive_s=trunk.keepalive_s,
                srtp=trunk.srtp,
                max_calls=trunk.max_calls,
            )
            for trunk in settings.trunks
        ),
        invite_rate_per_s=settings.security.invite_rate_per_s,
        nameservers=tuple(str(address) for address in settings.sip.nameservers),
        max_calls=settings.security.max_calls,
        codecs=settings.rtp.codecs,
        max_calls_per_source=settings.security.max_calls_per_source,
        users=(
            *(trunk_user(trunk, settings.sip.domain) for trunk in settings.trunks if trunk.username),
            *(user_spec(user, settings.sip.domain) for user in settings.users),  # whose names come first
        ),
        tls=tls_spec(settings),
        srtp=settings.rtp.srtp,
    )


def user_spec(user: UserSettings, realm: str) -> UserSpec:
    """A user as the registrar sees it."""
    md5, sha256 = _digests(user.name, realm, user.password)
    return UserSpec(name=user.name, md5=md5, sha256=sha256, srtp=user.srtp, max_calls=user.max_calls)


def trunk_user(trunk: TrunkSettings, realm: str) -> UserSpec:
    """A trunk that calls from an address that is not known, as who it proves to be."""
    md5, sha256 = _digests(trunk.username, realm, trunk.password)
    return UserSpec(name=trunk.username, md5=md5, sha256=sha256, trunk=trunk.name)


def _digests(name: str, realm: str, password: SecretStr) -> tuple[str, str]:
    text = password.get_secret_value()
    return hash_a1("MD5", name, realm, text), hash_a1("SHA-256", name, realm, text)


def tls_spec(settings: Settings) -> TlsSpec | None:
    """The files of TLS, where there is a listening point for it."""
    sip = settings.sip
    if not any(listen.transport == "tls" for listen in sip.listen):
        return None
    return TlsSpec(
        certificate=str(sip.tls_certificate),
        key=str(sip.tls_key),
        ca=str(sip.tls_ca or ""),
        clients=sip.tls_clients,
    )


def write_tones(folder: Path, clock_rate_hz: int) -> None:
    """All ringback loops and the error announcement at the bridge's clock rate (some 3 MB, 0.2 s)."""
    folder.mkdir()
    for code, plan in load_tone_plans(config_file("ringtones.csv")).items():
        write_loop(plan, clock_rate_hz, folder / f"{code}.wav")
    write_error_announcement(clock_rate_hz, folder / "error.wav")
    write_beep(clock_rate_hz, folder / "beep.wav")
