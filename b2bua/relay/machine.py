"""The relay without its sockets: legs, who is to be joined or in a room, what is recorded.

Orders come in by ``obey``, packets by the legs' own methods, time by ``tick``; what is to be said collects in
``to_controller`` and ``to_edge``. A wish to join two legs stands until it is withdrawn, and is judged again
at each description. Orders may name legs that do not exist yet.
"""

from collections.abc import Callable, Iterable
from random import Random
from typing import Final, Literal

import msgspec

from b2bua.relay.agreement import Agreement, can_join
from b2bua.relay.control import (
    CloseLeg,
    DescribeLeg,
    ForeignPackets,
    HoldKeys,
    JoinLegs,
    LegClosed,
    LegDescribed,
    LegKey,
    LegMeasured,
    LegReplaced,
    LegSilent,
    LegsJoined,
    LegsParted,
    OpenLeg,
    PartLegs,
    PlayInRoom,
    PrepareRooms,
    RecordRoom,
    RecordTaps,
    SendKeys,
    SetRoom,
    StopInRoom,
    StopTaps,
)
from b2bua.relay.leg import Leg
from b2bua.relay.packet import Packet
from b2bua.relay.passages import Passages
from b2bua.relay.rooms import RoomLoader, Rooms
from b2bua.relay.stream import Stream
from b2bua.relay.tapping import Files, Tapping
from b2bua.relay.ways import Lines

__all__ = ["Client", "Relay"]

Client = Literal["edge", "controller"]

_LOOK_S: Final = 0.1
"""Interval at which joined legs are looked at for silence and keys that have stopped."""
_REPORT_S: Final = 1.0


def _hear_nobody(at: float, last: bool) -> None:
    """All packets are given to their legs before the tick."""


class Relay:
    """The machine.

    Args:
        files: where the raw files are written.
        packet: the buffer.
        loader: the mixing desk and the sounds of rooms.
        random: makes SSRCs and first sequence numbers, which must not be guessed (RFC 3550 §5.1, §8.1).
        hear: see ``rooms.Rooms``.
    """

    def __init__(
        self,
        files: Files,
        packet: Packet,
        loader: RoomLoader,
        random: Random,
        hear: Callable[[float, bool], None] = _hear_nobody,
    ) -> None:
        self.silence_after_s = 0.5
        """See ``control.RelayConfig``."""
        self.rtp_timeout_s = 0.0
        """See ``control.RelayConfig``."""
        self.to_controller: list[msgspec.Struct] = []
        self.to_edge: list[msgspec.Struct] = []
        self.legs: dict[LegKey, Leg] = {}
        """By the edge's names."""
        self.passages = Passages(packet)
        self._packet = packet
        self._random = random
        self._tapping = Tapping(files)
        self._named: dict[LegKey, Leg] = {}
        """By the controller's names."""
        self._rooms = Rooms(
            self._named, self._tapping, loader, self.to_controller.append, self._part, self._judge, hear
        )
        self._taps_changed = False
        self._wishes: dict[LegKey, LegKey] = {}
        """Both ways, by the controller's names."""
        self._held: dict[LegKey, str] = {}
        self._dialling: set[Leg] = set()
        self._quiet: dict[Leg, float] = {}
        """Joined legs whose partner is silent, and when their next packet is due."""
        self._silent: set[LegKey] = set()
        """Reported by ``LegSilent``."""
        self._next_look = 0.0
        self._next_report = 0.0

    # -- orders ---------------------------------------------------------------------------------------

    def open_leg(self, order: OpenLeg, lines: Lines, now: float) -> Leg:
        """Make the leg that the edge has opened, or return it if it exists."""
        leg = self.legs.get(order.leg)
        if leg is None:
            rand = self._random.getrandbits
            stream = Stream(self._packet, rand(32), rand(16), rand(32))
            leg = Leg(order.leg, order.pair, lines, self._packet, stream, self.to_controller.append)
            leg.heard_at = now
            self.legs[order.leg] = leg
            self.passages.open(leg)
            self._name(leg, order.leg)
        return leg

    def obey(self, order: msgspec.Struct, sender: Client, now: float) -> Leg | None:
        """Carry out an order about legs; return the leg that it has closed, whose ports are free.

        Args:
            order: any but ``RelayConfig``, ``EdgeHello`` and ``OpenLeg``.
            sender: whose names it uses.
            now: monotonic seconds.
        """
        match order:
            case DescribeLeg() if leg := self.legs.get(order.leg):
                self._describe(leg, order, now)
            case LegReplaced() if leg := self.legs.get(order.leg):
                self._replace(leg, order.old, now)
            case JoinLegs():
                self._wish(order.one, order.other, now)
            case PartLegs():
                if self._wishes.get(order.one) == order.other:
                    self._withdraw(order.one, now)
            case RecordTaps():
                self._retap(self._tapping.record(order, now))
            case StopTaps():
                self._retap(self._tapping.stop(order.recording, now))
                self._rooms.stop_recording(order.recording)
            case HoldKeys():
                self._held[order.leg] = order.digits
                if leg := self._named.get(order.leg):
                    leg.keys.held = order.digits
            case SendKeys() if leg := self._named.get(order.leg):
                if leg.dial(order.digits, now):
                    self._dialling.add(leg)
            case PrepareRooms():
                self._rooms.prepare()
            case SetRoom() | PlayInRoom() | StopInRoom() | RecordRoom():
                self._rooms.obey(order, now)
            case CloseLeg():
                leg = self.known(order.leg, sender)
                if leg is not None:
                    self._close(leg, sender, now)
                elif sender == "controller":
                    self._forget(order.leg, now)
                return leg
        return None

    def patient(self) -> Iterable[Leg]:
        """See ``rooms.Rooms``."""
        return self._rooms.patient()

    def patience_changed(self) -> bool:
        """Return whether a leg may have become, or ceased to be, ``patient`` since the last call."""
        changed = self._taps_changed or self._rooms.seats_changed
        self._taps_changed = self._rooms.seats_changed = False
        return changed

    @property
    def rests_until(self) -> float:
        """Before, ``tick`` has nothing to do that cannot wait, if all legs are patient."""
        return 0.0 if self._dialling else self._rooms.next_at

    def known(self, key: LegKey, sender: Client) -> Leg | None:
        """Return the leg that a client calls so."""
        return (self.legs if sender == "edge" else self._named).get(key)

    def repeat(self) -> None:
        """Report the legs as they are, to a controller that has come back."""
        for leg in self._named.values():
            if leg.agreement is not None:
                self.to_controller.append(_described(leg.name, leg.agreement))
        pairs = {frozenset((one, other)) for one, other in self._wishes.items()}
        for one, other in pairs:
            joined = self._named.get(one)
            if joined is not None and joined.partner is not None:
                self.to_controller.append(LegsJoined(one=one, other=other))
        self._rooms.repeat()

    def _name(self, leg: Leg, name: LegKey) -> None:
        leg.name = name
        self._named[name] = leg
        leg.keys.held = self._held.get(name, "")
        self._retap({name})

    def _retap(self, names: Iterable[LegKey]) -> None:
        self._taps_changed = True
        for name in names:
            if leg := self._named.get(name):
                leg.taps = self._tapping.of(name, heard=False)
                leg.heard_taps = self._tapping.of(name, heard=True)

    def _describe(self, leg: Leg, order: DescribeLeg, now: float) -> None:
        agreement = leg.describe(order)
        self.passages.judge(leg)
        leg.heard_at = max(leg.heard_at, now)  # a leg is silent since its latest description at the earliest
        if not self._is_named(leg):
            return
        self.to_controller.append(_described(leg.name, agreement))
        self._rooms.judge(leg.name, now)
        self._judge(leg.name, now)

    def _replace(self, leg: Leg, old_key: LegKey, now: float) -> None:
        known = self.legs.get(old_key)
        name = known.name if known is not None else old_key
        if leg.name == name:
            return
        self._part(leg.name, now)
        self._part(name, now)
        for known_name in (leg.name, name):
            self._rooms.vacate(known_name, now)
        self._named.pop(leg.name, None)
        old = self._named.get(name)  # has perhaps taken this place itself
        if old is not None:
            leg.reception.add(old.reception)
            old.taps = old.heard_taps = ()
        self._name(leg, name)
        if leg.agreement is not None:
            self.to_controller.append(_described(leg.name, leg.agreement))
        self._rooms.judge(name, now)
        self._judge(name, now)

    def _is_named(self, leg: Leg) -> bool:
        """False: another leg has taken its place, and the controller does not know it any more."""
        return self._named.get(leg.name) is leg

    def _close(self, leg: Leg, sender: Client, now: float) -> None:
        if self._is_named(leg):
            self._report_foreign(leg)
            self._forget(leg.name, now)
            seen = leg.reception
            self.to_controller.append(
                LegMeasured(
                    leg=leg.name, received=seen.received, lost=seen.lost, jitter_ms=round(seen.jitter_ms, 3)
                )
            )
            del self._named[leg.name]
        if sender == "controller":
            self.to_edge.append(LegClosed(leg=leg.key))
        del self.legs[leg.key]
        self._dialling.discard(leg)
        self.passages.close(leg)
        leg.close()

    def _forget(self, name: LegKey, now: float) -> None:
        self._withdraw(name, now, told=True)
        self._rooms.forget(name, now)
        self._held.pop(name, None)
        self._silent.discard(name)

    # -- joining --------------------------------------------------------------------------------------

    def _wish(self, one: LegKey, other: LegKey, now: float) -> None:
        if one == other:
            return
        if self._wishes.get(one) != other:
            self._withdraw(one, now)
            self._withdraw(other, now)
            self._wishes[one], self._wishes[other] = other, one
        self._judge(one, now)
        leg = self._named.get(one)
        if leg is None or leg.partner is None:
            self.to_controller.append(LegsParted(one=one, other=other))

    def _withdraw(self, name: LegKey, now: float, *, told: bool = False) -> None:
        other = self._wishes.get(name)
        if other is not None:
            self._part(name, now, told=told)
            del self._wishes[name], self._wishes[other]
            self._silent -= {name, other}

    def _judge(self, name: LegKey, now: float) -> None:
        """Join or part a leg and the one that it is to be joined with, as their descriptions allow."""
        other_name = self._wishes.get(name)
        one = self._named.get(name)
        other = self._named.get(other_name) if other_name is not None else None
        if one is None or other is None or one.agreement is None or other.agreement is None:
            return
        in_room = one.seat is not None or other.seat is not None
        if in_room or not can_join(one.agreement, other.agreement):
            self._part(name, now)
            return
        news = one.partner is not other
        one.join(other, now)
        other.join(one, now)
        if news:
            self.to_controller.append(LegsJoined(one=one.name, other=other.name))

    def _part(self, name: LegKey, now: float, *, told: bool = True) -> None:
        one = self._named.get(name)
        if one is None or one.partner is None:
            return
        other = one.partner
        for leg in (one, other):
            self._quiet.pop(leg, None)
            leg.part(now)
        if told:
            self.to_controller.append(LegsParted(one=one.name, other=other.name))

    # -- time -----------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Do what time demands, once for each time that the sockets were drained."""
        self.passages.tick(now)
        self._rooms.tick(now)
        if self._dialling:
            self._dialling = {leg for leg in self._dialling if leg.dial_on(now)}
        if self._quiet:
            for leg in [leg for leg, due in self._quiet.items() if due <= now]:
                self._fill(leg, now)
        if now >= self._next_look:
            self._next_look = now + _LOOK_S
            self._look(now)
        if now >= self._next_report:
            self._next_report = now + _REPORT_S
            for leg in self._named.values():
                self._report_foreign(leg)
                self._report_silent(leg, now)

    def flush(self) -> None:
        """Give what was recorded to the files."""
        self._tapping.flush()

    def _look(self, now: float) -> None:
        limit = now - self.silence_after_s
        for leg in self._named.values():
            if leg.seat is not None:
                leg.expire_key(now)
            elif leg.partner is not None:
                leg.expire_key(now)
                if leg.spoken_at <= limit and leg not in self._quiet:
                    self._quiet[leg] = now

    def _fill(self, leg: Leg, now: float) -> None:
        """Send silence until somebody speaks."""
        if leg.stream.source is not None and leg.stream.at > now - self.silence_after_s:
            del self._quiet[leg]
            return
        leg.send_silence(now)
        step_s = leg.stream.step / leg.stream.rate
        self._quiet[leg] = max(self._quiet[leg] + step_s, now)

    def _report_foreign(self, leg: Leg) -> None:
        source = leg.ways.source
        if source.foreign and source.latest is not None:
            host, port = source.latest
            text = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            self.to_controller.append(ForeignPackets(leg=leg.name, source=text, count=source.foreign))
            source.foreign = 0

    def _report_silent(self, leg: Leg, now: float) -> None:
        other = self._named.get(self._wishes.get(leg.name, leg.name))
        if not self.rtp_timeout_s or other is None or (other is leg and leg.seat is None):
            return
        limit = now - self.rtp_timeout_s
        both = (leg, other)
        silent = all(s.heard_at <= limit and s.agreement is not None and s.agreement.talks for s in both)
        if not silent:
            self._silent.discard(leg.name)
        elif leg.name not in self._silent:
            self._silent.add(leg.name)
            self.to_controller.append(LegSilent(leg=leg.name))


def _described(name: LegKey, agreement: Agreement) -> LegDescribed:
    return LegDescribed(
        leg=name,
        recordable=agreement.recordable,
        keys=agreement.events is not None and agreement.plain,
        meets=agreement.meets,
        talks=agreement.talks,
    )
