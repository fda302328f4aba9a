"""Resolves the names of web servers, such that an unresponsive name server delays no other requests.

By default, aiohttp uses the loop's resolver, which has a handful of threads for everything: a few dead names,
each hanging for as long as resolv.conf says, would block every other webhook, and recordings too. Here each
lookup has its own thread; aiohttp caches answers and runs one lookup per name at a time, so threads are few.

dnspython, which the edge uses for RFC 3263, needs no threads but queries only DNS, while an application may
have a name that the system knows from another source (nsswitch.conf: multicast DNS, containers).
"""

import asyncio
import encodings.idna  # noqa: F401 (otherwise the first lookup would import it in the loop)
import socket
import threading
from typing import Any, Final

from aiohttp.abc import AbstractResolver, ResolveResult

__all__ = ["NameResolver"]

MAX_LOOKUPS: Final = 32

_Infos = list[tuple[Any, ...]]


class NameResolver(AbstractResolver):
    """Resolves names with the system's resolver (hosts file, search domains etc.). Thread: loop."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(MAX_LOOKUPS)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Look up ``host``; raises OSError if it is not found."""
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
                pass  # the node has stopped in the meantime

        # A daemon thread, so that an unresponsive name server cannot keep the program from exiting.
        threading.Thread(target=look_up, name=f"resolve {host}", daemon=True).start()
        return [_result(host, info) for info in await found]

    async def close(self) -> None:
        """Do nothing: threads end by themselves."""

    def _answered(self, found: asyncio.Future[_Infos], result: _Infos | OSError) -> None:
        # The slot is released when the thread ends, not when its caller stops waiting.
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
