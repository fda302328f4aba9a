"""Ends the dialogs of a worker that is gone: the edge speaks in its place, for the last time.

Who has answered, or was answered, gets BYE. Who calls is refused; who is being called gets CANCEL, and, if it
answers even so, ACK and BYE. All this goes the way that the worker's requests would go (``outbound``), and is
repeated until it is answered.
Source: RFC 3261 §9.1, §13.2.2.4, §15, §17.1.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from msgspec import structs

from b2bua.core.errors import PeerError
from b2bua.sip.addresses import LOOPBACK
from b2bua.sip.answers import Answers, Refusal, reply_flow
from b2bua.sip.dialog_records import DialogRecord, establish
from b2bua.sip.flow import Flow, Output, Send
from b2bua.sip.message import Request, Response, make_response, parse_message
from b2bua.sip.outbound import Outbound
from b2bua.sip.values import Via, parse_via

__all__ = ["Farewells", "refusal_of"]

_RANG: Final = Refusal(480)
"""For a party that has heard somebody's phone ring."""
_UNHEARD: Final = Refusal(503, headers=(("Retry-After", "2"),))
"""For one that has heard nothing yet: its proxy may try elsewhere at once."""
_MOST: Final = 2000
"""Dialogs at a time: more than a node has."""
_REPEAT_AFTER_S: Final = (0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5)
"""T1 doubles up to T2 (RFC 3261 §17.1.2.2)."""
_LIMIT_S: Final = 32.0
_NO_ANSWER_LIMIT_S: Final = 180.0
"""For an INVITE without any response: it may ring late (RFC 3261 §16.6, timer C)."""


@dataclass(slots=True)
class _Saying:
    """A message that is repeated until it is answered."""

    send: Callable[[float], list[Output]]
    repeat_at: list[float]


@dataclass(slots=True)
class _Farewell:
    """One dialog that is being ended."""

    record: DialogRecord
    until: float
    saying: dict[tuple[str, str], _Saying] = field(default_factory=dict)
    """By method and branch; a refusal as INVITE."""
    byes: set[str] = field(default_factory=set)
    """To tags of the dialogs that were sent BYE."""


class Farewells:
    """All dialogs that are being ended. Thread: the edge's loop.

    Args:
        answers: makes tokens and tags.
        outbound: routes the requests.
        inner_port: the edge's own, for the Via in the worker's place.
    """

    def __init__(self, answers: Answers, outbound: Outbound, inner_port: int) -> None:
        self._answers = answers
        self._outbound = outbound
        self._here = Flow("inner", "udp", LOOPBACK, inner_port)
        self._number = 0
        self._branches: dict[str, _Farewell] = {}
        """By the branch that a response brings back."""
        self._calling: dict[tuple[str, str], _Farewell] = {}
        """By Call-ID and From tag: those whose INVITE was refused."""

    def __len__(self) -> int:
        return len(self._branches) + len(self._calling)

    def say(self, record: DialogRecord, now: float) -> list[Output]:
        """End one dialog; return what is to be sent at once."""
        if len(self) >= _MOST:
            return []
        farewell = _Farewell(record, now + _LIMIT_S)
        if record.from_far is None:
            self._branches[_branch(record)] = farewell  # the INVITE may yet be answered, or again
        if record.up:
            farewell.byes.add(record.far_tag)
            outputs = [] if record.acknowledged else self._acknowledge(record, now)
            return outputs + self._bye(farewell, now)
        if record.from_far is not None:
            return self._refuse(farewell, record.from_far, now)
        if not record.rung:
            farewell.until = now + _NO_ANSWER_LIMIT_S
            return []
        return self._cancel(farewell, now)

    def tick(self, now: float) -> list[Output]:
        """Run once a second: repeat what has not been answered, and give up in time."""
        outputs: list[Output] = []
        self._branches = {key: each for key, each in self._branches.items() if each.until > now}
        self._calling = {key: each for key, each in self._calling.items() if each.until > now}
        for farewell in {
            id(each): each for each in (*self._branches.values(), *self._calling.values())
        }.values():
            for saying in list(farewell.saying.values()):
                if saying.repeat_at and now >= saying.repeat_at[0]:
                    saying.repeat_at.pop(0)
                    outputs += saying.send(now)
        return outputs

    # -- messages ---------------------------------------------------------------------------------------

    def acknowledged(self, ack: Request) -> None:
        """Note the ACK for a refusal."""
        if self._calling:
            self._calling.pop((ack.call_id, ack.from_tag), None)

    def response(self, response: Response, via: Via, now: float) -> list[Output] | None:
        """Take a response to something that was said here, or to the INVITE of a worker that is gone.

        Args:
            response: without our own Via.
            via: its topmost, the worker's.
            now: the time.

        Returns:
            What is to be sent; None: it is of no such dialog.
        """
        farewell = self._branches.get(via.branch)
        if farewell is None:
            return None
        if response.cseq_method == "INVITE":
            return self._of_invite(farewell, response, now)
        if response.status >= 200:
            farewell.saying.pop((response.cseq_method, via.branch), None)
        return []

    def _of_invite(self, farewell: _Farewell, response: Response, now: float) -> list[Output]:
        record, branch = farewell.record, _branch(farewell.record)
        if response.status < 200:
            record.rung = True
            return [] if ("CANCEL", branch) in farewell.saying else self._cancel(farewell, now)
        farewell.saying.pop(("CANCEL", branch), None)
        farewell.until = now + _LIMIT_S
        if response.status >= 300:
            if not record.up:  # an ACK is of the same transaction (RFC 3261 §17.1.1.3)
                record.far = next(header.value for header in response.headers if header.name == "to")
            return self._send(record, "ACK", record.cseq, _via(record), now)
        known = response.to_tag in farewell.byes
        farewell.byes.add(response.to_tag)
        record = farewell.record = structs.replace(record)  # of a fork, each branch has its own
        establish(record, response)
        outputs = self._acknowledge(record, now)
        return outputs if known else outputs + self._bye(farewell, now)

    # -- what is said -----------------------------------------------------------------------------------

    def _refuse(self, farewell: _Farewell, to: Flow, now: float) -> list[Output]:
        record = farewell.record
        lines = [b"INVITE sip:gone SIP/2.0"]
        lines += [b"Via: " + via for via in record.vias]
        lines += _identity(record, "INVITE", record.cseq, from_=record.far, to=record.near)
        invite = parse_message(b"\r\n".join((*lines, b"", b"")))
        assert isinstance(invite, Request)
        said = refusal_of(record)
        tag = self._answers.tag(invite)
        refusal = make_response(invite, said.status, to_tag=tag, headers=said.headers)
        sent = Send(refusal.to_bytes(), reply_flow(invite.top_via, to), connect=False)
        if to.transport == "udp":
            self._calling[invite.call_id, invite.from_tag] = farewell
            _repeat(farewell, ("INVITE", ""), lambda _: [sent], now)
        return [sent]

    def _cancel(self, farewell: _Farewell, now: float) -> list[Output]:
        record = farewell.record
        farewell.until = now + _LIMIT_S

        def cancel(now: float) -> list[Output]:
            return self._send(record, "CANCEL", record.cseq, _via(record), now)

        _repeat(farewell, ("CANCEL", _branch(record)), cancel, now)
        return cancel(now)

    def _bye(self, farewell: _Farewell, now: float) -> list[Output]:
        record, via = farewell.record, self._new_via()
        record.near_cseq += 1
        cseq, branch = record.near_cseq, parse_via(via).branch
        self._branches[branch] = farewell

        def bye(now: float) -> list[Output]:
            return self._send(record, "BYE", cseq, via, now)

        _repeat(farewell, ("BYE", branch), bye, now)
        return bye(now)

    def _acknowledge(self, record: DialogRecord, now: float) -> list[Output]:
        """Acknowledge a 2xx, in a transaction of its own (RFC 3261 §13.2.2.4)."""
        return self._send(record, "ACK", record.cseq, self._new_via(), now)

    def _new_via(self) -> str:
        self._number += 1
        branch = "z9hG4bK" + self._answers.token("farewell", str(self._number))
        return f"SIP/2.0/UDP {LOOPBACK}:{self._here.port};branch={branch}"

    def _send(self, record: DialogRecord, method: str, cseq: int, via: str, now: float) -> list[Output]:
        """Send a request as the worker would."""
        first, routes = f"{method} {record.uri} SIP/2.0", [f"Route: {route}" for route in record.routes]
        texts = [first, f"Via: {via}", *routes, "Max-Forwards: 70", "Content-Length: 0"]
        lines = [text.encode("utf-8", "surrogateescape") for text in texts]
        lines += _identity(record, method, cseq, from_=record.near, to=record.far)
        try:
            request = parse_message(b"\r\n".join((*lines, b"", b"")))
            assert isinstance(request, Request)
            to_phone = record.to_phone
            return self._outbound.request(request, record.worker, self._here, now, to_phone=to_phone)
        except PeerError:  # the party has named a place that cannot be read
            return []


def refusal_of(record: DialogRecord) -> Refusal:
    """Return the answer to a party's INVITE whose worker is gone before it was answered."""
    return _RANG if record.rung else _UNHEARD


def _repeat(
    farewell: _Farewell, key: tuple[str, str], send: Callable[[float], list[Output]], now: float
) -> None:
    farewell.saying[key] = _Saying(send, [now + after for after in _REPEAT_AFTER_S])


def _identity(record: DialogRecord, method: str, cseq: int, *, from_: bytes, to: bytes) -> list[bytes]:
    call_id = record.call_id.encode("utf-8", "surrogateescape")
    return [b"From: " + from_, b"To: " + to, b"Call-ID: " + call_id, b"CSeq: %d " % cseq + method.encode()]


def _via(record: DialogRecord) -> str:
    """Return the Via of the worker's INVITE."""
    return record.vias[0].decode("utf-8", "surrogateescape")


def _branch(record: DialogRecord) -> str:
    return parse_via(_via(record)).branch
