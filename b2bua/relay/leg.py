"""A leg: one party, its worker, and what passes between them or between the party and a partner.

Packets come in by three methods (``from_far``, ``from_worker``, ``report_from_far``), each working on the one
buffer, and leave by ``ways``.

Who is heard by the party is ``_feed``: the worker (None), another leg, or a room. After a change the old one
is heard until the first packet of the new one, at most ``OVERLAP_S`` (make before break).
"""

import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from b2bua.relay.agreement import Agreement, Route, agree, routes
from b2bua.relay.control import DescribeLeg, KeyPressed, LegKey, Pair
from b2bua.relay.keys import EVENT_BYTES, Dialling, Key, KeyWatch
from b2bua.relay.laws import SILENCE
from b2bua.relay.packet import HEADER, MIN_RTP, SIZE, Packet, Send, payload_of
from b2bua.relay.reception import Reception
from b2bua.relay.rtcp import Translation, translate
from b2bua.relay.seat import FRAME, Seat
from b2bua.relay.stream import Stream
from b2bua.relay.taps import Tap, stamp, write_down
from b2bua.relay.ways import Lines, Ways

__all__ = ["OVERLAP_S", "Leg"]

OVERLAP_S: Final = 0.06
_FRAME_END: Final = MIN_RTP + FRAME
_FRAME: Final = struct.Struct(f"{FRAME}s").unpack_from
_UNPACK: Final = HEADER.unpack_from
Carry = Callable[[int, int, int, int, float], bool]
"""``Stream.carry`` or ``Stream.carry_event``."""


class Leg:
    """One leg.

    Args:
        key: the edge's name of it.
        pair: its ports.
        lines: their sockets.
        packet: the buffer.
        stream: what its party hears.
        report: takes the keys that its party presses while it is joined.
    """

    __slots__ = (
        "__weakref__",
        "_carry",
        "_cname",
        "_data",
        "_events",
        "_feed",
        "_joined_at",
        "_kind",
        "_kind_to",
        "_law",
        "_listener",
        "_packet",
        "_plain",
        "_report",
        "_routes",
        "_turn_until",
        "_views",
        "_with_worker",
        "agreement",
        "dialling",
        "heard_at",
        "heard_taps",
        "key",
        "keys",
        "name",
        "pair",
        "partner",
        "reception",
        "seat",
        "stream",
        "taps",
        "ways",
    )

    def __init__(
        self,
        key: LegKey,
        pair: Pair,
        lines: Lines,
        packet: Packet,
        stream: Stream,
        report: Callable[[KeyPressed], None],
    ) -> None:
        self.key = key
        self.name = key
        """The controller's name of it; another than ``key`` once it has taken another leg's place."""
        self.pair = pair
        self.ways = Ways(lines, packet, stream)
        self.stream = stream
        self.agreement: Agreement | None = None
        self.reception = Reception()
        self.keys = KeyWatch()
        self.dialling: Dialling | None = None
        self.taps: tuple[Tap, ...] = ()
        """Of what comes from the party."""
        self.heard_taps: tuple[Tap, ...] = ()
        """Of what is sent to it."""
        self.heard_at = 0.0
        """When the party's latest packet came."""
        self.partner: Leg | None = None
        """The leg that this one is joined with."""
        self._listener: Leg | None = None
        """The partner, or the former one while it hears this party until its worker speaks."""
        self.seat: Seat | None = None
        """Its place in a room."""
        self._with_worker = True
        """Party and worker hear each other."""
        self._feed: Leg | Seat | None = None
        self._turn_until = 0.0
        self._joined_at = 0.0
        self._packet = packet
        self._data = packet.data
        self._views = packet.views
        self._report = report
        # Kept, because to look a method up and not call it makes an object each time.
        self._carry = stream.carry
        self._plain = True
        self._kind = -1
        """Payload type of the audio that goes to the listener by the short way."""
        self._kind_to = 0
        self._law: bytes | None = None
        self._routes: dict[int, Route] = {}
        self._events: frozenset[int] = frozenset()
        """Payload types of the party's keys."""
        self._cname = b"%08x" % stream.ssrc

    # -- what is told ---------------------------------------------------------------------------------

    def describe(self, order: DescribeLeg) -> Agreement:
        """Take what the two sides have said, and return what they have agreed on."""
        before = self.agreement
        self.agreement = now = agree(order.far, order.near)
        self._plain = now.plain
        self._events = frozenset(kind for kind, name in now.sends.items() if name == "TELEPHONE-EVENT")
        self.reception.rate = self.stream.rate = now.rate
        self.stream.step = FRAME if self.seat is not None else now.rate * now.ptime_ms // 1000
        self.ways.describe(order, now)
        changed = before is not None and (before.codec, before.takes) != (now.codec, now.takes)
        if changed and self._feed is not None:
            self._feed = None  # the former partner does not speak what the party takes from now on
            self.stream.turn()
        return now

    def join(self, partner: "Leg", now: float) -> None:
        """Let the two parties hear each other; repeated when a description has changed what they speak."""
        assert self.agreement is not None and partner.agreement is not None
        if self.partner is not partner:
            if self._listener is not partner and partner._feed is self:
                partner.stream.turn()  # what this party has sent meanwhile went elsewhere, and left no gap
            self.partner = self._listener = partner
            self._with_worker = False
            self._joined_at, self._turn_until = now, now + OVERLAP_S
        self._routes = routes(self.agreement, partner.agreement)
        by_name = {name: kind for kind, name in self.agreement.sends.items()}
        self._kind = by_name[self.agreement.codec]
        route = self._routes[self._kind]
        assert route.to is not None
        self._kind_to, self._law = route.to, route.law

    def part(self, now: float) -> None:
        """Let the party hear its worker again; the partner hears the party until its own worker speaks."""
        if self.partner is not None:
            self.partner = None
            self._with_worker = True
            self._turn_until = now + OVERLAP_S
            self.keys.part()

    def enter(self, seat: Seat) -> None:
        """Take part in a room, or in another way than before; the leg must be parted."""
        if not seat.listens and not self._with_worker:
            self.keys.part()
        self.seat = seat
        self._with_worker = not seat.listens
        self.stream.step = FRAME

    def leave(self, now: float) -> None:
        """Let the party hear its worker again."""
        if self.seat is None or self.agreement is None:
            return
        if not self._with_worker:
            self.keys.part()
        self.seat = None
        self._with_worker = True
        self._turn_until = now + OVERLAP_S
        self.stream.step = self.agreement.rate * self.agreement.ptime_ms // 1000

    def hears_room(self, seat: Seat) -> bool:
        """Whether the latest that the party has heard came from this place in a room."""
        return self._feed is seat

    def close(self) -> None:
        """Forget everybody, so that nobody keeps this leg alive."""
        self.partner = self._listener = self._feed = self.seat = None
        self.taps = self.heard_taps = ()
        self.ways.close()

    @property
    def spoken_at(self) -> float:
        """When the party was sent something for the last time, or was joined."""
        return max(self.stream.at, self._joined_at)

    # -- packets --------------------------------------------------------------------------------------

    def from_far(self, size: int, now: float) -> None:
        """Take a packet of the party, in the buffer."""
        first, second, seq, ts, ssrc = _UNPACK(self._data)
        if not MIN_RTP <= size < SIZE or first & 0xC0 != 0x80:
            return
        if 192 <= second <= 223:  # RFC 5761 §4: RTCP
            self.report_from_far(size, now)
            return
        self.heard_at = now
        self.reception.count(seq, ts, ssrc, now)
        kind = second & 0x7F
        for write, word in self.taps:
            write(stamp(word | size << 16, now))
            write(self._views[size])
        listener = self._listener
        if self.partner is None:
            seat = self.seat
            if seat is not None:
                if ssrc == seat.quick_ssrc and kind == seat.kind and size == _FRAME_END and first == 0x80:
                    assert seat.frames is not None
                    seat.frames.put(ts, _FRAME(self._data, MIN_RTP)[0], now)
                else:
                    self._speak(seat, kind, ts, ssrc, size, now)
            if self._with_worker and (
                kind not in self._events or not self._plain or self.keys.for_worker(ts)
            ):
                send = self.ways.to_worker
                try:
                    send(self._views[size])
                except OSError:
                    pass
            if listener is None:
                return
            if listener._feed is not self or now >= listener._turn_until:
                self._listener = None
                return
        assert listener is not None
        if kind == self._kind:
            if self._law is not None:
                self._translate(self._law, size)
            listener._hear(self, listener._carry, second & 0x80 | self._kind_to, seq, ts, ssrc, size, now)
        else:
            self._pass_other(listener, second, seq, ts, ssrc, size, now)

    def from_worker(self, size: int, now: float) -> None:
        """Take a packet of the worker, in the buffer."""
        first, second, seq, ts, ssrc = _UNPACK(self._data)
        if not MIN_RTP <= size < SIZE or first & 0xC0 != 0x80:
            return
        if 192 <= second <= 223:  # RFC 5761 §4: RTCP
            self._report_from_worker(size)
        elif self._plain and (self._with_worker or (self._feed is None and now < self._turn_until)):
            self._hear(None, self._carry, second, seq, ts, ssrc, size, now)
        else:
            self.stream.skip(seq, ssrc)  # the party is sent others, or encrypted packets as they are
            if not self._plain:
                _send(self.ways.to_far, self._views[size])

    def _hear(
        self,
        speaker: "Leg | None",
        carry: Carry,
        second: int,
        seq: int,
        ts: int,
        ssrc: int,
        size: int,
        now: float,
    ) -> None:
        """Send the packet in the buffer to the party, as the next of its stream."""
        stream = self.stream
        if self._feed is not speaker:
            self._feed = speaker
            stream.source = None
        if self.dialling is not None and self.dialling.speaks:
            stream.skip(seq, ssrc)
        elif carry(second, seq, ts, ssrc, now):
            for write, word in self.heard_taps:
                write(stamp(word | size << 16, now))
                write(self._views[size])
            send = self.ways.to_far
            try:
                send(self._views[size])
            except OSError:  # nobody listens there, or the kernel's queue is full: the packet is lost
                pass

    def _speak(self, seat: Seat, kind: int, ts: int, ssrc: int, size: int, now: float) -> None:
        """Give a packet of the party to its room. Keys are heard by nobody, nor their tones in the audio."""
        if kind in seat.tables:
            if self.keys.open:
                return
            begin, end = payload_of(self._data, size)
            payload = bytes(self._data[begin:end])
            law = seat.tables[kind]
            seat.put(ssrc, ts, payload if law is None else payload.translate(law), now)
            seat.quick_ssrc = ssrc if seat.wanted and seat.tables.get(seat.kind, law) is None else -1
        elif kind in self._events and not self._with_worker:
            seat.quick_ssrc = -1
            begin, end = payload_of(self._data, size)
            if end - begin >= EVENT_BYTES:
                self._tell(self.keys.joined(self._data, begin, ts, False, now)[1])

    def hear_room(self, seat: Seat, payload: bytes, now: float) -> None:
        """Send a frame of the room to the party, unless it is sent a key."""
        if self.dialling is not None and self.dialling.speaks:
            return
        kind = seat.kind
        if self._feed is seat:
            self.stream.follow(kind, now)
        else:
            self._feed = seat
            self.stream.turn()
            self.stream.follow(0x80 | kind, now)  # a talkspurt begins (RFC 3551 §4.1)
        self._data[MIN_RTP:_FRAME_END] = payload
        if self.heard_taps:
            self._send_own(_FRAME_END, now)
            return
        send = self.ways.to_far
        try:
            send(self._views[_FRAME_END])
        except OSError:
            pass

    def _pass_other(
        self, listener: "Leg", second: int, seq: int, ts: int, ssrc: int, size: int, now: float
    ) -> None:
        """Pass on a packet of a joined party that is not its usual audio, if the partner takes it."""
        stream = listener.stream
        route = self._routes.get(second & 0x7F)
        passes = route is not None and route.to is not None
        if route is not None and route.kind == "event":
            begin, end = payload_of(self._data, size)
            if end - begin < EVENT_BYTES:
                return
            passes, keys = self.keys.joined(self._data, begin, ts, passes, now)
            self._tell(keys)
        if not passes or route is None or route.to is None:
            stream.skip(seq, ssrc)
            return
        if route.law is not None:
            self._translate(route.law, size)
        carry = stream.carry_event if route.kind == "event" else stream.carry
        listener._hear(self, carry, second & 0x80 | route.to, seq, ts, ssrc, size, now)

    def _translate(self, law: bytes, size: int) -> None:
        begin, end = payload_of(self._data, size)
        self._data[begin:end] = self._data[begin:end].translate(law)

    # -- reports --------------------------------------------------------------------------------------

    def report_from_far(self, size: int, now: float) -> None:
        """Take RTCP of the party, in the buffer."""
        stream = self.stream
        if not self._plain:
            _send(self.ways.to_worker, self._views[size])
            return
        way = Translation(heard=stream.ssrc, heard_from=stream.source, seq_shift=stream.seq_shift)
        if self.partner is None and self._with_worker:
            if self._feed is not None:
                way.heard_from = None
            _send(self.ways.to_worker, translate(bytes(self._views[size]), way))
        elif (
            self.partner is not None and self.partner._feed is self and self.partner.stream.source is not None
        ):
            if self._feed is not self.partner:
                way.heard_from = None
            self.partner._take_report(bytes(self._views[size]), way)

    def _report_from_worker(self, size: int) -> None:
        if not self._plain:
            _send(self.ways.to_far_control, self._views[size])
        elif self.partner is None and self._feed is None and self.stream.source is not None:
            self._take_report(bytes(self._views[size]), Translation())

    def _take_report(self, data: bytes, way: Translation) -> None:
        """Send a report of whoever speaks to the party."""
        way.ours, way.ts_shift, way.name = self.stream.ssrc, self.stream.ts_shift, self._cname
        _send(self.ways.to_far_control, translate(data, way))

    # -- in time --------------------------------------------------------------------------------------

    def send_silence(self, now: float) -> None:
        """Send one packet of silence to a joined party."""
        if self.agreement is None or (self.dialling is not None and self.dialling.speaks):
            return
        codec = self.agreement.codec
        size = MIN_RTP + self.stream.step
        if codec not in SILENCE or size > len(self._data):
            return
        self._data[MIN_RTP:size] = SILENCE[codec] * self.stream.step  # 8 bytes a millisecond, all of them
        self.stream.insert(self.agreement.takes[codec], self.stream.next_ts(now), now)
        self.stream.turn()
        self._send_own(size, now)

    def dial(self, digits: str, now: float) -> bool:
        """Begin to send keys to the party; False: it takes none."""
        if self.agreement is None or self.agreement.events is None or not self._plain:
            return False
        if self.dialling is None:
            self.dialling = Dialling(self.agreement.events, now)
        self.dialling.add(digits)
        return True

    def dial_on(self, now: float) -> bool:
        """Send the packet of a key that is due; return whether more are to come."""
        if self.dialling is None:
            return False
        size = self.dialling.step(self._packet, self.stream, now)
        if size:
            self._send_own(size, now)
        if self.dialling.over:
            self.dialling = None
        return self.dialling is not None

    def expire_key(self, now: float) -> None:
        """Report a key whose end was lost."""
        if self.keys.open:
            self._tell(self.keys.expired(now))

    def _send_own(self, size: int, now: float) -> None:
        write_down(self.heard_taps, self._views[size], now)
        _send(self.ways.to_far, self._views[size])

    def _tell(self, keys: list[Key]) -> None:
        for key in keys:
            self._report(
                KeyPressed(
                    leg=self.name, at=key.at, digit=key.digit, duration_ms=key.duration_ms, passed=key.passed
                )
            )


def _send(send: Send, data: bytes | memoryview | None) -> None:
    if data is not None:
        with suppress(OSError):
            send(data)
