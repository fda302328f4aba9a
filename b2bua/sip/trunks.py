"""All trunks of the edge: sends their REGISTER and OPTIONS, and repeats them until answered or missed.

The proxy passes on responses to the edge itself, and calls ``tick`` once a second. That resolution is enough,
as no call waits for these requests. Source: RFC 3261 §17.1.2.

Thread: the edge's loop.
"""

from dataclasses import dataclass, field
from typing import Final

from b2bua.sip.addresses import Addresses
from b2bua.sip.answers import ALLOW, Answers
from b2bua.sip.credentials import ChallengedRequest, answer_challenge
from b2bua.sip.edge_control import TrunkSpec, TrunkState
from b2bua.sip.flow import Find, Flow, Output, Send
from b2bua.sip.message import Response
from b2bua.sip.outbound import Target, known_target
from b2bua.sip.trunk_line import Asking, TrunkLine
from b2bua.sip.values import parse_via

__all__ = ["Trunks"]

ANSWER_LIMIT_S: Final = 8.0
"""A trunk that takes longer to answer OPTIONS or REGISTER is of no use to a caller."""
REPEAT_AFTER_S: Final = (1.0, 2.0, 4.0)
"""Retransmissions over UDP."""


@dataclass(slots=True)
class _Sent:
    """A request that awaits its answer."""

    line: TrunkLine
    asking: Asking
    branch: str
    sent: Send | None = None
    """The message; None: its next hop is not known yet."""
    repeat_at: list[float] = field(default_factory=list)


class Trunks:
    """Sends the requests of all trunks and handles the answers.

    Args:
        addresses: the edge's own addresses.
        answers: makes branches and tags that cannot be guessed.
        number: requests are numbered from here (CSeq must rise from one edge process to the next).
    """

    def __init__(self, addresses: Addresses, answers: Answers, number: int = 0) -> None:
        self._addresses = addresses
        self._answers = answers
        self._lines: dict[str, TrunkLine] = {}
        self._sent: dict[str, _Sent] = {}
        """Requests by branch."""
        self._reported: dict[str, TrunkState] = {}
        self._number = number
        self._due: list[tuple[TrunkLine, Asking]] = []
        self._draining = False

    def configure(self, specs: tuple[TrunkSpec, ...]) -> None:
        """Replace the trunks; unchanged ones keep their registration."""
        before, self._lines = self._lines, {}
        for spec in specs:
            line = before.pop(spec.name, None)
            if line is not None and line.spec != spec:
                self._leave(line)
                line = None
            self._lines[spec.name] = line or TrunkLine(spec)
        for line in before.values():
            self._leave(line)
            self._reported.pop(line.spec.name, None)

    def drain(self) -> None:
        """End the registrations and send no more requests, as no new calls are wanted."""
        self._draining = True
        for line in self._lines.values():
            self._leave(line)

    def report_again(self) -> None:
        """Report all states with the next tick: somebody new wants to know."""
        self._reported.clear()

    def _leave(self, line: TrunkLine) -> None:
        self._due += [(line, asking) for asking in line.leave()]

    def trunk_at(self, host: str) -> str | None:
        """Return the trunk that we are registered with at this address; calls from there are that trunk's."""
        return next((name for name, line in self._lines.items() if line.is_at(host)), None)

    # -- requests -----------------------------------------------------------------------------------

    def tick(self, now: float) -> list[Output]:
        """Run once a second: send what is due, and report what has changed."""
        outputs: list[Output] = []
        for sent in list(self._sent.values()):
            if now >= sent.asking.until:
                del self._sent[sent.branch]
                if sent.line.asking.get(sent.asking.kind) is sent.asking:
                    sent.line.missed(sent.asking.kind, now)
            elif sent.sent is not None and sent.repeat_at and now >= sent.repeat_at[0]:
                sent.repeat_at.pop(0)
                outputs.append(sent.sent)
        for line in self._lines.values():
            line.lapse(now)
            if not self._draining:
                self._due += [(line, asking) for asking in line.wants(now)]
        due, self._due = self._due, []
        for line, asking in due:
            outputs += self._begin(line, asking, now)
        return outputs + self._news()

    def _begin(self, line: TrunkLine, asking: Asking, now: float) -> list[Output]:
        asking.until = now + ANSWER_LIMIT_S
        self._number += 1
        branch = self._answers.own_branch(self._number)
        sent = self._sent[branch] = _Sent(line, asking, branch)
        targets = known_target(line.uri, self._addresses)
        return [Find(branch, line.uri)] if targets is None else self._send(sent, targets, now)

    def waits_for(self, branch: str) -> bool:
        """Whether a ``Find`` was for a trunk's request."""
        return branch in self._sent

    def found(self, branch: str, targets: tuple[Target, ...], now: float) -> list[Output]:
        """Send a request whose next hop is known now."""
        sent = self._sent.get(branch)
        return [] if sent is None else self._send(sent, targets, now)

    def _send(self, sent: _Sent, targets: tuple[Target, ...], now: float) -> list[Output]:
        """Send to the first target that we have a socket for; without one, the request will be missed."""
        for target in targets:
            listener = self._addresses.listener(target.transport, target.host)
            if listener is None:
                continue
            to = Flow("outer", target.transport, target.host, target.port, listener, target.name)
            sent.sent = Send(self._request(sent, to), to)
            if to.transport == "udp":
                sent.repeat_at = [now + after for after in REPEAT_AFTER_S]
            return [sent.sent]
        return []

    def _request(self, sent: _Sent, to: Flow) -> bytes:
        line, asking = sent.line, sent.asking
        spec = line.spec
        user = f"{spec.username}@" if asking.kind == "REGISTER" else ""
        identity = f"{line.uri.scheme}:{user}{line.uri.host}" if user else f"sip:{self._addresses.domain}"
        target = identity if user else line.registrar
        lines = [
            f"{asking.kind} {line.registrar} SIP/2.0",
            f"Via: {self._addresses.via(to, sent.branch)}",
            "Max-Forwards: 70",
            f"From: <{identity}>;tag={self._answers.token('from', spec.name)}",
            f"To: <{target}>",
            f"Call-ID: {self._answers.token(asking.kind, spec.name)}",
            f"CSeq: {self._number} {asking.kind}",
            f"Allow: {ALLOW}",
        ]
        if asking.kind == "REGISTER":
            lines.append(f"Contact: <{self._addresses.contact(spec.username, to)}>")
            lines.append(f"Expires: {asking.expires_s}")
            lines += self._credentials(line, asking)
        return ("\r\n".join(lines) + "\r\nContent-Length: 0\r\n\r\n").encode()

    def _credentials(self, line: TrunkLine, asking: Asking) -> list[str]:
        challenge = line.challenge
        if challenge is None:
            return []
        line.count += 1
        spec = line.spec
        challenged = ChallengedRequest(asking.kind, line.registrar, spec.username, spec.password)
        cnonce = self._answers.token("cnonce", str(self._number))
        return [f"{challenge.header}: {answer_challenge(challenge, challenged, line.count, cnonce)}"]

    # -- responses ----------------------------------------------------------------------------------

    def response(self, response: Response, came_from: Flow, now: float) -> list[Output]:
        """Handle a response that has no Via but ours."""
        via = parse_via(response.all("via")[0])
        sent = self._sent.get(via.branch)
        if sent is None or sent.asking.kind != response.cseq_method or response.status < 200:
            return []
        del self._sent[via.branch]
        line = sent.line
        if line.asking.get(sent.asking.kind) is not sent.asking:
            return []
        outputs: list[Output] = []
        for asking in line.answered(sent.asking.kind, response, came_from.host, now):
            outputs += self._begin(line, asking, now)
        return outputs + self._news()

    def _news(self) -> list[Output]:
        news: list[Output] = []
        for name, line in self._lines.items():
            state = line.state
            if name not in self._reported and state.registration == "off" and state.reachable is None:
                continue  # no requests are sent to this trunk, so nothing is known
            if self._reported.get(name) != state:
                self._reported[name] = state
                news.append(state)
        return news
