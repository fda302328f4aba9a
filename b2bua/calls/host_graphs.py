"""The media graph of a session, split by host: what each host connects, and which legs it takes a link to.

A connection between two legs on one host is that host's. One between hosts needs nothing where the relay has
joined the legs; elsewhere each of the two hosts connects its own leg with that of a link. Sans I/O.
"""

from collections.abc import Mapping

from b2bua.calls.hosts import Hosts
from b2bua.calls.joins import Joins, own
from b2bua.calls.links import Links, Pair
from b2bua.core.commands import AWAY, RELAY, Connection, HostCommand, SetMedia
from b2bua.core.ids import HostId, LegId

__all__ = ["HostGraphs"]


class HostGraphs:
    """The graphs of a session's hosts.

    Args:
        of_legs: the host of each leg that was ever placed; owned and changed by the placement.
        hosts: know the graph that each was last sent.
        links: connect legs on different hosts.
        joins: know which legs the relay joins.
    """

    def __init__(self, of_legs: Mapping[LegId, HostId], hosts: Hosts, links: Links, joins: Joins) -> None:
        self._of_legs = of_legs
        self._hosts = hosts
        self._links = links
        self._joins = joins
        self._graph: tuple[Connection, ...] = ()

    def want(self, connections: tuple[Connection, ...]) -> None:
        """Take the graph that the session wants."""
        self._graph = connections

    def linked(self) -> tuple[dict[Pair, tuple[HostId, HostId]], set[Pair]]:
        """Return the pairs of legs that need a link, and those of them that may be joined instead."""
        pairs: dict[Pair, tuple[HostId, HostId]] = {}
        if len(self._hosts) < 2 and not self._joins.away:
            return pairs, set()
        order = list(self._hosts)
        for connection in self._graph:
            hosts = self._crossing(connection)
            if hosts is None or not all(host in self._hosts for host in hosts):
                continue
            pair = frozenset((LegId(connection.source), LegId(connection.sink)))
            if not self._joins.has_joined(pair):
                one, other = sorted(hosts, key=order.index)
                pairs[pair] = (one, other)
        patient = {pair for pair in pairs if self._joins.may_join(pair)}
        for pair in self._joins.away:
            host = self._of_legs.get(own(pair))
            if host is not None and host in self._hosts and self._joins.needs_link(pair):
                pairs[pair] = (host, RELAY)
        return pairs, patient

    def changes(self) -> list[tuple[HostId, HostCommand]]:
        """Return the hosts' graphs where they have changed, each once."""
        parts: dict[HostId, list[Connection]] = {host: [] for host in self._hosts}
        for connection in self._graph:
            source, sink = LegId(connection.source), LegId(connection.sink)
            hosts = self._crossing(connection)
            if hosts is None and connection.source.startswith(AWAY):
                continue
            if hosts is None:
                each = [(self._of_legs.get(sink, self._hosts.first), connection)]
            else:
                each = self._links.carry(source, sink, hosts)
            for host, part in each:
                if host in parts:
                    parts[host].append(part)
        placed: list[tuple[HostId, HostCommand]] = []
        for host, its_parts in parts.items():
            graph = tuple(dict.fromkeys(its_parts))
            if self._hosts[host].graph != graph:
                self._hosts[host].graph = graph
                placed.append((host, SetMedia(connections=graph)))
        return placed

    def _crossing(self, connection: Connection) -> tuple[HostId, HostId] | None:
        """Return the hosts of source and sink if they differ; a source that is no leg is on every host."""
        there, here = (
            RELAY if end.startswith(AWAY) else self._of_legs.get(LegId(end))
            for end in (connection.source, connection.sink)
        )
        return None if there is None or here is None or there == here else (there, here)
