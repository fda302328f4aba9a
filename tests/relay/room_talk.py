"""Parties with real sockets that each say a tone, and what they hear, decoded."""

import asyncio
import itertools

import numpy as np

from b2bua.relay.control import RoomMember
from media.g711 import PCMA, decode, encode
from media.measure import goertzel_dbfs
from tests.peer.ladder import PATIENCE_S
from tests.relay.relay_process import RealLeg
from tests.unit.media.voices_in_rooms import RATE, tone
from tests.unit.relay.relay_scene import Rtp, parse, rtp

HZ = (450.0, 650.0, 850.0, 1050.0)
"""Whole numbers of periods in 40 ms."""
LEVEL = -20.0
SILENT = -50.0


def members(*legs: RealLeg) -> tuple[RoomMember, ...]:
    return tuple(RoomMember(leg=leg.key) for leg in legs)


class RoomTalk:
    """Leg n's party says the tone ``HZ[n]``, a packet each 20 ms."""

    def __init__(self, legs: list[RealLeg]) -> None:
        self._legs = legs
        self.heard: list[list[Rtp]] = [[] for _ in legs]
        self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        tones = [[encode(PCMA, tone(hz, LEVEL, 1, turn)) for turn in range(2)] for hz in HZ]
        for turn in itertools.count():
            for n, leg in enumerate(self._legs):
                leg.far.sendto(rtp(8, turn, 160 * turn, 7000 + n, tones[n][turn % 2]), leg.outer)
            while (delay := start + (turn + 1) * 0.02 - loop.time()) > 0:
                await asyncio.sleep(min(delay, 0.01))
                self._listen()

    def _listen(self) -> None:
        for heard, leg in zip(self.heard, self._legs, strict=True):
            while True:
                try:
                    heard.append(parse(leg.far.recv(4096)))
                except BlockingIOError:
                    break

    async def packets(self, count: int, *listeners: int) -> None:
        """Wait until these, or all, have heard so many more packets."""
        heard = [self.heard[n] for n in listeners] or self.heard
        wanted = [len(packets) + count for packets in heard]
        async with asyncio.timeout(PATIENCE_S):
            while any(len(packets) < want for packets, want in zip(heard, wanted, strict=True)):
                if self._task.done():
                    self._task.result()
                await asyncio.sleep(0.01)

    def level(self, listener: int, hz: float, count: int = 20) -> float:
        """Level (dBFS) of a tone in the latest packets that a party has heard."""
        payloads = [packet.payload for packet in self.heard[listener][-count:]]
        return goertzel_dbfs(decode(PCMA, np.frombuffer(b"".join(payloads), np.uint8)), hz, RATE)

    def hears(self, listener: int) -> set[int]:
        """Whose tones a party hears."""
        return {n for n in range(len(self._legs)) if self.level(listener, HZ[n]) > SILENT}

    async def until(self, listener: int, talkers: set[int]) -> None:
        """Wait until a party hears these, and nobody else."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                await self.packets(5, listener)
                if len(self.heard[listener]) >= 20 and self.hears(listener) == talkers:
                    return

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
