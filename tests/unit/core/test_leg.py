import itertools
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b2bua.core.commands import AnswerLeg, HangupLeg, LegCommand, ProgressLeg, RingLeg, SendDtmf
from b2bua.core.errors import LocalStateError
from b2bua.core.events import LegEvent, LegIncoming
from b2bua.core.ids import LegId, SipCallId
from b2bua.core.leg import LIMIT_S, TRANSITIONS, UNANSWERED_LIMIT_S, Leg, LegState, Role
from tests.effort import examples
from tests.unit.core.scene import answered, confirmed, dtmf, early_media, ended, media_changed, progress

pytestmark = pytest.mark.unit
L = LegId("l")
S = LegState
UAS, UAC = Role.UAS, Role.UAC

INCOMING = LegIncoming(
    leg=L, at=0.0, sip_call_id=SipCallId("x"), request_uri="", from_header="", to_header="", headers=(),
)  # fmt: skip
EVENTS: tuple[LegEvent, ...] = (
    INCOMING, progress(L), early_media(L), answered(L), confirmed(L), media_changed(L), dtmf(L), ended(L),
)  # fmt: skip
STATES = {
    UAS: (S.INCOMING, S.RINGING, S.EARLY, S.ANSWERED, S.CONFIRMED, S.CLOSING, S.ENDED),
    UAC: (S.INVITED, S.RINGING, S.EARLY, S.CONFIRMED, S.CLOSING, S.ENDED),
}
ACTS: tuple[Callable[[Leg], list[LegCommand]], ...] = (
    lambda leg: leg.ring(1.0), lambda leg: leg.progress(1.0), lambda leg: leg.answer(1.0),
    lambda leg: leg.hangup(1.0), lambda leg: leg.send_dtmf("1"),
)  # fmt: skip


def leg_in(state: LegState, role: Role) -> Leg:
    """A leg brought to ``state`` as real calls get there."""
    leg = Leg(L, role, 0.0)
    match role, state:
        case _, S.INCOMING | S.INVITED:
            pass
        case Role.UAS, S.RINGING:
            leg.ring(0.0)
        case Role.UAS, S.EARLY:
            leg.progress(0.0)
        case Role.UAS, S.ANSWERED:
            leg.answer(0.0)
        case Role.UAS, S.CONFIRMED:
            leg.answer(0.0)
            leg.handle(confirmed(L), 0.0)
        case Role.UAC, S.RINGING:
            leg.handle(progress(L), 0.0)
        case Role.UAC, S.EARLY:
            leg.handle(progress(L, 183, media=True), 0.0)
        case Role.UAC, S.CONFIRMED:
            leg.handle(answered(L), 0.0)
        case _, S.CLOSING:
            leg.hangup(0.0)
        case _:
            leg.handle(ended(L), 0.0)
    assert leg.state is state
    return leg


PAIRS = [(role, state, event) for role in Role for state, event in itertools.product(STATES[role], EVENTS)]
LEGAL = [(role, state, event) for role, state, event in PAIRS if (state, type(event)) in TRANSITIONS[role]]
ILLEGAL = [pair for pair in PAIRS if pair not in LEGAL]

MOVES: dict[tuple[Role, LegState, str], LegState] = {
    (UAS, S.ANSWERED, "LegConfirmed"): S.CONFIRMED,
    (UAC, S.INVITED, "LegProgress"): S.RINGING,
    (UAC, S.EARLY, "LegProgress"): S.RINGING,
    (UAC, S.INVITED, "LegAnswered"): S.CONFIRMED,
    (UAC, S.RINGING, "LegAnswered"): S.CONFIRMED,
    (UAC, S.EARLY, "LegAnswered"): S.CONFIRMED,
    **{(role, state, "LegEnded"): S.ENDED for role in Role for state in STATES[role] if state is not S.ENDED},
}


def names(pair: tuple[Role, LegState, LegEvent]) -> str:
    return f"{pair[0]}-{pair[1]}-{type(pair[2]).__name__}"


@pytest.mark.parametrize("pair", LEGAL, ids=names)
def test_a_legal_event_moves_the_leg_as_the_table_says(pair: tuple[Role, LegState, LegEvent]) -> None:
    role, state, event = pair
    leg = leg_in(state, role)
    assert leg.handle(event, 1.0)
    assert leg.state is MOVES.get((role, state, type(event).__name__), state)
    assert not leg.unexpected


@pytest.mark.parametrize("pair", ILLEGAL, ids=names)
def test_an_illegal_event_is_counted_and_changes_nothing(pair: tuple[Role, LegState, LegEvent]) -> None:
    role, state, event = pair
    leg = leg_in(state, role)
    before = {key: value for key, value in vars(leg).items() if key != "unexpected"}
    assert not leg.handle(event, 1.0)
    assert {key: value for key, value in vars(leg).items() if key != "unexpected"} == before
    assert leg.unexpected == {f"{state} {type(event).__name__}": 1}


def test_every_move_and_every_handler_exists() -> None:
    legal = {(role, state, type(event).__name__) for role, state, event in LEGAL}
    assert MOVES.keys() <= legal
    assert all(hasattr(Leg, name) for table in TRANSITIONS.values() for name in table.values())


class TestActs:
    @pytest.mark.parametrize(
        ("state", "ring", "progress", "answer"),
        [
            (S.INCOMING, [RingLeg(leg=L)], [ProgressLeg(leg=L)], [AnswerLeg(leg=L)]),
            (S.RINGING, [], [ProgressLeg(leg=L)], [AnswerLeg(leg=L)]),
            (S.EARLY, [], [], [AnswerLeg(leg=L)]),
            (S.ANSWERED, [], [], []),
            (S.CONFIRMED, [], [], []),
            (S.CLOSING, [], [], []),
            (S.ENDED, [], [], []),
        ],
    )
    def test_an_act_is_sent_only_where_it_means_something(
        self, state: LegState, ring: object, progress: object, answer: object
    ) -> None:
        assert leg_in(state, UAS).ring(1.0) == ring
        assert leg_in(state, UAS).progress(1.0) == progress
        assert leg_in(state, UAS).answer(1.0) == answer

    def test_acts_move_the_leg_and_are_noted(self) -> None:
        leg = Leg(L, UAS, 1.0)
        leg.ring(2.0)
        leg.progress(3.0)
        assert leg.answer(4.0, headers=(("X-A", "b"),)) == [AnswerLeg(leg=L, headers=(("X-A", "b"),))]
        leg.handle(confirmed(L, at=5.0), 5.1)
        leg.handle(ended(L, at=6.0), 6.1)
        times = (
            leg.invited_at,
            leg.ringing_at,
            leg.early_at,
            leg.answered_at,
            leg.confirmed_at,
            leg.ended_at,
        )
        assert times == (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
        assert leg.hung_up_at is None

    @pytest.mark.parametrize("act", ACTS[:3], ids=("ring", "progress", "answer"))
    def test_a_uac_leg_does_not_ring_or_answer(self, act: Callable[[Leg], list[LegCommand]]) -> None:
        with pytest.raises(LocalStateError, match="uac"):
            act(Leg(L, UAC, 0.0))

    @pytest.mark.parametrize(("role", "state"), [(r, s) for r in Role for s in STATES[r] if s is not S.ENDED])
    def test_hangup_is_sent_once(self, role: Role, state: LegState) -> None:
        leg = leg_in(state, role)
        first = leg.hangup(2.0, sip_code=486, headers=(("Reason", "x"),))
        expected = [HangupLeg(leg=L, sip_code=486, headers=(("Reason", "x"),))]
        assert first == ([] if state is S.CLOSING else expected)
        assert leg.hangup(3.0) == []
        assert leg.state is S.CLOSING

    def test_our_hangup_and_the_reported_end_are_both_kept(self) -> None:
        leg = leg_in(S.CONFIRMED, UAC)
        leg.hangup(2.0)
        end = ended(L, cause="local", at=2.5)
        leg.handle(end, 2.6)
        assert leg.hangup_command == HangupLeg(leg=L)
        assert (leg.hung_up_at, leg.ended, leg.ended_at) == (2.0, end, 2.5)

    @pytest.mark.parametrize(("role", "state"), [(role, state) for role in Role for state in STATES[role]])
    def test_keys_are_sent_to_answered_legs_only(self, role: Role, state: LegState) -> None:
        sent = leg_in(state, role).send_dtmf("12")
        assert sent == ([SendDtmf(leg=L, digits="12")] if state in (S.ANSWERED, S.CONFIRMED) else [])


class TestFacts:
    @pytest.mark.parametrize(
        ("responses", "state", "early"),
        [
            ([(180, False)], S.RINGING, False),
            ([(183, False)], S.RINGING, False),
            ([(181, False)], S.INVITED, False),
            ([(183, True)], S.EARLY, True),
            ([(180, True)], S.EARLY, True),
            ([(180, True), (180, True)], S.EARLY, True),
            ([(180, False), (183, True)], S.EARLY, True),
            ([(183, True), (180, False)], S.RINGING, False),
            ([(183, True), (180, True)], S.RINGING, False),
            ([(183, True), (180, True), (183, True)], S.EARLY, True),
            ([(183, True), (181, True)], S.EARLY, True),
        ],
    )
    def test_180_after_early_media_of_a_183_means_ringing(
        self, responses: list[tuple[int, bool]], state: LegState, early: bool
    ) -> None:
        leg = Leg(L, UAC, 0.0)
        for status, media in responses:
            leg.handle(progress(L, status, media=media), 1.0)
        assert (leg.state, leg.early_media) == (state, early)

    def test_early_media_come_and_cease_while_it_is_not_answered(self) -> None:
        leg = leg_in(S.EARLY, UAC)
        assert not leg.early_media_comes
        leg.handle(early_media(L), 1.0)
        assert leg.early_media_comes
        leg.handle(progress(L, 180), 1.5)
        leg.handle(early_media(L, coming=False), 2.0)
        assert not leg.early_media_comes

    def test_the_time_line_keeps_the_first_of_each(self) -> None:
        leg = Leg(L, UAC, 0.0)
        leg.handle(progress(L, 181, at=1.0), 1.0)
        for at in (2.0, 3.0):
            leg.handle(progress(L, 183, media=True, at=at), at)
        leg.handle(answered(L, at=4.0, headers=(("X-A", "1"),)), 4.0)
        assert (leg.ringing_at, leg.early_at, leg.answered_at, leg.confirmed_at) == (2.0, 2.0, 4.0, 4.0)
        assert leg.answer_headers == (("X-A", "1"),)

    def test_a_200_that_crosses_our_cancel_is_not_an_answer(self) -> None:
        leg = leg_in(S.RINGING, UAC)
        leg.hangup(1.0)
        assert leg.handle(answered(L, at=1.1), 1.1)
        assert (leg.state, leg.answered_at) == (S.CLOSING, None)

    def test_hold_is_seen_and_forgotten(self) -> None:
        leg = leg_in(S.CONFIRMED, UAS)
        leg.handle(media_changed(L, held=True), 1.0)
        assert leg.held
        leg.handle(media_changed(L, held=False), 2.0)
        assert not leg.held


class TestDeadlines:
    @pytest.mark.parametrize(("role", "state"), [(role, state) for role in Role for state in STATES[role]])
    def test_a_leg_has_a_deadline_until_it_has_ended(self, role: Role, state: LegState) -> None:
        leg = leg_in(state, role)
        if state is S.ENDED:
            assert leg.next_deadline() is None
        else:
            assert leg.next_deadline() == LIMIT_S.get(state, UNANSWERED_LIMIT_S)

    @pytest.mark.parametrize(("role", "state"), [(r, s) for r in Role for s in STATES[r][:-2]])
    def test_a_leg_whose_end_is_never_reported_still_ends(self, role: Role, state: LegState) -> None:
        leg = leg_in(state, role)
        due = leg.next_deadline()
        assert due is not None
        assert leg.tick(due - 0.001) == []
        assert leg.tick(due) == [HangupLeg(leg=L, sip_code=480)]
        assert leg.tick(due) == []
        last = leg.next_deadline()
        assert last == due + LIMIT_S[S.CLOSING]
        assert leg.tick(last) == []
        assert leg.ended is not None
        assert (leg.ended.cause, leg.ended.sip_code, leg.ended_at) == ("worker", 503, last)
        assert leg.next_deadline() is None
        assert leg.tick(last + 1.0) == []

    def test_a_caller_that_wants_an_offer_reliably_rings_with_media(self) -> None:
        leg = Leg(L, UAS, 0.0)
        leg.rings_with_media = True
        assert leg.ring(1.0) == [ProgressLeg(leg=L)]
        assert leg.has_media

    def test_ringing_may_be_allowed_longer_but_never_shorter(self) -> None:
        leg = Leg(L, UAS, 0.0)
        leg.allow_ringing(10.0)
        assert leg.next_deadline() == UNANSWERED_LIMIT_S
        leg.allow_ringing(600.0)
        leg.ring(5.0)
        assert leg.next_deadline() == 600.0
        leg.answer(6.0)
        leg.allow_ringing(900.0)
        assert leg.next_deadline() == 6.0 + LIMIT_S[S.ANSWERED]

    def test_provisional_responses_do_not_prolong_ringing(self) -> None:
        leg = Leg(L, UAC, 1.0, 35.0)
        leg.handle(progress(L), 30.0)
        assert leg.next_deadline() == 36.0


STEPS = st.lists(
    st.one_of(st.sampled_from(EVENTS), st.integers(0, len(ACTS) - 1), st.just("tick")), max_size=30
)


@settings(database=None, max_examples=examples(100))
@given(role=st.sampled_from(Role), steps=STEPS)
def test_any_sequence_ends_once_and_nothing_is_sent_after_the_hangup(
    role: Role, steps: list[LegEvent | int | str]
) -> None:
    leg = Leg(L, role, 0.0)
    now, over, hung_up = 0.0, False, 0
    for step in [*steps, "tick", "tick"]:
        now += 1.0
        sent: list[LegCommand] = []
        if step == "tick":
            now = max(now, leg.next_deadline() or now)
            sent = leg.tick(now)
        elif isinstance(step, int):
            if role is UAS or step > 2:
                sent = ACTS[step](leg)
        else:
            leg.handle(step, now)  # type: ignore[arg-type]
        assert not (over and sent)
        hung_up += sum(isinstance(command, HangupLeg) for command in sent)
        over = not leg.live
    assert hung_up <= 1
    assert leg.state is S.ENDED
    assert leg.next_deadline() is None


class TestAnotherInvite:
    """A leg that stands for one INVITE after another."""

    def test_begins_as_the_first_did(self) -> None:
        leg = leg_in(S.EARLY, UAC)
        leg.handle(early_media(L), 0.0)
        leg.handle(ended(L), 2.0)
        leg.begin_again(LegId("m"), 3.0, 7.0)
        assert (leg.id, leg.state, leg.live, leg.ended) == ("m", S.INVITED, True, None)
        assert (leg.ringing_at, leg.early_at, leg.ended_at, leg.invited_at) == (None, None, None, 0.0)
        assert not leg.early_media and not leg.early_media_comes
        assert leg.next_deadline() == 10.0
        leg.handle(progress(LegId("m"), 180, media=True), 4.0)
        assert leg.early_media  # as if no 183 had come before

    @pytest.mark.parametrize("role", Role)
    def test_needs_one_that_was_refused(self, role: Role) -> None:
        states = STATES[role] if role is UAS else [each for each in STATES[role] if each is not S.ENDED]
        for leg in (leg_in(state, role) for state in states):
            with pytest.raises(LocalStateError):
                leg.begin_again(LegId("m"), 1.0, 1.0)
        talked = leg_in(S.CONFIRMED, role)
        talked.handle(ended(L), 1.0)
        with pytest.raises(LocalStateError):
            talked.begin_again(LegId("m"), 1.0, 1.0)
