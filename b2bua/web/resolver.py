"""Names of web servers to addresses, so that one name server that does not answer holds up nobody else.

aiohttp asks the loop, which has a handful of threads for everything: a few dead names, each hanging for as
long as resolv.conf says, would stop every other webhook, and recordings too. Here each question has a thread
of its own; aiohttp remembers answers and asks only once at a time for a name, so they are few.

dnspython, which the edge uses for RFC 3263, needs no threads, but asks DNS only: an application may be at a
name that the system knows from elsewhere (nsswitch.conf: multicast DNS, containers).
"""

import asyncio
import encodings.idna  # noqa: F401 (else loaded from the disk by the first name, in the loop)
import socket
import threading
from typing import Any, Final

from aiohttp.abc import AbstractResolver, ResolveResult

__all__ = ["NameResolver"]

MAX_LOOKUPS: Final = 32

_Infos = list[tuple[Any, ...]]


class NameResolver(AbstractResolver):
    """The system's resolver (hosts file, search domains and all). Thread: loop."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(MAX_LOOKUPS)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Look ``host`` up; an OSError says it cannot be found."""
        loop = asyncio.get_running_loop()
        await self._places.acquire()
        found: asyncio.Future[_Infos] = loop.create_future()

        def look_up() -> None:
            result: _Infos | OSError
            try:
                result = list(socket.getaddrinfo(host, port, family, socket.SOCK_STREAM))
            except OSError as err:
                result = err
            except UnicodeError as err:  # a label over 63 characters
                result = OSError(str(err))
            try:
                loop.call_soon_threadsafe(self._answered, found, result)
            except RuntimeError:
                pass  # the node has stopped meanwhile

        # A daemon, so that a name server that does not answer cannot keep the program from ending.
        threading.Thread(target=look_up, name=f"resolve {host}", daemon=True).start()
        return [_result(host, info) for info in await found]

    async def close(self) -> None:
        """Do nothing: threads end by themselves."""

    def _answered(self, found: asyncio.Future[_Infos], result: _Infos | OSError) -> None:
        # The place is free when the thread ends, not when somebody has stopped waiting for it.
        self._places.release()
        if found.done():
            return
        if isinstance(result, OSError):
            found.set_exception(result)
        else:
            found.set_result(result)


def _result(host: str, info: tuple[Any, ...]) -> ResolveResult:
    family, _, proto, _, address = info
    return ResolveResult(
        hostname=host,
        host=address[0],
        port=address[1],
        family=family,
        proto=proto,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )
