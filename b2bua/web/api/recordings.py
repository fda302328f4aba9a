"""``Recordings``: routes to start, pause, stop, play and delete recordings, of the account and of a call.

The sound is at the resource's own path: without a suffix or with ``.wav`` as it was recorded, with ``.mp3``
in that format. It is served only to clients with credentials.
"""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Form, Path, Query, Response
from starlette.convertors import Convertor, register_url_convertor

from b2bua.web.api.calls import existing
from b2bua.web.api.context import Api, ApiContext, CallSid, RecordingSid
from b2bua.web.api.directory import RecordingQuery, RecordingRecord
from b2bua.web.api.errors import ApiError, NotFound, responses
from b2bua.web.api.forms import CreateRecordingForm, UpdateRecordingForm
from b2bua.web.api.paging import Paging, PagingQuery
from b2bua.web.api.schemas import RecordingBody, RecordingList, recording_body
from b2bua.web.api.sound import Format, SoundResponse
from b2bua.web.api.times import Moments, moments

__all__ = ["CURRENT", "LiveSid", "delete_over", "router"]


class _Undotted(Convertor[str]):
    """A path segment without a suffix."""

    regex = "[^/.]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("undotted", _Undotted())
router = APIRouter(tags=["Recordings"])

CURRENT: Final = "Twilio.CURRENT"
"""Used in place of an identifier for the call's running recording."""

_OVER: Final = frozenset(("completed", "absent", "failed"))

Hear = TypeVar("Hear", bound=Callable[..., Any])
DateCreated = Annotated[Moments, moments("DateCreated")]
LiveSid = Annotated[str, Path(alias="RecordingSid", pattern=r"^(?:RE[0-9a-f]{32}|Twilio\.CURRENT)$")]


@router.post("/Calls/{CallSid}/Recordings.json", status_code=201, responses=responses(400, 413))
async def start_recording(
    api: Api, sid: CallSid, form: Annotated[CreateRecordingForm, Form()]
) -> RecordingBody:
    """Record a call that is in progress."""
    await existing(api, sid)
    return _body(api, await api.control.start_recording(sid, form.recording()))


@router.get("/Calls/{CallSid}/Recordings.json", responses=responses(400))
async def list_call_recordings(api: Api, sid: CallSid, paging: Paging, date: DateCreated) -> RecordingList:
    """List the recordings of a call, newest first."""
    await existing(api, sid)
    return await _listed(api, paging, RecordingQuery(call_sid=sid, created=date.range()))


@router.get("/Calls/{CallSid}/Recordings/{RecordingSid}.json", responses=responses())
async def fetch_call_recording(api: Api, call_sid: CallSid, sid: RecordingSid) -> RecordingBody:
    """Get a recording of a call."""
    return _body(api, await _existing(api, sid, call_sid))


@router.post("/Calls/{CallSid}/Recordings/{RecordingSid}.json", responses=responses(400, 413))
async def update_call_recording(
    api: Api, call_sid: CallSid, sid: LiveSid, form: Annotated[UpdateRecordingForm, Form()]
) -> RecordingBody:
    """Pause, resume or stop a recording."""
    await existing(api, call_sid)
    if sid != CURRENT:
        await _existing(api, sid, call_sid)
    which = None if sid == CURRENT else sid
    return _body(api, await api.control.update_recording(call_sid, which, form.status, form.pause_behavior))


@router.delete("/Calls/{CallSid}/Recordings/{RecordingSid}.json", status_code=204, responses=responses(409))
async def delete_call_recording(api: Api, call_sid: CallSid, sid: RecordingSid) -> Response:
    """Delete a recording of a call, with its audio file."""
    return await delete_over(api, await _existing(api, sid, call_sid))


@router.get("/Recordings.json", responses=responses(400))
async def list_recordings(
    api: Api,
    paging: Paging,
    date: DateCreated,
    call_sid: Annotated[str | None, Query(alias="CallSid", pattern="^CA[0-9a-f]{32}$")] = None,
    conference_sid: Annotated[str | None, Query(alias="ConferenceSid", pattern="^CF[0-9a-f]{32}$")] = None,
) -> RecordingList:
    """List the recordings of all calls, newest first."""
    query = RecordingQuery(call_sid=call_sid, conference_sid=conference_sid, created=date.range())
    return await _listed(api, paging, query)


@router.get("/Recordings/{RecordingSid}.json", responses=responses())
async def fetch_recording(api: Api, sid: RecordingSid) -> RecordingBody:
    """Get a recording."""
    return _body(api, await _existing(api, sid))


@router.delete("/Recordings/{RecordingSid}.json", status_code=204, responses=responses(409))
@router.delete(
    "/Recordings/{RecordingSid:undotted}", status_code=204, responses=responses(409), name="delete_sound"
)
async def delete_recording(api: Api, sid: RecordingSid) -> Response:
    """Delete a recording, with its audio file."""
    return await delete_over(api, await _existing(api, sid))


# -- the sound --------------------------------------------------------------------------------------------


def _sound_responses(media_type: str) -> dict[int | str, dict[str, Any]]:
    sound = {"content": {media_type: {"schema": {"type": "string", "format": "binary"}}}}
    whole = {"description": "The audio", **sound}
    part = {"description": "The requested range", **sound}
    return {200: whole, 206: part, **responses(416)}


def _sound_route(path: str, media_type: str) -> Callable[[Hear], Hear]:
    return router.get(
        path,
        status_code=200,
        response_class=SoundResponse,
        response_model=None,
        responses=_sound_responses(media_type),
    )


@_sound_route("/Recordings/{RecordingSid}.wav", "audio/x-wav")
async def hear_wav(api: Api, sid: RecordingSid) -> SoundResponse:
    """Get the audio as recorded: WAV, 16-bit PCM."""
    return await _sound(api, sid, "wav")


@_sound_route("/Recordings/{RecordingSid}.mp3", "audio/mpeg")
async def hear_mp3(api: Api, sid: RecordingSid) -> SoundResponse:
    """Get the audio as MP3."""
    return await _sound(api, sid, "mp3")


@_sound_route("/Recordings/{RecordingSid:undotted}", "audio/x-wav")
async def hear(api: Api, sid: RecordingSid) -> SoundResponse:
    """Get the audio as WAV; this is RecordingUrl."""
    return await _sound(api, sid, "wav")


async def _sound(api: ApiContext, sid: str, form: Format) -> SoundResponse:
    await _existing(api, sid)
    path = await api.sound.find(sid, form)
    if path is None:  # not complete yet, or nothing could be recorded
        raise NotFound(f"The audio of recording {sid}")
    return await asyncio.to_thread(SoundResponse, path, form)


# -- shared -----------------------------------------------------------------------------------------------


async def _existing(api: ApiContext, sid: str, call_sid: str | None = None) -> RecordingRecord:
    recording = await api.directory.recording(sid)
    if recording is None or call_sid not in (None, recording.call_sid):
        raise NotFound(f"Recording {sid}")
    return recording


async def delete_over(api: ApiContext, recording: RecordingRecord) -> Response:
    """Delete a recording that is complete, with its audio file."""
    if recording.status not in _OVER:
        raise ApiError(20009, "A recording cannot be deleted before it is complete", status=409)
    # The row is deleted last: a file without a row could never be found again.
    await asyncio.to_thread(api.sound.delete, recording.sid)
    await api.directory.delete_recording(recording.sid)
    return Response(status_code=204)


async def _listed(api: ApiContext, paging: PagingQuery, query: RecordingQuery) -> RecordingList:
    part = await paging.read(api.directory.recordings(query, paging.wanted))
    return RecordingList(recordings=[_body(api, each) for each in part.items], **paging.links(part))


def _body(api: ApiContext, recording: RecordingRecord) -> RecordingBody:
    return recording_body(recording, api.account_sid, api.public_url)
