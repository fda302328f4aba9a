"""Orders to the relay about the audio of legs, and its reports. The node knows what the relay calls a leg."""

from typing import Literal

import msgspec

from b2bua.core.ids import LegId

__all__ = [
    "AudioEvent",
    "AudioJoined",
    "AudioOrder",
    "AudioParted",
    "AudioSide",
    "AudioTapped",
    "AudioUntapped",
    "CloseAudio",
    "JoinAudio",
    "MediaDescribed",
    "PartAudio",
    "PassKeys",
    "TapAudio",
    "UntapAudio",
    "WithholdKeys",
]


class JoinAudio(msgspec.Struct, frozen=True, kw_only=True):
    """Let two legs hear each other without their hosts, whenever that is possible, until ``PartAudio``."""

    one: LegId
    other: LegId
    by: LegId | None = None
    """The link leg that takes the place of our leg, where the other one is ``away``; None: none does."""


class PartAudio(msgspec.Struct, frozen=True, kw_only=True):
    """Let two legs hear their hosts again."""

    one: LegId
    other: LegId


class WithholdKeys(msgspec.Struct, frozen=True, kw_only=True):
    """Report these keys of a leg, but do not pass them on to the leg that it is joined with."""

    leg: LegId
    digits: str
    """Characters of ``0123456789*#ABCD``; empty: pass on all."""


class PassKeys(msgspec.Struct, frozen=True, kw_only=True):
    """Send keys to a joined leg by RFC 4733."""

    leg: LegId
    digits: str
    """Characters of ``0123456789*#ABCD``."""


class CloseAudio(msgspec.Struct, frozen=True, kw_only=True):
    """A leg has ended; its reception is reported."""

    leg: LegId


class AudioSide(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a recording."""

    leg: LegId
    heard: bool = False
    """False: what comes from the leg. True: what is sent to it."""


class TapAudio(msgspec.Struct, frozen=True, kw_only=True):
    """Record two sides into a raw file; a second one changes the sides."""

    recording: str
    path: str
    parent: AudioSide
    child: AudioSide | None


class UntapAudio(msgspec.Struct, frozen=True, kw_only=True):
    """Complete the raw file of a recording."""

    recording: str


class AudioJoined(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Two legs hear each other without their hosts."""

    one: LegId
    other: LegId


class AudioParted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Two legs hear their hosts again, although the order to join them stands."""

    one: LegId
    other: LegId


class MediaDescribed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Both sides of a leg have agreed on its media."""

    leg: LegId
    recordable: bool
    """The relay can record it."""
    takes_keys: bool
    """The party takes keys by RFC 4733."""
    meets: Literal["all", "alike", "none"] = "all"
    """Whom the relay can let the leg meet: every leg of G.711, link legs and rooms; its like; nobody."""
    talks: bool = True
    """It is not on hold."""


class AudioTapped(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The relay records."""

    recording: str
    at: float
    """Time 0 of the raw file, in CLOCK_MONOTONIC seconds."""


class AudioUntapped(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A raw file is complete."""

    recording: str
    at: float
    """In CLOCK_MONOTONIC seconds."""
    reason: str = ""
    """What the file lacks; empty: nothing."""


AudioOrder = JoinAudio | PartAudio | WithholdKeys | PassKeys | CloseAudio | TapAudio | UntapAudio
AudioEvent = AudioJoined | AudioParted | MediaDescribed | AudioTapped | AudioUntapped
