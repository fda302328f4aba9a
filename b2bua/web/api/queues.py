"""``Queues`` and ``Members``: routes to make, read, change and delete queues, and to take callers out."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, TypeVar

from fastapi import APIRouter, Form, Path, Response
from pydantic import ConfigDict, Field

from b2bua.calls.parameters import API_VERSION
from b2bua.web.api.auth import API_ROOT
from b2bua.web.api.context import Api
from b2bua.web.api.control import Callback, Method
from b2bua.web.api.directory import PageRequest, Slice
from b2bua.web.api.errors import BadParameter, responses
from b2bua.web.api.forms import ApiForm, WebAddress, one_required
from b2bua.web.api.paging import PageLinks, Paging
from b2bua.web.api.queue_book import MAX_QUEUE_NAME, MAX_QUEUE_SIZE, MemberRecord, QueueRecord
from b2bua.web.api.schemas import ApiBody, rfc2822

__all__ = ["router"]

router = APIRouter(tags=["Queues"])

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TOKEN: Final = re.compile(r"[0-9]{20}\.[A-Z]{2}[0-9a-f]{32}")
_Record = TypeVar("_Record", QueueRecord, MemberRecord)

QueueSid = Annotated[str, Path(alias="QueueSid", pattern="^QU[0-9a-f]{32}$")]
MemberSid = Annotated[str, Path(alias="CallSid", pattern="^(?:CA[0-9a-f]{32}|Front)$")]
Name = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$", min_length=1, max_length=MAX_QUEUE_NAME)]
Size = Annotated[int, Field(ge=1, le=MAX_QUEUE_SIZE)]


class CreateQueueForm(ApiForm):
    """``POST Queues.json``"""

    friendly_name: Name
    """Unique among the queues of the node."""
    max_size: Size = 1000
    """Places for callers who wait."""


class UpdateQueueForm(ApiForm):
    """``POST Queues/QU….json``; absent fields stay unchanged."""

    friendly_name: Name | None = None
    max_size: Size | None = None
    """Nobody who waits has to leave if it is less than the present size."""


class UpdateMemberForm(ApiForm):
    """``POST Queues/QU…/Members/CA….json``: the document that the call is to run, or its new priority."""

    model_config = ConfigDict(json_schema_extra=one_required("Url", "Priority"))

    url: WebAddress | None = None
    method: Method = "POST"
    priority: Annotated[int, Field(ge=0, le=999)] | None = None
    """Our own extension; those who wait with a higher one come first."""


class QueueBody(ApiBody):
    """A queue of waiting callers."""

    sid: str
    account_sid: str
    friendly_name: str
    current_size: int
    max_size: int
    average_wait_time: int
    """Seconds; the mean of those who wait now."""
    date_created: str | None
    date_updated: str | None
    api_version: str = API_VERSION
    uri: str
    subresource_uris: dict[str, str]


class QueueList(PageLinks):
    """A page of queues."""

    queues: list[QueueBody]


class MemberBody(ApiBody):
    """A caller who waits."""

    call_sid: str
    queue_sid: str
    account_sid: str
    position: int
    """1: the first."""
    priority: int
    """Our own extension."""
    wait_time: int
    """Seconds."""
    date_enqueued: str | None
    uri: str


class MemberList(PageLinks):
    """A page of those who wait."""

    queue_members: list[MemberBody]


@router.post("/Queues.json", status_code=201, responses=responses(400, 413))
async def create_queue(api: Api, form: Annotated[CreateQueueForm, Form()]) -> QueueBody:
    """Make a queue. A queue is also made by the first Enqueue with its name."""
    return _body(api.queues.create(form.friendly_name, form.max_size), api.account_sid)


@router.get("/Queues.json", responses=responses(400))
async def list_queues(api: Api, paging: Paging) -> QueueList:
    """List the queues, newest first."""
    part = await paging.read(_part(api.queues.queues(), paging.wanted, newest_first=True))
    return QueueList(queues=[_body(each, api.account_sid) for each in part.items], **paging.links(part))


@router.get("/Queues/{QueueSid}.json", responses=responses())
async def fetch_queue(api: Api, sid: QueueSid) -> QueueBody:
    """Get a queue."""
    return _body(api.queues.queue(sid), api.account_sid)


@router.post("/Queues/{QueueSid}.json", responses=responses(400, 413))
async def update_queue(api: Api, sid: QueueSid, form: Annotated[UpdateQueueForm, Form()]) -> QueueBody:
    """Change name or size of a queue."""
    return _body(api.queues.update(sid, form.friendly_name, form.max_size), api.account_sid)


@router.delete("/Queues/{QueueSid}.json", status_code=204, responses=responses(409))
async def delete_queue(api: Api, sid: QueueSid) -> Response:
    """Delete a queue in which nobody is."""
    api.queues.delete(sid)
    return Response(status_code=204)


@router.get("/Queues/{QueueSid}/Members.json", responses=responses(400))
async def list_members(api: Api, sid: QueueSid, paging: Paging) -> MemberList:
    """List those who wait, the first one first."""
    part = await paging.read(_part(api.queues.members(sid), paging.wanted, newest_first=False))
    members = [_member(each, api.account_sid) for each in part.items]
    return MemberList(queue_members=members, **paging.links(part))


@router.get("/Queues/{QueueSid}/Members/{CallSid}.json", responses=responses())
async def fetch_member(api: Api, sid: QueueSid, call_sid: MemberSid) -> MemberBody:
    """Get one who waits; ``Front``: the first one."""
    return _member(api.queues.member(sid, call_sid), api.account_sid)


@router.post("/Queues/{QueueSid}/Members/{CallSid}.json", responses=responses(400, 413))
async def update_member(
    api: Api, sid: QueueSid, call_sid: MemberSid, form: Annotated[UpdateMemberForm, Form()]
) -> MemberBody:
    """Change the priority of one who waits, or take it out: its call runs the document at Url."""
    if form.url is None and form.priority is None:
        raise BadParameter("Url", "it is required, or Priority", 21205)
    if form.priority is not None:
        changed = api.queues.prioritize(sid, call_sid, form.priority)
        call_sid = changed.call_sid
        if form.url is None:
            return _member(changed, api.account_sid)
    assert form.url is not None
    document = Callback(form.url, form.method)
    return _member(api.queues.redirect(sid, call_sid, document), api.account_sid)


# -- pages ------------------------------------------------------------------------------------------------


def _key(record: QueueRecord | MemberRecord) -> str:
    """Return the page token of a page that ends with a record; tokens sort like the records."""
    if isinstance(record, QueueRecord):
        at, sid, first = record.created_at, record.sid, 0
    else:
        at, sid, first = record.entered_at, record.call_sid, 999 - record.priority
    return f"{first:03d}{(at - _EPOCH) // timedelta(microseconds=1):017d}.{sid}"


async def _part(records: Sequence[_Record], page: PageRequest, *, newest_first: bool) -> Slice[_Record]:
    """Return the records of a page; raises ValueError if its token cannot be one."""
    after = page.token
    if after is not None:
        if not _TOKEN.fullmatch(after):
            raise ValueError(after)
        records = [each for each in records if (_key(each) < after if newest_first else _key(each) > after)]
    items = tuple(records[: page.size])
    return Slice(items=items, next_token=_key(items[-1]) if len(records) > page.size else None)


def _body(queue: QueueRecord, account_sid: str) -> QueueBody:
    path = f"{API_ROOT}/Accounts/{account_sid}/Queues/{queue.sid}"
    return QueueBody(
        sid=queue.sid,
        account_sid=account_sid,
        friendly_name=queue.friendly_name,
        current_size=queue.current_size,
        max_size=queue.max_size,
        average_wait_time=queue.average_wait_s,
        date_created=rfc2822(queue.created_at),
        date_updated=rfc2822(queue.updated_at),
        uri=f"{path}.json",
        subresource_uris={"members": f"{path}/Members.json"},
    )


def _member(member: MemberRecord, account_sid: str) -> MemberBody:
    path = f"{API_ROOT}/Accounts/{account_sid}/Queues/{member.queue_sid}"
    return MemberBody(
        call_sid=member.call_sid,
        queue_sid=member.queue_sid,
        account_sid=account_sid,
        position=member.position,
        priority=member.priority,
        wait_time=member.waited_s,
        date_enqueued=rfc2822(member.entered_at),
        uri=f"{path}/Members/{member.call_sid}.json",
    )
