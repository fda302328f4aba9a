"""Deletes rows and recordings older than configured, once an hour. Thread: the controller's loop."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import msgspec

from b2bua.store.store import Store
from b2bua.web.api.sound import SoundFiles

__all__ = ["prune_forever"]

log = logging.getLogger(__name__)

_INTERVAL_S = 3600


async def prune_forever(store: Store, sound: SoundFiles, keep_days: int) -> None:
    """Delete rows older than ``keep_days`` once an hour, and the files of deleted recordings."""
    while True:
        older_than = datetime.now(UTC) - timedelta(days=keep_days)
        try:
            pruned = await store.prune(older_than, lambda row: sound.delete(row.sid))
            log.info("pruned", extra=msgspec.structs.asdict(pruned))
        except Exception:  # the database may be unavailable for a while
            log.exception("expired records could not be deleted")
        await asyncio.sleep(_INTERVAL_S)
