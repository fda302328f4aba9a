"""The edge process: the node's only public SIP sockets, and the proxy behind them.

``python -m b2bua.sip.edge --control PATH --log-format console|json``. The process lives as long as its
control channel. It ignores signals: the controller reacts to them and closes the channel when it is time.
"""

import argparse
import asyncio
import functools
import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, cast

import msgspec
import uvloop
from setproctitle import setproctitle

from b2bua.core.errors import ConfigError, PeerError
from b2bua.ipc.channel import Channel
from b2bua.ipc.dscp import SIGNALLING, mark
from b2bua.logs import set_up_logging
from b2bua.relay.control import CloseLeg, DescribeLeg, LegReplaced, OpenLeg
from b2bua.relay.control import ToEdge as RelayToEdge
from b2bua.sip.addresses import LOOPBACK, Addresses
from b2bua.sip.edge_control import (
    BindingsChanged,
    CallRefused,
    EdgeConfig,
    EdgeFailed,
    EdgeReady,
    LeaseTaken,
    ListenSpec,
    SetDraining,
    ToEdge,
    TrunkState,
    WorkerKnown,
)
from b2bua.sip.flow import Find, Flow, Output, Send, Side
from b2bua.sip.proxy import Proxy
from b2bua.sip.relay_client import RelayClient
from b2bua.sip.resolve import Resolver
from b2bua.sip.tls import Contexts, Handshakes
from b2bua.sip.transport import Datagrams, Streams
from b2bua.watch import Watch

__all__ = ["Edge", "main"]

log = logging.getLogger(__name__)

TICK_S: Final = 1.0
SAME_PORT_TRIES: Final = 50
RELAY_LIMIT_S: Final = 10.0
"""How long the edge waits for the relay's first ports before it takes calls even so."""
UDP_BUFFER: Final = 4 << 20
"""Bytes that the kernel may buffer for a socket that is briefly not read."""


class Edge:
    """Connects the sockets, the proxy and the controller.

    Args:
        channel: the channel to the controller.
    """

    def __init__(self, channel: Channel[ToEdge]) -> None:
        self._channel = channel
        self._udp: dict[tuple[Side, int], Datagrams] = {}
        self._tls: Contexts | None = None
        self._handshakes: list[Handshakes] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._watch = Watch()
        self._relay: RelayClient | None = None
        self._granted = asyncio.Event()
        """Set when the relay has granted the first ports."""
        self._faults = 0
        self._dropped = 0

    async def run(self) -> int:
        """Serve until the controller closes the channel; return the exit status."""
        orders = self._channel.__aiter__()
        config = await anext(orders, None)
        if not isinstance(config, EdgeConfig):
            return 1
        try:
            self._tls = None if config.tls is None else Contexts(config.tls)
            sockets = bind(config.listen, self._tls)
        except (ConfigError, OSError) as error:
            log.error("cannot listen", extra={"text": str(error)})
            self._channel.send(EdgeFailed(text=str(error)))
            self._channel.close()
            return 1
        await self._start(config, sockets)
        self._watch.run("the edge's upkeep", self._tick)
        async for order in orders:
            self._guard(functools.partial(self._proxy.obey, order, time.monotonic()))
            if isinstance(order, EdgeConfig):
                self._read_certificates(order)
            elif isinstance(order, SetDraining):
                # Messages to trunks leave now: the process may not live for another tick.
                self._guard(lambda: self._proxy.tick(time.monotonic()))
        await self._watch.close()
        return 0

    def _read_certificates(self, config: EdgeConfig) -> None:
        if self._tls is None or config.tls is None:
            return
        try:
            self._tls.load(config.tls)
            log.info("certificates read again")
        except ConfigError as error:
            log.error("the new certificates are not used", extra={"text": str(error)})

    async def _start(self, config: EdgeConfig, sockets: "Sockets") -> None:
        listening = sockets.listening(config.listen)
        addresses = Addresses(listening, config.advertise, config.domain, sockets.inner_port, config.secret)
        proxy = self._proxy = Proxy(config, addresses, os.urandom(32))
        if config.relay:
            self._relay = RelayClient(config.relay, proxy.media.hello, self._hear_relay)
            self._watch.run("the connection to the relay", self._relay.run)
        self._streams = Streams(
            self._receive, self._send, addresses.own_connections, time.monotonic, self._tls
        )
        v6 = any(":" in listen.host for listen in listening)
        self._resolver = Resolver(config.nameservers, v6=v6, tls=self._tls is not None)
        loop = asyncio.get_running_loop()
        points = [("outer", place, sock) for place, sock in enumerate(sockets.outer)]
        points += [("inner", 0, sock) for sock in sockets.inner]
        for name, place, sock in points:
            side = cast(Side, name)
            if sock.type == socket.SOCK_DGRAM:
                datagrams = self._udp[side, place] = Datagrams(side, place, self._receive)
                await loop.create_datagram_endpoint(lambda d=datagrams: d, sock=sock)  # type: ignore[misc]
            elif side == "outer" and listening[place].transport == "tls":
                self._accept_tls(sock, place)
            else:
                await loop.create_server(self._streams.accept(side, place), sock=sock, backlog=256)
        gc.freeze()  # objects that exist now live as long as the process
        if self._relay is not None:  # without its ports every call would be refused
            with suppress(TimeoutError):
                async with asyncio.timeout(RELAY_LIMIT_S):
                    await self._granted.wait()
        self._channel.send(EdgeReady(listening=listening, inner_port=sockets.inner_port))
        log.debug("edge listening", extra={"inner_port": sockets.inner_port})

    def _accept_tls(self, sock: socket.socket, place: int) -> None:
        assert self._tls is not None  # bind has refused otherwise
        accept = self._streams.accept("outer", place, "tls")
        handshakes = Handshakes(sock, self._tls, accept, time.monotonic)
        self._handshakes.append(handshakes)
        self._watch.run("TLS handshakes", handshakes.run)

    # -- messages -----------------------------------------------------------------------------------

    def _hear_relay(self, message: RelayToEdge) -> None:
        self._guard(lambda: self._proxy.relay(message, time.monotonic()))
        self._granted.set()

    def _receive(self, data: bytes, came_from: Flow) -> None:
        self._guard(lambda: self._proxy.receive(data, came_from, time.monotonic()), came_from)

    def _guard(self, decide: Callable[[], list[Output]], flow: Flow | None = None) -> None:
        """Run ``decide`` and carry out its outputs; a fault in one message does not affect the next."""
        try:
            self._act(decide())
        except PeerError as error:
            self._dropped += 1
            log.debug("dropped", extra={"text": str(error), "pii_source": flow.source if flow else ""})
        except Exception:
            self._faults += 1
            log.exception("message could not be handled", extra={"faults": self._faults})

    def _act(self, outputs: list[Output]) -> None:
        """Carry out outputs: messages first. Until they are answered, relay and controller know the rest."""
        for output in outputs:
            if isinstance(output, Send):
                self._send(output)
        for output in outputs:
            match output:
                case Send():
                    pass
                case LeaseTaken() | WorkerKnown() | CallRefused() | TrunkState() | BindingsChanged():
                    self._channel.send(output)
                case OpenLeg() | DescribeLeg() | LegReplaced() | CloseLeg():
                    assert self._relay is not None  # there are no legs without it
                    self._relay.send(output)
                case Find():
                    task = asyncio.get_running_loop().create_task(self._find(output))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)

    def _send(self, message: Send) -> None:
        to = message.to
        if to.transport != "udp":
            self._streams.send(message)
        elif not self._udp[to.side, to.listener].send(message.data, to) and to.side == "outer":
            log.info("datagram could not be sent", extra={"pii_target": to.source})
            self._guard(lambda: self._proxy.not_sent(message.data), to)

    async def _find(self, find: Find) -> None:
        found: object = "Name Resolution Failed"
        try:
            found = await self._resolver.resolve(find.uri)
        except Exception:
            self._faults += 1
            log.exception("name could not be resolved", extra={"faults": self._faults})
        if isinstance(found, tuple):
            targets = found
            self._guard(lambda: self._proxy.found(find.branch, targets, time.monotonic()))
        else:
            log.info("no next hop", extra={"text": found, "pii_host": find.uri.host})
            self._guard(lambda: self._proxy.not_found(find.branch, str(found)))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._streams.tick()
            for handshakes in self._handshakes:
                handshakes.tick()
            self._guard(lambda: self._proxy.tick(time.monotonic()))
            if self._dropped:
                log.info("messages dropped", extra={"count": self._dropped})
                self._dropped = 0


class Sockets:
    """Bound sockets: the public ones in the order of the configuration, and an inner pair of UDP and TCP."""

    def __init__(self) -> None:
        self.outer: list[socket.socket] = []
        self.inner: list[socket.socket] = []

    @property
    def inner_port(self) -> int:
        """The port of the inner pair."""
        return int(self.inner[0].getsockname()[1])

    def listening(self, listen: tuple[ListenSpec, ...]) -> tuple[ListenSpec, ...]:
        """Return the configured listening points with their actual ports."""
        return tuple(
            ListenSpec(spec.transport, spec.host, sock.getsockname()[1])
            for spec, sock in zip(listen, self.outer, strict=True)
        )


def bind(listen: tuple[ListenSpec, ...], tls: Contexts | None = None) -> Sockets:
    """Bind all sockets.

    Raises:
        ConfigError: an address cannot be listened on.
    """
    sockets = Sockets()
    for spec in listen:
        if spec.transport == "tls" and tls is None:
            raise ConfigError("cannot listen on tls without a certificate")
        try:
            sock = _bound(spec.transport, spec.host, spec.port)
            mark(sock, SIGNALLING)
            sockets.outer.append(sock)
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {spec.transport}://{spec.host}:{spec.port}: {error.strerror}"
            ) from error
    sockets.inner = _inner_pair()
    return sockets


def _bound(transport: str, host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if transport != "udp":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_BUFFER)
        sock.bind((host, port))
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _inner_pair() -> list[socket.socket]:
    """Bind UDP and TCP on the same free loopback port."""
    for _ in range(SAME_PORT_TRIES):
        datagram = _bound("udp", LOOPBACK, 0)
        try:
            return [datagram, _bound("tcp", LOOPBACK, datagram.getsockname()[1])]
        except OSError:
            datagram.close()
    raise ConfigError("no port of 127.0.0.1 is free for both UDP and TCP")


async def _serve(path: str) -> int:
    reader, writer = await asyncio.open_unix_connection(path)
    decoder = msgspec.msgpack.Decoder(ToEdge)
    return await Edge(cast(Channel[ToEdge], Channel(reader, writer, decoder))).run()


def main() -> int:
    """Run the edge process."""
    parser = argparse.ArgumentParser(prog="python -m b2bua.sip.edge")
    parser.add_argument("--control", required=True, help="the controller's Unix socket")
    parser.add_argument("--log-format", choices=("console", "json"), default="console")
    options = parser.parse_args()
    setproctitle("b2bua-edge")
    set_up_logging(options.log_format)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    return uvloop.run(_serve(options.control))


if __name__ == "__main__":
    sys.exit(main())
