"""The state table of the pool: the states of a worker, its events, commands and transitions.

The machine itself is ``workers``; ``pool`` carries out its commands::

    STARTING ──ready──> LEASED ──lease spent──> TAKEN ────call came────> BUSY ──session closed──> LEASED …
        │                  ├───────call came──> ARRIVED ─lease spent────^ ^
        └─ready, wanted─> CLAIMED ──edge knows────────────────────────────┘
                           (also from LEASED, if the worker can be spared)

    A worker that an earlier controller has started begins as LEASED, or as BUSY if it has a session.

    RETIRING from every state but STARTING: ordered to end. Every worker ends once, with ``ForgetWorker``.

Only this table decides whether a worker is idle. The edge is notified: it may use a granted lease once, and
reports that (``LeaseSpent``); every other change takes the lease away from it. A worker reports when its
session is over (``SessionClosed``), and accepts any call that it is sent.

A session begins when both halves of a call are known: the INVITE, which the worker reports, and its origin,
which the edge reports. They arrive on separate sockets, so either may be first.
"""

from enum import StrEnum

import msgspec

from b2bua.core.admission import AdmittedCall, Lease
from b2bua.core.events import LegIncoming
from b2bua.core.ids import WorkerId

__all__ = [
    "TRANSITIONS",
    "BeginSession",
    "CallCame",
    "ClaimWorker",
    "EdgeKnows",
    "ForgetWorker",
    "ForksDown",
    "ForksUp",
    "GiveWorker",
    "GrantLease",
    "KillWorker",
    "LeaseSpent",
    "PoolClosing",
    "PoolCommand",
    "PoolEvent",
    "PoolOpened",
    "ProcessExited",
    "RefuseCall",
    "RefuseWaiter",
    "Report",
    "RetireWorker",
    "SessionClosed",
    "SessionEnding",
    "SocketClosed",
    "StartWorker",
    "Tick",
    "WaiterLeft",
    "WorkerEvent",
    "WorkerFound",
    "WorkerReady",
    "WorkerState",
    "WorkerWanted",
]


class WorkerState(StrEnum):
    """State of a worker."""

    STARTING = "starting"
    """Ordered from the fork server; it has not said hello."""
    LEASED = "leased"
    """Idle; the edge may send it a call at any time."""
    TAKEN = "taken"
    """The edge has sent it an INVITE, which has not arrived."""
    ARRIVED = "arrived"
    """An INVITE has arrived in it, and the edge's report of that call has not."""
    CLAIMED = "claimed"
    """Reserved for a session that we originate, until the edge knows that."""
    BUSY = "busy"
    """It has a session."""
    RETIRING = "retiring"
    """Ordered to end, or killed; its socket is still open."""


# -- events --------------------------------------------------------------------------------------------------


class WorkerReady(msgspec.Struct, frozen=True, kw_only=True):
    """The worker has said hello: it can take a session."""

    worker: WorkerId


class WorkerFound(msgspec.Struct, frozen=True, kw_only=True):
    """A worker of an earlier controller has said hello."""

    worker: WorkerId
    block: int
    busy: bool
    """It has a session."""
    ending: bool
    """Its session was told to end."""
    healthy: bool


class LeaseSpent(msgspec.Struct, frozen=True, kw_only=True):
    """The edge has sent an INVITE to the worker."""

    worker: WorkerId
    lease: Lease


class CallCame(msgspec.Struct, frozen=True, kw_only=True):
    """An INVITE has arrived in the worker, which has no session."""

    worker: WorkerId
    invite: LegIncoming


class EdgeKnows(msgspec.Struct, frozen=True, kw_only=True):
    """The edge has received the claim of ``waiter`` on the worker."""

    worker: WorkerId
    waiter: int


class SessionEnding(msgspec.Struct, frozen=True, kw_only=True):
    """The worker's session has been ordered to end."""

    worker: WorkerId


class SessionClosed(msgspec.Struct, frozen=True, kw_only=True):
    """The worker's session is over, and its library holds no call."""

    worker: WorkerId
    reusable: bool
    """False after anything unexpected, after its maximum number of sessions, or if none could be created."""


class SocketClosed(msgspec.Struct, frozen=True, kw_only=True):
    """The worker's socket has closed, expectedly or not."""

    worker: WorkerId


class ProcessExited(msgspec.Struct, frozen=True, kw_only=True):
    """The fork server has reaped the worker's process."""

    worker: WorkerId


class WorkerWanted(msgspec.Struct, frozen=True, kw_only=True):
    """A waiter wants a worker for a session that we originate, or to help another one."""

    waiter: int
    """A number that is not used twice."""
    at_once: bool = False
    """The waiter gets any idle worker, even if the edge cannot spare it."""


class WaiterLeft(msgspec.Struct, frozen=True, kw_only=True):
    """A waiter no longer wants a worker."""

    waiter: int


class ForksUp(msgspec.Struct, frozen=True, kw_only=True):
    """The fork server takes orders."""


class ForksDown(msgspec.Struct, frozen=True, kw_only=True):
    """The fork server has died, and its pending orders are lost."""


class PoolOpened(msgspec.Struct, frozen=True, kw_only=True):
    """There is an edge: workers can be started."""


class PoolClosing(msgspec.Struct, frozen=True, kw_only=True):
    """The node ends."""


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """``next_deadline`` has passed."""


WorkerEvent = (
    WorkerReady
    | LeaseSpent
    | CallCame
    | EdgeKnows
    | SessionEnding
    | SessionClosed
    | SocketClosed
    | ProcessExited
)
"""Events of one worker."""
PoolEvent = (
    WorkerEvent
    | WorkerFound
    | WorkerWanted
    | WaiterLeft
    | ForksUp
    | ForksDown
    | PoolOpened
    | PoolClosing
    | Tick
)


# -- commands ------------------------------------------------------------------------------------------------


class StartWorker(msgspec.Struct, frozen=True, kw_only=True):
    """Have a worker forked."""

    worker: WorkerId
    block: int
    """Its block of RTP ports, until ``ForgetWorker``."""


class GrantLease(msgspec.Struct, frozen=True, kw_only=True):
    """Allow the edge to give the worker a call."""

    worker: WorkerId


class ClaimWorker(msgspec.Struct, frozen=True, kw_only=True):
    """Notify the edge that the worker is reserved for a session that we originate; ``EdgeKnows`` answers."""

    worker: WorkerId
    waiter: int
    leased: bool
    """The edge holds the worker's lease, and may have given it a call already."""


class GiveWorker(msgspec.Struct, frozen=True, kw_only=True):
    """Let the waiter begin its session in the worker."""

    worker: WorkerId
    waiter: int


class RefuseWaiter(msgspec.Struct, frozen=True, kw_only=True):
    """Refuse the waiter: no worker is available."""

    waiter: int
    reason: str


class BeginSession(msgspec.Struct, frozen=True, kw_only=True):
    """Create the session of the call that arrived."""

    worker: WorkerId
    call: AdmittedCall


class RefuseCall(msgspec.Struct, frozen=True, kw_only=True):
    """Count the call that arrived as refused, because the edge has not reported its origin.

    The call gets 503 as its worker ends (``RetireWorker``).
    """

    worker: WorkerId


class RetireWorker(msgspec.Struct, frozen=True, kw_only=True):
    """Notify the edge that the worker is gone, and order the worker to end."""

    worker: WorkerId


class KillWorker(msgspec.Struct, frozen=True, kw_only=True):
    """Send SIGKILL to the worker."""

    worker: WorkerId


class ForgetWorker(msgspec.Struct, frozen=True, kw_only=True):
    """The worker is gone, with its session, if any. The last command about a worker."""

    worker: WorkerId


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Log an error."""

    text: str
    worker: WorkerId
    state: WorkerState


PoolCommand = (
    StartWorker
    | GrantLease
    | ClaimWorker
    | GiveWorker
    | RefuseWaiter
    | BeginSession
    | RefuseCall
    | RetireWorker
    | KillWorker
    | ForgetWorker
    | Report
)

# -- the table -----------------------------------------------------------------------------------------------

Handler = str
"""Name of the method that handles the event; empty: the event is ignored."""
_NOTHING = ""

_STARTING, _LEASED, _TAKEN = WorkerState.STARTING, WorkerState.LEASED, WorkerState.TAKEN
_ARRIVED, _CLAIMED, _BUSY = WorkerState.ARRIVED, WorkerState.CLAIMED, WorkerState.BUSY
_RETIRING = WorkerState.RETIRING

TRANSITIONS: dict[tuple[WorkerState, type[WorkerEvent]], Handler] = {
    (_STARTING, WorkerReady): "_on_ready",
    (_STARTING, ProcessExited): "_on_start_failed",
    (_LEASED, LeaseSpent): "_on_invited",
    (_LEASED, CallCame): "_on_invited",  # the edge's report is still on its way
    (_LEASED, EdgeKnows): _NOTHING,  # for a claim that a call has overtaken, as are the next three
    (_TAKEN, EdgeKnows): _NOTHING,
    (_ARRIVED, EdgeKnows): _NOTHING,
    (_BUSY, EdgeKnows): _NOTHING,
    (_LEASED, SocketClosed): "_on_closed",
    (_LEASED, ProcessExited): _NOTHING,  # SocketClosed does the rest, here and below
    (_TAKEN, CallCame): "_on_invited",
    (_TAKEN, SocketClosed): "_on_closed",
    (_TAKEN, ProcessExited): _NOTHING,
    (_ARRIVED, LeaseSpent): "_on_invited",
    (_ARRIVED, SocketClosed): "_on_closed",
    (_ARRIVED, ProcessExited): _NOTHING,
    (_CLAIMED, EdgeKnows): "_on_known",
    (_CLAIMED, LeaseSpent): "_on_invited",  # a call has overtaken the claim
    (_CLAIMED, CallCame): "_on_invited",
    (_CLAIMED, SocketClosed): "_on_closed",
    (_CLAIMED, ProcessExited): _NOTHING,
    (_BUSY, SessionEnding): "_on_ending",
    (_BUSY, SessionClosed): "_on_session_closed",
    (_BUSY, SocketClosed): "_on_closed",
    (_BUSY, ProcessExited): _NOTHING,
    (_RETIRING, LeaseSpent): _NOTHING,  # it answers that call with 503 while it ends
    (_RETIRING, CallCame): _NOTHING,
    (_RETIRING, EdgeKnows): _NOTHING,
    (_RETIRING, SessionEnding): _NOTHING,
    (_RETIRING, SessionClosed): _NOTHING,
    (_RETIRING, SocketClosed): "_on_closed",
    (_RETIRING, ProcessExited): _NOTHING,
}
"""Handlers by state and event. A pair that is not listed is reported and changes nothing; events of a
forgotten worker are ignored."""
