"""A session of the node without a node: real ``RunningSession``, ``Session`` and subscribers of the journal,
a worker that behaves, a loop whose time jumps to what is due next."""

import asyncio
import selectors
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec

from b2bua.calls.orders import (
    DocumentFetched,
    FetchDocument,
    FetchFailed,
    FinishRecording,
    FollowRecording,
    KeepRecording,
    PreparePrompt,
    PromptReady,
    RecordingFinished,
)
from b2bua.calls.outbound import OutboundCall
from b2bua.calls.recording_placement import HostPart
from b2bua.calls.script import Script
from b2bua.core.admission import AdmittedCall, Origin
from b2bua.core.commands import (
    EndSession,
    HangupLeg,
    InviteLeg,
    LegCommand,
    StartPrompt,
    StartRecording,
    StopPrompt,
    StopRecording,
)
from b2bua.core.errors import CapacityError
from b2bua.core.events import (
    DtmfReceived,
    LegAnswered,
    LegConfirmed,
    LegEnded,
    LegIncoming,
    LegProgress,
    LegReferred,
    PromptEnded,
    RecordingStarted,
    RecordingStopped,
    SessionEvent,
)
from b2bua.core.ids import CallSid, LegId, SipCallId, WorkerId
from b2bua.node.announcements import Announcer, Voice
from b2bua.node.call_log import CallLog
from b2bua.node.call_metrics import CallMetrics
from b2bua.node.documents import Fetched
from b2bua.node.journal import Entry, Journal
from b2bua.node.ledger import Ledger
from b2bua.node.meetings import Meetings
from b2bua.node.prompt_maker import Prepared
from b2bua.node.queues import Queues
from b2bua.node.recalled_work import KeptRecording
from b2bua.node.relay_link import RelayEvent, RelaySink
from b2bua.node.room_callbacks import RoomCallbacks
from b2bua.node.room_recordings import RoomRecordings
from b2bua.node.rooms import Rooms
from b2bua.node.running_session import RunningSession
from b2bua.node.session_maker import NodeFacts, SessionMaker
from b2bua.relay.control import (
    CloseLeg,
    JoinLegs,
    LegKey,
    LegMeasured,
    LegsJoined,
    PartLegs,
    RecordTaps,
    StopTaps,
    TapsBegun,
    TapsEnded,
)
from b2bua.settings import NumberSettings, Settings
from b2bua.store.records import CallRow, NotificationRow, Record
from b2bua.twiml.parse import parse
from b2bua.web.metrics import Metrics
from b2bua.web.webhooks import WebhookRequest
from tests.unit.calls.scene import CountedIds

A = LegId("a")
NUMBER = {
    "voice_url": "http://app.test/voice",
    "status_callback": "http://app.test/status",
}


SETTINGS = Settings.model_validate({"sip": {"domain": "node.test"}, "dial": {"max_targets": 7}})
FACTS = NodeFacts(
    account_sid="AC1",
    public_url="http://node.test",
    raw_recordings="/raw",
    trunk_is_down=lambda name: False,
    owns_number=lambda number: False,
    knows_dialog=lambda call_id: False,
    contacts=lambda user: (),
)


class KeptLog:
    """The log of a session, in memory."""

    def __init__(self) -> None:
        self.data = b""
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self.data += data

    def restart(self, data: bytes) -> None:
        self.data = data

    def close(self) -> None:
        self.is_closed = True


class KeptLogs:
    """The logs of a node, in memory."""

    code = "code"
    boot = "boot"

    def __init__(self) -> None:
        self.files: list[KeptLog] = []

    def settings_id(self, settings: Settings) -> str:
        return "settings"

    def new_file(self) -> KeptLog:
        self.files.append(KeptLog())
        return self.files[-1]


def maker(services: Any, on_over: Callable[[RunningSession], None]) -> SessionMaker:
    """Make sessions with counted ids, in the loop's time."""
    return SessionMaker(
        services, lambda: services, services.logs, on_over, Clock.monotonic, lambda seed: CountedIds()
    )


class _Jumping(selectors.SelectSelector):
    """Never waits: what would be awaited is done at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everything waits, for nothing"
            self.now += max(0.0, timeout)
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to the next deadline when it has nothing else to do."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now if hasattr(self, "_jumping") else 1000.0

    @property
    def timers(self) -> list[asyncio.TimerHandle]:
        """The timers that are set."""
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        return [handle for handle in scheduled if not handle.cancelled()]


class Clock:
    """``time`` for sessions: the loop's clock."""

    @staticmethod
    def monotonic() -> float:
        return asyncio.get_running_loop().time()


class FakeRelay:
    """Joins whom it is told to join, measures the legs that are closed, and records: all a moment later."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.sinks: dict[LegKey | str, RelaySink] = {}
        self.told: list[msgspec.Struct] = []
        self.joined: set[frozenset[LegKey]] = set()
        self.recording: set[str] = set()
        self.is_deaf = False
        """Answers nothing any more, like a relay that has just died."""

    def attach(self, key: LegKey | str, sink: RelaySink) -> None:
        self.sinks[key] = sink

    def detach(self, key: LegKey | str) -> None:
        self.sinks.pop(key, None)

    def send(self, *messages: msgspec.Struct) -> None:
        self.told += messages
        for message in messages:
            match message:
                case JoinLegs():
                    self.joined.add(frozenset((message.one, message.other)))
                    self.report(message.one, LegsJoined(one=message.one, other=message.other))
                case PartLegs():
                    self.joined.remove(frozenset((message.one, message.other)))
                case CloseLeg():
                    assert not any(message.leg in pair for pair in self.joined)
                    measured = LegMeasured(leg=message.leg, received=100, lost=0, jitter_ms=1.0)
                    self.report(message.leg, measured)
                case RecordTaps() if message.recording not in self.recording:
                    self.recording.add(message.recording)
                    begun = TapsBegun(recording=message.recording, at=self.loop.time())
                    self.report(message.recording, begun)
                case StopTaps():
                    self.recording.remove(message.recording)
                    ended = TapsEnded(recording=message.recording, at=self.loop.time())
                    self.report(message.recording, ended)

    def report(self, key: LegKey | str, event: RelayEvent) -> None:
        if not self.is_deaf:
            self.loop.call_soon(self._report, key, event)

    def _report(self, key: LegKey | str, event: RelayEvent) -> None:
        if (sink := self.sinks.get(key)) is not None:
            sink.relayed(event)


class World:
    """The surroundings of a session (``SessionServices``), with its worker and the application.

    What is hung up ends, what is recorded can be stopped, what is asked for is answered: all a moment later.

    Args:
        pages: TwiML by URL; others are 404.
    """

    def __init__(self, pages: dict[str, str]) -> None:
        self.pages = pages
        self.loop = asyncio.get_running_loop()
        self.metrics = Metrics()
        self.ledger = Ledger(self, "AC1")
        self.lost_facts: list[str] = []
        """Names of subscribers that have raised."""
        self.journal = Journal(self.lost_facts.append)
        self.call_metrics, self.call_log = CallMetrics(self.metrics), CallLog()
        self.journal.subscribe("ledger", self.ledger)
        self.journal.subscribe("metrics", self.call_metrics)
        self.journal.subscribe("log", self.call_log)
        self.journal.subscribe("world", self)
        self.relay = FakeRelay()
        self.meetings = Meetings(self.relay)
        self.queues = Queues("AC1", self)
        voice = Voice(documents=self, prompts=self, webhooks=lambda: None, relay=self.relay)  # type: ignore[arg-type, return-value]
        announcer = Announcer(voice)
        recordings = RoomRecordings(self, self.relay, CountedIds().recording_sid)  # type: ignore[arg-type]
        callbacks = RoomCallbacks(self, lambda: self, lambda call: None, lambda note: None)  # type: ignore[arg-type, return-value]
        self.rooms = Rooms(
            "AC1", self, self.relay, self.meetings, callbacks, Path("/sounds"), announcer, recordings
        )
        self.relay_records = True
        self.noted: set[str] = set()
        """Recordings whose note is written."""
        self.host_parts: list[HostPart] = []
        self.entries: list[Entry] = []
        """Entries of the journal."""
        self.ended_twice: list[str] = []
        """Rows that changed after their end."""
        self.documents = self.prompts = self.recordings = self.outbox = self.pool = self
        self.worker = WorkerId("w1")
        self.capacity = 8
        self.session = 1
        self.logs = KeptLogs()
        self.rows: dict[str, CallRow] = {}
        self.notes: list[NotificationRow] = []
        self.posted: list[WebhookRequest] = []
        self.asked: list[FetchDocument] = []
        self.legs: dict[LegId, str] = {}
        """Legs that the worker has or had: ``open``, ``hung up`` or ``ended``."""
        self.codes: dict[LegId, int] = {}
        """Status codes with which they were hung up."""
        self.kept: Counter[str] = Counter()
        """Unfinished recordings."""
        self.is_dead = False
        self.ends = 0
        """How often the worker was told that the session is over."""
        self.after_end: list[LegCommand] = []
        self.over = 0
        self.sink: Callable[[SessionEvent], None] = lambda event: None
        self.tasks: set[asyncio.Task[None]] = set()

    # -- what is kept, told, asked -----------------------------------------------------------------

    def note(self, entry: Entry) -> None:
        self.entries.append(entry)

    def put(self, record: Record) -> None:
        if isinstance(record, CallRow):
            if record.sid in self.rows and self.rows[record.sid].ended_at is not None:
                self.ended_twice.append(record.sid)
            self.rows[record.sid] = record
        elif isinstance(record, NotificationRow):
            self.notes.append(record)

    def post(self, call: CallSid, request: WebhookRequest, via: object = None) -> None:
        self.posted.append(request)

    def knows(self, token: str) -> bool:
        return False

    def adopt(self, kept: KeptRecording) -> None:
        self.kept[kept.keep.recording] += 1

    def fresh(self, order: FetchDocument) -> DocumentFetched | None:
        return None

    async def read(self, order: FetchDocument) -> DocumentFetched:
        raise AssertionError("no files here")

    async def fetch(self, order: FetchDocument, webhooks: object, token: str | None) -> Fetched:
        self.asked.append(order)
        await asyncio.sleep(0.01)
        twiml = self.pages.get(order.url)
        if twiml is None:
            failed = FetchFailed(request=order.request, number=11200, text="none", url=order.url)
            return Fetched(failed, 404, None)
        return Fetched(DocumentFetched(request=order.request, url=order.url, document=parse(twiml)), 0, None)

    async def prepare(self, order: PreparePrompt, webhooks: object) -> Prepared:
        await asyncio.sleep(0.01)
        return Prepared(PromptReady(request=order.request, file="/f.wav", duration_s=1.0))

    async def take(self, begin: object, *, at_once: bool = False) -> Any:
        raise CapacityError("there is one worker")

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    # -- recordings --------------------------------------------------------------------------------

    def keep(self, order: KeepRecording) -> "asyncio.Future[None]":
        self.kept[order.recording] += 1
        noted: asyncio.Future[None] = self.loop.create_future()
        noted.add_done_callback(lambda _: self.noted.add(order.recording))
        self.loop.call_later(0.001, noted.set_result, None)
        return noted

    def take_over(self, part: HostPart) -> None:
        self.host_parts.append(part)

    def follow(self, order: FollowRecording, via: object = None) -> None:
        pass

    def finish(self, order: FinishRecording, answer: Callable[[Any], None], via: object = None) -> None:
        if order.recording not in self.kept:
            return  # it was never begun
        self.kept[order.recording] -= 1
        done = RecordingFinished(recording=order.recording, status="completed", duration_s=1.0)
        self.loop.call_later(0.05, answer, done)

    # -- the worker --------------------------------------------------------------------------------

    def send(self, *orders: LegCommand) -> None:
        if self.is_dead:
            self.ends += EndSession() in orders
            return
        if self.ends:
            self.after_end += orders
        for order in orders:
            match order:
                case InviteLeg():
                    assert order.leg not in self.legs
                    self.legs[order.leg] = "open"
                case HangupLeg() if self.legs.get(order.leg) == "open":
                    self.legs[order.leg] = "hung up"
                    self.codes[order.leg] = order.sip_code
                    self.loop.call_later(0.02, self.leg_ends, order.leg, "local")
                case StartRecording():
                    self.tell(RecordingStarted(recording=order.recording, at=self.loop.time()))
                case StopRecording():
                    stopped = RecordingStopped(
                        recording=order.recording, at=self.loop.time(), files=(), duration_s=1.0, reason=""
                    )
                    self.tell(stopped)
                case StartPrompt():
                    self.loop.call_later(1.0, self._prompt_ends, order.prompt)
                case StopPrompt():
                    pass  # it ends by itself, soon
                case EndSession():
                    self.ends += 1

    def _prompt_ends(self, prompt: str) -> None:
        self.sink(PromptEnded(prompt=prompt, at=self.loop.time(), complete=True))

    def dies(self) -> None:
        """The worker dies."""
        self.legs = dict.fromkeys(self.legs, "ended")
        self.is_dead = True

    def tell(self, event: SessionEvent) -> None:
        """The worker reports this, a moment later."""
        self.loop.call_soon(lambda: self.sink(event))

    def leg_ends(self, leg: LegId, cause: Any = "peer", code: int = 200) -> None:
        if self.legs.get(leg) in ("open", "hung up"):
            self.legs[leg] = "ended"
            self.sink(
                LegEnded(leg=leg, at=self.loop.time(), cause=cause, sip_code=code, reason="", headers=())
            )


class Story:
    """One call in its world, driven by methods; no event is sent for a leg that the worker does not have."""

    def __init__(self, world: World, opening: AdmittedCall | OutboundCall, **number: Any) -> None:
        self.world = world
        script = Script.of(NumberSettings(match="*", **{**NUMBER, **number}))
        if isinstance(opening, AdmittedCall):
            world.legs[opening.invite.leg] = "open"
        around: Any = world
        self.maker = maker(world, self._over)
        self.call = self.maker.begin(opening, around, SETTINGS, FACTS, script)
        world.sink = lambda event: self.call.deliver(event, world.worker)
        self.call.start()

    def _over(self, call: RunningSession) -> None:
        self.world.over += 1

    async def moment(self, seconds: float = 0.03) -> None:
        """Let everything happen that is due in this many seconds."""
        await asyncio.sleep(seconds)

    async def says(self, leg: str, event: type[Any], **facts: Any) -> None:
        """An event of a leg, if the worker still has that leg."""
        if self.world.legs.get(LegId(leg)) in ("open", "hung up"):
            self.world.sink(event(leg=LegId(leg), at=self.world.loop.time(), **facts))
        await self.moment()

    async def rings(self, leg: str) -> None:
        await self.says(leg, LegProgress, status=180, early_media=False)

    async def answers(self, leg: str) -> None:
        if self.world.legs.get(LegId(leg)) == "open":
            await self.says(leg, LegAnswered, headers=())
        await self.moment()

    async def confirms(self) -> None:
        await self.says(A, LegConfirmed)

    async def presses(self, digit: str, leg: str = A) -> None:
        await self.says(leg, DtmfReceived, digit=digit, method="rfc4733")

    async def refers(self, leg: str) -> None:
        await self.says(
            leg, LegReferred, refer_to="<sip:carol@192.0.2.7>", referred_by="", replaces="", quiet=False
        )

    async def ends(self, leg: str, code: int = 200) -> None:
        self.world.leg_ends(LegId(leg), code=code)
        await self.moment()


def incoming() -> AdmittedCall:
    """A caller's INVITE."""
    uri = "sip:+14155550199@node.test"
    invite = LegIncoming(
        leg=A,
        at=asyncio.get_running_loop().time(),
        sip_call_id=SipCallId("call-1"),
        request_uri=uri,
        from_header='"Ann" <sip:+14155550123@pbx.test>;tag=1',
        to_header=f"<{uri}>",
        headers=(),
    )
    return AdmittedCall(invite=invite, origin=Origin(source="udp:192.0.2.1:5060"))
