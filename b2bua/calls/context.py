"""The context given to each session of a node: configuration, a source of ids, and capacity."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from b2bua.calls.script import Script
from b2bua.core.ids import CallSid, LegId, RecordingSid, SipCallId
from b2bua.settings import Settings

__all__ = ["Contacts", "Ids", "SessionContext", "SessionIds", "nobody"]

Contacts = Callable[[str], tuple[str, ...]]
"""Maps a user's name to the URIs that ring its registered phones, in order of preference."""


def nobody(user: str) -> tuple[str, ...]:
    """Return no contacts: for a node without registered phones."""
    return ()


class Ids(Protocol):
    """A source of ids: random ones in a node, sequential ones in a test."""

    def call_sid(self) -> CallSid:
        """Return a new ``CA…`` identifier."""

    def recording_sid(self) -> RecordingSid:
        """Return a new ``RE…`` identifier."""

    def leg(self) -> LegId:
        """Return the id of a new leg of this session."""

    def sip_call_id(self) -> SipCallId:
        """Return a new Call-ID."""


class SessionIds(Ids, Protocol):
    """The ids of one session, which are the same again when the session is made again."""

    def token(self, of: str) -> str:
        """Return the idempotency token of a request that ``of`` names within the session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionContext:
    """The configuration, ids and capacity that a session works with."""

    settings: Settings
    account_sid: str
    script: Script | None
    """The script that the call runs; None: the called number is not assigned."""
    ids: Ids
    most_targets: int
    """How many targets of one Dial can ring at once."""
    trunk_is_down: Callable[[str], bool] = lambda name: False
    """Returns whether the trunk of this name is currently known not to answer."""
    knows_dialog: Callable[[str], bool] = lambda call_id: False
    """Returns whether a Call-ID belongs to a leg of this node."""
    owns_number: Callable[[str], bool] = lambda number: False
    """Returns whether a number in E.164 is one of the configured ones; patterns do not count."""
    contacts: Contacts = nobody
    public_url: str = ""
    """The node's HTTP server as the application reaches it; no trailing slash."""
    raw_recordings: str = ""
    """The folder for raw recording files."""
