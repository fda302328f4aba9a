"""``Conferences`` and ``Participants``: routes to read and end conferences, and to steer who is in them."""

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Path, Query, Response

from b2bua.calls.parameters import API_VERSION
from b2bua.web.api.auth import API_ROOT
from b2bua.web.api.context import Api, ApiContext
from b2bua.web.api.control import Callback
from b2bua.web.api.directory import ConferenceQuery, ConferenceRecord, PageRequest, Slice
from b2bua.web.api.errors import ApiError, BadParameter, NotFound, responses
from b2bua.web.api.paging import PageLinks, Paging
from b2bua.web.api.participant_forms import (
    CreateParticipantForm,
    Silence,
    UpdateConferenceForm,
    UpdateParticipantForm,
)
from b2bua.web.api.room_book import ParticipantRecord
from b2bua.web.api.schemas import ApiBody, rfc2822
from b2bua.web.api.times import DAY, Moments, moments

__all__ = ["Conference", "existing_conference", "router"]

router = APIRouter(tags=["Conferences"])

_ONE = "/Conferences/{ConferenceSid}"
_ALL_OF = f"{_ONE}/Participants.json"
_ONE_OF = f"{_ONE}/Participants/{{Participant}}.json"
Conference = Annotated[str, Path(alias="ConferenceSid", min_length=1, max_length=128)]
"""The sid of a conference, or the name of a live one."""
Who = Annotated[str, Path(alias="Participant", min_length=1, max_length=128)]
"""The CallSid or the label of a participant."""


class ConferenceBody(ApiBody):
    """A conference."""

    sid: str
    account_sid: str
    friendly_name: str
    status: str
    region: None = None
    reason_conference_ended: str | None
    call_sid_ending_conference: str | None
    date_created: str | None
    date_updated: str | None
    api_version: str = API_VERSION
    uri: str
    subresource_uris: dict[str, str]


class ConferenceList(PageLinks):
    """A page of conferences."""

    conferences: list[ConferenceBody]


class ParticipantBody(ApiBody):
    """A call in a conference, or on its way there."""

    account_sid: str
    call_sid: str
    conference_sid: str
    label: str | None
    call_sid_to_coach: str | None
    coaching: bool
    muted: bool
    hold: bool
    start_conference_on_enter: bool
    end_conference_on_exit: bool
    volume_in: int
    """dB; our own extension, like ``volume_out``."""
    volume_out: int
    status: str
    queue_time: str | None = None
    date_created: str | None
    date_updated: str | None
    uri: str


class ParticipantList(PageLinks):
    """A page of participants."""

    participants: list[ParticipantBody]


class SpeakerList(PageLinks):
    """A page of participants who speak."""

    active_speakers: list[ParticipantBody]


# -- conferences ------------------------------------------------------------------------------------------


@router.get("/Conferences.json", responses=responses(400))
async def list_conferences(
    api: Api,
    paging: Paging,
    created: Annotated[Moments, moments("DateCreated", DAY)],
    updated: Annotated[Moments, moments("DateUpdated", DAY)],
    status: Annotated[Literal["init", "in-progress", "completed"], Query(alias="Status")] = "in-progress",
    name: Annotated[str | None, Query(alias="FriendlyName", max_length=128)] = None,
) -> ConferenceList:
    """List conferences, newest first; without Status those in progress."""
    query = ConferenceQuery(
        friendly_name=name, status=status, created=created.range(), updated=updated.range()
    )
    part = await paging.read(api.directory.conferences(query, paging.wanted))
    return ConferenceList(conferences=[_body(each, api) for each in part.items], **paging.links(part))


@router.get(f"{_ONE}.json", responses=responses())
async def fetch_conference(api: Api, conference: Conference) -> ConferenceBody:
    """Get a conference."""
    return _body(await existing_conference(api, conference), api)


@router.post(f"{_ONE}.json", responses=responses(400, 413))
async def update_conference(
    api: Api, conference: Conference, form: Annotated[UpdateConferenceForm, Form()]
) -> ConferenceBody:
    """End a conference for all, or play a document to it."""
    found = await existing_conference(api, conference)
    if form.announce_url is not None:
        if found.status == "completed":
            raise ApiError(16022, "The conference has ended")
        api.rooms.announce(found.sid, Callback(form.announce_url, form.announce_method))
    if form.status is not None:
        api.rooms.end(found.sid)
    return _body(await existing_conference(api, found.sid), api)


# -- participants -----------------------------------------------------------------------------------------


@router.get(_ALL_OF, responses=responses(400))
async def list_participants(
    api: Api,
    conference: Conference,
    paging: Paging,
    muted: Annotated[bool | None, Query(alias="Muted")] = None,
    hold: Annotated[bool | None, Query(alias="Hold")] = None,
    coaching: Annotated[bool | None, Query(alias="Coaching")] = None,
) -> ParticipantList:
    """List the participants in the order of their coming; none once the conference has ended."""
    found = await existing_conference(api, conference)
    chosen = [
        each
        for each in api.rooms.participants(found.sid)
        if muted in (None, each.muted) and hold in (None, each.hold) and coaching in (None, each.coaching)
    ]
    part = await paging.read(_part(chosen, paging.wanted))
    return ParticipantList(
        participants=[_participant(each, api) for each in part.items], **paging.links(part)
    )


@router.get(f"{_ONE}/ActiveSpeakers.json", responses=responses(400))
async def list_active_speakers(api: Api, conference: Conference, paging: Paging) -> SpeakerList:
    """List the participants who speak now: our own extension."""
    found = await existing_conference(api, conference)
    part = await paging.read(_part(await api.rooms.active_speakers(found.sid), paging.wanted))
    speakers = [_participant(each, api) for each in part.items]
    return SpeakerList(active_speakers=speakers, **paging.links(part))


@router.post(_ALL_OF, status_code=201, responses=responses(400, 413, 503))
async def create_participant(
    api: Api, conference: Conference, form: Annotated[CreateParticipantForm, Form()], silence: Silence
) -> ParticipantBody:
    """Make a call that joins the conference when it is answered. A name that no live one has makes one."""
    if form.coaching is not None and form.coaching.lower() == "true" and form.call_sid_to_coach is None:
        raise BadParameter("CallSidToCoach", "Coaching needs it")
    if await _ended(api, conference):
        raise ApiError(16022, "The conference has ended")
    body = _participant(await api.rooms.add(conference, form.request(silence)), api)
    return body.model_copy(update={"queue_time": "0"})


@router.get(_ONE_OF, responses=responses())
async def fetch_participant(api: Api, conference: Conference, who: Who) -> ParticipantBody:
    """Get a participant by its CallSid or label."""
    return _participant(api.rooms.participant((await existing_conference(api, conference)).sid, who), api)


@router.post(_ONE_OF, responses=responses(400, 413))
async def update_participant(
    api: Api,
    conference: Conference,
    who: Who,
    form: Annotated[UpdateParticipantForm, Form()],
    silence: Silence,
) -> ParticipantBody:
    """Mute, hold, coach or change a participant, or play a document to it."""
    found = await existing_conference(api, conference)
    return _participant(api.rooms.change(found.sid, who, form.change(silence)), api)


@router.delete(_ONE_OF, status_code=204, responses=responses())
async def delete_participant(api: Api, conference: Conference, who: Who) -> Response:
    """Remove a participant from the conference; its document goes on."""
    api.rooms.kick((await existing_conference(api, conference)).sid, who)
    return Response(status_code=204)


# -- shared -----------------------------------------------------------------------------------------------


async def existing_conference(api: ApiContext, name_or_sid: str) -> ConferenceRecord:
    """Return a conference; raises NotFound if there is none."""
    sid = api.rooms.sid_of(name_or_sid) or name_or_sid
    found = await api.directory.conference(sid)
    if found is None:
        raise NotFound(f"Conference {name_or_sid}")
    return found


async def _ended(api: ApiContext, name_or_sid: str) -> bool:
    if api.rooms.sid_of(name_or_sid) is not None:
        return False
    return await api.directory.conference(name_or_sid) is not None and not api.rooms.participants(name_or_sid)


async def _part(records: list[ParticipantRecord], page: PageRequest) -> Slice[ParticipantRecord]:
    """Return a page; it begins after the participant that its token names."""
    start = 0
    if page.token is not None:
        sids = [each.call_sid for each in records]
        if not page.token.startswith("CA"):
            raise ValueError(page.token)
        start = sids.index(page.token) + 1 if page.token in sids else len(sids)
    items = tuple(records[start : start + page.size])
    more = len(records) > start + page.size
    return Slice(items=items, next_token=items[-1].call_sid if more else None)


def _body(conference: ConferenceRecord, api: ApiContext) -> ConferenceBody:
    path = f"{API_ROOT}/Accounts/{api.account_sid}/Conferences/{conference.sid}"
    return ConferenceBody(
        sid=conference.sid,
        account_sid=api.account_sid,
        friendly_name=conference.friendly_name,
        status=conference.status,
        reason_conference_ended=conference.reason_ended,
        call_sid_ending_conference=conference.call_sid_ending,
        date_created=rfc2822(conference.created_at),
        date_updated=rfc2822(conference.updated_at),
        uri=f"{path}.json",
        subresource_uris={
            "participants": f"{path}/Participants.json",
            "recordings": f"{path}/Recordings.json",
        },
    )


def _participant(participant: ParticipantRecord, api: ApiContext) -> ParticipantBody:
    path = f"{API_ROOT}/Accounts/{api.account_sid}/Conferences/{participant.conference_sid}"
    return ParticipantBody(
        account_sid=api.account_sid,
        call_sid=participant.call_sid,
        conference_sid=participant.conference_sid,
        label=participant.label,
        call_sid_to_coach=participant.call_sid_to_coach,
        coaching=participant.coaching,
        muted=participant.muted,
        hold=participant.hold,
        start_conference_on_enter=participant.start_on_enter,
        end_conference_on_exit=participant.end_on_exit,
        volume_in=participant.volume_in_db,
        volume_out=participant.volume_out_db,
        status=participant.status,
        date_created=rfc2822(participant.created_at),
        date_updated=rfc2822(participant.created_at),
        uri=f"{path}/Participants/{participant.call_sid}.json",
    )
