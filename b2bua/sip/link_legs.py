"""Calls of workers to the relay, which the edge answers itself: each brings the audio of one leg in G.711.

The relay cannot read encrypted audio, nor every codec. The worker of such a leg can, and calls the relay, so
that the leg meets others there (``calls.links``): its *link leg*. The INVITE proves that a worker has sent
it. Nothing is kept of the call but its pair of ports: the answer is computed from the request, and repeated
with it. It is no call of the node, takes no lease, counts against no limit, and never leaves the node.
Sans I/O.
"""

from typing import Final

from b2bua.core.commands import RELAY
from b2bua.core.errors import PeerError
from b2bua.core.ids import WorkerId
from b2bua.relay.control import MediaDescription
from b2bua.sip.addresses import Addresses
from b2bua.sip.answers import Answers, Refusal, reply_flow
from b2bua.sip.flow import Flow, Output, Send
from b2bua.sip.inside import link_target
from b2bua.sip.media_paths import MediaPaths
from b2bua.sip.message import Request, make_response
from b2bua.sip.sdp import Description, Medium, Section, parse_description
from b2bua.sip.sdp_audio import read_audio

__all__ = ["LinkLegs"]

_URI: Final = f"sip:{RELAY}@link.invalid"
_G711: Final = ("PCMU/8000", "PCMA/8000")
_KEYS: Final = "telephone-event/8000"
_SDP: Final = "application/sdp"


class LinkLegs:
    """Answers the calls to the relay.

    Args:
        addresses: the edge's own addresses.
        answers: makes tags and replies.
        media: has the legs.
        secret: shared by the node's edge and workers.
    """

    def __init__(self, addresses: Addresses, answers: Answers, media: MediaPaths, secret: str) -> None:
        self._addresses = addresses
        self._answers = answers
        self._media = media
        self._secret = secret

    def request(self, request: Request, worker: WorkerId, came_from: Flow) -> list[Output] | None:
        """Answer a worker's request, whose Via already has its source, if it is about a link leg.

        Returns:
            What is to be sent; None: it is about something else.

        Raises:
            PeerError: the request cannot be read.
        """
        if not request.uri.startswith(_URI):
            return None
        if request.to_tag:
            return self._within(request, worker, came_from) if self._is_ours(request) else None
        if request.method == "CANCEL":  # of an INVITE that was answered at once
            return self._answers.reply(request, came_from, Refusal(481))
        if request.method != "INVITE" or link_target(request, self._secret) != RELAY:
            return None
        return self._answer(request, worker, came_from)

    def _is_ours(self, request: Request) -> bool:
        return request.to_tag == self._answers.tag(request)

    def _within(self, request: Request, worker: WorkerId, came_from: Flow) -> list[Output]:
        """Answer a request within the dialog: all that is expected is its end."""
        if request.method == "BYE":
            self._media.close_inside(request, worker)
            return self._answers.reply(request, came_from, Refusal(200))
        return self._answers.reply(request, came_from, Refusal(488))

    def _answer(self, invite: Request, worker: WorkerId, came_from: Flow) -> list[Output]:
        offer = parse_description(invite.body)
        said = read_audio(offer, mux=True)
        clear = ["SAVP" not in medium.profile.upper() for medium in offer.media]
        chosen = next((n for n, audio in enumerate(said) if clear[n] and audio and _formats(audio)), None)
        if chosen is None:
            raise PeerError("no G.711 in clear", sip_status_hint=488)
        at = self._media.open_inside(invite, worker)
        if at is None:
            return self._answers.reply(invite, came_from, Refusal(503))
        audio = said[chosen]
        assert audio is not None
        ours = MediaDescription(
            host=at[0], port=at[1], rtcp_host=at[0], rtcp_port=0, formats=_formats(audio), ptime_ms=20
        )
        # Nobody reads the relay's reports: the worker is a few microseconds away.
        said_of_it = MediaDescription(
            host=audio.host, port=audio.port, rtcp_host=audio.host, rtcp_port=0, formats=audio.formats
        )
        self._media.describe_inside(invite, worker, said_of_it, ours)
        headers = (
            ("Contact", f"<{_URI}>"),
            ("Record-Route", self._addresses.inner_record_route),
            ("Allow", "INVITE, ACK, CANCEL, BYE"),
        )
        response = make_response(invite, 200, to_tag=self._answers.tag(invite), headers=headers)
        response.set_body(_described(offer, chosen, ours), _SDP)
        return [Send(response.to_bytes(), reply_flow(invite.top_via, came_from), connect=False)]


def _formats(audio: MediaDescription) -> tuple[tuple[int, str], ...]:
    """Return one law of G.711 and the keys among what is offered in clear; nothing without G.711."""
    law = next((each for name in _G711 for each in audio.formats if each[1] == name), None)
    if law is None or not audio.port:
        return ()
    return (law, *(each for each in audio.formats if each[1] == _KEYS))


def _described(offer: Description, chosen: int, ours: MediaDescription) -> bytes:
    """Return the answer: of the media offered, one is accepted."""
    address = f"IN IP4 {ours.host}"
    lines = [("v", "0"), ("o", f"- 0 0 {address}"), ("s", "-"), ("c", address), ("t", "0 0")]
    media: list[Medium] = []
    for place, medium in enumerate(offer.media):
        answer = Medium(kind=medium.kind, port=0, profile=medium.profile, formats=medium.formats)
        if place == chosen:
            answer.port, answer.formats = ours.port, [str(kind) for kind, _ in ours.formats]
            answer.lines = [("a", f"rtpmap:{kind} {name}") for kind, name in ours.formats]
            answer.lines += [("a", "ptime:20"), ("a", "sendrecv"), ("a", "rtcp-mux")]
        media.append(answer)
    return Description(Section(lines), media).to_bytes()
