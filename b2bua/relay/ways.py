"""The ways out of a leg: whom its three sockets send to, and whom they believe."""

from typing import Final, Literal, Protocol

from b2bua.relay.addresses import Address, reachable
from b2bua.relay.agreement import Agreement
from b2bua.relay.control import DescribeLeg
from b2bua.relay.packet import HEADER, MIN_RTP, Packet, Send, nowhere
from b2bua.relay.source import Source
from b2bua.relay.stream import Stream

__all__ = ["InsideLines", "Line", "Lines", "Ways"]

_UNPACK: Final = HEADER.unpack_from


class Line(Protocol):
    """A socket, as a leg sees it."""

    def aim(self, address: Address) -> Send:
        """Send to ``address``, hear everybody."""

    def settle(self, address: Address) -> Send:
        """Send to ``address``, hear nobody else."""

    def release(self) -> None:
        """Hear everybody again."""


class Lines(Protocol):
    """The three sockets of a pair of ports."""

    @property
    def outer(self) -> Line:
        """RTP of the party."""

    @property
    def control(self) -> Line:
        """RTCP of the party."""

    @property
    def inner(self) -> Line:
        """The worker's, RTP and RTCP."""

    @property
    def version(self) -> Literal[4, 6]:
        """Of the outer address."""

    @property
    def inner_host(self) -> str:
        """Address of the worker."""


class _NoLine:
    """A socket that is not used."""

    def aim(self, address: Address) -> Send:
        return nowhere

    def settle(self, address: Address) -> Send:
        return nowhere

    def release(self) -> None:
        pass


class InsideLines:
    """The sockets of a link leg, whose party is a worker: it speaks and hears by the inner one.

    There is no worker behind the leg, and nothing of it is outside.

    Args:
        lines: those of its pair.
    """

    version: Literal[4, 6] = 4
    inner_host = ""
    """None that the party must not name: it is a worker."""

    def __init__(self, lines: Lines) -> None:
        self.outer: Line = lines.inner
        self.control: Line = _NoLine()
        self.inner: Line = _NoLine()


class Ways:
    """Where a leg's packets go, and where they come from.

    A socket that has heard the one that it waited for is settled on it: the kernel drops others' packets from
    then on, and sends with less ado. Until then each packet is judged by ``believes_…``.

    Args:
        lines: the sockets.
        packet: the buffer.
        stream: what the party is sent; it stands still while nothing can be sent.
    """

    __slots__ = (
        "_control_at",
        "_control_told",
        "_data",
        "_lines",
        "_stream",
        "_worker_port",
        "source",
        "to_far",
        "to_far_control",
        "to_worker",
        "told",
    )

    def __init__(self, lines: Lines, packet: Packet, stream: Stream) -> None:
        self.source = Source()
        self.told: Address | None = None
        """Where the party wants to be sent to, by its latest description."""
        self.to_far: Send = nowhere
        self.to_far_control: Send = nowhere
        self.to_worker: Send = nowhere
        self._lines = lines
        self._data = packet.data
        self._stream = stream
        self._worker_port = 0
        self._control_at: Address | None = None
        self._control_told: Address | None = None

    def describe(self, order: DescribeLeg, agreement: Agreement) -> None:
        """Take the addresses of a description."""
        far, version = order.far, self._lines.version
        inner = self._lines.inner_host
        self.told = told = reachable(far.host, far.port, version, inner)
        source = self.source
        moved = source.tell(told, agreement.sends)
        if told is None:
            if self.to_far is not nowhere:
                self.to_far = nowhere
                self._stream.pause()
        elif moved:
            self._lines.outer.release()
            self._send_by(self._lines.outer.aim(told))
        elif self.to_far is nowhere and source.at is not None:
            self._send_by(self._lines.outer.settle(source.at))
        elif self.to_far is nowhere:
            self._send_by(self._lines.outer.aim(told))
        control = reachable(far.rtcp_host, far.rtcp_port, version, inner)
        if control is None:
            self.to_far_control = nowhere
            self._control_told = None
        elif control != self._control_told:
            self._lines.control.release()
            self._control_told, self._control_at = control, None
            self.to_far_control = self._lines.control.aim(control)
        if order.near.port and order.near.port != self._worker_port:
            self._worker_port = order.near.port
            self._lines.inner.release()
            self.to_worker = self._lines.inner.settle((self._lines.inner_host, order.near.port))

    def _send_by(self, send: Send) -> None:
        if self.to_far is nowhere:
            self._stream.resume()
        self.to_far = send

    def face(self, send: Send) -> None:
        """The party is another leg of ours, which is sent to by ``send``: nobody else is heard."""
        self.source.at = self.source.told
        self._send_by(send)

    def turn_away(self) -> None:
        """The party is no leg of ours any more, or no longer told of this one: use the socket."""
        if self.to_far is not nowhere and self.told is not None:
            self.to_far = self._lines.outer.aim(self.told)

    def close(self) -> None:
        """Send to nobody, and let nobody keep the sockets."""
        self.to_far = self.to_far_control = self.to_worker = nowhere

    def believes_far(self, address: Address, size: int) -> bool:
        """Judge a packet of the outer socket, which still hears everybody."""
        first, second, seq, ts, ssrc = _UNPACK(self._data)
        if size < MIN_RTP or first & 0xC0 != 0x80:
            self.source.drop(address)
            return False
        was = self.source.at
        if not self.source.believes(address, second & 0x7F, seq, ts, ssrc):
            return False
        if was is None:
            self._send_by(self._lines.outer.settle(address))
        return True

    def believes_control(self, address: Address, size: int) -> bool:
        """Judge a packet of the outer RTCP socket: from where it was told, or from where the audio comes."""
        if self._control_at is not None:
            return address == self._control_at
        at = self.source.at
        if address != self._control_told and (at is None or address[0] != at[0]):
            self.source.drop(address)
            return False
        if self._control_told is not None:
            self._control_at = address
            self.to_far_control = self._lines.control.settle(address)
        return True

    def believes_worker(self, address: Address, size: int) -> bool:
        """Judge a packet of the inner socket: workers send from where they receive."""
        return address == (self._lines.inner_host, self._worker_port)
