"""Offers and answers of one leg, as they pass: when both sides of the leg have agreed, and on what.

An offer takes effect with its answer, and never if it is refused. The usual pair is INVITE and 200, with a
183 before, but either of the two may come in any of these messages (RFC 6337 §2.2, table 1):

    offer                          answer
    INVITE                         2xx, or 1xx before it
    2xx of an INVITE without one   ACK
    reliable 1xx of such an INVITE PRACK
    PRACK                          2xx of PRACK
    UPDATE                         2xx of UPDATE

An INVITE forked downstream has an answer for each To tag; each takes effect, until a 2xx confirms one.
Unreliable 1xx are previews: they count at the begin of a call, where they bring early media. Messages may be
repeated, and come late: what is not part of a transaction that can still change the media has no effect.
Source: RFC 3264 §4, RFC 3261 §13.2.1, RFC 3262 §5, RFC 3311 §5, RFC 6141.
"""

from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec
from msgspec import structs

from b2bua.relay.control import MediaDescription
from b2bua.sip.message import Request, Response
from b2bua.sip.sdp_audio import Audio

__all__ = ["Agreement", "Exchanges", "OfferAnswer", "Side"]

Side = Literal["far", "near"]
"""``far``: the party; ``near``: the worker."""

MAX_EXCHANGES: Final = 8
"""Transactions at a time that may change the media; a side has no more than one or two."""
MAX_TAGS: Final = 32
"""Forks downstream."""

_Key = tuple[Side, str, str, int]
"""The side, From tag, method and CSeq of a request."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What both sides have said about the medium that carries the audio of the leg."""

    far: MediaDescription
    near: MediaDescription


@dataclass(slots=True)
class _Exchange:
    """A transaction that may change the media."""

    offer: Audio | None
    """The request's; None: the responses bring it."""
    initial: bool
    """Whether it begins a dialog."""
    offered: dict[str, Audio] = field(default_factory=dict)
    """By To tag: offers in responses that have no answer yet."""
    settled: set[str] = field(default_factory=set)
    """To tags whose answer, or offer, cannot be changed by a later response."""
    final: bool = False
    """Whether a 2xx has passed."""


class Exchanges(msgspec.Struct, frozen=True, kw_only=True):
    """The state of an ``OfferAnswer``, as plain data."""

    open: tuple[tuple[_Key, _Exchange], ...]
    latest: tuple[tuple[tuple[Side, str], int], ...]


class OfferAnswer:
    """Pairs the offers and answers of one leg. Thread: the edge's loop."""

    @classmethod
    def restored(cls, state: Exchanges) -> "OfferAnswer":
        """Return one that goes on where another one was."""
        made = cls()
        made._exchanges, made._latest = dict(state.open), dict(state.latest)
        return made

    @property
    def state(self) -> Exchanges:
        """Its state; not a copy of all of it."""
        return Exchanges(open=tuple(self._exchanges.items()), latest=tuple(self._latest.items()))

    def __init__(self) -> None:
        self._exchanges: dict[_Key, _Exchange] = {}
        self._latest: dict[tuple[Side, str], int] = {}
        """By side and From tag: the highest CSeq among its requests that could change the media."""

    def request(self, request: Request, side: Side, audio: Audio | None) -> Agreement | None:
        """Take a request from a side, with the audio of its session description if it has one.

        Returns:
            What takes effect now; None: nothing.
        """
        match request.method:
            case "INVITE" | "UPDATE":
                self._begin(request, side, audio)
            case "PRACK":
                return self._prack(request, side, audio)
            case "ACK":
                invite = self._exchanges.get((side, request.from_tag, "INVITE", request.cseq_number))
                return _answered_late(invite, request.to_tag, side, audio)
        return None

    def response(self, response: Response, side: Side, audio: Audio | None) -> Agreement | None:
        """Take a response from a side; see ``request``."""
        key = (_other(side), response.from_tag, response.cseq_method, response.cseq_number)
        exchange = self._exchanges.get(key)
        if exchange is None or response.status == 100:
            return None
        if response.status >= 300:
            del self._exchanges[key]
            return None
        final = response.status >= 200
        if response.cseq_method == "INVITE":
            return self._answer(exchange, response, side, audio)
        if not final:
            return None
        del self._exchanges[key]
        return _agreement(side, exchange.offer, audio)

    def _answer(
        self, exchange: _Exchange, response: Response, side: Side, audio: Audio | None
    ) -> Agreement | None:
        """Take a 1xx or 2xx of an INVITE."""
        tag, final = response.to_tag, response.status >= 200
        reliable = final or response.get("rseq") is not None
        late_fork = exchange.final and tag not in exchange.settled
        exchange.final = exchange.final or final
        if tag in exchange.settled or late_fork or len(exchange.settled) >= MAX_TAGS:
            return None
        if final or (reliable and audio is not None):
            exchange.settled.add(tag)
        if audio is None or not (reliable or exchange.initial):
            return None
        if exchange.offer is not None:
            return _agreement(side, exchange.offer, audio)
        if reliable:
            exchange.offered[tag] = audio
        return None

    def _prack(self, request: Request, side: Side, audio: Audio | None) -> Agreement | None:
        invite = self._exchanges.get((side, request.from_tag, "INVITE", _acknowledged(request)))
        if invite is not None and request.to_tag in invite.offered:
            return _answered_late(invite, request.to_tag, side, audio)
        self._begin(request, side, audio)
        return None

    def _begin(self, request: Request, side: Side, audio: Audio | None) -> None:
        """Record a request that may change the media; one that is repeated changes nothing."""
        if audio is None and request.method != "INVITE":
            return  # only an INVITE leaves the offer to its responses
        key = (side, request.from_tag, request.method, request.cseq_number)
        if request.cseq_number <= self._latest.get(key[:2], -1):
            return
        if len(self._latest) < MAX_TAGS or key[:2] in self._latest:
            self._latest[key[:2]] = request.cseq_number
        if request.method == "INVITE":
            # The one before is over, also if its ACK was lost: RFC 3261 §14.1.
            ended = [each for each, exchange in self._exchanges.items() if exchange.final]
            for each in ended:
                del self._exchanges[each]
        while len(self._exchanges) >= MAX_EXCHANGES:
            del self._exchanges[next(iter(self._exchanges))]
        self._exchanges[key] = _Exchange(audio, initial=not request.to_tag)


def _answered_late(invite: _Exchange | None, tag: str, side: Side, audio: Audio | None) -> Agreement | None:
    """Take the answer to an offer that a response has brought; without audio the offer has none."""
    offer = None if invite is None else invite.offered.pop(tag, None)
    return _agreement(side, offer, audio)


def _agreement(side: Side, offer: Audio | None, answer: Audio | None) -> Agreement | None:
    """Return what an answer from ``side`` makes of an offer; None if it does not answer it.

    The audio is the first medium that the answer accepts; of several that it refuses, the first.
    """
    if offer is None or answer is None:
        return None
    both = [(mine, theirs) for mine, theirs in zip(offer, answer, strict=False) if mine and theirs]
    if not both:
        return None
    offered, answered = next((pair for pair in both if pair[1].port), both[0])
    # RFC 4568 §5.1.2: with keys in the answer, and only with them, SRTP is agreed on.
    plain = offered.plain or answered.plain
    offered, answered = structs.replace(offered, plain=plain), structs.replace(answered, plain=plain)
    if side == "far":
        return Agreement(far=answered, near=offered)
    return Agreement(far=offered, near=answered)


def _other(side: Side) -> Side:
    return "near" if side == "far" else "far"


def _acknowledged(prack: Request) -> int:
    """Return the CSeq of the INVITE that a PRACK belongs to (RAck, RFC 3262 §7.2); -1: it names none."""
    words = (prack.get("rack") or "").split()
    named = words[1] if len(words) == 3 and words[2] == "INVITE" else ""
    return int(named) if named.isascii() and named.isdigit() and len(named) <= 10 else -1
