"""A node's recordings by themselves, in a folder, and what they tell and write down."""

import asyncio
import contextlib
import os
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from b2bua.calls.orders import FinishRecording, FollowRecording, KeepRecording, RecordingFinished
from b2bua.calls.recording_plan import PauseSpan, RecordingPlan
from b2bua.core.ids import CallSid, LegId, RecordingSid
from b2bua.node.facts import RecordingChanged
from b2bua.node.journal import Entry, Journal
from b2bua.node.recordings import Recordings
from b2bua.store.records import RecordingRow
from b2bua.web.outbox import Webhooks
from b2bua.web.webhooks import WebhookRequest
from media.relay_file import CHILD, PARENT
from tests.peer.ladder import PATIENCE_S
from tests.unit.media.raw_files import tone, write_raw
from tests.unit.media.relay_files import Party, write_relay


@dataclass
class Scene:
    """Recordings in a folder, with the callbacks and rows that they produce."""

    folder: Path
    recordings: Recordings = field(init=False)
    told: list[dict[str, str]] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    rows: list[RecordingRow] = field(default_factory=list)
    answers: "asyncio.Queue[RecordingFinished]" = field(default_factory=asyncio.Queue)

    def __post_init__(self) -> None:
        journal = Journal(lambda name: pytest.fail(f"{name} has failed"))
        journal.subscribe("rows", self)
        self.recordings = Recordings(self.folder, "AC1", journal)
        self.recordings.store = self

    def note(self, entry: Entry) -> None:
        assert isinstance(entry.fact, RecordingChanged)
        self.rows.append(entry.fact.row)

    keeps: bool = True
    """Collects the rows put."""

    async def flush(self) -> bool:
        return self.keeps

    def post(self, call: CallSid, request: WebhookRequest, via: Webhooks | None = None) -> None:
        self.told.append({"call": call, **dict(request.params)})
        self.tokens.append(request.idempotency_token)

    async def drain(self, deadline_s: float) -> int:
        return 0

    def start(self) -> None:
        self.recordings.open()
        self.recordings.start(self, "http://node.test")
        self.noted()

    def begin(self, number: int = 1, **plan: object) -> KeepRecording:
        sid = RecordingSid(f"RE{number:032x}")
        given = {
            "call_sid": CallSid(f"CA{number}"),
            "source": "DialVerb",
            "parent": LegId("a"),
            "dual": True,
            "callback_url": "http://app.test/recorded",
            "callback_events": ("in-progress", "completed", "absent"),
            **plan,
        }
        order = KeepRecording(
            recording=sid, plan=RecordingPlan(**given), stem=str(self.recordings.raw_folder / sid)
        )
        self.recordings.keep(order)
        follow = FollowRecording(recording=sid, status="in-progress", pauses=(), began_at=time.monotonic())
        self.recordings.follow(follow)
        return order

    def record(self, order: KeepRecording, seconds: float = 1.0, *, closed: bool = True) -> None:
        write_raw(Path(f"{order.stem}.parent.wav"), tone(440, seconds), closed=closed)
        write_raw(Path(f"{order.stem}.child.wav"), tone(660, seconds), closed=closed)

    def relay(self, order: KeepRecording, seconds: float = 1.0) -> Path:
        """What the relay leaves."""
        sides = [
            *Party(PARENT).sends(tone(440, seconds), at=0.0),
            *Party(CHILD, ssrc=8).sends(tone(660, seconds), at=0.0),
        ]
        return write_relay(Path(f"{order.stem}.rtp"), sides)

    def leave(self, order: KeepRecording, content: bytes) -> None:
        """A raw file of the relay's with this content."""
        Path(f"{order.stem}.rtp").write_bytes(content)

    def finish(
        self, order: KeepRecording, *pauses: PauseSpan, reason: str = "", duration_s: float = 0.0
    ) -> None:
        end = FinishRecording(recording=order.recording, pauses=pauses, duration_s=duration_s, reason=reason)
        self.recordings.finish(end, self.answers.put_nowait)

    async def answer(self) -> RecordingFinished:
        return await asyncio.wait_for(self.answers.get(), PATIENCE_S)

    def raw(self) -> list[str]:
        return [path.name for path in (self.folder / ".raw").glob("*/RE*")]

    def noted(self) -> None:
        """Wait until pending notes and searches are done."""
        self.recordings._disk._thread.submit(lambda: None).result()

    def spoil(self, order: KeepRecording) -> None:
        self.noted()
        Path(f"{order.stem}.json").write_text("{")

    def crash(self) -> None:
        """State of the folder after its process was killed."""
        self.noted()
        assert self.recordings._maker is not None
        self.recordings._maker.task.cancel()
        os.close(self.recordings._raw._lock)


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """Processes started in it can make no file larger than 4 KiB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
