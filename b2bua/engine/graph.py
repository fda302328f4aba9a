"""Media as desired state: the connections the session wants, made so again after every change.

A leg's slot in the conference bridge changes with every renegotiation (183 to 200, hold, resume), and its
connections die with the old slot. So nothing is cached across events: each reconciliation asks for the slots
of now, connects what is missing and disconnects what is not wanted any more.

Thread: the SIP thread. The bridge itself works on its clock thread and only queues what it is told here.
"""

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Protocol

import pjsua2 as pj

from b2bua.core.commands import Connection
from b2bua.core.ids import LegId
from b2bua.engine.endpoint import Library
from b2bua.engine.pjleg import PjLeg

__all__ = ["MediaGraph", "MediaPart"]

log = logging.getLogger(__name__)

_NOWHERE = "nowhere"
_TONE = "tone"
_TO = "to:"
"""``to:LEG`` as a source: whatever that leg hears."""
_LOOP = 0
"""Player option: from the start again at the end of the file."""


class MediaPart(Protocol):
    """What joins the graph by itself: recorders, prompts, taps."""

    def connections(self) -> tuple[Connection, ...]:
        """What it wants connected."""

    def port(self, name: str) -> pj.AudioMedia | None:
        """Its port of this name, as long as it may be connected and disconnected."""


class MediaGraph:
    """The wanted connections of one session, and those that exist.

    Args:
        library: where what nobody hears goes.
        legs: the worker's registry; read at every reconciliation.
        parts: by the kind of their ports, which are called ``KIND:NAME``.
        tones_folder: where ``CODE.wav`` are.
    """

    def __init__(
        self,
        library: Library,
        legs: Mapping[LegId, PjLeg],
        parts: Mapping[str, MediaPart],
        tones_folder: str,
    ) -> None:
        self._library = library
        self._legs = legs
        self._parts = parts
        self._tones = Path(tones_folder)
        self._players: dict[str, pj.AudioMediaPlayer] = {}
        self._wanted: tuple[Connection, ...] = ()
        self._made: dict[Connection, tuple[int, int]] = {}
        self._stale = False

    def want(self, connections: tuple[Connection, ...]) -> None:
        """From now on, exactly these. A tone that nobody was to hear until now begins at its beginning."""
        heard = {connection.source for connection in self._wanted}
        for source in {connection.source for connection in connections} - heard:
            kind, _, code = source.partition(":")
            if kind == _TONE and (player := self._players.get(code)) is not None:
                player.setPos(0)  # it stands where it was disconnected, perhaps in the middle of a pause
        self._wanted = connections
        self._stale = True

    def parts_changed(self) -> None:
        """What one of the parts wants may be something else now."""
        self._stale = True

    @property
    def connected(self) -> Collection[Connection]:
        """What was made at the last reconciliation, and has not gone since."""
        return self._made.keys()

    def leg_changed(self, leg: LegId) -> None:
        """The leg's media was rebuilt or has ended: what was connected to it is gone."""
        self._made = {c: slots for c, slots in self._made.items() if leg not in (c.source, c.sink)}
        self._stale = True

    def reconcile(self) -> None:
        """Make what is what is wanted; nothing to do is the common case and costs nothing."""
        if not self._stale:
            return
        self._stale = False
        wanted = _spelt_out(
            self._wanted + tuple(c for part in self._parts.values() for c in part.connections())
        )
        # The bridge reads nothing from a leg that nobody hears: what it says is kept meanwhile, and whoever
        # is next to hear it hears half a second of the past.
        heard = {connection.source for connection in wanted}
        wanted += tuple(Connection(leg, _NOWHERE) for leg in self._legs if leg not in heard)
        for connection in [c for c in self._made if c not in wanted]:
            self._disconnect(connection)
        for connection in wanted:
            self._connect(connection)

    def clear(self) -> None:
        """End of the session: no connections; the players may be dropped two clock ticks later."""
        self.want(())
        self.reconcile()

    def drop_players(self) -> None:
        """Destroy the players; their connections have to be gone for two ticks (40 ms)."""
        self._players.clear()

    @property
    def has_players(self) -> bool:
        """Whether there is anything to drop."""
        return bool(self._players)

    def _connect(self, connection: Connection) -> None:
        source, sink = self._port(connection.source), self._port(connection.sink)
        if source is None or sink is None:
            return
        slots = (source.getPortId(), sink.getPortId())
        if self._made.get(connection) == slots:
            return
        try:
            source.startTransmit(sink)
        except pj.Error as error:  # the slot went away in this very moment; its media event will come
            log.warning("could not connect media", extra={"status": error.status})
            return
        self._made[connection] = slots

    def _disconnect(self, connection: Connection) -> None:
        slots = self._made.pop(connection)
        source, sink = self._port(connection.source), self._port(connection.sink)
        # Never toward a leg that has ended or moved: its old slot may be somebody else's by now.
        if source is None or sink is None or slots != (source.getPortId(), sink.getPortId()):
            return
        try:
            source.stopTransmit(sink)
        except pj.Error as error:
            log.warning("could not disconnect media", extra={"status": error.status})

    def _port(self, name: str) -> pj.AudioMedia | None:
        if name == _NOWHERE:
            return self._library.nowhere()
        kind, _, rest = name.partition(":")
        if kind == _TONE:
            return self._player(rest)
        if (part := self._parts.get(kind)) is not None:
            return part.port(rest)
        leg = self._legs.get(LegId(name))
        if leg is None or leg.machine.state.is_over:
            return None
        try:
            return leg.getAudioMedia(-1)
        except pj.Error:  # no media yet, or on hold; a media event comes when it has
            return None

    def _player(self, code: str) -> pj.AudioMediaPlayer | None:
        player = self._players.get(code)
        if player is None:
            player = pj.AudioMediaPlayer()
            try:
                player.createPlayer(str(self._tones / f"{code}.wav"), _LOOP)
            except pj.Error as error:
                log.error("no such tone", extra={"tone": code, "status": error.status})
                return None
            self._players[code] = player
        return player


def _spelt_out(connections: tuple[Connection, ...]) -> tuple[Connection, ...]:
    """Sources that are ``to:LEG`` replaced by all those that the leg is connected to."""
    found: list[Connection] = []
    for connection in connections:
        if connection.source.startswith(_TO):
            leg = connection.source.removeprefix(_TO)
            heard = (each.source for each in connections if each.sink == leg)
            found += [Connection(source, connection.sink) for source in heard]
        else:
            found.append(connection)
    return tuple(dict.fromkeys(found))
