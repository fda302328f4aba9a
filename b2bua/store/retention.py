"""Deletes old rows, some hundred at a time, while other rows are being written. Thread: loop."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import ColumnElement, Table, delete, select

from b2bua.store.records import RecordingRow
from b2bua.store.rows import Rows
from b2bua.store.tables import calls, outbox, recordings

__all__ = ["Pruned", "prune"]

_PRUNE_BATCH: Final = 500

_log = logging.getLogger(__name__)

DeleteSound = Callable[[RecordingRow], None]


class Pruned(msgspec.Struct, frozen=True):
    """The numbers of rows deleted."""

    calls: int
    recordings: int
    callbacks: int


async def prune(rows: Rows, older_than: datetime, delete_sound: DeleteSound | None) -> Pruned:
    """Delete old rows (``Store.prune``)."""
    ended = (calls.c.ended_at.is_not(None), calls.c.ended_at < older_than)
    settled = (outbox.c.settled_at.is_not(None), outbox.c.created_at < older_than)
    return Pruned(
        recordings=await _prune_recordings(rows, older_than, delete_sound),
        calls=await _prune(rows, calls, calls.c.sid, ended),
        callbacks=await _prune(rows, outbox, outbox.c.id, settled),
    )


async def _prune(
    rows: Rows, table: Table, key: ColumnElement[str], which: tuple[ColumnElement[bool], ...]
) -> int:
    count = 0
    while True:
        some = select(key).where(*which).limit(_PRUNE_BATCH)
        deleted = await rows.delete_at_once(delete(table).where(key.in_(some)))
        count += deleted
        if deleted < _PRUNE_BATCH:
            return count
        await asyncio.sleep(0)


async def _prune_recordings(rows: Rows, older_than: datetime, delete_sound: DeleteSound | None) -> int:
    count, last = 0, ""
    over = recordings.c.status.in_(("completed", "absent", "failed"))
    while True:
        which = (recordings.c.created_at < older_than, over, recordings.c.sid > last)
        query = select(recordings).where(*which).order_by(recordings.c.sid).limit(_PRUNE_BATCH)
        found = await rows.all(RecordingRow, query)
        gone = await asyncio.to_thread(_delete_sounds, found, delete_sound)
        await rows.delete_at_once(delete(recordings).where(recordings.c.sid.in_(gone)))
        count += len(gone)
        if len(found) < _PRUNE_BATCH:
            return count
        last = found[-1].sid


def _delete_sounds(found: tuple[RecordingRow, ...], delete_sound: DeleteSound | None) -> list[str]:
    """Delete the files of recordings, and return the sids of those whose rows may be deleted."""
    return [each.sid for each in found if _delete_sound(each, delete_sound)]


def _delete_sound(recording: RecordingRow, delete_sound: DeleteSound | None) -> bool:
    if delete_sound is None:
        return True
    try:
        delete_sound(recording)
    except OSError:
        _log.exception("store: recording file cannot be deleted", extra={"recording": recording.sid})
        return False
    return True
