"""TLS of the edge: certificates, and accepted connections during their handshake.

TLS 1.2 and later. Certificates are reloaded without closing anything: existing connections keep their keys,
and new ones get the new keys. Servers that we connect to must prove the name that we want to reach.
Source: RFC 3261 §26, RFC 5922 (the name that a certificate must have), RFC 8996 (no older TLS).

Thread: the edge's loop.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from b2bua.core.errors import ConfigError
from b2bua.sip.edge_control import TlsSpec
from b2bua.token_buckets import TokenBuckets

__all__ = ["HANDSHAKE_LIMIT_S", "SHUTDOWN_LIMIT_S", "Contexts", "Handshakes"]

log = logging.getLogger(__name__)

HANDSHAKE_LIMIT_S: Final = 5.0
SHUTDOWN_LIMIT_S: Final = 1.0
MAX_HANDSHAKES: Final = 200
MAX_OF_ONE_ADDRESS: Final = 50
HANDSHAKES_PER_S: Final = 50.0
"""Per address, with a burst of the same size. A handshake costs us about 1 ms, and the other side nothing."""
_ACCEPT_PAUSE_S: Final = 0.1


class Contexts:
    """The current keys and certificates.

    Args:
        spec: the files to load.

    Raises:
        ConfigError: a file is missing or unusable; the text says which and why.
    """

    def __init__(self, spec: TlsSpec) -> None:
        self.load(spec)

    def load(self, spec: TlsSpec) -> None:
        """Load or reload all files; a failure changes nothing.

        Raises:
            ConfigError: a file is missing or unusable; the text says which and why.
        """
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies name and certificate
        for context in (server, client):
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            # A single self-signed certificate may be trusted, without an authority above it.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            _load_certificate(context, spec)
        _trust(client, spec.ca, ssl.Purpose.SERVER_AUTH)
        if spec.clients != "off":
            server.verify_mode = ssl.CERT_REQUIRED if spec.clients == "required" else ssl.CERT_OPTIONAL
            _trust(server, spec.ca, ssl.Purpose.CLIENT_AUTH)
        self.server = server
        """For incoming connections."""
        self.client = client
        """For outgoing connections; has our certificate too, for servers that ask for one."""


def _load_certificate(context: ssl.SSLContext, spec: TlsSpec) -> None:
    for path in (spec.certificate, spec.key):
        _readable(path)
    try:
        context.load_cert_chain(spec.certificate, spec.key, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            text = f"the key {spec.key} does not belong to the certificate {spec.certificate}"
        else:
            text = f"{spec.certificate} and {spec.key} are no usable certificate and key (PEM): {_why(error)}"
        raise ConfigError(text) from error


def _no_password() -> str:
    raise ConfigError("the TLS key has a password: a node that starts by itself cannot be asked for it")


def _trust(context: ssl.SSLContext, ca: str, purpose: ssl.Purpose) -> None:
    if not ca:
        context.load_default_certs(purpose)
        return
    _readable(ca)
    try:
        context.load_verify_locations(ca)
    except ssl.SSLError as error:
        raise ConfigError(f"{ca} has no certificates of authorities (PEM): {_why(error)}") from error


def _readable(path: str) -> None:
    try:
        with Path(path).open("rb"):
            pass
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error


def _why(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).lower().replace("_", " ")


class Handshakes:
    """Accepts the connections of one listening socket and performs their TLS handshakes.

    asyncio does not report a connection until its handshake is over, so connections in their handshake are
    counted and bounded here.

    Args:
        sock: a listening socket, non-blocking.
        contexts: keys and certificates.
        accept: makes the protocol of a connection.
        now: the clock.
    """

    def __init__(
        self,
        sock: socket.socket,
        contexts: Contexts,
        accept: Callable[[], asyncio.Protocol],
        now: Callable[[], float],
    ) -> None:
        self._sock = sock
        self._contexts = contexts
        self._accept = accept
        self._now = now
        self._buckets = TokenBuckets(HANDSHAKES_PER_S)
        self._of_address: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed = 0
        self._refused = 0
        self._latest = ""

    async def run(self) -> None:
        """Accept connections forever."""
        loop = asyncio.get_running_loop()
        self._sock.listen(256)
        while True:
            try:
                connection, address = await loop.sock_accept(self._sock)
            except OSError as error:  # no file descriptors left, or the connection is already gone
                log.warning("connection could not be accepted", extra={"text": str(error)})
                await asyncio.sleep(_ACCEPT_PAUSE_S)
                continue
            host = address[0]
            if not self._may_begin(host):
                self._refused += 1
                connection.close()
                continue
            self._of_address[host] += 1
            task = loop.create_task(self._handshake(connection, host))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _may_begin(self, host: str) -> bool:
        return (
            len(self._tasks) < MAX_HANDSHAKES
            and self._of_address[host] < MAX_OF_ONE_ADDRESS
            and self._buckets.take(host, self._now()) is True
        )

    async def _handshake(self, connection: socket.socket, host: str) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._accept,
                connection,
                ssl=self._contexts.server,
                ssl_handshake_timeout=HANDSHAKE_LIMIT_S,
                ssl_shutdown_timeout=SHUTDOWN_LIMIT_S,
            )
        except OSError as error:  # includes ssl.SSLError, ConnectionError and TimeoutError
            self._failed += 1
            self._latest = _why(error) if isinstance(error, ssl.SSLError) else str(error)
            with contextlib.suppress(OSError):
                connection.close()
        finally:
            self._of_address[host] -= 1
            if not self._of_address[host]:
                del self._of_address[host]

    def tick(self) -> None:
        """Run once a second: log all failures since the last run in one line."""
        if self._failed or self._refused:
            facts = {"failed": self._failed, "refused": self._refused, "text": self._latest}
            log.info("no TLS handshake", extra=facts)
            self._failed = self._refused = 0
