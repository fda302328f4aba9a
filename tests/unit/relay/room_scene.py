"""Rooms without sockets: parties say tones of their own, and what they hear is measured."""

from typing import Any

import numpy as np

from b2bua.relay.control import LegKey, RoomMember, SetRoom
from media.g711 import PCMA, PCMU, decode, encode
from media.measure import goertzel_dbfs
from media.mixing import FRAME
from tests.unit.media.voices_in_rooms import RATE, tone
from tests.unit.relay.relay_scene import Party, Rtp, Scene

HZ = (450.0, 650.0, 850.0, 1050.0)
LEVEL = -20.0
SILENT = -55.0
"""What is quieter is not heard: G.711 of silence and of fades."""


def member(leg: Party | LegKey, **changes: Any) -> RoomMember:
    return RoomMember(leg=leg.key if isinstance(leg, Party) else leg, **changes)


class Room:
    """A room of parties; party n says a tone of ``HZ[n]``.

    Args:
        count: of the parties, which are in the room from the start.
    """

    def __init__(self, count: int, **description: Any) -> None:
        self.scene = Scene()
        self.parties = [self.scene.party(f"p{n}").describe(**description) for n in range(count)]
        self.ticks = 0
        self.quiet: set[int] = set()

    def bring(self, *members: RoomMember, **changes: Any) -> None:
        self.scene.order(SetRoom(room="r", members=members, **changes))

    def bring_all(self, **changes: Any) -> None:
        self.bring(*(member(party) for party in self.parties), **changes)

    def talk(self, ticks: int, *, workers: bool = False) -> None:
        """All say so many frames."""
        for _ in range(ticks):
            for n, party in enumerate(self.parties):
                if n not in self.quiet:
                    party.says(encode(party.kind, tone(HZ[n], LEVEL, 1, self.ticks)))
                if workers:
                    party.worker_says()
            self.ticks += 1
            self.scene.passes(0.02)

    def level(self, listener: int, hz: float, ticks: int = 20) -> float:
        """Level (dBFS) of a tone in the latest frames that a party has heard."""
        return level_of(self.parties[listener].heard[-ticks:], hz)

    def hears(self, listener: int) -> set[int]:
        """Whose tones a party hears."""
        return {n for n in range(len(self.parties)) if self.level(listener, HZ[n]) > SILENT}


def level_of(heard: list[Rtp], hz: float) -> float:
    assert heard
    return goertzel_dbfs(samples_of(heard), hz, RATE)


def samples_of(heard: list[Rtp]) -> Any:
    assert all(len(packet.payload) == FRAME and packet.kind in (PCMU, PCMA) for packet in heard)
    return np.concatenate([decode(packet.kind, np.frombuffer(packet.payload, np.uint8)) for packet in heard])


def wav_frames(hz: float, dbfs: float, ticks: int) -> list[bytes]:
    """The frames of a sound."""
    return [tone(hz, dbfs, 1, n).tobytes() for n in range(ticks)]
