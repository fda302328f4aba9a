"""A phone's RTP: sends a tone or silence every 20 ms and keeps what it receives (RFC 3550, 3551, 4733).

Thread: loop.
"""

import asyncio
import secrets
import struct
import time
from typing import Final, cast

import numpy as np
import numpy.typing as npt

from media.g711 import ulaw_decode, ulaw_encode

__all__ = ["Audio"]

RATE_HZ: Final = 8000
_FRAME: Final = 160
_PTIME_S: Final = 0.02
_HEADER: Final = struct.Struct("!BBHII")
_EVENT: Final = struct.Struct("!BBH")
_PCMU: Final = 0
TELEPHONE_EVENT: Final = 101
_EVENTS: Final = "0123456789*#ABCD"
_EVENT_FRAMES: Final = 6
"""A key lasts 120 ms; its end is sent three times (RFC 4733 §2.5.1.4)."""


class Audio(asyncio.DatagramProtocol):
    """One RTP stream each way; received audio is ordered by timestamp."""

    def __init__(self) -> None:
        self._transport: asyncio.DatagramTransport | None = None
        self._to: tuple[str, int] | None = None
        self._task: asyncio.Task[None] | None = None
        self._tone_hz = 0.0
        self._phase = 0
        self._sequence = secrets.randbelow(1 << 15)
        self._timestamp = secrets.randbelow(1 << 31)
        self._ssrc = secrets.randbits(32)
        self._keys: list[int] = []
        self._frames: dict[int, npt.NDArray[np.int16]] = {}

    @classmethod
    async def open(cls, host: str) -> "Audio":
        """Bind a socket on ``host``."""
        loop = asyncio.get_running_loop()
        _, audio = await loop.create_datagram_endpoint(cls, local_addr=(host, 0))
        return audio

    @property
    def port(self) -> int:
        """Port of the socket."""
        assert self._transport is not None
        port: int = self._transport.get_extra_info("sockname")[1]
        return port

    def play(self, tone_hz: float) -> None:
        """Send this tone from now on; 0: silence."""
        self._tone_hz = tone_hz

    def press(self, key: str) -> None:
        """Send a key by RFC 4733; it replaces the sound while it lasts."""
        self._keys.append(_EVENTS.index(key))

    def connect(self, host: str, port: int) -> None:
        """Start sending to this address, or change to it."""
        self._to = (host, port)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._send())

    def close(self) -> None:
        """Stop sending and close the socket."""
        if self._task is not None:
            self._task.cancel()
        if self._transport is not None:
            self._transport.close()

    def heard(self) -> npt.NDArray[np.int16]:
        """Return the audio received so far: int16[n] at 8000 Hz; lost packets leave no gap."""
        frames = [self._frames[at] for at in sorted(self._frames)]
        return np.concatenate(frames) if frames else np.zeros(0, np.int16)

    # -- asyncio ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio``."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """See ``asyncio``."""
        if len(data) < _HEADER.size or data[0] >> 6 != 2:
            return
        _, kind, _, timestamp, _ = _HEADER.unpack_from(data)
        if kind & 0x7F == _PCMU:
            self._frames[timestamp] = ulaw_decode(data[_HEADER.size :])

    # -- sending ------------------------------------------------------------------------------------

    async def _send(self) -> None:
        due = time.monotonic()
        while True:
            if self._keys:
                due = await self._send_key(self._keys.pop(0), due)
            self._packet(_PCMU, self._sound(), self._timestamp)
            due = await self._next_frame(due)

    async def _next_frame(self, due: float) -> float:
        self._timestamp += _FRAME
        due += _PTIME_S
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        return due

    async def _send_key(self, event: int, due: float) -> float:
        start = self._timestamp
        for frame in range(1, _EVENT_FRAMES + 4):
            end = frame > _EVENT_FRAMES
            duration = min(frame, _EVENT_FRAMES) * _FRAME
            body = _EVENT.pack(event, (0x80 if end else 0) | 10, duration)
            self._packet(TELEPHONE_EVENT | (0x80 if frame == 1 else 0), body, start)
            due = await self._next_frame(due)
        return due

    def _sound(self) -> bytes:
        at = np.arange(self._phase, self._phase + _FRAME) / RATE_HZ
        self._phase += _FRAME
        level = 8000 if self._tone_hz else 0
        return ulaw_encode((level * np.sin(2 * np.pi * self._tone_hz * at)).astype(np.int16))

    def _packet(self, kind: int, body: bytes, timestamp: int) -> None:
        if self._transport is None or self._to is None:
            return
        self._sequence = (self._sequence + 1) & 0xFFFF
        header = _HEADER.pack(0x80, kind, self._sequence, timestamp & 0xFFFFFFFF, self._ssrc)
        self._transport.sendto(header + body, self._to)
