"""``Notifications``: routes for warnings and errors, of one call or of all calls."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Response

from b2bua.web.api.calls import existing
from b2bua.web.api.context import Api, ApiContext, CallSid, NotificationSid
from b2bua.web.api.directory import NotificationQuery, NotificationRecord
from b2bua.web.api.errors import NotFound, responses
from b2bua.web.api.paging import Paging, PagingQuery
from b2bua.web.api.schemas import NotificationBody, NotificationList, notification_body
from b2bua.web.api.times import Moments, moments

__all__ = ["router"]

router = APIRouter(tags=["Notifications"])

Log = Annotated[Literal["0", "1"] | None, Query(alias="Log", description="0: errors, 1: warnings")]
MessageDate = Annotated[Moments, moments("MessageDate")]

_SEVERITIES: Final[dict[str, Literal["error", "warning"]]] = {"0": "error", "1": "warning"}


@router.get("/Notifications.json", responses=responses(400))
async def list_notifications(
    api: Api, paging: Paging, date: MessageDate, log: Log = None
) -> NotificationList:
    """List the notifications of all calls, newest first."""
    return await _listed(api, paging, None, log, date)


@router.get("/Calls/{CallSid}/Notifications.json", responses=responses(400))
async def list_call_notifications(
    api: Api, sid: CallSid, paging: Paging, date: MessageDate, log: Log = None
) -> NotificationList:
    """List the notifications of a call, newest first."""
    await existing(api, sid)
    return await _listed(api, paging, sid, log, date)


@router.get("/Notifications/{NotificationSid}.json", responses=responses())
async def fetch_notification(api: Api, sid: NotificationSid) -> NotificationBody:
    """Get a notification."""
    return notification_body(await _existing(api, sid), api.account_sid)


@router.get("/Calls/{CallSid}/Notifications/{NotificationSid}.json", responses=responses())
async def fetch_call_notification(api: Api, call_sid: CallSid, sid: NotificationSid) -> NotificationBody:
    """Get a notification of a call."""
    return notification_body(await _existing(api, sid, call_sid), api.account_sid)


@router.delete("/Notifications/{NotificationSid}.json", status_code=204, responses=responses())
async def delete_notification(api: Api, sid: NotificationSid) -> Response:
    """Delete a notification."""
    await _existing(api, sid)
    await api.directory.delete_notification(sid)
    return Response(status_code=204)


async def _existing(api: ApiContext, sid: str, call_sid: str | None = None) -> NotificationRecord:
    notification = await api.directory.notification(sid)
    if notification is None or call_sid not in (None, notification.call_sid):
        raise NotFound(f"Notification {sid}")
    return notification


async def _listed(
    api: ApiContext, paging: PagingQuery, call_sid: str | None, log: str | None, date: Moments
) -> NotificationList:
    query = NotificationQuery(
        call_sid=call_sid, severity=_SEVERITIES.get(log) if log else None, created=date.range()
    )
    part = await paging.read(api.directory.notifications(query, paging.wanted))
    bodies = [notification_body(each, api.account_sid) for each in part.items]
    return NotificationList(notifications=bodies, **paging.links(part))
