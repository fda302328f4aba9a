"""The end of a child process that has been told to end. Thread: an asyncio loop's."""

import asyncio
import contextlib

__all__ = ["wait_or_kill"]


async def wait_or_kill(process: asyncio.subprocess.Process, limit_s: float) -> None:
    """Wait until the process has ended, as it does when its channel is closed; kill it after ``limit_s``."""
    try:
        async with asyncio.timeout(limit_s):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
