"""``Calls/CA…/Events``: the requests to the application during a call, and its answers."""

from fastapi import APIRouter

from b2bua.web.api.calls import existing
from b2bua.web.api.context import Api, CallSid
from b2bua.web.api.errors import responses
from b2bua.web.api.paging import Paging
from b2bua.web.api.schemas import EventList, event_body

__all__ = ["router"]

router = APIRouter(tags=["Events"])


@router.get("/Calls/{CallSid}/Events.json", responses=responses(400))
async def list_events(api: Api, sid: CallSid, paging: Paging) -> EventList:
    """List the requests of a call to the application, oldest first."""
    await existing(api, sid)
    part = await paging.read(api.directory.events(sid, paging.wanted))
    return EventList(events=[event_body(each) for each in part.items], **paging.links(part))
