"""``Accounts`` and what an account has by configuration: applications, caller ids, the SIP domain.

All of it can only be read.
"""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query

from b2bua.settings import ApplicationSettings
from b2bua.web.api.account_schemas import (
    AccountBody,
    AccountList,
    ApplicationBody,
    ApplicationList,
    CallerIdBody,
    CallerIdList,
    DomainBody,
    DomainList,
)
from b2bua.web.api.auth import API_ROOT
from b2bua.web.api.context import Api, ApiContext, own_account
from b2bua.web.api.errors import NotFound, responses
from b2bua.web.api.number_book import canonical, lasting_sid
from b2bua.web.api.paging import Paging, part_of

__all__ = ["account_router", "router"]

account_router = APIRouter(tags=["Account"])
"""The routes below the API's root."""
router = APIRouter(tags=["Account"])
"""The routes below the account's path."""

_SUBRESOURCES: Final = (
    "applications",
    "calls",
    "conferences",
    "incoming_phone_numbers",
    "notifications",
    "outgoing_caller_ids",
    "queues",
    "recordings",
)
ApplicationSid = Annotated[str, Path(alias="ApplicationSid", pattern="^AP[0-9a-f]{32}$")]
CallerIdSid = Annotated[str, Path(alias="CallerIdSid", pattern="^PN[0-9a-f]{32}$")]
DomainSid = Annotated[str, Path(alias="DomainSid", pattern="^SD[0-9a-f]{32}$")]
FriendlyName = Annotated[str | None, Query(alias="FriendlyName", max_length=256)]


@account_router.get("/Accounts.json", responses=responses(400))
async def list_accounts(api: Api, paging: Paging) -> AccountList:
    """List the accounts: this node's."""
    part = await paging.read(part_of([_account(api)], paging.wanted))
    return AccountList(accounts=list(part.items), **paging.links(part))


@account_router.get("/Accounts/{AccountSid}.json", responses=responses(), dependencies=[Depends(own_account)])
async def fetch_account(api: Api) -> AccountBody:
    """Get the account of this node."""
    return _account(api)


@router.get("/Applications.json", responses=responses(400))
async def list_applications(api: Api, paging: Paging, name: FriendlyName = None) -> ApplicationList:
    """List the configured applications."""
    chosen = [each for each in api.applications.all() if name is None or each.name == name]
    part = await paging.read(part_of(chosen, paging.wanted))
    return ApplicationList(
        applications=[_application(each, api.account_sid) for each in part.items], **paging.links(part)
    )


@router.get("/Applications/{ApplicationSid}.json", responses=responses())
async def fetch_application(api: Api, sid: ApplicationSid) -> ApplicationBody:
    """Get an application."""
    application = api.applications.find(sid)
    if application is None:
        raise NotFound(f"Application {sid}")
    return _application(application, api.account_sid)


@router.get("/OutgoingCallerIds.json", responses=responses(400))
async def list_caller_ids(
    api: Api,
    paging: Paging,
    number: Annotated[str | None, Query(alias="PhoneNumber", max_length=128)] = None,
    name: FriendlyName = None,
) -> CallerIdList:
    """List the verified numbers of all trunks."""
    chosen = [
        each
        for each in api.caller_ids()
        if (number is None or canonical(number) == canonical(each)) and name in (None, each)
    ]
    part = await paging.read(part_of(chosen, paging.wanted))
    return CallerIdList(
        outgoing_caller_ids=[_caller_id(each, api.account_sid) for each in part.items], **paging.links(part)
    )


@router.get("/OutgoingCallerIds/{CallerIdSid}.json", responses=responses())
async def fetch_caller_id(api: Api, sid: CallerIdSid) -> CallerIdBody:
    """Get a verified number."""
    number = next((each for each in api.caller_ids() if lasting_sid("PN", each) == sid), None)
    if number is None:
        raise NotFound(f"OutgoingCallerId {sid}")
    return _caller_id(number, api.account_sid)


@router.get("/SIP/Domains.json", responses=responses(400))
async def list_domains(api: Api, paging: Paging) -> DomainList:
    """List the SIP domains: this node's."""
    part = await paging.read(part_of([_domain(api)], paging.wanted))
    return DomainList(domains=list(part.items), **paging.links(part))


@router.get("/SIP/Domains/{DomainSid}.json", responses=responses())
async def fetch_domain(api: Api, sid: DomainSid) -> DomainBody:
    """Get the SIP domain of this node."""
    domain = _domain(api)
    if domain.sid != sid:
        raise NotFound(f"Domain {sid}")
    return domain


def _account(api: ApiContext) -> AccountBody:
    path = f"{API_ROOT}/Accounts/{api.account_sid}"
    return AccountBody(
        sid=api.account_sid,
        owner_account_sid=api.account_sid,
        friendly_name="b2bua",
        uri=f"{path}.json",
        subresource_uris={name: f"{path}/{name.title().replace('_', '')}.json" for name in _SUBRESOURCES},
    )


def _application(application: ApplicationSettings, account_sid: str) -> ApplicationBody:
    return ApplicationBody(
        sid=application.sid,
        account_sid=account_sid,
        friendly_name=application.name or application.sid,
        voice_url=application.shown_voice_url,
        voice_method=application.voice_method,
        uri=f"{API_ROOT}/Accounts/{account_sid}/Applications/{application.sid}.json",
    )


def _caller_id(number: str, account_sid: str) -> CallerIdBody:
    sid = lasting_sid("PN", number)
    return CallerIdBody(
        sid=sid,
        account_sid=account_sid,
        friendly_name=number,
        phone_number=number,
        uri=f"{API_ROOT}/Accounts/{account_sid}/OutgoingCallerIds/{sid}.json",
    )


def _domain(api: ApiContext) -> DomainBody:
    sid = lasting_sid("SD", api.sip_domain)
    return DomainBody(
        sid=sid,
        account_sid=api.account_sid,
        domain_name=api.sip_domain,
        friendly_name=api.sip_domain,
        uri=f"{API_ROOT}/Accounts/{api.account_sid}/SIP/Domains/{sid}.json",
    )
