"""The transition table of a queue (see ``queue``): stages of callers and agents, inputs and handlers.

Source: TwiML ``<Enqueue>`` and ``<Queue>``.
"""

from enum import StrEnum
from typing import Final

from b2bua.core.queue_inputs import (
    AgentLeft,
    CallerExit,
    CallerLeft,
    OfferEnded,
    QueueInput,
    WaitEnded,
    WaitFailed,
    WaitFetched,
)
from b2bua.core.queue_outputs import QueueResult

__all__ = ["AGENTS", "CALLERS", "EXITS", "RETRY_S", "Stage"]


class Stage(StrEnum):
    """How far a caller, or an agent, has come. Only while waiting does it count for the queue's size."""

    WAITING = "waiting"
    OFFERED = "offered"
    """Taken out for one agent; the document before the bridge runs."""
    BRIDGED = "bridged"


Handler = str
"""Name of the handler in ``Queue``; empty: the input is legal and changes nothing."""

_WAITING, _OFFERED, _BRIDGED = Stage.WAITING, Stage.OFFERED, Stage.BRIDGED

CALLERS: Final[dict[tuple[Stage, type[QueueInput]], Handler]] = {
    (_WAITING, WaitFetched): "_on_wait_fetched",
    (_WAITING, WaitEnded): "_on_wait_ended",
    (_WAITING, WaitFailed): "_on_wait_failed",
    (_WAITING, CallerLeft): "_on_left_waiting",
    (_OFFERED, WaitFetched): "",  # these three crossed the offer
    (_OFFERED, WaitEnded): "",
    (_OFFERED, WaitFailed): "",
    (_OFFERED, CallerLeft): "_on_left_offered",
    (_OFFERED, OfferEnded): "_on_offer_ended",
    (_BRIDGED, WaitFetched): "",
    (_BRIDGED, WaitEnded): "",
    (_BRIDGED, WaitFailed): "",
    (_BRIDGED, CallerLeft): "_on_left_bridge",
}
"""The handler for each stage of a caller. An unlisted pair is counted and changes nothing."""

AGENTS: Final[dict[tuple[Stage, type[QueueInput]], Handler]] = {
    (_WAITING, AgentLeft): "_on_agent_gave_up",
    (_OFFERED, AgentLeft): "_on_agent_left_offer",
    (_BRIDGED, AgentLeft): "_on_agent_left_bridge",
}
"""The handler for each stage of an agent."""

EXITS: Final[dict[Stage, dict[CallerExit, QueueResult]]] = {
    _WAITING: {
        CallerExit.LEAVE: QueueResult.LEAVE,
        CallerExit.HANGUP: QueueResult.HANGUP,
        CallerExit.HUNG_UP: QueueResult.HANGUP,
        CallerExit.REDIRECTED: QueueResult.REDIRECTED,
        CallerExit.CRASHED: QueueResult.SYSTEM_ERROR,
    },
    _OFFERED: {
        CallerExit.HUNG_UP: QueueResult.BRIDGING,
        CallerExit.REDIRECTED: QueueResult.BRIDGING,
        CallerExit.CRASHED: QueueResult.SYSTEM_ERROR,
    },
    _BRIDGED: {
        CallerExit.HUNG_UP: QueueResult.BRIDGED,
        CallerExit.REDIRECTED: QueueResult.REDIRECTED_FROM_BRIDGE,
        CallerExit.CRASHED: QueueResult.BRIDGED,
    },
}
"""The result of a caller that leaves. A wait document has no say any more after the offer."""

RETRY_S: Final = (5.0, 10.0, 30.0)
"""Seconds after which a wait document that cannot be had is requested again; the last one repeats."""
