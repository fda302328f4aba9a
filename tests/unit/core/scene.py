"""A caller, a Dial and its targets, driven by hand, as a session drives them."""

from collections.abc import Sequence
from typing import Any, TypeVar

from b2bua.core.commands import Connection, HangupLeg, InviteLeg, LegCommand, SetMedia
from b2bua.core.dial import Dial, DialOrder
from b2bua.core.dial_plan import BranchPlan, DialPlan
from b2bua.core.dial_report import BranchReport, DialOutput, DialResult, DialSettled
from b2bua.core.events import (
    DtmfReceived,
    EarlyMediaChanged,
    Headers,
    LegAnswered,
    LegConfirmed,
    LegEnded,
    LegEvent,
    LegProgress,
    LegReferred,
    MediaChanged,
    ReferProgress,
)
from b2bua.core.ids import CallSid, LegId, SipCallId
from b2bua.core.leg import Leg, Role
from b2bua.core.outcomes import NotInvited, Outcome, refused_outcome

A = LegId("a")
B1, B2, B3 = LegId("b1"), LegId("b2"), LegId("b3")
RING_TIMEOUT_S = 35.0
TIME_LIMIT_S = 14400.0
ELSEWHERE = (("Reason", 'SIP;cause=200;text="Call completed elsewhere"'),)
BRIDGE = SetMedia(connections=(Connection("a", "b1"), Connection("b1", "a")))
SILENCE = SetMedia(connections=())

T = TypeVar("T")


def tone(code: str = "us") -> SetMedia:
    return SetMedia(connections=(Connection(f"tone:{code}", "a"),))


def invite(leg: LegId) -> InviteLeg:
    return InviteLeg(
        leg=leg, sip_call_id=SipCallId(f"id-{leg}"), uri="sip:x@192.0.2.1", from_header="<sip:y@z>"
    )


def target(leg: LegId, refusal: NotInvited | None = None) -> BranchPlan:
    child = CallSid(f"CA{leg}")
    if refusal:
        return BranchPlan(leg=leg, child=child, kind="number", refused=refused_outcome(refusal))
    return BranchPlan(leg=leg, child=child, kind="sip", invite=invite(leg))


def targets(count: int) -> tuple[BranchPlan, ...]:
    return tuple(target(LegId(f"b{number}")) for number in range(1, count + 1))


def plan(branches: Sequence[BranchPlan] | int = 1, **options: Any) -> DialPlan:
    rules: dict[str, Any] = {
        "ring_timeout_s": RING_TIMEOUT_S,
        "time_limit_s": TIME_LIMIT_S,
        "default_ringtone": "us",
        "answer_on_bridge": True,
    }
    chosen = targets(branches) if isinstance(branches, int) else tuple(branches)
    return DialPlan(branches=chosen, **(rules | options))


def progress(leg: LegId, status: int = 180, *, media: bool = False, at: float = 0.0) -> LegProgress:
    return LegProgress(leg=leg, at=at, status=status, early_media=media)


def early_media(leg: LegId, *, coming: bool = True, at: float = 0.0) -> EarlyMediaChanged:
    return EarlyMediaChanged(leg=leg, at=at, coming=coming)


def answered(leg: LegId, at: float = 0.0, headers: Headers = ()) -> LegAnswered:
    return LegAnswered(leg=leg, at=at, headers=headers)


def confirmed(leg: LegId, at: float = 0.0) -> LegConfirmed:
    return LegConfirmed(leg=leg, at=at)


def media_changed(leg: LegId, *, held: bool = False, at: float = 0.0) -> MediaChanged:
    return MediaChanged(leg=leg, at=at, active=True, held_by_peer=held)


def dtmf(leg: LegId, digit: str = "5", at: float = 0.0) -> DtmfReceived:
    return DtmfReceived(leg=leg, at=at, digit=digit, method="rfc4733")


def referred(leg: LegId, *, quiet: bool = False) -> LegReferred:
    return LegReferred(leg=leg, at=0.0, refer_to="<sip:c@x>", referred_by="", replaces="", quiet=quiet)


def refer_progress(leg: LegId) -> ReferProgress:
    return ReferProgress(leg=leg, at=0.0, status=100, by_notify=True, final=False)


def ended(
    leg: LegId, code: int = 200, cause: str = "peer", at: float = 0.0, headers: Headers = (), reason: str = ""
) -> LegEnded:
    return LegEnded(leg=leg, at=at, cause=cause, sip_code=code, reason=reason, headers=headers)  # type: ignore[arg-type]


class Scene:
    """One Dial with its caller; every step returns the Dial's outputs."""

    def __init__(self, dial_plan: DialPlan, *, caller_answered: bool = False, start: bool = True) -> None:
        self.now = 0.0
        self.output: list[DialOutput] = []
        self.a_leg = Leg(A, Role.UAS, self.now)
        if caller_answered:
            self.a_leg.answer(self.now)
            self.a_leg.handle(confirmed(A), self.now)
        self.dial = Dial(dial_plan, self.a_leg)
        if start:
            self.started = self.keep(self.dial.start(self.now))

    def keep(self, output: list[DialOutput]) -> list[DialOutput]:
        self.output += output
        return output

    def send(self, *events: LegEvent | DialOrder, at: float | None = None) -> list[DialOutput]:
        """Pass facts as the session does: to the caller's leg first if they concern it."""
        self.now = self.now if at is None else at
        output: list[DialOutput] = []
        for event in events:
            if isinstance(event, DialOrder):
                output += self.dial.handle(event, self.now)
                continue
            if event.leg != A or self.a_leg.handle(event, self.now):
                output += self.dial.handle(event, self.now)
        return self.keep(output)

    def tick(self, at: float) -> list[DialOutput]:
        self.now = at
        return self.keep(self.dial.tick(at))

    @property
    def result(self) -> DialResult:
        (settled,) = find(self.output, DialSettled)
        assert settled.result == self.dial.result
        return settled.result

    @property
    def outcome(self) -> Outcome:
        return self.result.outcome

    def completed(self) -> dict[LegId, str]:
        """Status of each branch that was reported completed; fails if one was reported twice."""
        reports = [report for report in find(self.output, BranchReport) if report.stage == "completed"]
        statuses = {report.leg: report.outcome.status for report in reports if report.outcome}
        assert len(statuses) == len(reports)
        return dict(statuses)


def find(output: Sequence[DialOutput | LegCommand], kind: type[T]) -> list[T]:
    return [item for item in output if isinstance(item, kind)]


def hangups(output: Sequence[DialOutput]) -> list[LegId]:
    return [command.leg for command in find(output, HangupLeg)]


def stages(output: Sequence[DialOutput]) -> list[tuple[LegId, str]]:
    return [(report.leg, report.stage) for report in find(output, BranchReport)]
