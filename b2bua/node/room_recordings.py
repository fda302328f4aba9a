"""The recordings of rooms: what the talkers say, with beeps and announcements, made by the relay.

Thread: the controller's loop.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from b2bua.calls.orders import FinishRecording, FollowRecording, KeepRecording
from b2bua.calls.recording_placement import RELAY_FILE
from b2bua.calls.recording_plan import PauseBehavior, PauseSpan, RecordingPlan
from b2bua.core.ids import CallSid, LegId, RecordingSid
from b2bua.core.room_outputs import StartRoomRecording
from b2bua.node.recordings import Recordings
from b2bua.node.relay_link import RelayEvent, RelaySink
from b2bua.relay.control import LegKey, RecordRoom, StopTaps, TapsBegun, TapsEnded
from b2bua.store.records import ConferenceRow

__all__ = ["RoomRecordings"]

log = logging.getLogger(__name__)


class _Relay(Protocol):
    def attach(self, key: LegKey | str, sink: RelaySink) -> None:
        """Give ``sink`` all reports about a recording."""

    def detach(self, key: LegKey | str) -> None:
        """Drop all further reports about a recording."""

    def send(self, *messages: msgspec.Struct) -> None:
        """Tell the relay."""


class RoomRecordings:
    """The recordings of all rooms, at most one of each at a time.

    Args:
        recordings: makes and reports them.
        relay: records.
        new_sid: makes a sid for a recording.
    """

    def __init__(self, recordings: Recordings, relay: _Relay, new_sid: Callable[[], RecordingSid]) -> None:
        self._recordings = recordings
        self._relay = relay
        self._new_sid = new_sid
        self._running: dict[str, RecordingSid] = {}
        """By the sid of the room."""
        self._began_at: dict[RecordingSid, float] = {}
        self._pauses: dict[RecordingSid, list[PauseSpan]] = {}

    def start(self, conference: ConferenceRow, order: StartRoomRecording) -> None:
        """Record a room."""
        room, sid, wish = conference.sid, self._new_sid(), order.recording
        plan = RecordingPlan(
            call_sid=order.by or CallSid(""),
            conference_sid=room,
            conference_name=conference.friendly_name,
            source="StartConferenceRecordingAPI" if wish.by_api else "Conference",
            parent=LegId(room),
            track="inbound",
            trim=wish.trim,
            callback_url=wish.callback_url or "",
            callback_method=wish.callback_method,
            callback_events=tuple(sorted(wish.callback_events)),
            event_url="" if wish.callback_url else wish.event_url or "",
        )
        stem = f"{self._recordings.raw_folder}/{sid}"
        self._running[room] = sid
        self._relay.attach(sid, self)
        noted = self._recordings.keep(KeepRecording(recording=sid, plan=plan, stem=stem))
        record = RecordRoom(room=room, recording=sid, path=f"{stem}{RELAY_FILE}")
        noted.add_done_callback(lambda _: self._record(record))

    def running(self, room: str) -> RecordingSid | None:
        """Return the recording of a room that runs or pauses."""
        return self._running.get(room)

    def pause(self, room: str, behavior: PauseBehavior) -> None:
        """Pause the recording of a room; without effect if it pauses already."""
        sid = self._running.get(room)
        if sid is None or self._is_paused(sid):
            return
        pause = PauseSpan(start_s=self._elapsed_s(sid), end_s=None, behavior=behavior)
        self._pauses.setdefault(sid, []).append(pause)
        self._follow(sid, "paused")

    def resume(self, room: str) -> None:
        """Go on after a pause; without effect if there is none."""
        sid = self._running.get(room)
        if sid is not None and self._is_paused(sid):
            last = self._pauses[sid][-1]
            self._pauses[sid][-1] = msgspec.structs.replace(last, end_s=self._elapsed_s(sid))
            self._follow(sid, "in-progress")

    def stop(self, room: str) -> None:
        """Stop recording a room."""
        sid = self._running.pop(room, None)
        if sid is not None:
            asyncio.get_running_loop().call_soon(self._relay.send, StopTaps(recording=sid))

    def relayed(self, event: RelayEvent) -> None:
        """Take a report of the relay about a recording (``RelaySink``)."""
        match event:
            case TapsBegun():
                sid = RecordingSid(event.recording)
                self._began_at[sid] = event.at
                self._follow(sid, "in-progress")
            case TapsEnded():
                self._finish(RecordingSid(event.recording), event.at, event.reason)
            case _:
                pass

    def _record(self, order: RecordRoom) -> None:
        """Begin, now that the recording is noted."""
        if order.recording in self._running.values():
            self._relay.send(order)
        else:  # the room ended meanwhile
            self._finish(RecordingSid(order.recording), time.monotonic(), "the conference ended at once")

    def _finish(self, sid: RecordingSid, at: float, reason: str) -> None:
        self._relay.detach(sid)
        began_at = self._began_at.pop(sid, at)
        pauses = tuple(self._pauses.pop(sid, ()))
        order = FinishRecording(
            recording=sid, pauses=pauses, duration_s=max(0.0, at - began_at), reason=reason
        )
        self._recordings.finish(order)

    def _follow(self, sid: RecordingSid, status: Literal["in-progress", "paused"]) -> None:
        self._recordings.follow(
            FollowRecording(
                recording=sid,
                status=status,
                pauses=tuple(self._pauses.get(sid, ())),
                began_at=self._began_at.get(sid),
            )
        )

    def _is_paused(self, sid: RecordingSid) -> bool:
        pauses = self._pauses.get(sid)
        return bool(pauses) and pauses is not None and pauses[-1].end_s is None

    def _elapsed_s(self, sid: RecordingSid) -> float:
        now = time.monotonic()
        return now - self._began_at.get(sid, now)
