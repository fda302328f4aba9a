"""The directory of the REST API, read from the store. Thread: loop."""

from sqlalchemy import delete

from b2bua.store import queries
from b2bua.store.records import CallRow, ConferenceRow, EventRow, NotificationRow, RecordingRow
from b2bua.store.rows import Rows
from b2bua.store.tables import calls, conferences, notifications, recordings
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
)

__all__ = ["StoredDirectory"]


class StoredDirectory:
    """Implements ``web.api.directory.Directory`` on the store's rows."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def calls(self, query: CallQuery, page: PageRequest) -> Slice[CallRecord]:
        """Return a page of calls, newest first."""
        return await self._rows.newest(CallRow, queries.call_filters(query), page)

    async def call(self, sid: str) -> CallRow | None:
        """Return a call, or None."""
        return await self._rows.one(CallRow, calls.c.sid == sid)

    async def delete_call(self, sid: str) -> None:
        """Delete a call with its notifications and events, but not its recordings."""
        await self._rows.delete(delete(calls).where(calls.c.sid == sid))

    async def recordings(self, query: RecordingQuery, page: PageRequest) -> Slice[RecordingRecord]:
        """Return a page of recordings, newest first."""
        return await self._rows.newest(RecordingRow, queries.recording_filters(query), page)

    async def recording(self, sid: str) -> RecordingRow | None:
        """Return a recording, or None."""
        return await self._rows.one(RecordingRow, recordings.c.sid == sid)

    async def delete_recording(self, sid: str) -> None:
        """Delete a recording's row."""
        await self._rows.delete(delete(recordings).where(recordings.c.sid == sid))

    async def conferences(self, query: ConferenceQuery, page: PageRequest) -> Slice[ConferenceRecord]:
        """Return a page of conferences, newest first."""
        return await self._rows.newest(ConferenceRow, queries.conference_filters(query), page)

    async def conference(self, sid: str) -> ConferenceRow | None:
        """Return a conference, or None."""
        return await self._rows.one(ConferenceRow, conferences.c.sid == sid)

    async def notifications(self, query: NotificationQuery, page: PageRequest) -> Slice[NotificationRecord]:
        """Return a page of notifications, newest first."""
        return await self._rows.newest(NotificationRow, queries.notification_filters(query), page)

    async def notification(self, sid: str) -> NotificationRow | None:
        """Return a notification, or None."""
        return await self._rows.one(NotificationRow, notifications.c.sid == sid)

    async def delete_notification(self, sid: str) -> None:
        """Delete a notification."""
        await self._rows.delete(delete(notifications).where(notifications.c.sid == sid))

    async def events(self, call_sid: str, page: PageRequest) -> Slice[EventRecord]:
        """Return a page of a call's events."""
        found = await self._rows.all(
            EventRow, queries.events_page(call_sid, size=page.size, token=page.token)
        )
        more = len(found) > page.size
        items = found[: page.size]
        return Slice(items=items, next_token=str(items[-1].sequence) if more else None)
