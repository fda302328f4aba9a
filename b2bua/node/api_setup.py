"""Makes what the REST API works on from the parts of a node."""

from typing import Protocol

from b2bua.engine.pool import Pool
from b2bua.node.configuration import Configuration
from b2bua.node.control import Control
from b2bua.node.edge_link import EdgeLink
from b2bua.node.ledger import Ledger
from b2bua.node.live_calls import LiveCalls
from b2bua.node.processes import NodeProcesses
from b2bua.node.queue_desk import QueueDesk
from b2bua.node.queues import Queues
from b2bua.node.recordings import Recordings
from b2bua.node.relay_link import RelayLink
from b2bua.node.room_desk import RoomDesk
from b2bua.node.rooms import Rooms
from b2bua.store.records import AccountRow
from b2bua.store.store import Store
from b2bua.web.api.context import ApiContext
from b2bua.web.api.sound import SoundFiles
from b2bua.web.api.upstream import Upstream

__all__ = ["make_api"]


class _Node(Protocol):
    """The parts of a node."""

    account: AccountRow
    calls: LiveCalls
    configuration: Configuration
    edge: EdgeLink
    ledger: Ledger
    pool: Pool
    queues: Queues
    recordings: Recordings
    relay: RelayLink
    rooms: Rooms
    store: Store


def make_api(node: _Node) -> ApiContext:
    """Return what the routes use of a node whose parts all exist."""
    configuration = node.configuration
    settings = configuration.settings
    control = Control(node.calls, node.ledger, node.recordings)
    return ApiContext(
        account_sid=node.account.sid,
        directory=node.store.directory,
        control=control,
        numbers=configuration.numbers,
        sound=SoundFiles(settings.storage.recordings),
        queues=QueueDesk(node.queues),
        rooms=RoomDesk(node.rooms, control),
        processes=NodeProcesses(node.edge, node.relay, node.pool, node.ledger),
        credentials=settings.api_secrets | {node.account.sid: node.account.auth_token},
        applications=configuration.applications,
        caller_ids=lambda: configuration.settings.caller_ids,  # a reload changes them
        sip_domain=settings.sip.domain,
        public_recordings=settings.http.public_recordings,
        public_url=settings.http.public_url,
        upstream=Upstream.of(settings.http),
    )
