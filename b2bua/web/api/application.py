"""Assembles the API, to be mounted on a node's HTTP server."""

from fastapi import APIRouter, Depends, FastAPI, Security

from b2bua.token_buckets import TokenBuckets
from b2bua.web.api import (
    calls,
    conference_recordings,
    conferences,
    events,
    notifications,
    numbers,
    processes,
    queues,
    recordings,
)
from b2bua.web.api.auth import API_ROOT, BASIC, OWN_ROOT, Gate
from b2bua.web.api.context import Api, ApiContext, own_account
from b2bua.web.api.errors import install_error_answers, responses
from b2bua.web.api.schemas import AccountBody

__all__ = ["install_api"]

_account = APIRouter(tags=["Account"])


@_account.get("/Accounts/{AccountSid}.json", responses=responses())
async def fetch_account(api: Api) -> AccountBody:
    """Get the account of this node."""
    path = f"{API_ROOT}/Accounts/{api.account_sid}"
    lists = ("calls", "recordings", "notifications", "incoming_phone_numbers", "queues", "conferences")
    return AccountBody(
        sid=api.account_sid,
        owner_account_sid=api.account_sid,
        friendly_name="b2bua",
        uri=f"{path}.json",
        subresource_uris={name: f"{path}/{name.title().replace('_', '')}.json" for name in lists},
    )


def install_api(app: FastAPI, context: ApiContext) -> None:
    """Add the routes, the error handlers and the gate of the API to ``app``.

    Args:
        app: the application of the server.
        context: what the routes work on.
    """
    app.state.api = context
    shared = [Depends(own_account), Security(BASIC)]
    app.include_router(_account, prefix=API_ROOT, dependencies=shared)
    for part in (
        calls,
        recordings,
        notifications,
        events,
        numbers,
        queues,
        conferences,
        conference_recordings,
    ):
        app.include_router(part.router, prefix=f"{API_ROOT}/Accounts/{{AccountSid}}", dependencies=shared)
    app.include_router(processes.router, prefix=OWN_ROOT, dependencies=[Security(BASIC)])
    install_error_answers(app)
    app.add_middleware(
        Gate,
        account_sid=context.account_sid,
        auth_token=context.auth_token,
        limit=TokenBuckets(context.requests_per_s),
    )
