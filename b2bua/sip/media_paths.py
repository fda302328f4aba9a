"""Media paths: the pair of relay ports of each leg, which either side sees in place of the other side.

A leg begins with the initial INVITE to or from a worker, and gets a pair that the relay has granted. Every
session description of the leg is rewritten as it passes: to a worker with the relay's inner port, to the
outside with its outer port. The relay is told what both sides have said when they have agreed on it
(``offer_answer``). All this is kept until the leg is over, and is repeated to a relay that was restarted.

Without a relay, descriptions pass unchanged.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from msgspec import Struct, structs

from b2bua.core.errors import PeerError
from b2bua.core.ids import WorkerId
from b2bua.relay.addresses import own_host
from b2bua.relay.control import (
    CloseLeg,
    DescribeLeg,
    EdgeHello,
    LegClosed,
    LegKey,
    LegReplaced,
    MediaDescription,
    OpenLeg,
    Pair,
    PairsGranted,
    ToEdge,
)
from b2bua.sip.edge_control import EdgeConfig
from b2bua.sip.flow import RelayNews
from b2bua.sip.message import Message, Request, Response
from b2bua.sip.offer_answer import Agreement, Exchanges, OfferAnswer, Side
from b2bua.sip.sdp import Description, parse_description
from b2bua.sip.sdp_audio import family_of, read_audio, show_inside, show_outside
from b2bua.sip.values import parse_replaces

__all__ = ["LegMedia", "MediaPaths"]

_SDP: Final = "application/sdp"


@dataclass(slots=True)
class _Leg:
    key: LegKey
    pair: Pair
    opening: tuple[str, int] | None
    """From tag and CSeq of the party's INVITE; None: the INVITE is the worker's, which may try again after a
    refusal (401, 422)."""
    replaces: str
    """Call-ID of the leg whose place it will take with its 2xx (RFC 3891); empty: of none."""
    name: LegKey
    """The controller's name of it: its own, or that of the first in a chain of replacements."""
    inside: bool = False
    """A link leg."""
    talk: OfferAnswer = field(default_factory=OfferAnswer)
    agreed: Agreement | None = None


class LegMedia(Struct, frozen=True, kw_only=True):
    """The media path of a leg, as plain data; see ``_Leg``."""

    pair: Pair
    opening: tuple[str, int] | None
    replaces: str
    name: LegKey
    talk: Exchanges
    agreed: Agreement | None


class MediaPaths:
    """All legs of one edge. Thread: the edge's loop.

    Args:
        config: whether there is a relay, and the addresses of its two sides.
    """

    def __init__(self, config: EdgeConfig) -> None:
        self.active = config.relay != ""
        self.family = family_of(config.media_host) if self.active else "IP4"
        """Type of the addresses at which parties can be reached."""
        self._outer_host = config.media_host
        self._own_host = own_host(config.media_bind) or config.media_host
        self._inner_host = config.inner_host
        self._free: deque[Pair] = deque()
        self._legs: dict[str, dict[str, _Leg]] = {}
        """By worker and Call-ID."""
        self._outer_ports: set[int] = set()
        """Of all legs."""
        self._news: list[RelayNews] = []

    # -- the relay ----------------------------------------------------------------------------------

    def obey(self, message: ToEdge) -> None:
        """Take a message of the relay's."""
        match message:
            case PairsGranted():
                known = {leg.pair for leg in self._all()}.union(self._free)
                self._free += [pair for pair in message.pairs if pair not in known]
            case LegClosed():
                self._forget(message.leg)

    def hello(self) -> list[EdgeHello | RelayNews]:
        """Return all that a relay has to know which has just been connected to."""
        told: list[EdgeHello | RelayNews] = [EdgeHello(free=tuple(self._free))]
        for leg in self._all():
            told.append(OpenLeg(leg=leg.key, pair=leg.pair, inside=leg.inside))
            if leg.agreed is not None:
                told.append(_description(leg, leg.agreed))
            if leg.name != leg.key:
                told.append(LegReplaced(leg=leg.key, old=leg.name))
        return told

    def take_news(self) -> list[RelayNews]:
        """Return what the relay has to hear, at the latest when the messages that leave now are answered."""
        news, self._news = self._news, []
        return news

    # -- legs ---------------------------------------------------------------------------------------

    @property
    def free(self) -> bool:
        """Whether another leg can be opened."""
        return not self.active or bool(self._free)

    def open(self, invite: Request, worker: WorkerId, side: Side) -> bool:
        """Open the leg of an initial INVITE from a side; return False if no pair is free for it.

        Raises:
            PeerError: its Replaces cannot be read.
        """
        if not self.active or self._leg(invite, worker) is not None:
            return True
        said = invite.get("replaces") if side == "far" else None
        replaces = "" if said is None else parse_replaces(said).call_id
        if not self._free:
            return False
        key = LegKey(invite.call_id, worker)
        opening = (invite.from_tag, invite.cseq_number) if side == "far" else None
        leg = _Leg(key, self._free.popleft(), opening, replaces, name=key)
        self._legs.setdefault(worker, {})[invite.call_id] = leg
        self._outer_ports.add(leg.pair.outer)
        self._news.append(OpenLeg(leg=leg.key, pair=leg.pair))
        return True

    def open_inside(self, invite: Request, worker: WorkerId) -> tuple[str, int] | None:
        """Open the leg of a call to the relay itself; return where the worker sends its audio.

        Returns:
            Address and port; None if there is no relay, or no pair is free.
        """
        leg = self._leg(invite, worker)
        if leg is None:
            if not self.active or not self._free:
                return None
            key = LegKey(invite.call_id, worker)
            leg = _Leg(key, self._free.popleft(), None, "", name=key, inside=True)
            self._legs.setdefault(worker, {})[invite.call_id] = leg
            self._news.append(OpenLeg(leg=key, pair=leg.pair, inside=True))
        return self._inner_host, leg.pair.inner

    def describe_inside(
        self, invite: Request, worker: WorkerId, said: MediaDescription, ours: MediaDescription
    ) -> None:
        """Tell the relay what a worker has offered for a link leg, and the answer."""
        leg = self._leg(invite, worker)
        if leg is not None and leg.inside:
            leg.agreed = Agreement(far=said, near=ours)
            self._news.append(_description(leg, leg.agreed))

    def close_inside(self, message: Request, worker: WorkerId) -> None:
        """Close a link leg: its call is over."""
        leg = self._leg(message, worker)
        if leg is not None and leg.inside:
            self._close(leg.key)

    def state(self, worker: WorkerId, call_id: str) -> LegMedia | None:
        """Return the state of a leg; None: there is no such leg."""
        leg = self._legs.get(worker, {}).get(call_id)
        if leg is None:
            return None
        return LegMedia(
            pair=leg.pair,
            opening=leg.opening,
            replaces=leg.replaces,
            name=leg.name,
            talk=leg.talk.state,
            agreed=leg.agreed,
        )

    def restore(self, worker: WorkerId, call_id: str, state: LegMedia) -> None:
        """Make a leg again that an edge before this one had; a relay that is connected to hears of it."""
        leg = _Leg(LegKey(call_id, worker), state.pair, state.opening, state.replaces, name=state.name)
        leg.talk, leg.agreed = OfferAnswer.restored(state.talk), state.agreed
        self._legs.setdefault(worker, {})[call_id] = leg

    def over(self, worker: WorkerId) -> None:
        """Close the legs of a worker whose session is over."""
        for leg in self._legs.pop(worker, {}).values():
            self._outer_ports.discard(leg.pair.outer)
            self._news.append(CloseLeg(leg=leg.key))

    def _leg(self, message: Message, worker: WorkerId) -> _Leg | None:
        return self._legs.get(worker, {}).get(message.call_id) if self.active else None

    def _all(self) -> Iterator[_Leg]:
        for legs in self._legs.values():
            yield from legs.values()

    def _close(self, key: LegKey) -> None:
        self._forget(key)
        self._news.append(CloseLeg(leg=key))

    def _forget(self, key: LegKey) -> None:
        """Forget a leg. Its pair is the relay's again, which grants it once it is quiet."""
        legs = self._legs.get(key.worker, {})
        leg = legs.pop(key.call_id, None)
        if leg is not None:
            self._outer_ports.discard(leg.pair.outer)
        if leg is not None and not legs:
            del self._legs[key.worker]

    # -- messages -----------------------------------------------------------------------------------

    def inward(self, message: Request | Response, worker: WorkerId) -> None:
        """Show a worker the relay in place of the party. A description of no leg passes as it is."""
        leg = self._leg(message, worker)
        if leg is None:
            return
        described: Description | None = None
        with suppress(PeerError):  # neither the library nor the relay can read it
            described = _described(message)
        self._note(leg, message, "far", described)
        if described is not None:
            show_inside(described, self._inner_host, leg.pair.inner)
            message.set_body(described.to_bytes(), _SDP)

    def outward(self, message: Request | Response, worker: WorkerId) -> None:
        """Show a party the relay in place of a worker.

        Raises:
            PeerError: the description cannot be read, so that it might show what is inside.
        """
        if not self.active:
            return
        leg = self._leg(message, worker)
        described = _described(message)
        if leg is not None:
            self._note(leg, message, "near", described)
        if described is not None:
            show_outside(described, self._outer_host, 0 if leg is None else leg.pair.outer)
            message.set_body(described.to_bytes(), _SDP)
        if leg is not None and isinstance(message, Response) and message.cseq_method == "INVITE":
            self._answered(leg, message)

    def _note(
        self, leg: _Leg, message: Request | Response, side: Side, described: Description | None
    ) -> None:
        """Tell the relay if the message makes both sides agree on something else than before."""
        audio = None if described is None else read_audio(described, mux=side == "near")
        if isinstance(message, Request):
            agreed = leg.talk.request(message, side, audio)
        else:
            agreed = leg.talk.response(message, side, audio)
        if agreed is None:
            return
        agreed = Agreement(far=self._reachable(agreed.far), near=agreed.near)
        if agreed != leg.agreed:
            leg.agreed = agreed
            self._news.append(_description(leg, agreed))

    def _reachable(self, far: MediaDescription) -> MediaDescription:
        """Return the description of a party with the address at which the relay reaches it.

        The party may be another leg of ours: a gateway that translates the advertised address need not let us
        send to it.
        """
        if far.host != self._outer_host or far.port not in self._outer_ports:
            return far
        return structs.replace(far, host=self._own_host, rtcp_host=self._own_host)

    def _answered(self, leg: _Leg, response: Response) -> None:
        """Note a worker's response to the INVITE that has opened the leg."""
        if leg.opening != (response.from_tag, response.cseq_number):
            return
        if response.status >= 300:
            self._close(leg.key)
        elif response.status >= 200 and leg.replaces:
            self._take_place(leg, LegKey(leg.replaces, leg.key.worker))

    def _take_place(self, leg: _Leg, key: LegKey) -> None:
        """Put a leg in the place of another one, whose dialog the library ends now."""
        old = self._legs[key.worker].get(key.call_id)
        leg.name, leg.replaces = (key if old is None else old.name), ""
        self._news.append(LegReplaced(leg=leg.key, old=leg.name))
        if old is not None:
            self._close(key)


def _description(leg: _Leg, agreed: Agreement) -> DescribeLeg:
    return DescribeLeg(leg=leg.key, far=agreed.far, near=agreed.near)


def _described(message: Message) -> Description | None:
    """Return the session description that is the body.

    Raises:
        PeerError: it cannot be read.
    """
    kind = (message.get("content-type") or "").partition(";")[0]
    if not message.body or "".join(kind.split()).lower() != _SDP:
        return None
    return parse_description(message.body)
