"""Orders to the relay about the audio of legs, and its reports. The node knows what the relay calls a leg."""

import msgspec

from b2bua.core.ids import LegId

__all__ = [
    "AudioEvent",
    "AudioJoined",
    "AudioOrder",
    "AudioParted",
    "CloseAudio",
    "JoinAudio",
    "MediaDescribed",
    "PartAudio",
    "PassKeys",
    "WithholdKeys",
]


class JoinAudio(msgspec.Struct, frozen=True, kw_only=True):
    """Let two legs hear each other without their hosts, whenever that is possible, until ``PartAudio``."""

    one: LegId
    other: LegId


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


class AudioJoined(msgspec.Struct, frozen=True, kw_only=True):
    """Two legs hear each other without their hosts."""

    one: LegId
    other: LegId


class AudioParted(msgspec.Struct, frozen=True, kw_only=True):
    """Two legs hear their hosts again, although the order to join them stands."""

    one: LegId
    other: LegId


class MediaDescribed(msgspec.Struct, frozen=True, kw_only=True):
    """Both sides of a leg have agreed on its media."""

    leg: LegId
    recordable: bool
    """The relay can record it."""
    takes_keys: bool
    """The party takes keys by RFC 4733."""


AudioOrder = JoinAudio | PartAudio | WithholdKeys | PassKeys | CloseAudio
AudioEvent = AudioJoined | AudioParted | MediaDescribed
