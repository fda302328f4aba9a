"""Admission of calls: which sources may call, how often, and which worker takes a call.

Sans-I/O. Sources are judged here by address alone. The counters are bounded, so that forged source addresses
cannot exhaust memory.
"""

from collections import deque
from collections.abc import Callable, Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from b2bua.core.admission import Origin
from b2bua.core.ids import WorkerId
from b2bua.sip.edge_control import CallRefused, EdgeConfig
from b2bua.sip.soft_state import SoftState
from b2bua.token_buckets import MAX_SOURCES

__all__ = ["Admission", "Leases", "Limits", "Lockouts", "RefusalCounts"]

MAX_JUDGED: Final = 4096
REPORT_INTERVAL_S: Final = 1.0

_Networks = tuple[IPv4Network | IPv6Network, ...]


class Admission:
    """Judges source addresses against the configuration."""

    def __init__(self, config: EdgeConfig) -> None:
        self.trunk_at: Callable[[str], str | None] = lambda host: None
        """Returns the trunk that we are registered with at an address."""
        self.configure(config)

    def configure(self, config: EdgeConfig) -> None:
        """Apply another configuration; its listening points are ignored."""
        self._allow = _networks(config.allow)
        self._trunks = tuple((trunk.name, _networks(trunk.match)) for trunk in config.trunks)
        self._judged: dict[str, str | None] = {}

    def judge(self, host: str) -> str | None:
        """Return the trunk that an address belongs to; empty if the address is merely allowed, None if it may
        not call."""
        registered = self.trunk_at(host)
        if registered is not None:
            return registered
        if host in self._judged:
            return self._judged[host]
        if len(self._judged) >= MAX_JUDGED:
            self._judged.clear()
        verdict = self._judged[host] = self._judge(host)
        return verdict

    def _judge(self, host: str) -> str | None:
        address: IPv4Address | IPv6Address = ip_address(host)
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        for name, networks in self._trunks:
            if any(address in network for network in networks):
                return name
        return "" if any(address in network for network in self._allow) else None


def _networks(texts: tuple[str, ...]) -> _Networks:
    return tuple(ip_network(text, strict=False) for text in texts)


class Lockouts:
    """Silences sources that fail authentication, each time for twice as long.

    An unanswered challenge counts one point, a wrong answer ``WRONG`` points; a right answer clears the
    points.
    """

    WRONG: Final = 4
    LIMIT: Final = 40
    FIRST_S: Final = 2.0
    LAST_S: Final = 600.0
    MEMORY_S: Final = 3600.0

    def __init__(self) -> None:
        self._sources: SoftState[str, tuple[int, int, float]] = SoftState(MAX_SOURCES)
        """Per source: its points, how often it was silenced, and until when."""

    def failed(self, source: str, points: int, now: float) -> None:
        """Record that a source did not authenticate."""
        had, times, until = self._sources.get(source, now) or (0, 0, 0.0)
        had += points
        if had >= self.LIMIT:
            until = now + min(self.FIRST_S * 2**times, self.LAST_S)
            had, times = self.LIMIT - self.WRONG, min(times + 1, 16)
        self._sources.put(source, (had, times, until), now + self.MEMORY_S)

    def proved(self, source: str) -> None:
        """Record that a source authenticated."""
        self._sources.pop(source)

    def locked_out(self, source: str, now: float) -> bool:
        """Whether a source is silenced now."""
        known = self._sources.get(source, now)
        return known is not None and now < known[2]

    def tick(self, now: float) -> None:
        """Forget sources that have not tried for ``MEMORY_S``."""
        self._sources.sweep(now)


class Limits:
    """Limits of concurrent calls per source, trunk and user."""

    def __init__(self, config: EdgeConfig) -> None:
        self.configure(config)

    def configure(self, config: EdgeConfig) -> None:
        """Apply another configuration; calls that are up continue."""
        self._source = config.max_calls_per_source
        self._trunks = {trunk.name: trunk.max_calls for trunk in config.trunks}
        self._users = {user.name: user.max_calls for user in config.users}

    def refusal(self, origin: Origin, others: Collection[Origin]) -> str | None:
        """Return the limit that a call exceeds beside the other calls; None if it exceeds none."""
        # A trunk is a PBX with many callers behind one address, so it has a limit of its own.
        of_source = 0 if origin.trunk else self._source
        if of_source and sum(each.host == origin.host for each in others) >= of_source:
            return "max_calls of the source"
        of_trunk = self._trunks.get(origin.trunk, 0)
        if of_trunk and sum(each.trunk == origin.trunk for each in others) >= of_trunk:
            return "max_calls of the trunk"
        of_user = self._users.get(origin.user, 0)
        if of_user and sum(each.user == origin.user for each in others) >= of_user:
            return "max_calls of the user"
        return None


class Leases:
    """All known workers, and the leases on them that the controller has granted.

    The controller decides which worker is idle (``engine.worker_table``). A lease is good for one call, which
    counts against the limits until the worker is granted again or taken back.
    """

    def __init__(self) -> None:
        self.ports: dict[WorkerId, int] = {}
        self.workers: dict[int, WorkerId] = {}
        self.hops: dict[WorkerId, int] = {}
        """By worker: Max-Forwards of the call that it was given."""
        self._idle: deque[WorkerId] = deque()
        self._busy: dict[WorkerId, Origin] = {}

    @property
    def idle(self) -> int:
        """Number of calls that could be taken immediately."""
        return len(self._idle)

    @property
    def busy(self) -> int:
        """Number of calls from outside that a worker has."""
        return len(self._busy)

    def grant(self, worker: WorkerId, sip_port: int) -> None:
        """Record that a worker is idle and may be given a call."""
        self.taken(worker, sip_port)
        self._idle.append(worker)

    def taken(self, worker: WorkerId, sip_port: int) -> None:
        """Record that a worker has a session that does not count against the limits here."""
        self.gone(worker)
        self.ports[worker] = sip_port
        self.workers[sip_port] = worker

    def is_idle(self, worker: WorkerId) -> bool:
        """Whether a worker has no session."""
        return worker in self._idle

    def has_call(self, worker: WorkerId) -> bool:
        """Whether a worker has been given a call since it was last idle."""
        return worker in self._busy

    def gone(self, worker: WorkerId) -> None:
        """Forget a worker that no longer exists."""
        port = self.ports.pop(worker, None)
        if port is not None and self.workers.get(port) == worker:
            del self.workers[port]
        self._busy.pop(worker, None)
        self.hops.pop(worker, None)
        if worker in self._idle:
            self._idle.remove(worker)

    def origin(self, worker: WorkerId) -> Origin | None:
        """Return the origin of the call that a worker was given; None: it was given none."""
        return self._busy.get(worker)

    def restore(self, worker: WorkerId, sip_port: int, origin: Origin | None, hops: int | None) -> None:
        """Take a worker that an edge before this one knew, with the call that it was given."""
        self.taken(worker, sip_port)
        if origin is not None:
            self._busy[worker] = origin
        if hops is not None:
            self.hops[worker] = hops

    def withdraw(self) -> None:
        """Let no worker be idle, until it is granted again."""
        self._idle.clear()

    @property
    def origins(self) -> Collection[Origin]:
        """Origins of the calls that workers have."""
        return self._busy.values()

    def take(self, origin: Origin) -> WorkerId:
        """Take the worker that has been idle longest for a call; at least one must be idle."""
        worker = self._idle.popleft()
        self._busy[worker] = origin
        return worker


class RefusalCounts:
    """Counts refused INVITEs; each reason is reported at most once a second."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[int, str]] = {}
        self._reported_at: dict[str, float] = {}

    def note(self, reason: str, source: str) -> None:
        """Count one refusal; ``reason`` is one of a small fixed set."""
        count, _ = self._counts.get(reason, (0, ""))
        self._counts[reason] = (count + 1, source)

    def due(self, now: float) -> list[CallRefused]:
        """Return the reports that are due now."""
        reports: list[CallRefused] = []
        for reason, (count, source) in list(self._counts.items()):
            if now - self._reported_at.get(reason, -REPORT_INTERVAL_S) >= REPORT_INTERVAL_S:
                reports.append(CallRefused(reason=reason, source=source, count=count))
                self._reported_at[reason] = now
                del self._counts[reason]
        return reports
