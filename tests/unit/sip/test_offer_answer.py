"""Offers and answers in every message that may carry them: what takes effect, and when."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from b2bua.relay.control import MediaDescription
from b2bua.sip.message import Request, Response, parse_message
from b2bua.sip.offer_answer import MAX_EXCHANGES, MAX_TAGS, Agreement, OfferAnswer, Side

pytestmark = pytest.mark.unit

TAGS: dict[Side, str] = {"far": "f", "near": "n"}


def audio(port: int, **changes: Any) -> MediaDescription:
    media = MediaDescription(host="h", port=port, rtcp_host="h", rtcp_port=port, formats=((0, "PCMU/8000"),))
    return structs.replace(media, **changes)


class Dialog:
    """A dialog's messages as the edge sees them. Descriptions are told apart by their port."""

    def __init__(self) -> None:
        self.talk = OfferAnswer()
        self.agreed: list[tuple[int, int]] = []
        """Ports of the party and the worker in each agreement."""

    def request(
        self, side: Side, method: str, port: int = -1, *, cseq: int = 1, to: str = "", rack: str = ""
    ) -> tuple[int, int] | None:
        said = None if port < 0 else (audio(port),)
        return self._note(self.talk.request(_request(method, TAGS[side], to, cseq, rack), side, said))

    def response(
        self,
        side: Side,
        status: int,
        port: int = -1,
        *,
        method: str = "INVITE",
        cseq: int = 1,
        tag: str = "t",
        reliable: bool = False,
    ) -> tuple[int, int] | None:
        said = None if port < 0 else (audio(port),)
        requester: Side = "near" if side == "far" else "far"
        response = _response(status, method, TAGS[requester], tag, cseq, reliable)
        return self._note(self.talk.response(response, side, said))

    def _note(self, agreement: Agreement | None) -> tuple[int, int] | None:
        if agreement is None:
            return None
        self.agreed.append((agreement.far.port, agreement.near.port))
        return self.agreed[-1]


def _headers(from_tag: str, to_tag: str, cseq: int, method: str) -> str:
    to = f";tag={to_tag}" if to_tag else ""
    return (
        f"Via: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@h>;tag={from_tag}\r\nTo: <sip:b@h>{to}\r\n"
        f"Call-ID: c\r\nCSeq: {cseq} {method}\r\n"
    )


def _request(method: str, from_tag: str, to_tag: str, cseq: int, rack: str) -> Request:
    extra = f"RAck: {rack}\r\n" if rack else ""
    head = _headers(from_tag, to_tag, cseq, method)
    message = parse_message(f"{method} sip:b@h SIP/2.0\r\n{head}{extra}\r\n".encode())
    assert isinstance(message, Request)
    return message


def _response(status: int, method: str, from_tag: str, to_tag: str, cseq: int, reliable: bool) -> Response:
    extra = "RSeq: 7\r\n" if reliable else ""
    head = _headers(from_tag, to_tag, cseq, method)
    message = parse_message(f"SIP/2.0 {status} X\r\n{head}{extra}\r\n".encode())
    assert isinstance(message, Response)
    return message


@pytest.fixture
def call() -> Dialog:
    """A call that the party has made: its port is 1, the worker's 2."""
    call = Dialog()
    call.request("far", "INVITE", 1)
    call.response("near", 200, 2)
    call.request("far", "ACK", to="t")
    assert call.agreed == [(1, 2)]
    call.agreed.clear()
    return call


class TestTheFirstExchange:
    def test_invite_and_200(self) -> None:
        dialog = Dialog()
        assert dialog.request("far", "INVITE", 1) is None
        assert dialog.response("near", 100, 66) is None
        assert dialog.response("near", 180) is None
        assert dialog.response("near", 200, 2) == (1, 2)
        assert dialog.request("far", "ACK", to="t") is None

    def test_of_the_worker(self) -> None:
        dialog = Dialog()
        dialog.request("near", "INVITE", 2)
        assert dialog.response("far", 200, 1) == (1, 2)

    def test_early_media_and_then_another_answer(self) -> None:
        dialog = Dialog()
        dialog.request("near", "INVITE", 2)
        assert dialog.response("far", 183, 1) == (1, 2)
        assert dialog.response("far", 180) is None
        assert dialog.response("far", 200, 11) == (11, 2)

    def test_a_reliable_183_is_the_answer_whatever_comes_later(self) -> None:
        dialog = Dialog()
        dialog.request("near", "INVITE", 2)
        assert dialog.response("far", 183, 1, reliable=True) == (1, 2)
        dialog.request("near", "PRACK", cseq=2, to="t", rack="7 1 INVITE")
        dialog.response("far", 200, method="PRACK", cseq=2)
        assert dialog.response("far", 200, 66) is None

    def test_a_reliable_180_is_no_answer(self) -> None:
        dialog = Dialog()
        dialog.request("near", "INVITE", 2)
        assert dialog.response("far", 180, reliable=True) is None
        assert dialog.response("far", 200, 1) == (1, 2)

    def test_update_before_the_200_stays(self) -> None:
        dialog = Dialog()
        dialog.request("near", "INVITE", 2)
        dialog.response("far", 183, 1, reliable=True)
        dialog.request("near", "UPDATE", 12, cseq=3, to="t")
        assert dialog.response("far", 200, 11, method="UPDATE", cseq=3) == (11, 12)
        assert dialog.response("far", 200, 1) is None

    def test_late_offer_in_the_200(self) -> None:
        dialog = Dialog()
        dialog.request("far", "INVITE")
        dialog.response("near", 180)
        assert dialog.response("near", 200, 2) is None
        assert dialog.request("far", "ACK", 1, to="t") == (1, 2)

    def test_late_offer_in_a_reliable_183(self) -> None:
        dialog = Dialog()
        dialog.request("far", "INVITE")
        assert dialog.response("near", 183, 2, reliable=True) is None
        assert dialog.request("far", "PRACK", 1, cseq=2, to="t", rack="7 1 INVITE") == (1, 2)
        assert dialog.response("near", 200, method="PRACK", cseq=2) is None
        assert dialog.response("near", 200, 66) is None
        assert dialog.request("far", "ACK", 67, to="t") is None

    def test_an_unreliable_183_makes_no_offer(self) -> None:
        dialog = Dialog()
        dialog.request("far", "INVITE")
        dialog.response("near", 183, 66)
        assert dialog.response("near", 200, 2) is None
        assert dialog.request("far", "ACK", 1, to="t") == (1, 2)

    def test_an_unreliable_183_makes_no_offer_for_a_200_without_one(self) -> None:
        dialog = Dialog()
        dialog.request("far", "INVITE")
        dialog.response("near", 183, 66)
        dialog.response("near", 200)
        assert dialog.request("far", "ACK", 1, to="t") is None

    def test_a_late_offer_without_an_answer(self) -> None:
        dialog = Dialog()
        dialog.request("far", "INVITE")
        dialog.response("near", 200, 2)
        assert dialog.request("far", "ACK", to="t") is None
        assert dialog.request("far", "ACK", 1, to="t") is None

    def test_a_prack_with_another_offer(self) -> None:
        dialog = Dialog()
        dialog.request("far", "INVITE", 1)
        dialog.response("near", 183, 2, reliable=True)
        assert dialog.request("far", "PRACK", 11, cseq=2, to="t", rack="7 1 INVITE") is None
        assert dialog.response("near", 200, 12, method="PRACK", cseq=2) == (11, 12)

    @pytest.mark.parametrize(
        "rack", ["", "7", "7 x INVITE", "7 1 UPDATE", "7 9 INVITE", f"7 {'9' * 5000} INVITE"]
    )
    def test_a_prack_of_what_is_not_known(self, rack: str) -> None:
        dialog = Dialog()
        dialog.request("far", "INVITE")
        dialog.response("near", 183, 2, reliable=True)
        assert dialog.request("far", "PRACK", 1, cseq=2, to="t", rack=rack) is None

    def test_refused(self) -> None:
        dialog = Dialog()
        dialog.request("far", "INVITE", 1)
        dialog.response("near", 486, 66)
        assert dialog.request("far", "ACK", 67, to="t") is None
        assert dialog.response("near", 200, 2) is None
        assert dialog.agreed == []

    def test_asked_for_a_password_and_sent_again(self) -> None:
        dialog = Dialog()
        dialog.request("near", "INVITE", 2)
        dialog.response("far", 407)
        dialog.request("near", "INVITE", 22, cseq=2)
        assert dialog.response("far", 200, 1, cseq=2) == (1, 22)


class TestForksDownstream:
    def test_each_answer_takes_effect_and_the_200_last(self) -> None:
        dialog = Dialog()
        dialog.request("near", "INVITE", 2)
        assert dialog.response("far", 183, 10, tag="one") == (10, 2)
        assert dialog.response("far", 183, 20, tag="two") == (20, 2)
        assert dialog.response("far", 183, 10, tag="one") == (10, 2)
        assert dialog.response("far", 200, 20, tag="two") == (20, 2)

    def test_a_second_200_moves_nothing(self) -> None:
        # The library's dialog is confirmed by the first.
        dialog = Dialog()
        dialog.request("near", "INVITE", 2)
        assert dialog.response("far", 200, 10, tag="one") == (10, 2)
        assert dialog.response("far", 200, 20, tag="two") is None
        assert dialog.response("far", 183, 30, tag="three") is None

    def test_an_update_of_one_and_the_answer_of_another(self) -> None:
        dialog = Dialog()
        dialog.request("near", "INVITE", 2)
        dialog.response("far", 183, 10, tag="one", reliable=True)
        dialog.request("near", "UPDATE", 12, cseq=3, to="one")
        assert dialog.response("far", 200, 11, method="UPDATE", cseq=3, tag="one") == (11, 12)
        assert dialog.response("far", 200, 20, tag="two") == (20, 2)

    def test_many_reliable_183_and_their_pracks(self) -> None:
        dialog = Dialog()
        dialog.request("near", "INVITE", 2)
        for n in range(10, 30):
            dialog.response("far", 183, n, tag=f"t{n}", reliable=True)
            dialog.request("near", "PRACK", cseq=n, to=f"t{n}", rack="7 1 INVITE")
        assert dialog.response("far", 200, 1, tag="last") == (1, 2)


class TestWithinACall:
    def test_reinvite(self, call: Dialog) -> None:
        call.request("far", "INVITE", 11, cseq=2, to="t")
        assert call.response("near", 200, 12, cseq=2) == (11, 12)

    def test_reinvite_of_the_worker(self, call: Dialog) -> None:
        call.request("near", "INVITE", 12, to="f")
        assert call.response("far", 200, 11) == (11, 12)

    def test_reinvite_without_an_offer(self, call: Dialog) -> None:
        call.request("far", "INVITE", cseq=2, to="t")
        call.response("near", 200, 12, cseq=2)
        assert call.request("far", "ACK", 11, cseq=2, to="t") == (11, 12)

    @pytest.mark.parametrize("status", [488, 491, 500, 408])
    def test_refused_reinvite(self, call: Dialog, status: int) -> None:
        call.request("far", "INVITE", 66, cseq=2, to="t")
        call.response("near", 183, 67, cseq=2)
        call.response("near", status, 68, cseq=2)
        call.request("far", "ACK", 69, cseq=2, to="t")
        assert call.agreed == []

    def test_update(self, call: Dialog) -> None:
        call.request("near", "UPDATE", 12, cseq=5, to="f")
        assert call.response("far", 183, 66, method="UPDATE", cseq=5) is None
        assert call.response("far", 200, 11, method="UPDATE", cseq=5) == (11, 12)

    def test_update_that_only_refreshes_the_session(self, call: Dialog) -> None:
        call.request("near", "UPDATE", cseq=5, to="f")
        assert call.response("far", 200, 66, method="UPDATE", cseq=5) is None

    def test_refused_update(self, call: Dialog) -> None:
        call.request("far", "UPDATE", 66, cseq=2, to="t")
        call.response("near", 491, method="UPDATE", cseq=2)
        assert call.response("near", 200, 67, method="UPDATE", cseq=2) is None

    def test_glare(self, call: Dialog) -> None:
        call.request("far", "INVITE", 66, cseq=2, to="t")
        call.request("near", "INVITE", 67, cseq=2, to="f")
        call.response("near", 491, cseq=2)
        call.response("far", 491, cseq=2)
        assert call.agreed == []
        call.request("near", "INVITE", 12, cseq=3, to="f")
        assert call.response("far", 200, 11, cseq=3) == (11, 12)

    def test_of_two_crossing_offers_one_is_accepted(self, call: Dialog) -> None:
        call.request("far", "INVITE", 11, cseq=2, to="t")
        call.request("near", "INVITE", 67, cseq=2, to="f")
        call.response("far", 491, cseq=2)
        assert call.response("near", 200, 12, cseq=2) == (11, 12)

    def test_other_methods_carry_no_offer(self, call: Dialog) -> None:
        call.request("far", "INFO", 66, cseq=2, to="t")
        assert call.response("near", 200, 67, method="INFO", cseq=2) is None
        assert call.response("near", 200, 67, method="OPTIONS", cseq=3) is None


class TestRepeated:
    def test_everything_of_a_call(self) -> None:
        dialog = Dialog()
        for _ in range(3):
            dialog.request("near", "INVITE", 2)
        for _ in range(3):
            assert dialog.response("far", 183, 1) == (1, 2)
            dialog.request("near", "INVITE", 2)
        assert dialog.response("far", 200, 1) == (1, 2)
        assert dialog.response("far", 200, 1) is None

    def test_what_comes_late_does_not_turn_media_back(self, call: Dialog) -> None:
        call.request("far", "INVITE", 11, cseq=2, to="t")
        call.response("near", 200, 12, cseq=2)
        call.request("far", "INVITE", 1)
        call.response("near", 200, 2)
        call.request("far", "UPDATE", 66, cseq=1, to="t")
        call.response("near", 200, 67, method="UPDATE", cseq=1)
        assert call.agreed == [(11, 12)]

    def test_an_update_after_its_answer(self, call: Dialog) -> None:
        call.request("far", "UPDATE", 11, cseq=2, to="t")
        call.response("near", 200, 12, method="UPDATE", cseq=2)
        call.request("far", "UPDATE", 11, cseq=2, to="t")
        assert call.response("near", 200, 12, method="UPDATE", cseq=2) is None

    def test_an_old_late_offer(self, call: Dialog) -> None:
        call.request("far", "INVITE", cseq=2, to="t")
        call.response("near", 200, 12, cseq=2)
        call.request("near", "INVITE", 22, to="f")
        call.response("far", 200, 21)
        assert call.request("far", "ACK", 66, cseq=2, to="t") is None
        assert call.agreed == [(21, 22)]


class TestSeveralMedia:
    def agreed(self, offer: Any, answer: Any) -> Agreement | None:
        talk = OfferAnswer()
        talk.request(_request("INVITE", "f", "", 1, ""), "far", offer)
        return talk.response(_response(200, "INVITE", "f", "t", 1, False), "near", answer)

    def test_the_accepted_one_counts(self) -> None:
        found = self.agreed((None, audio(1), audio(3)), (None, audio(0), audio(4)))
        assert found is not None and (found.far.port, found.near.port) == (3, 4)

    def test_of_several_refused_the_first_counts(self) -> None:
        found = self.agreed((None, audio(1), audio(3)), (None, audio(0), audio(0)))
        assert found is not None and (found.far.port, found.near.port) == (1, 0)

    def test_an_answer_without_the_audio_of_the_offer_is_none(self) -> None:
        assert self.agreed((audio(1),), (None,)) is None
        assert self.agreed((None, audio(1)), (None,)) is None
        assert self.agreed((), ()) is None

    @pytest.mark.parametrize(
        ("offered", "answered", "plain"),
        [(True, True, True), (False, True, True), (True, False, True), (False, False, False)],
    )
    def test_srtp_needs_keys_of_both(self, offered: bool, answered: bool, plain: bool) -> None:
        found = self.agreed((audio(1, plain=offered),), (audio(2, plain=answered),))
        assert found is not None and found.far.plain is found.near.plain is plain


# -- any order ------------------------------------------------------------------------------------------

SIDES = st.sampled_from(["far", "near"])
CSEQS = st.integers(1, 4)
ANY_TAG = st.sampled_from(["", "t", "u", "f", "n"])
REQUESTS = st.tuples(
    st.just("request"), SIDES, st.sampled_from(["INVITE", "ACK", "PRACK", "UPDATE", "BYE", "INFO"]), CSEQS,
    ANY_TAG, st.sampled_from(["", "1 1 INVITE", "1 2 INVITE", "1 x INVITE"]), st.booleans(),
)  # fmt: skip
RESPONSES = st.tuples(
    st.just("response"), SIDES, st.sampled_from(["INVITE", "PRACK", "UPDATE", "BYE"]), CSEQS, ANY_TAG,
    st.sampled_from([100, 180, 183, 200, 302, 407, 491, 603]), st.booleans(),
)  # fmt: skip


@given(st.lists(st.one_of(REQUESTS, RESPONSES), max_size=40), st.data())
def test_whatever_comes_both_sides_have_said_what_is_agreed(steps: list[Any], data: st.DataObject) -> None:
    """An agreement is made by the message that passes, as the answer, and an offer of the other side's."""
    talk = OfferAnswer()
    said: dict[Side, list[int]] = {"far": [], "near": []}
    for port, (kind, side, method, cseq, tag, extra, has_audio) in enumerate(steps, 1):
        about = (audio(port),) if has_audio else None
        other: Side = "near" if side == "far" else "far"
        if kind == "request":
            found = talk.request(_request(method, TAGS[side], tag, cseq, extra), side, about)
        else:
            reliable = data.draw(st.booleans()) if extra < 200 else False
            found = talk.response(_response(extra, method, TAGS[other], tag, cseq, reliable), side, about)
            assert found is None or 100 < extra < 300
        if found is not None:
            answer, offer = (found.far, found.near) if side == "far" else (found.near, found.far)
            assert has_audio and answer.port == port
            assert offer.port in said[other]
        if has_audio:
            said[side].append(port)


def test_what_is_remembered_is_bounded() -> None:
    talk = OfferAnswer()
    for n in range(1, 200):
        talk.request(_request("INVITE", f"f{n}", "", n, ""), "far", (audio(1),))
        talk.response(_response(183, "INVITE", f"f{n}", f"t{n}", n, True), "near", (audio(2),))
    assert len(talk._exchanges) <= MAX_EXCHANGES
    assert len(talk._latest) <= MAX_TAGS
    for n in range(200):
        talk.response(_response(183, "INVITE", "f199", f"t{n}", 199, True), "near", (audio(2),))
    assert all(len(each.settled) <= MAX_TAGS for each in talk._exchanges.values())
