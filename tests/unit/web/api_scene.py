"""The API with a directory in memory and a node that only records the requests."""

import asyncio
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar

import httpx
import msgspec
from fastapi import FastAPI

from b2bua.calls.orders import KeepRecording, SessionInput, ToQueue, ToRoom
from b2bua.core.errors import CapacityError
from b2bua.core.ids import CallSid, LegId, RecordingSid
from b2bua.core.queue_inputs import CallerEntered
from b2bua.core.room_inputs import Entrant, MemberEntered
from b2bua.node.announcements import Announcer, Voice
from b2bua.node.meetings import Meetings
from b2bua.node.queue_desk import QueueDesk
from b2bua.node.queues import Queues
from b2bua.node.room_callbacks import RoomCallbacks
from b2bua.node.room_desk import RoomDesk
from b2bua.node.room_recordings import RoomRecordings
from b2bua.node.rooms import Rooms
from b2bua.settings import ApplicationSettings, NumberSettings
from b2bua.store.records import QueueRow
from b2bua.web.api.application_book import ApplicationBook
from b2bua.web.api.context import ApiContext
from b2bua.web.api.control import CallAmendment, CallRequest, DocumentSource, RecordingRequest
from b2bua.web.api.directory import (
    CallQuery,
    CallRecord,
    ConferenceQuery,
    ConferenceRecord,
    EventRecord,
    NotificationQuery,
    NotificationRecord,
    PageRequest,
    RecordingQuery,
    RecordingRecord,
    Slice,
    TimeRange,
)
from b2bua.web.api.errors import ApiError, NotFound, WrongCallState
from b2bua.web.api.number_book import NumberBook
from b2bua.web.api.process_list import Process
from b2bua.web.api.sound import SoundFiles
from b2bua.web.metrics import Metrics
from b2bua.web.server import application

ACCOUNT_SID = "AC" + "0" * 31 + "1"
AUTH_TOKEN = "token-of-the-tests"
NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
ROOT = f"/2010-04-01/Accounts/{ACCOUNT_SID}"

T = TypeVar("T")


def sid(prefix: str, number: int) -> str:
    """An identifier that is easy to recognise."""
    return f"{prefix}{number:032x}"


def a_call(number: int, **fields: Any) -> CallRecord:
    """A call that arrived ``number`` minutes after noon, and has ended unless ``status`` says otherwise."""
    at = NOON + timedelta(minutes=number)
    given: dict[str, Any] = {
        "sid": sid("CA", number),
        "from_": "+14155550123",
        "to": "+14155550199",
        "direction": "inbound",
        "status": "completed",
        "created_at": at,
        "updated_at": at,
        "started_at": at,
        "ended_at": at + timedelta(seconds=12),
        "duration_s": 12,
    }
    return CallRecord(**(given | fields))


def a_recording(number: int, call: CallRecord, **fields: Any) -> RecordingRecord:
    given: dict[str, Any] = {
        "sid": sid("RE", number),
        "call_sid": call.sid,
        "status": "completed",
        "source": "DialVerb",
        "channels": 2,
        "track": "both",
        "created_at": call.created_at,
        "updated_at": call.created_at,
        "started_at": call.created_at,
        "duration_s": 12,
    }
    return RecordingRecord(**(given | fields))


@dataclass
class MemoryDirectory:
    """See ``Directory``."""

    call_rows: dict[str, CallRecord] = field(default_factory=dict)
    recording_rows: dict[str, RecordingRecord] = field(default_factory=dict)
    notification_rows: dict[str, NotificationRecord] = field(default_factory=dict)
    conference_rows: dict[str, ConferenceRecord] = field(default_factory=dict)
    event_rows: dict[str, list[EventRecord]] = field(default_factory=dict)

    def add(self, *rows: CallRecord | RecordingRecord | NotificationRecord) -> None:
        for row in rows:
            match row:
                case CallRecord():
                    self.call_rows[row.sid] = row
                case RecordingRecord():
                    self.recording_rows[row.sid] = row
                case NotificationRecord():
                    self.notification_rows[row.sid] = row

    def set_status(self, call_sid: str, status: str) -> None:
        self.add(msgspec.structs.replace(self.call_rows[call_sid], status=status))

    async def calls(self, query: CallQuery, page: PageRequest) -> Slice[CallRecord]:
        wanted: dict[str, Any] = {
            "to": query.to,
            "from_": query.from_,
            "status": query.status,
            "parent_sid": query.parent_sid,
        }
        ranges = {"started_at": query.started, "ended_at": query.ended}
        return part(self.call_rows.values(), wanted, ranges, page)

    async def call(self, sid: str) -> CallRecord | None:
        return self.call_rows.get(sid)

    async def delete_call(self, sid: str) -> None:
        del self.call_rows[sid]

    async def recordings(self, query: RecordingQuery, page: PageRequest) -> Slice[RecordingRecord]:
        wanted: dict[str, Any] = {"call_sid": query.call_sid, "conference_sid": query.conference_sid}
        return part(self.recording_rows.values(), wanted, {"created_at": query.created}, page)

    async def recording(self, sid: str) -> RecordingRecord | None:
        return self.recording_rows.get(sid)

    async def delete_recording(self, sid: str) -> None:
        del self.recording_rows[sid]

    def put(self, record: ConferenceRecord) -> None:
        self.conference_rows[record.sid] = record

    async def conferences(self, query: ConferenceQuery, page: PageRequest) -> Slice[ConferenceRecord]:
        wanted: dict[str, Any] = {"friendly_name": query.friendly_name, "status": query.status}
        ranges = {"created_at": query.created, "updated_at": query.updated}
        return part(self.conference_rows.values(), wanted, ranges, page)

    async def conference(self, sid: str) -> ConferenceRecord | None:
        return self.conference_rows.get(sid)

    async def notifications(self, query: NotificationQuery, page: PageRequest) -> Slice[NotificationRecord]:
        wanted: dict[str, Any] = {"call_sid": query.call_sid, "severity": query.severity}
        return part(self.notification_rows.values(), wanted, {"created_at": query.created}, page)

    async def notification(self, sid: str) -> NotificationRecord | None:
        return self.notification_rows.get(sid)

    async def delete_notification(self, sid: str) -> None:
        del self.notification_rows[sid]

    async def events(self, call_sid: str, page: PageRequest) -> Slice[EventRecord]:
        return part(self.event_rows.get(call_sid, []), {}, {}, page, newest_first=False)


def part(
    rows: Iterable[T],
    wanted: dict[str, Any],
    ranges: dict[str, TimeRange],
    page: PageRequest,
    *,
    newest_first: bool = True,
) -> Slice[T]:
    chosen = [row for row in rows if all(v is None or getattr(row, k) == v for k, v in wanted.items())]
    chosen = [row for row in chosen if all(within(getattr(row, k), v) for k, v in ranges.items())]
    chosen.sort(key=lambda row: row.created_at, reverse=newest_first)  # type: ignore[attr-defined]
    start = int(page.token or 0)
    end = start + page.size
    return Slice(items=tuple(chosen[start:end]), next_token=str(end) if end < len(chosen) else None)


def within(at: datetime | None, range: TimeRange) -> bool:
    if at is None:
        return range == TimeRange()
    return (range.since is None or at >= range.since) and (range.before is None or at < range.before)


@dataclass
class NotingControl:
    """See ``CallControl``: it changes rows as a node would, and records its calls."""

    directory: MemoryDirectory
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    room: int = 1_000_000
    made: int = 0

    async def create(self, request: CallRequest) -> CallRecord:
        if self.room == 0:
            raise CapacityError("no worker")
        if request.caller_id == "+19005550100":
            raise ApiError(21210, "CallerId: not verified")
        self.asked.append(("create", request))
        self.made += 1
        call = a_call(
            0,
            sid=f"CA{secrets.token_hex(16)}",
            created_at=NOON + timedelta(days=1, seconds=self.made),
            from_=request.from_,
            to=request.to,
            direction="outbound-api",
            status="queued",
            started_at=None,
            ended_at=None,
            duration_s=None,
        )
        self.directory.add(call)
        return call

    async def redirect(self, sid: str, document: DocumentSource) -> None:
        if self._live(sid).status != "in-progress":
            raise WrongCallState
        self.asked.append(("redirect", sid, document))

    async def amend(self, sid: str, amendment: CallAmendment) -> None:
        self._live(sid)
        self.asked.append(("amend", sid, amendment))

    async def cancel(self, sid: str) -> None:
        if self._live(sid).status not in ("queued", "ringing"):
            raise WrongCallState("Call is in progress. Cannot cancel.")
        self.asked.append(("cancel", sid))
        self.directory.set_status(sid, "canceled")

    async def complete(self, sid: str) -> None:
        self._live(sid)
        self.asked.append(("complete", sid))
        self.directory.set_status(sid, "completed")

    async def start_recording(self, sid: str, request: RecordingRequest) -> RecordingRecord:
        call = self._live(sid)
        if call.status != "in-progress":
            raise WrongCallState("The call cannot be recorded in this state")
        self.asked.append(("start_recording", sid, request))
        recording = a_recording(
            0,
            call,
            sid=f"RE{secrets.token_hex(16)}",
            status="in-progress",
            source="StartCallRecordingAPI",
            channels=request.channels,
            track=request.track,
            duration_s=None,
        )
        self.directory.add(recording)
        return recording

    async def update_recording(
        self,
        sid: str,
        recording_sid: str | None,
        status: Literal["in-progress", "paused", "stopped"],
        pause_behavior: Literal["silence", "skip"],
    ) -> RecordingRecord:
        self._live(sid)
        running = [
            row
            for row in self.directory.recording_rows.values()
            if row.call_sid == sid and row.status in ("in-progress", "paused")
        ]
        found = [row for row in running if recording_sid in (None, row.sid)]
        if not found:
            raise NotFound("The recording")
        self.asked.append(("update_recording", sid, recording_sid, status, pause_behavior))
        recording = msgspec.structs.replace(found[0], status=status)
        self.directory.add(recording)
        return recording

    def _live(self, sid: str) -> CallRecord:
        call = self.directory.call_rows.get(sid)
        if call is None:
            raise NotFound
        if call.ended_at is not None:
            raise WrongCallState
        return call


@dataclass
class ApiScene:
    """The whole list."""

    app: FastAPI
    context: ApiContext
    directory: MemoryDirectory
    control: NotingControl
    metrics: Metrics
    health: "AnyHealth"
    queues: Queues
    rooms: Rooms

    def client(self, **changes: Any) -> httpx.AsyncClient:
        """A client with the right credentials, without a socket."""
        given: dict[str, Any] = {
            "transport": httpx.ASGITransport(self.app, raise_app_exceptions=False),
            "base_url": "http://node",
            "auth": (ACCOUNT_SID, AUTH_TOKEN),
        }
        return httpx.AsyncClient(**(given | changes))


@dataclass
class AnyHealth:
    reasons: list[str] = field(default_factory=list)

    def reasons_not_to_call(self) -> list[str]:
        return self.reasons


class TwoProcesses:
    """A controller, and a worker with a call."""

    def running(self) -> list[Process]:
        return [
            Process(kind="controller", name="controller", pid=17),
            Process(kind="worker", name="w1", pid=18, calls=[sid("CA", 1)]),
        ]


class NoStore:
    """Keeps no queue."""

    def put(self, record: QueueRow) -> None:
        pass

    def forget(self, record: QueueRow) -> None:
        pass


class Nowhere:
    """A relay, and an outbox, that do nothing."""

    def attach(self, key: Any, sink: Any) -> None:
        pass

    def detach(self, key: Any) -> None:
        pass

    def send(self, *messages: msgspec.Struct) -> None:
        pass

    def post(self, call: CallSid, request: Any, via: Any = None) -> None:
        pass

    async def drain(self, deadline_s: float) -> int:
        return 0


class NotingRecordings:
    """Puts recordings into the directory; makes none."""

    raw_folder = Path("/nowhere")

    def __init__(self, directory: MemoryDirectory) -> None:
        self.directory = directory

    def keep(self, order: KeepRecording) -> "asyncio.Future[None]":
        self.directory.add(
            RecordingRecord(
                sid=order.recording,
                call_sid=order.plan.call_sid,
                conference_sid=order.plan.conference_sid,
                status="in-progress",
                source=order.plan.source,
                channels=1,
                track="both",
                created_at=NOON,
                updated_at=NOON,
            )
        )
        noted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        noted.set_result(None)
        return noted

    def follow(self, order: Any) -> None:
        row = self.directory.recording_rows[order.recording]
        self.directory.add(msgspec.structs.replace(row, status=order.status))

    def finish(self, order: Any) -> None:
        pass


def quiet_rooms(directory: MemoryDirectory) -> Rooms:
    """Rooms that are in the directory, and are mixed nowhere."""
    nowhere = Nowhere()
    unused: Any = None
    announcer = Announcer(Voice(documents=unused, prompts=unused, webhooks=unused, relay=nowhere))
    recordings = RoomRecordings(
        NotingRecordings(directory),  # type: ignore[arg-type]
        nowhere,
        lambda: RecordingSid(f"RE{secrets.token_hex(16)}"),
    )
    callbacks = RoomCallbacks(nowhere, lambda: nowhere, lambda call: None, lambda note: None)
    return Rooms(
        ACCOUNT_SID, directory, nowhere, Meetings(nowhere), callbacks, Path("/nowhere"), announcer, recordings
    )


def a_participant(scene: ApiScene, room: str, number: int, **fields: Any) -> "NotingSession":
    """A call in a room; needs a running loop."""
    session, call = NotingSession(), CallSid(sid("CA", number))
    event = MemberEntered(entrant=Entrant(call=call, **fields))
    order = ToRoom(call_sid=call, entry=1, leg=LegId(f"leg{number}"), room=room, jitter_ms=60, event=event)
    scene.rooms.take(order, session)
    return session


class NotingSession:
    """A session with a call in a queue; notes what it is brought."""

    def __init__(self) -> None:
        self.brought: list[SessionInput] = []

    def bring(self, event: SessionInput) -> None:
        self.brought.append(event)


def a_member(scene: ApiScene, queue: str, number: int) -> NotingSession:
    """A call that waits in a queue with our music; needs a running loop."""
    session, call = NotingSession(), CallSid(sid("CA", number))
    event = CallerEntered(call=call)
    scene.queues.take(ToQueue(call_sid=call, entry=1, leg=LegId("a"), queue=queue, event=event), session)
    return session


def numbers() -> list[NumberSettings]:
    return [
        NumberSettings(match="+14155550199", voice_url="http://app.test/voice"),
        NumberSettings(match="+1415*", voice_url="http://app.test/others", voice_method="GET"),
    ]


def api_scene(folder: Path) -> ApiScene:
    """An API whose recordings are in ``folder``."""
    directory, health, metrics = MemoryDirectory(), AnyHealth(), Metrics()
    control = NotingControl(directory)
    queues = Queues(ACCOUNT_SID, NoStore())
    rooms = quiet_rooms(directory)
    context = ApiContext(
        account_sid=ACCOUNT_SID,
        credentials={ACCOUNT_SID: AUTH_TOKEN},
        applications=ApplicationBook(
            [ApplicationSettings(sid=sid("AP", 1), voice_url="http://app.test/desk")]
        ),
        directory=directory,
        control=control,
        numbers=NumberBook(numbers()),
        sound=SoundFiles(folder),
        processes=TwoProcesses(),
        queues=QueueDesk(queues),
        rooms=RoomDesk(rooms, control),
        public_url="http://node.test",
    )
    app = application(health, context, metrics)
    return ApiScene(app, context, directory, control, metrics, health, queues, rooms)
