import itertools
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from b2bua.core.events import (
    LegEnded,
    LegEvent,
    ReferProgress,
)
from b2bua.core.ids import LegId
from b2bua.engine.callee_leg import CalleeLeg
from b2bua.engine.leg_machine import LegMachine
from b2bua.engine.leg_table import (
    STATES,
    TRANSITIONS,
    Answered,
    Attended,
    ByeSent,
    CancelCame,
    CancelSent,
    Confirmed,
    DialogGone,
    DialogState,
    Disconnected,
    HangUp,
    HangupOrdered,
    Input,
    InviteSent,
    KeyCame,
    Lost,
    MediaBuilt,
    Notified,
    Output,
    Progressed,
    Reason,
    ReferAnswered,
    Replaced,
    Role,
    Source,
    Trying,
)
from tests.effort import examples

pytestmark = pytest.mark.unit

L = LegId("l")
S, R = DialogState, Role
UAS, UAC, REPLACEMENT = R.UAS, R.UAC, R.REPLACEMENT

RINGING, EARLY_MEDIA = Progressed(status=180, has_sdp=False), Progressed(status=183, has_sdp=True)
ANSWERED = Answered(headers=(("X-A", "1"),))
CONFIRMED, SILENT = Confirmed(has_audio=True), Confirmed(has_audio=False)
BYE = Disconnected(source=Source.MESSAGE, status=200, reason="OK", message=None)
LOST = Lost(cause="worker", status=503)
MEDIA = MediaBuilt(active=True, held=False, in_clear=False)
IN_CLEAR = MediaBuilt(active=True, held=False, in_clear=True)
KEY = KeyCame(digit="1", method="info")
MANDATORY = (
    b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\n"
    b"Call-ID: c\r\nCSeq: 1 %s\r\nMax-Forwards: 70\r\n\r\n"
)
CANCEL = CancelCame(message=b"CANCEL sip:b@x SIP/2.0\r\nReason: Q.850;cause=16\r\n" + MANDATORY % b"CANCEL")
REFUSED, TAKEN = ReferAnswered(status=603), ReferAnswered(status=202)
NOTIFIED = Notified(status=200, final=True)
HANGUP = HangupOrdered(status=486, headers=(("X-B", "2"),))
INPUTS: tuple[Input, ...] = (
    RINGING, EARLY_MEDIA, ANSWERED, CONFIRMED, SILENT, BYE, LOST, MEDIA, IN_CLEAR, KEY, CancelSent(), CANCEL,
    ByeSent(), REFUSED, TAKEN, NOTIFIED, Replaced(), HANGUP, Attended(), InviteSent(), Trying(),
)  # fmt: skip

WAYS: dict[tuple[Role, DialogState], tuple[Input, ...]] = {
    (UAS, S.INCOMING): (),
    (UAS, S.ANSWERED): (ANSWERED,),
    (UAS, S.CONFIRMED): (ANSWERED, CONFIRMED),
    (UAS, S.CLOSING): (HANGUP,),
    (UAS, S.REPLACED): (ANSWERED, CONFIRMED, Replaced()),
    (UAS, S.ENDED): (BYE,),
    (REPLACEMENT, S.ANSWERED): (),
    (REPLACEMENT, S.CONFIRMED): (ANSWERED, CONFIRMED),
    (REPLACEMENT, S.CLOSING): (ANSWERED, CONFIRMED, HANGUP),
    (REPLACEMENT, S.REPLACED): (ANSWERED, CONFIRMED, Replaced()),
    (REPLACEMENT, S.ENDED): (BYE,),
    (UAC, S.INVITED): (),
    (UAC, S.PROCEEDING): (Trying(),),
    (UAC, S.EARLY): (EARLY_MEDIA,),
    (UAC, S.ANSWERED): (ANSWERED,),
    (UAC, S.CONFIRMED): (ANSWERED, CONFIRMED),
    (UAC, S.ABANDONED): (HANGUP,),
    (UAC, S.CANCELING): (RINGING, HANGUP),
    (UAC, S.CLOSING): (RINGING, HANGUP, ANSWERED),
    (UAC, S.REPLACED): (ANSWERED, CONFIRMED, Replaced()),
    (UAC, S.ENDED): (BYE,),
}
"""Inputs that bring a leg into each of its states."""


def machine_of(role: Role) -> LegMachine:
    return CalleeLeg(L) if role is UAC else LegMachine(L, role)


def machine_in(role: Role, state: DialogState) -> LegMachine:
    machine = machine_of(role)
    feed(machine, *WAYS[role, state])
    assert machine.state is state
    return machine


def feed(machine: LegMachine, *facts: Input) -> list[Output]:
    return [output for fact in facts for output in machine.handle(fact, 1.0)]


_LIVE = (S.INCOMING, S.INVITED, S.PROCEEDING, S.EARLY, S.ANSWERED, S.CONFIRMED, S.CANCELING, S.CLOSING)
_SAYS: dict[Input, str] = {
    RINGING: "LegProgress", EARLY_MEDIA: "LegProgress", BYE: "LegEnded", LOST: "LegEnded",
    MEDIA: "MediaChanged", IN_CLEAR: "MediaChanged", KEY: "DtmfReceived", REFUSED: "ReferProgress",
    TAKEN: "ReferProgress",
}  # fmt: skip
"""Inputs that post these events in any state that handles them, unless the leg is over."""

EXPECTED: dict[tuple[Role, DialogState, Input], tuple[DialogState, str]] = {
    **{(role, state, end): (S.ENDED, "LegEnded") for role in R for state in _LIVE for end in (BYE, LOST)},
    **{(role, S.REPLACED, end): (S.ENDED, "DialogGone") for role in R for end in (BYE, LOST)},
    **{(role, S.CONFIRMED, Replaced()): (S.REPLACED, "") for role in R},
    **{(role, S.CONFIRMED, HANGUP): (S.CLOSING, "HangUp") for role in R},
    (UAS, S.INCOMING, ANSWERED): (S.ANSWERED, ""),
    (UAS, S.INCOMING, HANGUP): (S.CLOSING, "HangUp"),
    (UAS, S.ANSWERED, CONFIRMED): (S.CONFIRMED, "LegConfirmed"),
    (UAS, S.ANSWERED, SILENT): (S.CONFIRMED, "LegConfirmed"),
    (REPLACEMENT, S.ANSWERED, CONFIRMED): (S.CONFIRMED, ""),
    (REPLACEMENT, S.ANSWERED, SILENT): (S.CONFIRMED, ""),
    (UAC, S.INVITED, Trying()): (S.PROCEEDING, ""),
    (UAC, S.INVITED, RINGING): (S.PROCEEDING, "LegProgress"),
    (UAC, S.INVITED, EARLY_MEDIA): (S.EARLY, "LegProgress"),
    (UAC, S.INVITED, CancelSent()): (S.PROCEEDING, ""),
    (UAC, S.INVITED, ANSWERED): (S.ANSWERED, ""),
    (UAC, S.PROCEEDING, InviteSent()): (S.INVITED, ""),
    (UAC, S.PROCEEDING, EARLY_MEDIA): (S.EARLY, "LegProgress"),
    (UAC, S.PROCEEDING, ANSWERED): (S.ANSWERED, ""),
    (UAC, S.EARLY, ANSWERED): (S.ANSWERED, ""),
    (UAC, S.CANCELING, ANSWERED): (S.CLOSING, ""),
    (UAC, S.ANSWERED, CONFIRMED): (S.CONFIRMED, "LegAnswered"),
    (UAC, S.ANSWERED, SILENT): (S.CONFIRMED, ""),
    (UAC, S.ANSWERED, ByeSent()): (S.CLOSING, ""),
    (UAC, S.CLOSING, CONFIRMED): (S.CLOSING, "LegAnswered"),
    (UAC, S.CLOSING, SILENT): (S.CLOSING, "LegAnswered"),
    (UAC, S.INVITED, HANGUP): (S.ABANDONED, "LegEnded"),
    (UAC, S.PROCEEDING, HANGUP): (S.CANCELING, "HangUp"),
    (UAC, S.EARLY, HANGUP): (S.CANCELING, "HangUp"),
    (UAC, S.ANSWERED, HANGUP): (S.CLOSING, "HangUp"),
    **{(UAC, S.ABANDONED, fact): (S.ABANDONED, "") for fact in INPUTS},
    (UAC, S.ABANDONED, Trying()): (S.PROCEEDING, ""),
    (UAC, S.ABANDONED, RINGING): (S.PROCEEDING, ""),
    (UAC, S.ABANDONED, EARLY_MEDIA): (S.EARLY, ""),
    (UAC, S.ABANDONED, ANSWERED): (S.ANSWERED, ""),
    **{(UAC, S.ABANDONED, end): (S.ENDED, "DialogGone") for end in (BYE, LOST)},
}  # fmt: skip
"""The state after an input, and the outputs; others keep the state, and post what ``_SAYS`` lists."""

PAIRS = [(role, state, fact) for role in R for state, fact in itertools.product(sorted(STATES[role]), INPUTS)]


LEGAL = [(role, state, fact) for role, state, fact in PAIRS if (state, type(fact)) in TRANSITIONS[role]]
ILLEGAL = [pair for pair in PAIRS if pair not in LEGAL]


def names(pair: tuple[Role, DialogState, Input]) -> str:
    return f"{pair[0]}-{pair[1]}-{type(pair[2]).__name__}-{INPUTS.index(pair[2])}"


def kinds(outputs: Iterable[Output]) -> str:
    return " ".join(type(output).__name__ for output in outputs)


@pytest.mark.parametrize("pair", LEGAL, ids=names)
def test_what_belongs_to_a_state_does_what_the_table_says(pair: tuple[Role, DialogState, Input]) -> None:
    role, state, fact = pair
    machine = machine_in(role, state)
    says = "" if machine.state.is_over else _SAYS.get(fact, "")
    expected = EXPECTED.get(pair, (state, says))
    outputs = machine.handle(fact, 1.0)
    assert (machine.state, kinds(outputs)) == expected
    assert not machine.unexpected


@pytest.mark.parametrize("pair", ILLEGAL, ids=names)
def test_what_does_not_is_counted_and_changes_nothing(pair: tuple[Role, DialogState, Input]) -> None:
    role, state, fact = pair
    machine = machine_in(role, state)
    before = {key: value for key, value in vars(machine).items() if key != "unexpected"}
    assert not machine.handle(fact, 1.0)
    assert {key: value for key, value in vars(machine).items() if key != "unexpected"} == before
    assert machine.unexpected == {f"{state} {type(fact).__name__}": 1}


def test_every_state_can_be_reached_and_every_handler_exists() -> None:
    assert WAYS.keys() == {(role, state) for role in R for state in STATES[role]}
    assert all(hasattr(machine_of(role), name) for role in R for name in TRANSITIONS[role].values())


_HUNG_UP = (S.ABANDONED, S.CANCELING, S.CLOSING, S.REPLACED, S.ENDED)


class TestHangup:
    """RFC 3261 §9, §13.3.1.4, §15."""

    def test_a_caller_is_refused_with_the_status_that_was_ordered(self) -> None:
        machine = LegMachine(L, UAS)
        assert feed(machine, HANGUP) == [HangUp(status=486, headers=HANGUP.headers, reason=Reason.ORDERED)]

    @pytest.mark.parametrize("role", [UAS, REPLACEMENT])
    def test_a_bye_waits_for_the_ack(self, role: Role) -> None:
        machine = machine_in(role, S.ANSWERED)
        assert feed(machine, HANGUP, Attended(), HANGUP) == []
        assert not machine.hangup_is_due
        feed(machine, CONFIRMED)
        assert machine.hangup_is_due
        assert feed(machine, Attended(), Attended()) == [
            HangUp(status=None, headers=HANGUP.headers, reason=Reason.ORDERED)
        ]

    @pytest.mark.parametrize(
        ("role", "state"),
        [(role, state) for role, state in WAYS if state not in _HUNG_UP],
    )
    def test_media_in_the_clear_end_a_leg_as_soon_as_it_may_be_hung_up(
        self, role: Role, state: DialogState
    ) -> None:
        machine = machine_in(role, state)
        feed(machine, IN_CLEAR)
        if not machine.hangup_is_due:
            assert state is S.ANSWERED and feed(machine, Attended()) == []
            feed(machine, CONFIRMED)
        status = 488 if state is S.INCOMING else None
        assert feed(machine, Attended()) == [HangUp(status=status, headers=(), reason=Reason.IN_CLEAR)]
        assert ended(machine, BYE) == ("local", 200)

    def test_nothing_is_due_while_nothing_is_wrong(self) -> None:
        assert not machine_in(UAC, S.CONFIRMED).hangup_is_due


class TestHangupBeforeAnyResponse:
    """RFC 3261 §9.1."""

    BYE_OR_CANCEL = HangUp(status=None, headers=HANGUP.headers, reason=Reason.ORDERED)

    @pytest.mark.parametrize(
        "response", [(Trying(),), (RINGING,), (EARLY_MEDIA, MEDIA), (ANSWERED,), (ANSWERED, CONFIRMED)]
    )
    def test_the_first_response_makes_it_due_with_the_headers_of_the_order(
        self, response: tuple[Input, ...]
    ) -> None:
        machine = CalleeLeg(L)
        assert kinds(feed(machine, HANGUP, HANGUP, Attended())) == "LegEnded"
        assert feed(machine, *response) == []
        assert machine.hangup_is_due
        assert feed(machine, Attended(), Attended()) == [self.BYE_OR_CANCEL]
        assert feed(machine, RINGING, ANSWERED, CONFIRMED, BYE, LOST) == [DialogGone()]

    @pytest.mark.parametrize("end", [BYE, LOST])
    def test_nothing_is_sent_after_a_failure(self, end: Input) -> None:
        machine = machine_in(UAC, S.ABANDONED)
        assert feed(machine, end, Attended()) == [DialogGone()]

    def test_an_invite_with_credentials_has_had_no_response(self) -> None:
        machine = CalleeLeg(L)
        feed(machine, Trying(), InviteSent())
        assert machine.awaits_response
        assert kinds(feed(machine, HANGUP)) == "LegEnded"
        assert feed(machine, Trying(), Attended()) == [self.BYE_OR_CANCEL]

    @pytest.mark.parametrize("response", [Trying(), RINGING])
    def test_an_abandoned_invite_with_credentials_waits_for_its_own_response(self, response: Input) -> None:
        machine = machine_in(UAC, S.ABANDONED)
        assert feed(machine, response) == []
        machine.handle(InviteSent(), 10.0)
        assert machine.awaits_response and not machine.handle(HANGUP, 42.9)
        assert not machine.handle(Attended(), 42.9)  # the limit counts from the later INVITE
        assert feed(machine, Trying(), Attended()) == [self.BYE_OR_CANCEL]
        assert feed(machine, BYE, LOST) == [DialogGone()]

    def test_one_that_is_given_up_twice_is_gone_once(self) -> None:
        machine = machine_in(UAC, S.ABANDONED)
        assert feed(machine, RINGING, InviteSent(), HANGUP) == []
        assert feed(machine, BYE) == [DialogGone()]

    def test_it_does_not_wait_for_ever(self) -> None:
        machine = CalleeLeg(L)
        machine.handle(HANGUP, 10.0)
        assert not machine.handle(Attended(), 42.9)
        assert machine.handle(Attended(), 43.0) == [self.BYE_OR_CANCEL]
        assert feed(machine, BYE) == [DialogGone()]

    def test_the_dialog_is_nobodys(self) -> None:
        machine = machine_in(UAC, S.ABANDONED)
        assert machine.is_over
        feed(machine, ANSWERED, CONFIRMED)
        assert machine.is_over and machine.replaces_status == 603
        assert machine_in(UAC, S.CONFIRMED).replaces_status == 200


def ended(machine: LegMachine, fact: Disconnected) -> tuple[str, int]:
    (event,) = machine.handle(fact, 1.0)
    assert isinstance(event, LegEnded)
    return event.cause, event.sip_code


class TestWhoEndedIt:
    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            (Source.MESSAGE, ("peer", 200)),
            (Source.TIMER, ("timeout", 408)),
            (Source.TRANSPORT, ("unreachable", 503)),
        ],
    )
    @pytest.mark.parametrize(
        ("role", "state"), [(UAC, S.INVITED), (UAC, S.EARLY), (UAC, S.CONFIRMED), (UAS, S.ANSWERED)]
    )
    def test_not_we(self, role: Role, state: DialogState, source: Source, expected: tuple[str, int]) -> None:
        end = Disconnected(source=source, status=200, reason="", message=None)
        assert ended(machine_in(role, state), end) == expected

    def test_not_we_either_while_our_bye_waits_for_the_ack(self) -> None:
        machine = machine_in(UAS, S.ANSWERED)
        feed(machine, HANGUP)
        end = Disconnected(source=Source.TIMER, status=200, reason="", message=None)
        assert ended(machine, end) == ("timeout", 408)

    def test_we_before_any_response(self) -> None:
        (event,) = machine_in(UAC, S.INVITED).handle(HANGUP, 1.0)
        assert isinstance(event, LegEnded)
        assert (event.cause, event.sip_code, event.reason) == ("local", 487, "Request Terminated")

    @pytest.mark.parametrize("state", [S.CANCELING, S.CLOSING])
    @pytest.mark.parametrize("source", Source)
    def test_we(self, state: DialogState, source: Source) -> None:
        end = Disconnected(source=source, status=487, reason="", message=None)
        assert ended(machine_in(UAC, state), end) == ("local", 487)

    def test_a_callee_whose_answer_cannot_be_agreed_to_has_refused(self) -> None:
        assert ended(machine_in(UAC, S.ANSWERED), BYE) == ("peer", 488)

    def test_so_has_one_whose_answer_has_no_audio(self) -> None:
        machine = machine_in(UAC, S.ANSWERED)
        feed(machine, SILENT)
        assert kinds(feed(machine, Attended())) == "HangUp"
        assert ended(machine, BYE) == ("peer", 488)

    def test_so_has_one_because_of_whose_answer_the_library_sends_a_bye(self) -> None:
        machine = machine_in(UAC, S.ANSWERED)
        assert feed(machine, ByeSent(), Attended(), SILENT, HANGUP) == []  # it is not sent twice
        assert not machine.hangup_is_due
        assert ended(machine, BYE) == ("peer", 488)

    @pytest.mark.parametrize("after", [(), (Attended(),), (HANGUP,), (Attended(), ANSWERED, CONFIRMED)])
    def test_so_has_one_because_of_whose_183_the_library_cancels(self, after: Sequence[Input]) -> None:
        machine = machine_in(UAC, S.INVITED)
        feed(machine, CancelSent(), *after)
        assert ended(machine, BYE) == ("peer", 488)

    def test_our_own_cancel_is_no_refusal(self) -> None:
        machine = machine_in(UAC, S.CANCELING)
        feed(machine, CancelSent())
        assert ended(machine, BYE) == ("local", 200)


class TestWhatTheEndTells:
    def event(self, machine: LegMachine, message: bytes | None) -> LegEnded:
        end = Disconnected(source=Source.MESSAGE, status=487, reason="Gone", message=message)
        (event,) = machine.handle(end, 1.0)
        assert isinstance(event, LegEnded)
        return event

    def test_headers_of_the_cancel_that_ends_a_callers_leg(self) -> None:
        machine = machine_in(UAS, S.INCOMING)
        feed(machine, CANCEL)
        event = self.event(machine, None)
        assert ("Reason", "Q.850;cause=16") in event.headers
        assert event.reason == "Q.850;cause=16"

    def test_not_those_of_a_cancel_that_came_too_late(self) -> None:
        machine = machine_in(UAS, S.INCOMING)
        feed(machine, CANCEL, ANSWERED)
        assert self.event(machine, None).headers == ()

    def test_a_redirection_under_its_own_status(self) -> None:
        moved = b"SIP/2.0 302 Moved\r\nContact: <sip:x@192.0.2.1>\r\n" + MANDATORY % b"INVITE"
        event = self.event(machine_in(UAC, S.INVITED), moved)
        assert (event.sip_code, event.reason) == (302, "Moved")

    def test_no_headers_where_we_have_ended_it(self) -> None:
        busy = b"SIP/2.0 486 Busy Here\r\n" + MANDATORY % b"INVITE"
        assert self.event(machine_in(UAC, S.CANCELING), busy).headers == ()

    def test_none_of_what_is_no_message(self) -> None:
        event = self.event(machine_in(UAC, S.INVITED), b"\x00")
        assert (event.headers, event.reason) == ((), "Gone")


class TestRefer:
    def test_a_notify_counts_once_the_refer_was_taken(self) -> None:
        machine = machine_in(UAC, S.CONFIRMED)
        assert feed(machine, NOTIFIED, REFUSED, NOTIFIED) == [
            ReferProgress(leg=L, at=1.0, status=603, by_notify=False, final=True)
        ]
        assert feed(machine, TAKEN, Notified(status=100, final=False), NOTIFIED) == [
            ReferProgress(leg=L, at=1.0, status=202, by_notify=False, final=False),
            ReferProgress(leg=L, at=1.0, status=200, by_notify=True, final=True),
        ]


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (S.INCOMING, 481), (S.INVITED, 481), (S.PROCEEDING, 481), (S.EARLY, 481), (S.ANSWERED, 481),
        (S.CONFIRMED, 200), (S.ABANDONED, 481),
        (S.CANCELING, 603), (S.CLOSING, 603), (S.REPLACED, 603), (S.ENDED, 603),
    ],
)  # fmt: skip
def test_who_may_be_replaced(state: DialogState, status: int) -> None:
    """RFC 3891 §3."""
    assert state.replaces_status == status


def test_whether_a_refer_may_be_taken_and_whether_the_leg_is_over() -> None:
    for state in S:
        assert state.is_answered == (state in (S.ANSWERED, S.CONFIRMED, S.CLOSING))
        assert state.is_over == (state in (S.REPLACED, S.ENDED))


ENDS = (BYE, LOST)
living = st.lists(st.sampled_from([fact for fact in INPUTS if fact not in ENDS]), max_size=12)
late = st.lists(st.sampled_from(INPUTS), max_size=8)


@settings(max_examples=examples(200))
@example(start=(UAC, S.ABANDONED), facts=[RINGING, InviteSent(), HANGUP], end=BYE, late=[])
@given(start=st.sampled_from(sorted(WAYS)), facts=living, end=st.sampled_from(ENDS), late=late)
def test_whatever_comes_in_whatever_order(
    start: tuple[Role, DialogState], facts: list[Input], end: Input, late: list[Input]
) -> None:
    role, _ = start
    machine = machine_of(role)
    ends = reports = hangups = 0
    acknowledged = silent = False
    for fact in (*WAYS[start], *facts, end, *late, BYE):
        before = machine.state
        for output in machine.handle(fact, 1.0):
            assert not ends, "nothing acts after the end"
            if silent:
                assert isinstance(output, DialogGone | HangUp), "what is no leg any more says nothing more"
            if isinstance(output, LegEnded):
                reports += 1
            # The end is reported before the INVITE's end only where no CANCEL may be sent yet.
            if isinstance(output, DialogGone) or machine.state is S.ENDED:
                ends += 1
            if isinstance(output, HangUp):
                hangups += 1
                # RFC 3261 §15: no BYE before the ACK for our 200.
                assert role is UAC or acknowledged or before is S.INCOMING
                # RFC 3261 §9.1: no CANCEL before a response.
                assert before is not S.ABANDONED
                assert before is not S.INVITED or not reports
            elif not isinstance(output, DialogGone):
                assert isinstance(output, LegEvent) and output.leg == L
        acknowledged = acknowledged or (before is S.ANSWERED and machine.state is S.CONFIRMED)
        silent = machine.is_over
    assert (ends, machine.state) == (1, S.ENDED)
    assert reports <= 1
    assert hangups <= 1
