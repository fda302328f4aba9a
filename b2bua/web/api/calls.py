"""``Calls``: routes to make, read, control and delete calls."""

from typing import Annotated

from fastapi import APIRouter, Form, Query, Response

from b2bua.calls.parameters import CallStatus
from b2bua.web.api.context import Api, ApiContext, CallSid
from b2bua.web.api.directory import CallQuery, CallRecord
from b2bua.web.api.errors import ApiError, BadParameter, NotFound, responses
from b2bua.web.api.forms import CreateCallForm, UpdateCallForm
from b2bua.web.api.paging import Paging
from b2bua.web.api.schemas import CallBody, CallList, call_body
from b2bua.web.api.times import Moments, moments

__all__ = ["router"]

router = APIRouter(tags=["Calls"])

_OVER = frozenset(("completed", "busy", "failed", "no-answer", "canceled"))


async def existing(api: ApiContext, sid: str) -> CallRecord:
    """Return the call; raises NotFound if there is none."""
    call = await api.directory.call(sid)
    if call is None:
        raise NotFound(f"Call {sid}")
    return call


@router.post("/Calls.json", status_code=201, responses=responses(400, 413, 503))
async def create_call(api: Api, form: Annotated[CreateCallForm, Form()]) -> CallBody:
    """Make a call, and run a document when it is answered."""
    if form.application_sid is not None:
        form = form.with_urls_of(api.applications.required(form.application_sid, "ApplicationSid"))
    if form.url is None and form.twiml is None:
        raise BadParameter("Url", "Url, Twiml or ApplicationSid is required")
    call = await api.control.create(form.request())
    return call_body(call, api.account_sid)


@router.get("/Calls.json", responses=responses(400))
async def list_calls(
    api: Api,
    paging: Paging,
    started: Annotated[Moments, moments("StartTime")],
    ended: Annotated[Moments, moments("EndTime")],
    to: Annotated[str | None, Query(alias="To", max_length=1024)] = None,
    from_: Annotated[str | None, Query(alias="From", max_length=1024)] = None,
    status: Annotated[CallStatus | None, Query(alias="Status")] = None,
    parent: Annotated[str | None, Query(alias="ParentCallSid", pattern="^CA[0-9a-f]{32}$")] = None,
) -> CallList:
    """List calls, newest first."""
    query = CallQuery(
        to=to, from_=from_, status=status, parent_sid=parent, started=started.range(), ended=ended.range()
    )
    part = await paging.read(api.directory.calls(query, paging.wanted))
    return CallList(calls=[call_body(call, api.account_sid) for call in part.items], **paging.links(part))


@router.get("/Calls/{CallSid}.json", responses=responses())
async def fetch_call(api: Api, sid: CallSid) -> CallBody:
    """Get a call."""
    return call_body(await existing(api, sid), api.account_sid)


@router.post("/Calls/{CallSid}.json", responses=responses(400, 413))
async def update_call(api: Api, sid: CallSid, form: Annotated[UpdateCallForm, Form()]) -> CallBody:
    """Redirect a call to another document, or end it. ``canceled`` only while queued or ringing."""
    await existing(api, sid)
    amendment = form.amendment()
    if amendment is not None:
        await api.control.amend(sid, amendment)
    document = form.document()
    if form.status == "canceled":
        await api.control.cancel(sid)
    elif form.status == "completed":
        await api.control.complete(sid)
    elif document is not None:
        await api.control.redirect(sid, document)
    return call_body(await existing(api, sid), api.account_sid)


@router.delete("/Calls/{CallSid}.json", status_code=204, responses=responses(409))
async def delete_call(api: Api, sid: CallSid) -> Response:
    """Delete the record of a call that has ended, with its notifications and events."""
    call = await existing(api, sid)
    if call.status not in _OVER:
        raise ApiError(20009, "A call cannot be deleted before it has ended", status=409)
    await api.directory.delete_call(sid)
    return Response(status_code=204)
