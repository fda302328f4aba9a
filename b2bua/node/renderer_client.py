"""Runs a ``media.renderer`` process: gives it one order at a time, and restarts it when it is lost.

Thread: the controller's loop.
"""

import asyncio
import logging
import os
import sys

import msgspec

from b2bua.core.errors import MediaError
from media.renderer import Answer, Made, NotMade, Order

__all__ = ["RendererClient", "UnplayableError"]

log = logging.getLogger(__name__)

_ANSWERS: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)
_START_LIMIT_S = 60.0
"""Limit for a process that hangs; a busy machine starts processes slowly, and a restart would not help."""
_MAX_WAITING = 200
"""Orders that may wait; further ones are refused at once."""


class UnplayableError(MediaError):
    """The source to decode is not a sound."""


class RendererClient:
    """A client of one renderer process.

    Args:
        name: name for the log; the process named ``speech`` prepares for its first word.
        limit_s: limit for one order, without its time in the queue and the start of the process. The process
            is killed when it is exceeded.
    """

    def __init__(self, name: str, limit_s: float) -> None:
        self._name = name
        self._limit_s = limit_s
        self._process: asyncio.subprocess.Process | None = None
        self._is_ready = False
        """Whether the process has reported that it takes orders."""
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._closed = False

    async def start(self) -> None:
        """Start the process; otherwise the first order starts it."""
        async with self._turn:
            await self._running()

    async def make(self, order: Order) -> float:
        """Carry out ``order`` after all earlier ones.

        Returns:
            The sound's length in seconds.

        Raises:
            UnplayableError: the source is not a sound.
            MediaError: the order failed: too many orders, too slow, or a crash.
        """
        if self._waiting >= _MAX_WAITING:
            raise MediaError(f"{self._waiting} orders are already waiting")
        self._waiting += 1
        try:
            async with self._turn:
                answer = await self._ask(order)
        finally:
            self._waiting -= 1
        match answer:
            case Made():
                return answer.duration_s
            case NotMade(by_source=True):
                raise UnplayableError(answer.text)
            case NotMade():
                raise MediaError(answer.text)

    async def close(self) -> None:
        """End the process; later orders fail."""
        self._closed = True
        await self._end()

    async def _ask(self, order: Order) -> Answer:
        line = b""
        try:
            process = await self._running()
            assert process.stdin is not None and process.stdout is not None
            if not self._is_ready:
                await self._get_ready(process.stdout)
            async with asyncio.timeout(self._limit_s):
                process.stdin.write(msgspec.json.encode(order) + b"\n")
                await process.stdin.drain()
                line = await process.stdout.readline()
                if line:
                    return _ANSWERS.decode(line)
            raise MediaError("the renderer process died")
        except TimeoutError as error:
            raise MediaError(f"not finished within {self._limit_s:g} s") from error
        except OSError as error:
            raise MediaError(f"the renderer process is gone: {error}") from error
        finally:
            if not line:  # also after a cancellation: the answer would be taken for the next order's
                log.warning("renderer killed", extra={"renderer": self._name})
                await self._end()

    async def _get_ready(self, answers: asyncio.StreamReader) -> None:
        """Wait until the process takes orders; if it has died, the first order fails."""
        try:
            async with asyncio.timeout(_START_LIMIT_S):
                self._is_ready = bool(await answers.readline())
        except TimeoutError:
            raise MediaError(f"the renderer process did not start within {_START_LIMIT_S:g} s") from None

    async def _running(self) -> asyncio.subprocess.Process:
        if self._closed:
            raise MediaError("the node is stopping")
        if self._process is not None and self._process.returncode is not None:
            log.warning("renderer died", extra={"renderer": self._name})
            self._process = None
        if self._process is None:
            self._is_ready = False
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "media.renderer",
                self._name,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,  # decoders are noisy
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # threads take a third of the start time
            )
        return self._process

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        await process.wait()
