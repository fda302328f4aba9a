"""Makes the rooms of a node from its other parts."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from b2bua.calls.orders import CallCanceled, NoteFinding
from b2bua.core.ids import CallSid
from b2bua.node.announcements import Announcer, Voice
from b2bua.node.documents import Documents
from b2bua.node.ids import RandomIds
from b2bua.node.journal import Entry, Journal
from b2bua.node.live_calls import LiveCalls
from b2bua.node.meetings import Meetings
from b2bua.node.prompt_maker import PromptMaker
from b2bua.node.recordings import Recordings
from b2bua.node.relay_link import RelayLink
from b2bua.node.room_callbacks import RoomCallbacks
from b2bua.node.room_recordings import RoomRecordings
from b2bua.node.rooms import Rooms
from b2bua.store.records import AccountRow
from b2bua.store.store import Store
from b2bua.web.outbox import Outbox
from b2bua.web.webhooks import CallWebhooks

__all__ = ["make_rooms"]


class _Node(Protocol):
    """The parts of a node."""

    account: AccountRow
    store: Store
    relay: RelayLink
    meetings: Meetings
    documents: Documents
    prompts: PromptMaker
    recordings: Recordings
    journal: Journal
    calls: LiveCalls

    @property
    def outbox(self) -> Outbox:
        """Sends callbacks."""


def make_rooms(node: _Node, sounds: Path, webhooks: Callable[[], CallWebhooks]) -> Rooms:
    """Return the rooms of a node.

    Args:
        node: its other parts.
        sounds: folder of the node's own sounds.
        webhooks: makes a client for the requests of one announcement, or for one callback.
    """

    def hang_up(call_sid: CallSid) -> None:
        node.calls.bring(call_sid, CallCanceled(by="api"))

    def note(finding: NoteFinding) -> None:
        node.journal.publish(Entry(at=time.monotonic(), fact=finding))

    voice = Voice(documents=node.documents, prompts=node.prompts, webhooks=webhooks, relay=node.relay)
    return Rooms(
        node.account.sid,
        node.store,
        node.relay,
        node.meetings,
        RoomCallbacks(node.outbox, webhooks, hang_up, note),
        sounds,
        Announcer(voice),
        RoomRecordings(node.recordings, node.relay, RandomIds().recording_sid),
    )
