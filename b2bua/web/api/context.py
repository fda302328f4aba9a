"""The dependencies shared by the routes: account, directory, node, and identifiers in paths."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Path, Request

from b2bua.web.api.application_book import ApplicationBook
from b2bua.web.api.control import CallControl
from b2bua.web.api.directory import Directory
from b2bua.web.api.errors import NotFound
from b2bua.web.api.number_book import NumberBook
from b2bua.web.api.process_list import Processes
from b2bua.web.api.queue_book import QueueBook
from b2bua.web.api.room_book import RoomBook
from b2bua.web.api.sound import SoundFiles
from b2bua.web.api.upstream import Upstream

__all__ = [
    "Api",
    "ApiContext",
    "CallSid",
    "NotificationSid",
    "NumberSid",
    "RecordingSid",
    "own_account",
]


@dataclass(slots=True, kw_only=True)
class ApiContext:
    """Everything that the API uses of the node."""

    account_sid: str
    directory: Directory
    control: CallControl
    numbers: NumberBook
    applications: ApplicationBook
    sound: SoundFiles
    processes: Processes
    queues: QueueBook
    rooms: RoomBook
    credentials: Mapping[str, str] = field(repr=False)
    """Passwords by user name: the account's token, and the secrets of API keys."""
    caller_ids: Callable[[], Sequence[str]] = tuple
    """Returns the verified numbers of all trunks."""
    sip_domain: str = ""
    public_recordings: bool = False
    """Whether the sound of a recording is served to clients without credentials."""
    public_url: str
    """Prefix of the URLs given to clients, without a trailing slash; empty: derived from the server's address
    once it listens."""
    upstream: Upstream | None = None
    """Answers what no route takes."""
    requests_per_s: float = 200.0
    """Limit for one client; requests beyond it get 429."""


# Dependencies are coroutines: FastAPI would run plain functions in its thread pool.
async def _context(request: Request) -> ApiContext:
    context: ApiContext = request.app.state.api
    return context


Api = Annotated[ApiContext, Depends(_context)]

AccountSid = Annotated[str, Path(alias="AccountSid", pattern="^AC[0-9a-f]{32}$")]
CallSid = Annotated[str, Path(alias="CallSid", pattern="^CA[0-9a-f]{32}$")]
RecordingSid = Annotated[str, Path(alias="RecordingSid", pattern="^RE[0-9a-f]{32}$")]
NotificationSid = Annotated[str, Path(alias="NotificationSid", pattern="^NO[0-9a-f]{32}$")]
NumberSid = Annotated[str, Path(alias="NumberSid", pattern="^PN[0-9a-f]{32}$")]


async def own_account(account_sid: AccountSid, api: Api) -> None:
    """Raise NotFound unless the account is this node's; a dependency of all account routes."""
    if account_sid != api.account_sid:
        raise NotFound()
