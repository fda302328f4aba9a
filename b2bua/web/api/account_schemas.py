"""The resources of an account's configuration as JSON, with the fields of the hosted service.

Source: its API reference, version 2010-04-01 (read November 2026).
"""

from b2bua.calls.parameters import API_VERSION
from b2bua.web.api.paging import PageLinks
from b2bua.web.api.schemas import ApiBody

__all__ = [
    "AccountBody",
    "AccountList",
    "ApplicationBody",
    "ApplicationList",
    "CallerIdBody",
    "CallerIdList",
    "DomainBody",
    "DomainList",
]


class AccountBody(ApiBody):
    """The account of this node. A node has exactly one."""

    sid: str
    friendly_name: str
    owner_account_sid: str
    status: str = "active"
    type: str = "Full"
    uri: str
    subresource_uris: dict[str, str]


class AccountList(PageLinks):
    """A page of accounts."""

    accounts: list[AccountBody]


class ApplicationBody(ApiBody):
    """A configured application."""

    sid: str
    account_sid: str
    friendly_name: str
    api_version: str = API_VERSION
    voice_url: str
    voice_method: str
    date_created: None = None
    date_updated: None = None
    uri: str


class ApplicationList(PageLinks):
    """A page of applications."""

    applications: list[ApplicationBody]


class CallerIdBody(ApiBody):
    """A number that may be shown to callees."""

    sid: str
    account_sid: str
    friendly_name: str
    phone_number: str
    date_created: None = None
    date_updated: None = None
    uri: str


class CallerIdList(PageLinks):
    """A page of verified numbers."""

    outgoing_caller_ids: list[CallerIdBody]


class DomainBody(ApiBody):
    """The SIP domain of this node."""

    sid: str
    account_sid: str
    domain_name: str
    friendly_name: str
    api_version: str = API_VERSION
    auth_type: str = "CREDENTIAL_LIST"
    sip_registration: bool = True
    secure: bool = False
    date_created: None = None
    date_updated: None = None
    uri: str


class DomainList(PageLinks):
    """A page of SIP domains."""

    domains: list[DomainBody]
