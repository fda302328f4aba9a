"""Commands to a worker about its legs and media, named in the imperative.

Like the events they are msgspec structs and travel unchanged. The worker ignores a command for a leg that has
ended: the command and the end crossed on the way.
"""

from typing import Literal

import msgspec

from b2bua.core.events import Headers
from b2bua.core.ids import HostId, LegId, SipCallId

__all__ = [
    "AWAY",
    "RELAY",
    "ROOM",
    "AllowRefer",
    "AnswerLeg",
    "Connection",
    "EndSession",
    "HangupLeg",
    "HostCommand",
    "InviteLeg",
    "LegCommand",
    "ListenForKeys",
    "NotifyTransfer",
    "ProgressLeg",
    "RecordLegs",
    "RecordingCommand",
    "ReferLeg",
    "RestClock",
    "RingLeg",
    "SendDtmf",
    "SetMedia",
    "Srtp",
    "StartPrompt",
    "StartRecording",
    "StopPrompt",
    "StopRecording",
    "WatchForMachine",
    "WatchSilence",
    "away",
    "room_party",
]

Srtp = Literal["off", "optional", "required"]
"""Whether media is encrypted (SDES, RFC 4568)."""


ROOM = "room:"
"""After ``AWAY``: not a leg, but the room that the leg is in."""
RELAY = HostId("relay")
"""Where a link leg leads: in place of a host, the relay."""
AWAY = "away:"
"""Prefix that makes the id of another session's leg a party of this session's graph."""


def away(leg: LegId) -> LegId:
    """Return the name of another session's leg in a graph: as a source it is heard, as a sink it hears."""
    return LegId(f"{AWAY}{leg}")


def room_party(leg: LegId) -> LegId:
    """Return the name of the room that a leg is in: what it hears there, and those who hear it."""
    return away(LegId(f"{ROOM}{leg}"))


class _Order(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class InviteLeg(_Order, frozen=True, kw_only=True, tag=True):
    """Create a leg and send its INVITE. LegEnded follows sooner or later in every case."""

    leg: LegId
    sip_call_id: SipCallId
    """The Call-ID to use."""
    uri: str
    """Request-URI and To: ``sip:+14155550100@192.0.2.10;transport=udp``."""
    from_header: str
    """The name-addr of the From header: ``"Ann" <sip:+14155550123@example.com>``."""
    headers: Headers = ()
    username: str = ""
    """For a digest challenge from the far end; empty: a challenge fails the leg."""
    password: str = ""
    srtp: Srtp = "off"
    may_refer: bool = False
    """Allow REFER from the answer on, for a leg that is bridged at once and may send REFER after the ACK."""
    link_to: HostId = HostId("")
    """The host that the leg leads to, if it is a link between two hosts of a session, or ``RELAY``; empty: it
    leads out."""


class RingLeg(_Order, frozen=True, kw_only=True, tag=True):
    """Send 180 without SDP."""

    leg: LegId


class ProgressLeg(_Order, frozen=True, kw_only=True, tag=True):
    """Send 183 with SDP: early media begins."""

    leg: LegId


class AnswerLeg(_Order, frozen=True, kw_only=True, tag=True):
    """Send 200."""

    leg: LegId
    headers: Headers = ()


class HangupLeg(_Order, frozen=True, kw_only=True, tag=True):
    """End the leg by final response, CANCEL or BYE, whichever applies."""

    leg: LegId
    sip_code: int = 603
    """Status for an unanswered UAS leg; without meaning otherwise."""
    headers: Headers = ()
    """``Reason`` and similar headers for the CANCEL, the BYE or the final response."""


class Connection(msgspec.Struct, frozen=True, array_like=True):
    """One direction of audio, from ``source`` to ``sink``.

    Each is a leg's id; a source may also be ``tone:us`` (ringback, by a code of the table). A leg of another
    session is named by ``away``; only the relay can join it with one of this session.
    """

    source: str
    sink: str


class SetMedia(_Order, frozen=True, kw_only=True, tag=True):
    """Replace the whole media graph of the session; legs without media yet join when they have it."""

    connections: tuple[Connection, ...]


class SendDtmf(_Order, frozen=True, kw_only=True, tag=True):
    """Send keys by RFC 4733, or by INFO if the peer did not offer telephone-event."""

    leg: LegId
    digits: str
    """Characters of ``0123456789*#ABCD``."""


class ListenForKeys(_Order, frozen=True, kw_only=True, tag=True):
    """Start or stop the detection of in-band DTMF tones on this leg.

    Keys that arrive by RFC 4733 or INFO are always reported; a leg that uses one of these needs no detection
    and gets none.
    """

    leg: LegId
    wanted: bool


class StartRecording(_Order, frozen=True, kw_only=True, tag=True):
    """Record each side into a raw file of its own. RecordingStarted follows, or RecordingStopped at once.

    From the first frame to the last, a side without sound is recorded as silence: before its leg has media,
    while it is held, and after it has ended.
    """

    recording: str
    """Identifier, unique in this session."""
    stem: str
    """Folder and first part of the raw files' names. The folder exists; files with these names are lost."""
    parent: LegId
    child: LegId | None = None
    """A leg, or ``to:LEG`` for everything we send to a leg. None: not known yet, or there is none."""

    @property
    def files(self) -> tuple[str, str]:
        """The raw files of parent and child. They survive the death of the worker, but incomplete."""
        return f"{self.stem}.parent.wav", f"{self.stem}.child.wav"


class RecordLegs(_Order, frozen=True, kw_only=True, tag=True):
    """Make these legs the sides of a recording from now on: a branch has won, or a leg was transferred."""

    recording: str
    parent: LegId
    child: LegId | None


class StopRecording(_Order, frozen=True, kw_only=True, tag=True):
    """End a recording; RecordingStopped follows when its files are complete. EndSession does the same."""

    recording: str


class WatchSilence(_Order, frozen=True, kw_only=True, tag=True):
    """Report once when the peer of this leg has been quiet for ``timeout_s`` (``SilenceReached``).

    The time restarts with this command and with each sound. A new command replaces the previous one.
    """

    leg: LegId
    timeout_s: float
    """0: stop watching."""


class WatchForMachine(_Order, frozen=True, kw_only=True, tag=True):
    """Judge by its sound who has answered this leg: a person, a machine or a fax.

    MachineJudged follows once, after ``timeout_s`` at the latest, unless the leg ends before.
    """

    leg: LegId
    message_end: bool = False
    """Judge a machine when its greeting has ended, not as soon as it is known to be one."""
    timeout_s: int = 30
    speech_ms: int = 2400
    """A longer greeting is a machine's."""
    speech_end_ms: int = 1200
    """Silence that ends a greeting."""
    silence_ms: int = 5000
    """Silence at the beginning after which nobody is expected to speak."""


class StartPrompt(_Order, frozen=True, kw_only=True, tag=True):
    """Play a file to a leg in addition to the media graph. PromptEnded follows exactly once."""

    prompt: str
    """Identifier, unique in this session."""
    leg: LegId
    file: str
    """A mono 16 bit WAV at the bridge's clock rate; or ``tone:NAME``, one of the node's own sounds."""
    loops: int = 1
    """How often to play it; 0: until stopped."""


class StopPrompt(_Order, frozen=True, kw_only=True, tag=True):
    """End a prompt with the next frame; without effect if it has ended."""

    prompt: str


class AllowRefer(_Order, frozen=True, kw_only=True, tag=True):
    """Accept (202 and LegReferred) or decline (603, the default) a REFER on this leg from now on."""

    leg: LegId
    allowed: bool


class NotifyTransfer(_Order, frozen=True, kw_only=True, tag=True):
    """Notify the transferor of the progress of its transfer (RFC 3515 §2.4.4)."""

    leg: LegId
    """The leg of the transferor, which has sent the REFER."""
    sip_code: int
    """180..199: in progress. 200 and above: the final result, sent once."""


class ReferLeg(_Order, frozen=True, kw_only=True, tag=True):
    """Send REFER, which asks the peer to call another party. ReferProgress follows."""

    leg: LegId
    refer_to: str
    """A URI."""
    headers: Headers = ()


class RestClock(_Order, frozen=True, kw_only=True, tag=True):
    """Let the bridge's clock rest from a moment later on, because no leg hears the worker; or let it run.

    EndSession lets it run, and so does every command that a resting clock would hold up.
    """

    resting: bool


class EndSession(_Order, frozen=True, kw_only=True, tag=True):
    """End the session: no more commands follow, and the worker is idle again when the last leg has ended."""


RecordingCommand = StartRecording | RecordLegs | StopRecording

LegCommand = (
    InviteLeg
    | RingLeg
    | ProgressLeg
    | AnswerLeg
    | HangupLeg
    | SetMedia
    | SendDtmf
    | ListenForKeys
    | RecordingCommand
    | WatchSilence
    | WatchForMachine
    | StartPrompt
    | StopPrompt
    | AllowRefer
    | NotifyTransfer
    | ReferLeg
    | EndSession
)
"""What a session orders."""

HostCommand = LegCommand | RestClock
"""What a host is told."""
