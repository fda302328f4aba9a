"""Sounds that are mixed into rooms: beeps and announcements."""

from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from b2bua.relay.control import LegKey, PlayInRoom, RoomSoundEnded

__all__ = ["RoomSounds", "Sound"]

_MOST: Final = 16
"""Sounds that play in a room at the same time."""


class Sound(Protocol):
    """A sound that is being played."""

    @property
    def failure(self) -> str:
        """Why it cannot be played; empty: it can, as far as is known."""

    @property
    def over(self) -> bool:
        """Nothing is left to play."""

    def next(self) -> bytes | None:
        """Return the next frame of 16-bit samples; None: it has not been read yet."""

    def close(self) -> None:
        """Play no more."""


class RoomSounds:
    """The sounds of all rooms.

    Args:
        make: begins to read a sound from a path.
        say: takes what is to be said to the controller.
    """

    def __init__(self, make: Callable[[str], Sound], say: Callable[[msgspec.Struct], None]) -> None:
        self.public: dict[str, list[bytes]] = {}
        """By room, the frames of this tick that all hear."""
        self.private: dict[tuple[str, LegKey], list[bytes]] = {}
        """By room and leg, those that it alone hears."""
        self._make = make
        self._say = say
        self._playing: dict[tuple[str, str], tuple[Sound, LegKey | None]] = {}
        """By room and sound."""

    @property
    def playing(self) -> bool:
        """Whether there is a sound."""
        return bool(self._playing)

    def play(self, order: PlayInRoom, *, known: bool) -> None:
        """Begin a sound, if its room is ``known``; one that plays already goes on."""
        key = order.room, order.sound
        if key in self._playing:
            return
        failure = ""
        if not known:
            failure = "there is no such room"
        elif sum(room == order.room for room, _ in self._playing) >= _MOST:
            failure = "too many sounds play in this room"
        if failure:
            self._say(RoomSoundEnded(room=order.room, sound=order.sound, failure=failure))
        else:
            self._playing[key] = self._make(order.path), order.leg

    def stop(self, room: str, sound: str) -> None:
        """End a sound; without effect if it has ended."""
        playing = self._playing.pop((room, sound), None)
        if playing is not None:
            playing[0].close()
            self._say(RoomSoundEnded(room=room, sound=sound))

    def end(self, room: str) -> None:
        """End all sounds of a room."""
        for name, sound in list(self._playing):
            if name == room:
                self.stop(name, sound)

    def next(self) -> None:
        """Put the frames of the next tick into ``public`` and ``private``."""
        self.public, self.private = {}, {}
        for (room, name), (sound, leg) in list(self._playing.items()):
            frame = sound.next()
            if frame is None:
                if sound.over:
                    del self._playing[room, name]
                    self._say(RoomSoundEnded(room=room, sound=name, failure=sound.failure))
            elif leg is None:
                self.public.setdefault(room, []).append(frame)
            else:
                self.private.setdefault((room, leg), []).append(frame)
