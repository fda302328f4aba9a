"""``Recordings`` of a conference: routes to start, pause, stop, read and delete them."""

from typing import Annotated

from fastapi import APIRouter, Form, Response

from b2bua.web.api.conferences import Conference, existing_conference
from b2bua.web.api.context import Api, ApiContext, RecordingSid
from b2bua.web.api.directory import RecordingQuery, RecordingRecord
from b2bua.web.api.errors import NotFound, responses
from b2bua.web.api.forms import CreateRecordingForm, UpdateRecordingForm
from b2bua.web.api.paging import Paging
from b2bua.web.api.recordings import CURRENT, LiveSid, delete_over
from b2bua.web.api.schemas import RecordingBody, RecordingList, recording_body
from b2bua.web.api.times import DAY, Moments, moments

__all__ = ["router"]

router = APIRouter(tags=["Recordings"])

_ALL = "/Conferences/{ConferenceSid}/Recordings.json"
_ONE = "/Conferences/{ConferenceSid}/Recordings/{RecordingSid}.json"


@router.post(_ALL, status_code=201, responses=responses(400, 413))
async def start_conference_recording(
    api: Api, conference: Conference, form: Annotated[CreateRecordingForm, Form()]
) -> RecordingBody:
    """Record a conference that is in progress."""
    found = await existing_conference(api, conference)
    return await _fetched(api, api.rooms.record(found.sid, form.recording()))


@router.get(_ALL, responses=responses(400))
async def list_conference_recordings(
    api: Api,
    conference: Conference,
    paging: Paging,
    created: Annotated[Moments, moments("DateCreated", DAY)],
) -> RecordingList:
    """List the recordings of a conference, newest first."""
    sid = (await existing_conference(api, conference)).sid
    query = RecordingQuery(conference_sid=sid, created=created.range())
    part = await paging.read(api.directory.recordings(query, paging.wanted))
    bodies = [_body(api, each) for each in part.items]
    return RecordingList(recordings=bodies, **paging.links(part))


@router.get(_ONE, responses=responses())
async def fetch_conference_recording(api: Api, conference: Conference, sid: RecordingSid) -> RecordingBody:
    """Get a recording of a conference."""
    return _body(api, await _existing(api, conference, sid))


@router.post(_ONE, responses=responses(400, 413))
async def update_conference_recording(
    api: Api, conference: Conference, sid: LiveSid, form: Annotated[UpdateRecordingForm, Form()]
) -> RecordingBody:
    """Pause, resume or stop a recording."""
    found = await existing_conference(api, conference)
    if sid != CURRENT:
        await _existing(api, found.sid, sid)
    which = None if sid == CURRENT else sid
    changed = api.rooms.change_recording(found.sid, which, form.status, form.pause_behavior)
    return await _fetched(api, changed)


@router.delete(_ONE, status_code=204, responses=responses(409))
async def delete_conference_recording(api: Api, conference: Conference, sid: RecordingSid) -> Response:
    """Delete a recording of a conference, with its audio file."""
    return await delete_over(api, await _existing(api, conference, sid))


async def _existing(api: ApiContext, conference: str, sid: str) -> RecordingRecord:
    found = await existing_conference(api, conference)
    recording = await api.directory.recording(sid)
    if recording is None or recording.conference_sid != found.sid:
        raise NotFound(f"Recording {sid}")
    return recording


async def _fetched(api: ApiContext, sid: str) -> RecordingBody:
    recording = await api.directory.recording(sid)
    if recording is None:
        raise NotFound(f"Recording {sid}")
    return _body(api, recording)


def _body(api: ApiContext, recording: RecordingRecord) -> RecordingBody:
    return recording_body(recording, api.account_sid, api.public_url)
