"""The table of the pool: the states of a worker, what can happen to it, and what is done when.

The machine itself is ``workers``; what carries its commands out is ``pool``::

    STARTING ──ready──> LEASED ──lease spent──> TAKEN ────call came────> BUSY ──session closed──> LEASED …
        │                  ├───────call came──> ARRIVED ─lease spent────^ ^
        └─ready, wanted─> CLAIMED ──edge knows────────────────────────────┘
                           (of a LEASED one as well, where it can be spared)

    RETIRING from everywhere but STARTING: told to end. Each ends once, with ``ForgetWorker``.

Whether a worker is idle is decided here and nowhere else. The edge is told: it may use a lease that it was
granted, once, and says so (``LeaseSpent``); everything else takes the lease away from it. A worker says when
its session is over (``SessionClosed``), and takes whatever call it is sent.

A session begins with a call of which both halves are there: the INVITE, which the worker has told, and whose
it is, which the edge has. Each comes by a socket of its own, so that either may be first.
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
    "WorkerReady",
    "WorkerState",
    "WorkerWanted",
]


class WorkerState(StrEnum):
    """Where a worker is."""

    STARTING = "starting"
    """Ordered from the fork server; it has not said hello."""
    LEASED = "leased"
    """Idle; the edge may send it a call at any time."""
    TAKEN = "taken"
    """The edge has sent it an INVITE, which has not arrived."""
    ARRIVED = "arrived"
    """An INVITE has arrived in it, and the edge's word of it has not."""
    CLAIMED = "claimed"
    """Kept for a session of ours, until the edge knows that."""
    BUSY = "busy"
    """It has a session."""
    RETIRING = "retiring"
    """Told to end, or killed; its socket is still open."""


# -- events --------------------------------------------------------------------------------------------------


class WorkerReady(msgspec.Struct, frozen=True, kw_only=True):
    """It has said hello: it can take a session."""

    worker: WorkerId


class LeaseSpent(msgspec.Struct, frozen=True, kw_only=True):
    """The edge has sent an INVITE to it."""

    worker: WorkerId
    lease: Lease


class CallCame(msgspec.Struct, frozen=True, kw_only=True):
    """An INVITE has arrived in it, and it has no session."""

    worker: WorkerId
    invite: LegIncoming


class EdgeKnows(msgspec.Struct, frozen=True, kw_only=True):
    """The edge has read the claim that ``waiter`` has on it."""

    worker: WorkerId
    waiter: int


class SessionEnding(msgspec.Struct, frozen=True, kw_only=True):
    """Its session has been told to end."""

    worker: WorkerId


class SessionClosed(msgspec.Struct, frozen=True, kw_only=True):
    """Its session is over, and its library holds no call."""

    worker: WorkerId
    reusable: bool
    """False after anything unexpected, when it has had its share of sessions, and when none could be made."""


class SocketClosed(msgspec.Struct, frozen=True, kw_only=True):
    """Its end, wanted or not."""

    worker: WorkerId


class ProcessExited(msgspec.Struct, frozen=True, kw_only=True):
    """The fork server has reaped it."""

    worker: WorkerId


class WorkerWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody wants one for a session that begins with us."""

    waiter: int
    """A number that is not used twice."""


class WaiterLeft(msgspec.Struct, frozen=True, kw_only=True):
    """Who waited wants it no more."""

    waiter: int


class ForksUp(msgspec.Struct, frozen=True, kw_only=True):
    """The fork server takes orders."""


class ForksDown(msgspec.Struct, frozen=True, kw_only=True):
    """The fork server has died, and what it had been ordered with it."""


class PoolOpened(msgspec.Struct, frozen=True, kw_only=True):
    """There is an edge: workers can be started."""


class PoolClosing(msgspec.Struct, frozen=True, kw_only=True):
    """The node ends."""


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """``next_deadline`` has come."""


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
"""What happens to one worker."""
PoolEvent = WorkerEvent | WorkerWanted | WaiterLeft | ForksUp | ForksDown | PoolOpened | PoolClosing | Tick


# -- commands ------------------------------------------------------------------------------------------------


class StartWorker(msgspec.Struct, frozen=True, kw_only=True):
    """Have it forked."""

    worker: WorkerId
    block: int
    """Of RTP ports: its own until ``ForgetWorker``."""


class GrantLease(msgspec.Struct, frozen=True, kw_only=True):
    """Tell the edge that it may be given a call."""

    worker: WorkerId


class ClaimWorker(msgspec.Struct, frozen=True, kw_only=True):
    """Tell the edge that it is to have a session of ours; ``EdgeKnows`` answers."""

    worker: WorkerId
    waiter: int
    leased: bool
    """The edge has a lease of it, and may have given it a call already."""


class GiveWorker(msgspec.Struct, frozen=True, kw_only=True):
    """Let who waits begin its session in it."""

    worker: WorkerId
    waiter: int


class RefuseWaiter(msgspec.Struct, frozen=True, kw_only=True):
    """There is none for it."""

    waiter: int
    reason: str


class BeginSession(msgspec.Struct, frozen=True, kw_only=True):
    """Make the session of the call that came."""

    worker: WorkerId
    call: AdmittedCall


class RefuseCall(msgspec.Struct, frozen=True, kw_only=True):
    """Count the call that came as refused: whose it is, the edge has not said. It gets 503 as its worker ends
    (``RetireWorker``)."""

    worker: WorkerId


class RetireWorker(msgspec.Struct, frozen=True, kw_only=True):
    """Tell the edge that it is no more, and itself to end."""

    worker: WorkerId


class KillWorker(msgspec.Struct, frozen=True, kw_only=True):
    """SIGKILL."""

    worker: WorkerId


class ForgetWorker(msgspec.Struct, frozen=True, kw_only=True):
    """It is gone, with whatever session it had. The last command about it."""

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
"""Name of the method that takes the event; empty: nothing is to be done."""
_NOTHING = ""

_STARTING, _LEASED, _TAKEN = WorkerState.STARTING, WorkerState.LEASED, WorkerState.TAKEN
_ARRIVED, _CLAIMED, _BUSY = WorkerState.ARRIVED, WorkerState.CLAIMED, WorkerState.BUSY
_RETIRING = WorkerState.RETIRING

TRANSITIONS: dict[tuple[WorkerState, type[WorkerEvent]], Handler] = {
    (_STARTING, WorkerReady): "_on_ready",
    (_STARTING, ProcessExited): "_on_start_failed",
    (_LEASED, LeaseSpent): "_on_invited",
    (_LEASED, CallCame): "_on_invited",  # the word of the edge is still on its way
    (_LEASED, EdgeKnows): _NOTHING,  # of a claim that a call has overtaken, as the next three
    (_TAKEN, EdgeKnows): _NOTHING,
    (_ARRIVED, EdgeKnows): _NOTHING,
    (_BUSY, EdgeKnows): _NOTHING,
    (_LEASED, SocketClosed): "_on_closed",
    (_LEASED, ProcessExited): _NOTHING,  # its socket says the rest, here and below
    (_TAKEN, CallCame): "_on_invited",
    (_TAKEN, SocketClosed): "_on_closed",
    (_TAKEN, ProcessExited): _NOTHING,
    (_ARRIVED, LeaseSpent): "_on_invited",
    (_ARRIVED, SocketClosed): "_on_closed",
    (_ARRIVED, ProcessExited): _NOTHING,
    (_CLAIMED, EdgeKnows): "_on_known",
    (_CLAIMED, LeaseSpent): "_on_invited",  # a call was quicker than the claim
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
"""What is done when. A pair that is not here is reported and changes nothing; what happens to a worker that
is forgotten is nothing."""
