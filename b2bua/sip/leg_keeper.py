"""What the proxy knows of legs, as a whole: for the log, for the next edge, and for their last words.

Thread: the edge's loop.
"""

from collections.abc import Iterable

from b2bua.core.ids import WorkerId
from b2bua.sip.admission import Leases
from b2bua.sip.edge_log import LoggedLeg, SessionOver
from b2bua.sip.farewells import Farewells, refusal_of
from b2bua.sip.flow import Output
from b2bua.sip.inbound import Inbound
from b2bua.sip.media_paths import MediaPaths

__all__ = ["LegKeeper"]


class LegKeeper:
    """All legs of one edge.

    Args:
        inbound: has their dialogs.
        leases: has their workers.
        media: has their media paths.
        farewells: ends their dialogs when a worker is gone.
    """

    def __init__(self, inbound: Inbound, leases: Leases, media: MediaPaths, farewells: Farewells) -> None:
        self._dialogs = inbound.dialogs
        self._records = inbound.records
        self._inbound = inbound
        self._leases = leases
        self._media = media
        self._farewells = farewells
        self._over: list[WorkerId] = []
        """Workers whose session is over, for the log."""

    def over(self, worker: WorkerId, now: float) -> None:
        """Note that a worker's session is over, with all its dialogs."""
        self._over.append(worker)
        self._dialogs.over(worker, now)
        self._records.over(worker)

    def farewell(self, worker: WorkerId, now: float) -> list[Output]:
        """End the dialogs that a worker has left behind."""
        outputs: list[Output] = []
        for record in self._records.over(worker):
            if record.from_far is not None and not record.up:
                self._inbound.lost((record.call_id, record.far_tag, record.cseq), refusal_of(record), now)
            outputs += self._farewells.say(record, now)
        return outputs

    def leave(self, now: float) -> list[Output]:
        """End all dialogs, as the node ends."""
        return [output for worker in list(self._leases.ports) for output in self.farewell(worker, now)]

    def take_log(self) -> list[LoggedLeg | SessionOver]:
        """Return what the edge's log has to hold since the last time."""
        entries: list[LoggedLeg | SessionOver] = [SessionOver(worker) for worker in self._over]
        self._over.clear()
        for worker, call_id in self._records.touched:
            entries.append(
                LoggedLeg(
                    worker=worker,
                    call_id=call_id,
                    record=self._records.of(worker, call_id),
                    media=self._media.state(worker, call_id),
                    sip_port=self._leases.ports.get(worker, 0),
                    origin=self._leases.origin(worker),
                    hops=self._leases.hops.get(worker),
                )
            )
        self._records.touched.clear()
        return entries

    def restore(self, legs: Iterable[LoggedLeg], now: float) -> None:
        """Take the legs of an edge before this one."""
        for leg in legs:
            self._leases.restore(leg.worker, leg.sip_port, leg.origin, leg.hops)
            if leg.record is not None:
                self._inbound.restore(leg.record, leg.origin, now)
            if leg.media is not None:
                self._media.restore(leg.worker, leg.call_id, leg.media)
        self._records.touched.clear()
