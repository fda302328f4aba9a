"""Media as desired state: the connections the session wants, made so again after every change.

A leg's slot in the conference bridge changes with every renegotiation (183 to 200, hold, resume), and its
connections die with the old slot. So nothing is cached across events: each reconciliation asks for the slots
of now, connects what is missing and disconnects what is not wanted any more.

Thread: the SIP thread. The bridge itself works on its clock thread and only queues what it is told here.
"""

import logging
from collections.abc import Collection, Mapping
from pathlib import Path

import pjsua2 as pj

from b2bua.core.commands import Connection
from b2bua.core.ids import LegId
from b2bua.engine.pjleg import PjLeg
from b2bua.engine.prompts import PROMPT, Prompts
from b2bua.engine.recorders import RECORDER, Recorders

__all__ = ["MediaGraph"]

log = logging.getLogger(__name__)

_LOOP = 0
"""Player option: from the start again at the end of the file."""


class MediaGraph:
    """The wanted connections of one session, and those that exist.

    Args:
        legs: the worker's registry; read at every reconciliation.
        recorders: what they want to hear is wanted too.
        prompts: likewise what they want to be heard.
        tones_folder: where ``CODE.wav`` are.
    """

    def __init__(
        self, legs: Mapping[LegId, PjLeg], recorders: Recorders, prompts: Prompts, tones_folder: str
    ) -> None:
        self._legs = legs
        self._recorders = recorders
        self._prompts = prompts
        self._tones = Path(tones_folder)
        self._players: dict[str, pj.AudioMediaPlayer] = {}
        self._wanted: tuple[Connection, ...] = ()
        self._made: dict[Connection, tuple[int, int]] = {}
        self._stale = False

    def want(self, connections: tuple[Connection, ...]) -> None:
        """From now on, exactly these."""
        self._wanted = connections
        self._stale = True

    def parts_changed(self) -> None:
        """A recording was begun, ended, or has other legs; or a prompt was begun or ended."""
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
        wanted = self._wanted + self._recorders.sinks() + self._prompts.connections()
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
        kind, _, rest = name.partition(":")
        if kind == "tone":
            return self._player(rest)
        if kind == RECORDER:
            return self._recorders.port(rest)
        if kind == PROMPT:
            return self._prompts.port(rest)
        leg = self._legs.get(LegId(name))
        if leg is None or leg.ended:
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
