"""What every session of a node is given: configuration, a source of ids, and how much it can carry."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from b2bua.calls.script import Script
from b2bua.core.ids import CallSid, LegId, RecordingSid, SipCallId
from b2bua.settings import Settings

__all__ = ["Contacts", "Ids", "SessionContext", "nobody"]

Contacts = Callable[[str], tuple[str, ...]]
"""From a user's name to the URIs that ring its registered phones, the preferred first."""


def nobody(user: str) -> tuple[str, ...]:
    """Contacts of a node at which nobody has registered."""
    return ()


class Ids(Protocol):
    """Where ids come from: random ones in a node, counted ones in a test."""

    def call_sid(self) -> CallSid:
        """A new ``CA…``."""

    def recording_sid(self) -> RecordingSid:
        """A new ``RE…``."""

    def leg(self) -> LegId:
        """A new leg of this session."""

    def sip_call_id(self) -> SipCallId:
        """A new Call-ID."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionContext:
    """See the module's docstring."""

    settings: Settings
    account_sid: str
    script: Script | None
    """What the call runs; None: the number that was called is nobody's."""
    ids: Ids
    most_targets: int
    """How many targets of one Dial can ring at once."""
    trunk_is_down: Callable[[str], bool] = lambda name: False
    """Whether the trunk of this name does not answer, as far as is known now."""
    knows_dialog: Callable[[str], bool] = lambda call_id: False
    """Whether a Call-ID is that of a leg of this node."""
    contacts: Contacts = nobody
    public_url: str = ""
    """Where the node's HTTP server is, to the application; no slash at its end."""
    raw_recordings: str = ""
    """The folder of raw files."""
