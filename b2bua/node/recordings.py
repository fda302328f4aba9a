"""The recordings of a node: noted when they begin, made once their raw files are complete, and reported.

A recording survives a kill of the node: its raw files and the note beside them (``raw_recordings``) stay
until the finished file has its name, the row is written and the callback is in the outbox. A separate process
makes the files one at a time, in the order in which the recordings end.

Thread: the controller's loop; a file thread writes and reads the notes, in the order of events.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from b2bua.calls.orders import FinishRecording, FollowRecording, KeepRecording, RecordingFinished
from b2bua.calls.recording_placement import HostPart
from b2bua.core.credentials import without_userinfo
from b2bua.core.errors import MediaError
from b2bua.core.ids import CallSid, RecordingSid
from b2bua.node.disk import Disk
from b2bua.node.facts import RecordingChanged
from b2bua.node.journal import Entry, Journal
from b2bua.node.raw_recordings import (
    RawRecordings,
    RecordingNote,
    last_change,
    raw_files,
    relay_file,
    worker_part,
)
from b2bua.node.recalled_work import KeptRecording
from b2bua.node.recording_reports import NOT_MADE, RecordingReports
from b2bua.node.renderer_client import RendererClient
from b2bua.store.records import RecordingRow
from b2bua.watch import Watch, Watched
from b2bua.web.outbox import Outbox, Webhooks
from b2bua.web.webhooks import WebhookRequest
from media.renderer import Merge, MergeParts

__all__ = ["RecordingStore", "Recordings"]

log = logging.getLogger(__name__)

_MERGE_LIMIT_S = 600.0
"""Limit for making one recording; a recording of a day takes a minute."""
_TRIES = 2
"""Attempts at one recording, since the process may have died for another reason."""
_SETTLED_S = 2.0
"""A file left by a dead node counts as complete when it has not been written for this long."""

Status = Literal["in-progress", "paused", "stopped", "processing", "completed", "absent"]
Answer = Callable[[RecordingFinished], None]


class RecordingStore(Protocol):
    """The part of the store that recordings use."""

    async def flush(self) -> bool:
        """Write all queued rows; returns whether that succeeded."""


@dataclass(frozen=True, slots=True)
class _Ended:
    note: RecordingNote
    answer: Answer | None
    """None: the recording is from a dead node."""
    via: Webhooks | None
    noted: "asyncio.Future[None] | None" = None
    """Done when the final note, which the recording is made from, is written."""


class Recordings:
    """Notes, makes and reports the recordings of a node.

    Args:
        folder: folder of the finished recordings.
        account_sid: the account of the recordings.
        journal: receives their changes of state.
    """

    def __init__(self, folder: Path, account_sid: str, journal: Journal) -> None:
        self._folder = folder
        self._account_sid = account_sid
        self._journal = journal
        self._outbox: Outbox | None = None
        self._reports = RecordingReports(account_sid, "")
        self._raw = RawRecordings(folder)
        self._disk = Disk("recordings")
        self._renderer = RendererClient("recordings", limit_s=_MERGE_LIMIT_S)
        self._running: dict[RecordingSid, RecordingNote] = {}
        self._rows: dict[RecordingSid, RecordingRow] = {}
        """Rows of the recordings that are not over."""
        self._ended: asyncio.Queue[_Ended] = asyncio.Queue()
        self._maker: Watched | None = None
        self._finder: Watched | None = None
        self._held: set[str] = set()
        """Calls whose recordings go on, although their session is not known."""
        self.store: RecordingStore | None = None
        """None: nothing is stored."""

    @property
    def raw_folder(self) -> Path:
        """Folder in which workers write raw files."""
        return self._raw.folder

    def __len__(self) -> int:
        """Return the number of recordings that are not over."""
        return len(self._rows)

    def row(self, recording: RecordingSid) -> RecordingRow | None:
        """Return the row of a recording that is not over, or None."""
        return self._rows.get(recording)

    def of_call(self, call_sid: str) -> list[RecordingSid]:
        """Return the recordings of a call that are not stopped, oldest first."""
        return [
            sid
            for sid, note in self._running.items()
            if note.plan.call_sid == call_sid and self._rows[sid].status != "stopped"
        ]

    # -- life cycle ---------------------------------------------------------------------------------

    def open(self) -> None:
        """Create and lock the folder for raw files.

        Raises:
            ConfigError: recordings cannot be kept there.
        """
        self._raw.open()

    def start(self, outbox: Outbox, public_url: str, watch: Watch | None = None) -> None:
        """Start making recordings, first those left by dead nodes; ``store`` must be set before.

        Args:
            outbox: takes the callbacks.
            public_url: URL of this node's HTTP server.
            watch: supervises the process's background tasks; None: a private one.
        """
        self._outbox, self._reports = outbox, RecordingReports(self._account_sid, public_url)
        watch = watch or Watch()
        orphans = self._disk.soon(self._raw.orphans)
        self._finder = watch.run(
            "the recovery of recordings", lambda: self._finish_orphans(orphans), ends=True
        )
        self._maker = watch.run("the queue of recordings", self._make_all)

    async def close(self, limit_s: float) -> None:
        """Finish recordings that have ended, for up to ``limit_s``; the rest waits for the next start.

        Can be called twice.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                if self._finder is not None:
                    await asyncio.wait((self._finder.task,))
                await self._ended.join()
        for task in (self._finder, self._maker):
            if task is not None:
                await task.close()
        was_working, self._finder, self._maker = self._maker is not None, None, None
        if was_working and self._rows:
            log.warning("recordings left for the next start", extra={"count": len(self._rows)})
        await self._renderer.close()
        await self._disk.soon(self._raw.close)

    # -- orders of sessions -------------------------------------------------------------------------

    def keep(self, order: KeepRecording) -> "asyncio.Future[None]":
        """Note a new recording; the future is done when the note is written, before the first frame."""
        note = RecordingNote(
            recording=order.recording, plan=order.plan, stem=order.stem, created_at=datetime.now(UTC)
        )
        self._running[order.recording] = note
        self._publish(note, "in-progress")
        return self._disk.soon(self._raw.write, note)

    def adopt(self, kept: KeptRecording) -> None:
        """Go on with a recording that an earlier run has begun; its note is written."""
        keep, follow, part = kept.keep, kept.follow, kept.part
        note = RecordingNote(
            recording=keep.recording,
            plan=keep.plan,
            stem=keep.stem,
            created_at=_wall_clock(kept.kept_at),
            began_at=_wall_clock(follow.began_at) if follow and follow.began_at is not None else None,
            pauses=follow.pauses if follow else (),
            worker_part_at_s=part.at_s if part else None,
        )
        self._running[keep.recording] = note
        self._publish(note, follow.status if follow else "in-progress")

    def follow(self, order: FollowRecording, via: Webhooks | None = None) -> None:
        """Note a change of a recording's state."""
        note = self._running.get(order.recording)
        if note is None:
            return
        begins = note.began_at is None and order.began_at is not None
        if begins and order.began_at is not None:
            note = msgspec.structs.replace(note, began_at=_wall_clock(order.began_at))
        note = self._running[order.recording] = msgspec.structs.replace(note, pauses=order.pauses)
        self._disk.soon(self._raw.write, note)
        self._publish(note, order.status)
        if begins:
            self._send(note, self._reports.status(note, "in-progress"), via)

    def take_over(self, part: HostPart) -> None:
        """Note that a worker has taken over a recording that the relay began."""
        note = self._running.get(part.recording)
        if note is not None:
            note = self._running[part.recording] = msgspec.structs.replace(note, worker_part_at_s=part.at_s)
            self._disk.soon(self._raw.write, note)

    def finish(
        self, order: FinishRecording, answer: Answer | None = None, via: Webhooks | None = None
    ) -> None:
        """Queue a recording to be made from its raw files; ``answer`` is called when that is done."""
        note = self._running.pop(order.recording, None)
        if note is None:
            return
        note = msgspec.structs.replace(
            note, pauses=order.pauses, reason=order.reason, length_s=order.duration_s or None
        )
        noted = self._disk.soon(self._raw.write, note)
        self._publish(note, "processing")
        self._ended.put_nowait(_Ended(note, answer, via, noted))

    # -- making -------------------------------------------------------------------------------------

    def hold(self, calls: Iterable[str]) -> None:
        """Let the recordings of these calls of an earlier run go on; call before ``start``."""
        self._held.update(calls)

    async def release(self, calls: Iterable[str]) -> None:
        """Finish the recordings of calls that were held: these have ended."""
        self._held.difference_update(calls)
        await self._finish_orphans(self._disk.soon(self._raw.orphans))

    async def _finish_orphans(self, orphans: "asyncio.Future[list[RecordingNote]]") -> None:
        try:
            found = await orphans
        except OSError as error:
            log.error("recordings of the previous run cannot be found", extra={"reason": error.strerror})
            return
        for note in [each for each in found if each.recording not in self._rows]:
            if note.plan.call_sid in self._held:
                continue
            log.warning("finishing a recording of the previous run", extra=_facts(note))
            self._publish(note, "processing")
            self._ended.put_nowait(_Ended(note, None, None))

    async def _make_all(self) -> None:
        while True:
            ended = await self._ended.get()
            try:
                await self._make(ended)
            except Exception:  # a bug in one must not stop the queue
                log.exception("recording failed", extra=_facts(ended.note))
                self._give_up(ended)
            finally:
                self._ended.task_done()

    async def _make(self, ended: _Ended) -> None:
        note = ended.note
        target = self._target(note)
        if ended.noted is not None:
            await ended.noted
        if ended.answer is None:
            unchanged_s = await self._disk.soon(last_change, note, target)
            await asyncio.sleep(max(0.0, _SETTLED_S - unchanged_s))
        note, is_made = await self._merge(note, target)
        size = await self._disk.soon(_size, target) if note.plan.event_url else 0
        is_published = self._report(note, ended, size)
        is_kept = is_published and (self.store is None or await self.store.flush())
        if is_made and is_kept:
            await self._disk.soon(self._raw.forget, note)  # otherwise the next start makes it again

    def _give_up(self, ended: _Ended) -> None:
        """Report that there is no recording; the note stays, and the next start tries again."""
        if ended.note.recording in self._rows:  # it was not reported before the error
            reason = "internal error of the node"
            self._report(msgspec.structs.replace(ended.note, duration_s=0.0, reason=reason), ended)

    def _report(self, note: RecordingNote, ended: _Ended, size: int = 0) -> bool:
        """Report the result of a recording; returns whether all subscribers of the journal have taken it.

        ``size``: bytes of the file.
        """
        status: Literal["completed", "absent"] = "completed" if note.duration_s else "absent"
        is_published = self._publish(note, status)
        self._send(note, self._reports.status(note, status), ended.via)
        self._send(note, self._reports.conference_event(note, size), ended.via)
        self._send(note, self._reports.transcription(note), ended.via)
        self._rows.pop(note.recording, None)
        if ended.answer is not None:
            ended.answer(
                RecordingFinished(recording=note.recording, status=status, duration_s=note.duration_s or 0.0)
            )
        return is_published

    async def _merge(self, note: RecordingNote, target: Path) -> tuple[RecordingNote, bool]:
        """Make the file; returns the note with its duration (0: empty or failed), and whether it was made."""
        order = await self._disk.soon(_merge_order, note, target)
        for _ in range(_TRIES):
            try:
                duration_s = await self._renderer.make(order)
            except MediaError as error:
                reason = str(error)
                log.error("a recording could not be made", extra=_facts(note) | {"reason": reason})
            else:
                return msgspec.structs.replace(note, duration_s=duration_s), True
        return msgspec.structs.replace(note, duration_s=0.0, reason=reason), False

    def _target(self, note: RecordingNote) -> Path:
        return self._folder / f"{note.recording}.wav"

    # -- reporting ----------------------------------------------------------------------------------

    def _send(self, note: RecordingNote, request: WebhookRequest | None, via: Webhooks | None) -> None:
        if request is not None and self._outbox is not None:
            of_room = note.plan.conference_sid
            self._outbox.post(CallSid(of_room) if of_room else note.plan.call_sid, request, via)

    def _publish(self, note: RecordingNote, status: Status) -> bool:
        """Publish the state of a recording; returns whether all subscribers have taken it."""
        plan = note.plan
        row = RecordingRow(
            sid=note.recording,
            call_sid=plan.call_sid,
            conference_sid=plan.conference_sid or None,
            status=status,
            source=plan.source,
            channels=plan.channels,
            track=plan.track,
            created_at=note.created_at,
            updated_at=datetime.now(UTC),
            started_at=note.began_at,
            duration_s=None if note.duration_s is None else round(note.duration_s),
            error_code=NOT_MADE if status == "absent" and note.reason else None,
            account_sid=self._account_sid,
            path=f"{note.recording}.wav",
            raw_files=tuple(str(path) for path in raw_files(note)),
            callback_url=without_userinfo(plan.callback_url),  # the note has the full URL
            callback_method=plan.callback_method,
            callback_events=plan.callback_events,
        )
        self._rows[note.recording] = row
        fact = RecordingChanged(row=row, duration_s=note.duration_s, reason=note.reason)
        return self._journal.publish(Entry(at=time.monotonic(), fact=fact))


def _merge_order(note: RecordingNote, target: Path) -> Merge | MergeParts:
    """Return the order that makes a recording, by what was recorded (in the file thread)."""
    parent, child = raw_files(note)
    order = Merge(
        parent=str(parent),
        child=str(child),
        target=str(target),
        dual=note.plan.dual,
        track=note.plan.track,
        trim=note.plan.trim,
        pauses=tuple((each.start_s, each.end_s, each.behavior) for each in note.pauses),
    )
    relay, worker = relay_file(note), worker_part(note)
    if not relay.exists() and not worker[0].exists():
        return order
    return MergeParts(
        merge=order,
        relay=str(relay),
        worker=(str(worker[0]), str(worker[1])),
        worker_at_s=note.worker_part_at_s,
        length_s=note.length_s,
    )


def _size(target: Path) -> int:
    return target.stat().st_size if target.exists() else 0


def _facts(note: RecordingNote) -> dict[str, object]:
    return {"call_sid": note.plan.call_sid, "recording": note.recording}


def _wall_clock(monotonic: float) -> datetime:
    return datetime.fromtimestamp(math.floor(time.time() - (time.monotonic() - monotonic)), UTC)
