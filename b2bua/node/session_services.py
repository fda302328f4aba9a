"""The services of a node that a session uses."""

from collections.abc import Coroutine
from typing import Protocol

from b2bua.node.documents import Documents
from b2bua.node.helpers import WorkerSource
from b2bua.node.journal import Journal
from b2bua.node.meetings import Meetings
from b2bua.node.prompt_maker import PromptMaker
from b2bua.node.queues import Queues
from b2bua.node.recordings import Recordings
from b2bua.node.rooms import Rooms
from b2bua.node.session_audio import RelayPort
from b2bua.web.outbox import Outbox

__all__ = ["SessionServices"]


class SessionServices(Protocol):
    """The services that a session uses in its node."""

    @property
    def documents(self) -> Documents:
        """Fetches documents."""

    @property
    def prompts(self) -> PromptMaker:
        """Makes prompts."""

    @property
    def recordings(self) -> Recordings:
        """Makes and keeps recordings."""

    @property
    def outbox(self) -> Outbox:
        """Sends status callbacks."""

    @property
    def journal(self) -> Journal:
        """Publishes facts."""

    @property
    def relay(self) -> RelayPort:
        """Carries the audio."""

    @property
    def pool(self) -> WorkerSource:
        """Gives further workers."""

    @property
    def relay_records(self) -> bool:
        """Whether the relay records at the clock rate of the workers."""

    @property
    def queues(self) -> Queues:
        """Lets calls wait and be bridged."""

    @property
    def rooms(self) -> Rooms:
        """Lets calls confer."""

    @property
    def meetings(self) -> Meetings:
        """Joins legs of different sessions."""

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run ``work`` as a task that the node waits for when it closes."""
