"""The account that a node's calls belong to. Thread: the controller's loop."""

from datetime import UTC, datetime

import msgspec

from b2bua.settings import Settings
from b2bua.store.records import AccountRow
from b2bua.store.store import Store

__all__ = ["own_account"]


async def own_account(store: Store, settings: Settings) -> AccountRow:
    """Return the account that webhooks name and are signed with.

    Values that are not configured are generated once and kept.
    """
    sid, token = settings.account.sid or "", settings.account.auth_token
    if sid and token is not None:
        return AccountRow(sid=sid, auth_token=token.get_secret_value(), created_at=datetime.now(UTC))
    kept = await store.account(sid)
    return kept if token is None else msgspec.structs.replace(kept, auth_token=token.get_secret_value())
