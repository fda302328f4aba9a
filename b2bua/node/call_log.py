"""What is logged of a call: its warnings and errors, its branches, and one line at its end."""

import logging
from collections.abc import Iterable

from b2bua.calls.orders import CallOver, NoteFinding
from b2bua.core.dial_report import BranchReport, Bridged
from b2bua.core.events import MediaMeasured
from b2bua.core.ids import CallSid, SipCallId
from b2bua.store.records import LegRow

__all__ = ["log_end", "log_order"]

log = logging.getLogger(__name__)


def log_order(order: NoteFinding | BranchReport | Bridged, call_sid: CallSid) -> None:
    """Something has happened to the call, or to one that it dials."""
    facts: dict[str, object] = {"call_sid": call_sid}
    match order:
        case NoteFinding():
            finding = order.finding
            level = logging.ERROR if finding.severity == "error" else logging.WARNING
            facts |= {"call_sid": order.call_sid}
            facts |= {"number": finding.number, "text": finding.text, "line": finding.line}
            log.log(level, "twiml", extra=facts)
        case BranchReport():
            facts |= {"leg_id": order.leg, "child_sid": order.child, "stage": order.stage}
            if order.outcome is not None:
                facts |= {"outcome": order.outcome.status, "sip_code": order.outcome.sip_code}
            log.log(logging.INFO if order.stage == "completed" else logging.DEBUG, "branch", extra=facts)
        case Bridged():
            log.debug("bridged", extra=facts | {"leg_id": order.leg})


def log_end(
    over: CallOver, sip_call_id: SipCallId, legs: Iterable[LegRow], media: Iterable[MediaMeasured]
) -> None:
    """All of the call in one line.

    Args:
        over: how it has ended.
        sip_call_id: of the caller's leg.
        legs: of all calls of the session.
        media: of all legs that have ended.
    """
    log.info(
        "call_ended",
        extra={
            "call_sid": over.call_sid,
            "sip_call_id": sip_call_id,
            "status": over.status,
            "duration_s": round(over.duration_s, 3),
            "timeline": over.timeline,
            "legs": [
                {"call_sid": leg.call_sid, "sip_call_id": leg.sip_call_id, "timeline": leg.timeline}
                for leg in legs
                if leg.call_sid != over.call_sid
            ],
            "media": [
                {
                    "leg_id": each.leg,
                    "received": each.received,
                    "lost": each.lost,
                    "jitter_ms": each.jitter_ms,
                }
                for each in media
            ],
        },
    )
