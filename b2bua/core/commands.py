"""What a worker is told to do to its legs and media: imperatives.

Like the events they are msgspec structs and travel as they are. A command for a leg that has ended is
ignored by the worker: the two crossed on the way.
"""

from typing import Literal

import msgspec

from b2bua.core.events import Headers
from b2bua.core.ids import LegId, SipCallId

__all__ = [
    "AllowRefer",
    "AnswerLeg",
    "Connection",
    "EndSession",
    "HangupLeg",
    "InviteLeg",
    "LegCommand",
    "ListenForKeys",
    "NotifyTransfer",
    "ProgressLeg",
    "RecordLegs",
    "RecordingCommand",
    "ReferLeg",
    "RingLeg",
    "SendDtmf",
    "SetMedia",
    "Srtp",
    "StartPrompt",
    "StartRecording",
    "StopPrompt",
    "StopRecording",
    "WatchSilence",
]

Srtp = Literal["off", "optional", "required"]
"""Whether media is encrypted (SDES, RFC 4568)."""


class _Order(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class InviteLeg(_Order, frozen=True, kw_only=True, tag=True):
    """Make a leg and send its INVITE. LegEnded follows in every case, at some time."""

    leg: LegId
    sip_call_id: SipCallId
    """The Call-ID to use."""
    uri: str
    """Request-URI and To: ``sip:+14155550100@192.0.2.10;transport=udp``."""
    from_header: str
    """A name-addr, as the From header shall say: ``"Ann" <sip:+14155550123@example.com>``."""
    headers: Headers = ()
    username: str = ""
    """For a digest challenge by the far end; empty: challenges fail the leg."""
    password: str = ""
    srtp: Srtp = "off"
    may_refer: bool = False
    """As ``AllowRefer`` once it has answered: for one that is bridged then, and may refer with its ACK."""


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
    """End the leg by whichever of final response, CANCEL or BYE applies."""

    leg: LegId
    sip_code: int = 603
    """For a UAS leg that is not answered yet; has no meaning otherwise."""
    headers: Headers = ()
    """``Reason`` and the like, for the CANCEL, the BYE or the final response."""


class Connection(msgspec.Struct, frozen=True, array_like=True):
    """One direction of audio: what ``source`` gives, ``sink`` hears.

    A source or sink is a leg's id; a source may also be ``tone:us`` (ringback, a code of the table).
    """

    source: str
    sink: str


class SetMedia(_Order, frozen=True, kw_only=True, tag=True):
    """The whole media graph the session wants from now on; legs without media yet join when they have it."""

    connections: tuple[Connection, ...]


class SendDtmf(_Order, frozen=True, kw_only=True, tag=True):
    """Send keys by RFC 4733, or by INFO where the peer did not offer telephone-event."""

    leg: LegId
    digits: str
    """Of ``0123456789*#ABCD``."""


class ListenForKeys(_Order, frozen=True, kw_only=True, tag=True):
    """Whether somebody waits for keys of this leg: only then are tones in its audio looked for.

    Keys that come as RFC 4733 or INFO are always told; nothing is looked for on a leg that has one of these.
    """

    leg: LegId
    wanted: bool


class StartRecording(_Order, frozen=True, kw_only=True, tag=True):
    """Record, each side into a raw file of its own. RecordingStarted follows, or RecordingStopped at once.

    From its first frame to its last a side without sound is silent: before its leg has media, while it is
    held, and after it has ended.
    """

    recording: str
    """Its identifier; nobody else's in this session."""
    stem: str
    """Folder and beginning of the raw files' names. The folder exists; files of these names are lost."""
    parent: LegId
    child: LegId | None = None
    """A leg, or ``to:LEG`` for all that a leg hears from us. None: not known yet, or there is none."""

    @property
    def files(self) -> tuple[str, str]:
        """The raw files of parent and child. They are there even when the worker dies (not complete then)."""
        return f"{self.stem}.parent.wav", f"{self.stem}.child.wav"


class RecordLegs(_Order, frozen=True, kw_only=True, tag=True):
    """From now on the sides of a recording are these legs: a branch has won, a leg was transferred."""

    recording: str
    parent: LegId
    child: LegId | None


class StopRecording(_Order, frozen=True, kw_only=True, tag=True):
    """End a recording; RecordingStopped follows when its files are complete. EndSession does the same."""

    recording: str


class WatchSilence(_Order, frozen=True, kw_only=True, tag=True):
    """Tell when the peer of this leg has been quiet for so long (``SilenceReached``, once).

    The time begins with this command, and again with each sound. A new order replaces the one before.
    """

    leg: LegId
    timeout_s: float
    """0: watch no longer."""


class StartPrompt(_Order, frozen=True, kw_only=True, tag=True):
    """Play a file to a leg, besides whatever the media graph gives it. PromptEnded follows exactly once."""

    prompt: str
    """Its identifier; nobody else's in this session."""
    leg: LegId
    file: str
    """A mono 16 bit WAV at the bridge's clock rate; or ``tone:NAME``, one of the node's own sounds."""
    loops: int = 1
    """How often; 0: until stopped."""


class StopPrompt(_Order, frozen=True, kw_only=True, tag=True):
    """End a prompt with the next frame; nothing when it has ended."""

    prompt: str


class AllowRefer(_Order, frozen=True, kw_only=True, tag=True):
    """What a REFER on this leg gets from now on: 202 and LegReferred, or 603 (which is the case before)."""

    leg: LegId
    allowed: bool


class NotifyTransfer(_Order, frozen=True, kw_only=True, tag=True):
    """Tell the transferor how the transfer that it asked for comes along (RFC 3515 §2.4.4)."""

    leg: LegId
    """The transferor's, which has sent the REFER."""
    sip_code: int
    """180..199: under way. 200 and above: the end of it, told once."""


class ReferLeg(_Order, frozen=True, kw_only=True, tag=True):
    """Send REFER: the peer is to call somebody else. ReferProgress follows."""

    leg: LegId
    refer_to: str
    """A URI."""
    headers: Headers = ()


class EndSession(_Order, frozen=True, kw_only=True, tag=True):
    """No more commands will come for this session; when its last leg is gone the worker is idle again."""


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
    | StartPrompt
    | StopPrompt
    | AllowRefer
    | NotifyTransfer
    | ReferLeg
    | EndSession
)
