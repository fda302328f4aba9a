"""The workers and the relay that carry one session: each is told its part of the session's commands.

Thread: the controller's loop.
"""

import asyncio
from collections.abc import Iterable, Mapping
from functools import partial

from b2bua.calls.placement import Placement
from b2bua.core.commands import EndSession, HostCommand, InviteLeg, LegCommand
from b2bua.core.ids import HostId
from b2bua.core.relay_orders import AudioOrder, JoinAudio
from b2bua.node.helpers import Helpers
from b2bua.node.recalled_work import FoundHost, Host, RecalledHost
from b2bua.node.recorder_orders import RecorderOrders
from b2bua.node.session_audio import SessionAudio
from b2bua.node.session_guard import do_all

__all__ = ["SessionHosts"]


class SessionHosts:
    """The hosts of one session.

    Args:
        first: has the first leg, and stays to the end.
        placement: knows which leg is where.
        audio: the legs as the relay knows them.
        helpers: takes further hosts.
    """

    def __init__(self, first: Host, placement: Placement, audio: SessionAudio, helpers: Helpers) -> None:
        self.present: dict[HostId, Host] = {HostId(first.worker): first}
        """Read by other classes, changed only here."""
        self._placement = placement
        self._audio = audio
        self._helpers = helpers
        self._recorder_orders = RecorderOrders()
        self._dialogs: set[str] = set()  # Call-IDs of the session's legs

    def add(self, host: Host) -> None:
        """Use a further host."""
        self.present[HostId(host.worker)] = host

    def want(self, count: int) -> None:
        """Ask for so many further hosts."""
        self._helpers.want(count)

    def has_dialog(self, call_id: str) -> bool:
        """Return whether a leg of the session has this Call-ID."""
        return call_id in self._dialogs

    def name_dialog(self, call_id: str) -> None:
        """Note the Call-ID of a leg."""
        self._dialogs.add(call_id)

    def hold(self, recording: str, noted: "asyncio.Future[None]") -> None:
        """Hold back the commands about a recording until it is noted."""
        self._recorder_orders.hold(recording, noted)

    def drop(self, recording: str) -> None:
        """Discard what is held back for a recording that has been given up."""
        self._recorder_orders.drop(recording)

    def send(self, commands: list[LegCommand], now: float) -> None:
        """Give each host, and the relay, its part of the commands."""
        placed = self._placement.place(commands, now)
        for its_commands in placed.values():
            for command in its_commands:
                if isinstance(command, InviteLeg) and not command.link_to:
                    self._audio.add(command.leg)
                    self._dialogs.add(command.sip_call_id)
        audio = self._placement.take_audio()
        # What hosts take over has to be withdrawn from the relay first; what it takes over can wait.
        early = next((n for n, each in enumerate(audio) if isinstance(each, JoinAudio)), len(audio))
        self._recorder_orders.send(self._tell_relay, audio[:early])
        for host, its_commands in placed.items():
            last = [each for each in its_commands if isinstance(each, EndSession)]
            self._recorder_orders.send(self.present[host].send, (e for e in its_commands if e not in last))
            if last:  # only a helper ends here, and nothing is held back for it
                self.present.pop(host).send(*last)
        self._recorder_orders.send(self._tell_relay, audio[early:])
        self._audio.await_keys()

    def end(self, legs: Iterable[HostCommand]) -> None:
        """Tell each host to end all legs, and the session; a host ignores the legs of others.

        Raises:
            ExceptionGroup: the errors of the hosts that could not be told.
        """
        legs = list(legs)
        last = {host: [*legs, *self._placement.last_words(host), EndSession()] for host in self.present}
        self._helpers.close()
        do_all(
            *(partial(self._recorder_orders.send, self.present[host].send, last[host]) for host in last),
            partial(self._audio.tell, self._placement.end_recordings()),
        )

    def find(self, found: Mapping[HostId, FoundHost]) -> list[HostId]:
        """Give the hosts that have gone on what they have missed; returns those that have died meanwhile."""
        lost = [host for host in self.present if host not in found]
        for host in [host for host in self.present if host in found]:
            before, now = self.present[host], found[host]
            assert isinstance(before, RecalledHost)
            self.present[host] = now.host
            now.host.send(*before.missing(now.orders, now.recordings))
        return lost

    def _tell_relay(self, *orders: AudioOrder) -> None:
        self._audio.tell(orders)
