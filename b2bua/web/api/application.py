"""Assembles the API, to be mounted on a node's HTTP server."""

from fastapi import Depends, FastAPI, Security

from b2bua.token_buckets import TokenBuckets
from b2bua.web.api import (
    accounts,
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
from b2bua.web.api.context import ApiContext, own_account
from b2bua.web.api.errors import install_error_answers

__all__ = ["install_api"]


def install_api(app: FastAPI, context: ApiContext) -> None:
    """Add the routes, the error handlers and the gate of the API to ``app``.

    Args:
        app: the application of the server.
        context: what the routes work on.
    """
    app.state.api = context
    shared = [Depends(own_account), Security(BASIC)]
    app.include_router(accounts.account_router, prefix=API_ROOT, dependencies=[Security(BASIC)])
    for part in (
        accounts,
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
        credentials=context.credentials,
        public_recordings=context.public_recordings,
        limit=TokenBuckets(context.requests_per_s),
    )
