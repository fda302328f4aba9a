"""The edge process: reads the node's public SIP sockets, and is the proxy behind them.

``python -m b2bua.sip.edge --control PATH --sockets FD,… --life FD --log-format console|json``. The sockets
are inherited from the supervisor; the edge ends with its life line and ignores signals. Controllers connect
to its own Unix socket: it outlives them, and keeps calls in progress without one.
"""

import argparse
import asyncio
import functools
import gc
import importlib
import logging
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from hashlib import blake2s
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
import uvloop
from setproctitle import setproctitle

from b2bua.core.errors import ConfigError, PeerError
from b2bua.early_log import begin_log
from b2bua.ipc.channel import Channel
from b2bua.ipc.connecting import listening_at, watch_life_line
from b2bua.relay.control import CloseLeg, DescribeLeg, LegReplaced, OpenLeg
from b2bua.relay.control import ToEdge as RelayToEdge
from b2bua.sip.addresses import Addresses
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
from b2bua.sip.edge_log import EdgeLog
from b2bua.sip.flow import Find, Flow, Output, Send, Side
from b2bua.sip.listening import Sockets
from b2bua.sip.proxy import Proxy
from b2bua.sip.relay_client import RelayClient
from b2bua.sip.tls import Contexts, Handshakes
from b2bua.sip.transport import Datagrams, Streams
from b2bua.watch import Watch

if TYPE_CHECKING:  # loaded when calls can already be served
    from b2bua.sip.resolve import Resolver

__all__ = ["Edge", "main"]

log = logging.getLogger(__name__)

LEGS_LOG: Final = "legs.log"
"""Name of the log of the edge's legs, in the run folder."""
TICK_S: Final = 1.0
_REQUESTS_PER_S: Final = 16
"""More than the edge itself sends to trunks, so that the numbers of these requests rise over all edges."""
RELAY_LIMIT_S: Final = 10.0
"""How long the edge waits for the relay's first ports before it takes calls even so."""


class Edge:
    """Connects the sockets, the proxy and the controller.

    Args:
        sockets: all that it listens on.
        log_path: of the log of its legs; None: it keeps none.
    """

    def __init__(self, sockets: Sockets, log_path: Path | None = None) -> None:
        self._sockets = sockets
        self._log_path = log_path
        self._log: EdgeLog | None = None
        self._proxy: Proxy | None = None
        """None until the first controller has sent the configuration."""
        self._channel: Channel[ToEdge] | None = None
        """To the present controller; without one, calls in progress go on."""
        self._udp: dict[tuple[Side, int], Datagrams] = {}
        self._tls: Contexts | None = None
        self._handshakes: list[Handshakes] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._watch = Watch()
        self._relay: RelayClient | None = None
        self._granted = asyncio.Event()
        """Set when the relay has granted the first ports."""
        self._faults = 0
        self._dropped = 0

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a controller that has connected."""
        decoder = msgspec.msgpack.Decoder(ToEdge)
        self._spawn(self.serve(cast(Channel[ToEdge], Channel(reader, writer, decoder))))

    async def serve(self, channel: Channel[ToEdge]) -> int:
        """Serve a controller until it closes the channel; another one may come after it.

        Returns:
            0; 1: it has sent no configuration, or one that cannot be used.
        """
        orders = channel.__aiter__()
        config = await anext(orders, None)
        if not isinstance(config, EdgeConfig):
            channel.close()
            return 1
        proxy = self._proxy
        if proxy is None:
            try:
                self._tls = None if config.tls is None else Contexts(config.tls)
            except (ConfigError, OSError) as error:
                log.error("cannot listen", extra={"text": str(error)})
                channel.send(EdgeFailed(text=str(error)))
                channel.close()
                return 1
            listening = self._sockets.listening(config.listen)
            proxy = await self._start(config, listening)
        if self._channel is not None:
            self._channel.close()
        self._channel = channel
        self._greet(channel, proxy, config)
        async for order in orders:
            self._guard(functools.partial(proxy.obey, order, time.monotonic()))
            if isinstance(order, EdgeConfig):
                self._read_certificates(order)
            elif isinstance(order, SetDraining):
                # Messages to trunks leave now: the process may not live for another tick.
                self._guard(lambda: proxy.tick(time.monotonic()))
        if self._channel is channel:
            self._channel = None
            proxy.leases.withdraw()  # who would hear of a new call? Those that come wait
        channel.close()
        return 0

    def _greet(self, channel: Channel[ToEdge], proxy: Proxy, config: EdgeConfig) -> None:
        """Tell a controller what is true here; an edge that has just started knows nothing yet."""
        now = time.monotonic()
        listening, inner_port = self._sockets.listening(config.listen), self._sockets.inner_port
        channel.send(EdgeReady(listening=listening, inner_port=inner_port, workers=tuple(proxy.leases.ports)))
        channel.send(*proxy.locations.all(now))
        self._guard(lambda: proxy.adopt(config, now))

    async def close(self) -> None:
        """End: say farewell to whom nobody else has said it."""
        if self._proxy is not None:
            proxy = self._proxy
            self._guard(lambda: proxy.legs.leave(time.monotonic()))
        await self._watch.close()

    def _read_certificates(self, config: EdgeConfig) -> None:
        if self._tls is None or config.tls is None:
            return
        try:
            self._tls.load(config.tls)
            log.info("certificates read again")
        except ConfigError as error:
            log.error("the new certificates are not used", extra={"text": str(error)})

    async def _start(self, config: EdgeConfig, listening: tuple[ListenSpec, ...]) -> Proxy:
        sockets = self._sockets
        addresses = Addresses(listening, config.advertise, config.domain, sockets.inner_port, config.secret)
        now = time.monotonic()
        proxy = Proxy(config, addresses, own_secret(config.secret), int(now * _REQUESTS_PER_S))
        if self._log_path is not None:
            self._log = EdgeLog(self._log_path)
            proxy.legs.restore(self._log.found, now)
        self._proxy = proxy
        if config.relay:
            self._relay = RelayClient(config.relay, proxy.media.hello, self._hear_relay)
            self._watch.run("the connection to the relay", self._relay.run)
        self._streams = Streams(
            self._receive, self._send, addresses.own_connections, time.monotonic, self._tls
        )
        v6 = any(":" in listen.host for listen in listening)
        self._resolver = asyncio.ensure_future(_resolver(config.nameservers, v6, self._tls is not None))
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
        self._watch.run("the edge's upkeep", self._tick)
        log.debug("edge listening", extra={"inner_port": sockets.inner_port})
        return proxy

    def _accept_tls(self, sock: socket.socket, place: int) -> None:
        assert self._tls is not None  # bind has refused otherwise
        accept = self._streams.accept("outer", place, "tls")
        handshakes = Handshakes(sock, self._tls, accept, time.monotonic)
        self._handshakes.append(handshakes)
        self._watch.run("TLS handshakes", handshakes.run)

    # -- messages -----------------------------------------------------------------------------------

    @property
    def _running(self) -> Proxy:
        assert self._proxy is not None  # no socket is read before
        return self._proxy

    def _hear_relay(self, message: RelayToEdge) -> None:
        proxy = self._running
        self._guard(lambda: proxy.relay(message, time.monotonic()))
        self._granted.set()

    def _receive(self, data: bytes, came_from: Flow) -> None:
        self._guard(lambda: self._running.receive(data, came_from, time.monotonic()), came_from)

    def _guard(self, decide: Callable[[], list[Output]], flow: Flow | None = None) -> None:
        """Run ``decide`` and carry out its outputs; a fault in one message does not affect the next."""
        try:
            self._act(decide())
            if self._log is not None and self._proxy is not None:
                self._log.append(self._proxy.legs.take_log())
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
                    if self._channel is not None:
                        self._channel.send(output)
                case OpenLeg() | DescribeLeg() | LegReplaced() | CloseLeg():
                    assert self._relay is not None  # there are no legs without it
                    self._relay.send(output)
                case Find():
                    self._spawn(self._find(output))

    def _send(self, message: Send) -> None:
        to = message.to
        if to.transport != "udp":
            self._streams.send(message)
        elif not self._udp[to.side, to.listener].send(message.data, to) and to.side == "outer":
            log.info("datagram could not be sent", extra={"pii_target": to.source})
            self._guard(lambda: self._running.not_sent(message.data), to)

    def _spawn(self, work: Coroutine[None, None, Any]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _find(self, find: Find) -> None:
        found: object = "Name Resolution Failed"
        try:
            found = await (await self._resolver).resolve(find.uri)
        except Exception:
            self._faults += 1
            log.exception("name could not be resolved", extra={"faults": self._faults})
        if isinstance(found, tuple):
            targets = found
            self._guard(lambda: self._running.found(find.branch, targets, time.monotonic()))
        else:
            log.info("no next hop", extra={"text": found, "pii_host": find.uri.host})
            self._guard(lambda: self._running.not_found(find.branch, str(found)))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._streams.tick()
            for handshakes in self._handshakes:
                handshakes.tick()
            self._guard(lambda: self._running.tick(time.monotonic()))
            if self._dropped:
                log.info("messages dropped", extra={"count": self._dropped})
                self._dropped = 0


async def _resolver(nameservers: tuple[str, ...], v6: bool, tls: bool) -> "Resolver":
    """Return the resolver, whose library takes longer to load than calls can wait for the next edge."""
    module = await asyncio.to_thread(importlib.import_module, "b2bua.sip.resolve")
    resolver: Resolver = module.Resolver(nameservers, v6=v6, tls=tls)
    return resolver


def own_secret(shared: str) -> bytes:
    """Return the secret of the edge's branches, tags and tokens: the same for all edge processes of a node.

    So what one of them has sent out comes home to the next.
    """
    return blake2s(b"edge", key=bytes.fromhex(shared)).digest()


async def _serve(options: argparse.Namespace) -> int:
    sockets = Sockets.inherited([int(fd) for fd in options.sockets.split(",")])
    edge = Edge(sockets, Path(options.control).with_name(LEGS_LOG))
    ended = asyncio.Event()
    watch_life_line(options.life, ended.set)
    server = await asyncio.start_unix_server(edge.connected, sock=listening_at(options.control))
    await ended.wait()
    server.close()
    await edge.close()
    return 0


def main() -> int:
    """Run the edge process."""
    parser = argparse.ArgumentParser(prog="python -m b2bua.sip.edge")
    parser.add_argument("--control", required=True, help="the Unix socket to listen on")
    parser.add_argument("--sockets", required=True, help="descriptors of the bound sockets, with commas")
    parser.add_argument("--life", required=True, type=int, help="descriptor of the life line")
    parser.add_argument("--log-format", choices=("console", "json"), default="console")
    options = parser.parse_args()
    setproctitle("b2bua-edge")
    log_thread = begin_log(options.log_format)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    status = uvloop.run(_serve(options))
    log_thread.join()
    return status


if __name__ == "__main__":
    sys.exit(main())
