"""Media as desired state: the connections the session wants, restored after every change.

A leg's slot in the conference bridge changes with every renegotiation (183 to 200, hold, resume), and its
connections die with the old slot. So nothing is cached across events: each reconciliation asks for the
current slots, makes the missing connections and removes those that are no longer wanted.

Thread: the SIP thread. The bridge only queues the operations requested here, until its next frame.
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
"""``to:LEG`` as a source: everything that leg hears."""
_LOOP = 0
"""Player option: start again at the end of the file."""


class MediaPart(Protocol):
    """A component that adds connections of its own to the graph: recorders, prompts, taps."""

    def connections(self) -> tuple[Connection, ...]:
        """Return the connections it wants."""

    def port(self, name: str) -> pj.AudioMedia | None:
        """Return its port of this name, as long as the port may be connected and disconnected."""


class MediaGraph:
    """The wanted and the actual connections of one session.

    Args:
        library: has the sink for legs that no sink hears.
        legs: the worker's registry; read at every reconciliation.
        parts: by the kind of their ports, which are named ``KIND:NAME``.
        tones_folder: contains ``CODE.wav`` for each tone.
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
        """Set the wanted connections. A tone that was not wanted until now starts from its beginning."""
        heard = {connection.source for connection in self._wanted}
        for source in {connection.source for connection in connections} - heard:
            kind, _, code = source.partition(":")
            if kind == _TONE and (player := self._players.get(code)) is not None:
                player.setPos(0)  # it stopped where it was disconnected, perhaps in the middle of a pause
        self._wanted = connections
        self._stale = True

    def parts_changed(self) -> None:
        """The connections that a part wants may have changed."""
        self._stale = True

    @property
    def connected(self) -> Collection[Connection]:
        """Connections that the last reconciliation left and that have not gone since."""
        return self._made.keys()

    def leg_changed(self, leg: LegId) -> None:
        """The leg's media was rebuilt or has ended: its connections are gone."""
        self._made = {c: slots for c, slots in self._made.items() if leg not in (c.source, c.sink)}
        self._stale = True

    def reconcile(self) -> None:
        """Reconcile actual connections with the wanted ones; costs nothing when nothing has changed."""
        if not self._stale:
            return
        self._stale = False
        wanted = _spelt_out(
            self._wanted + tuple(c for part in self._parts.values() for c in part.connections())
        )
        # The bridge reads nothing from a leg without a sink: its audio is buffered meanwhile, and the next
        # sink would hear half a second of the past.
        heard = {connection.source for connection in wanted}
        wanted += tuple(Connection(leg, _NOWHERE) for leg in self._legs if leg not in heard)
        for connection in [c for c in self._made if c not in wanted]:
            self._disconnect(connection)
        for connection in wanted:
            self._connect(connection)

    def clear(self) -> None:
        """Remove all connections at the end of the session; drop the players two clock ticks later."""
        self.want(())
        self.reconcile()

    def drop_players(self) -> None:
        """Destroy the players; their connections must have been gone for two ticks (40 ms)."""
        self._players.clear()

    @property
    def has_players(self) -> bool:
        """Whether there are players to drop."""
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
        except pj.Error as error:  # the slot has just gone; its media event will follow
            log.warning("could not connect media", extra={"status": error.status})
            return
        self._made[connection] = slots

    def _disconnect(self, connection: Connection) -> None:
        slots = self._made.pop(connection)
        source, sink = self._port(connection.source), self._port(connection.sink)
        # Never for a leg that has ended or moved: its old slot may belong to another leg by now.
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
        except pj.Error:  # no media yet, or on hold; a media event will follow when there are
            return None

    def _player(self, code: str) -> pj.AudioMediaPlayer | None:
        player = self._players.get(code)
        if player is None:
            player = pj.AudioMediaPlayer()
            try:
                player.createPlayer(str(self._tones / f"{code}.wav"), _LOOP)
            except pj.Error as error:
                log.error("unknown tone", extra={"tone": code, "status": error.status})
                return None
            self._players[code] = player
        return player


def _spelt_out(connections: tuple[Connection, ...]) -> tuple[Connection, ...]:
    """Replace each source ``to:LEG`` by all the sources that the leg hears."""
    found: list[Connection] = []
    for connection in connections:
        if connection.source.startswith(_TO):
            leg = connection.source.removeprefix(_TO)
            heard = (each.source for each in connections if each.sink == leg)
            found += [Connection(source, connection.sink) for source in heard]
        else:
            found.append(connection)
    return tuple(dict.fromkeys(found))
