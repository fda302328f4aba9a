"""Requests of users' phones: authentication, challenges and registration.

Source: RFC 3261 §10, §22; RFC 8760.
"""

import re
from typing import Final

from b2bua.core.errors import PeerError
from b2bua.sip.admission import Lockouts
from b2bua.sip.answers import Answers, Refusal
from b2bua.sip.digest import Algorithm, Authenticator, Proof
from b2bua.sip.edge_control import EdgeConfig
from b2bua.sip.flow import Flow, Output
from b2bua.sip.location import Locations
from b2bua.sip.message import Request
from b2bua.sip.registrar import Registrar
from b2bua.sip.soft_state import SoftState
from b2bua.sip.values import parse_name_addr

__all__ = ["Phones"]

PROVEN_S: Final = 60.0
"""How long after a correct answer to a challenge a source address is known not to be forged."""
MAX_PROVEN: Final = 10_000
CHALLENGED_S: Final = 3600.0

_MD5_ONLY = re.compile(r"baresip v(?:[01]\.|2\.[0-8]\.)")
"""User agents that treat a challenge with an unknown algorithm as an error (RFC 8760 §2.4)."""


class Phones:
    """Authenticates and registers phones. Thread: the edge's loop."""

    def __init__(self, config: EdgeConfig, locations: Locations, answers: Answers, secret: bytes) -> None:
        self._answers = answers
        self.locations = locations
        self._registrar = Registrar(locations)
        self._authenticator = Authenticator(config.domain, config.users, secret)
        self._proven: SoftState[str, None] = SoftState(MAX_PROVEN)
        self._challenged: SoftState[str, int] = SoftState(MAX_PROVEN)
        """CSeq of the first challenged request, by a token of its Call-ID, which may be of any length."""
        self.lockouts = Lockouts()

    def configure(self, config: EdgeConfig) -> None:
        """Replace the users."""
        self._authenticator.configure(config.users)

    def tick(self, now: float) -> None:
        """Forget expired nonces, proofs, challenges and lockouts."""
        self._authenticator.tick(now)
        self._proven.sweep(now)
        self._challenged.sweep(now)
        self.lockouts.tick(now)

    def proven(self, flow: Flow, now: float) -> bool:
        """Whether a flow is a user's phone: it has recently answered a challenge, or has registered."""
        return self._proven.known(flow.source, now) or self.locations.registered_from(flow)

    def check(self, request: Request, came_from: Flow, now: float) -> Proof:
        """Check a request's credentials, and remember the result for its source."""
        proof = self._authenticator.check(request, came_from.host, now)
        if proof.verdict == "proven":
            self._challenged.pop(self._answers.token(request.call_id))
            self.lockouts.proved(came_from.host)
            self._proven.put(came_from.source, None, now + PROVEN_S)
        elif proof.verdict == "wrong":
            self.lockouts.failed(came_from.host, Lockouts.WRONG, now)
        return proof

    def user_of(self, request: Request, came_from: Flow) -> str:
        """Return the user in From if a phone of theirs has registered over this flow; else empty.

        For sources that need no digest: the address may be forged.
        """
        user = _user(request, "from")
        return user if self.locations.user_at(came_from, user) else ""

    def trunk_of(self, user: str) -> str:
        """Return the trunk that authenticates as ``user``; empty if ``user`` is a user."""
        spec = self._authenticator.users.get(user)
        return spec.trunk if spec is not None else ""

    def is_own_address(self, request: Request, user: str) -> bool:
        """Whether ``user`` may send this From: its own address, or an anonymous one (RFC 3323)."""
        return _user(request, "from") in (user, "anonymous")

    def register(self, request: Request, came_from: Flow, now: float) -> list[Output]:
        """Handle a REGISTER, which must always be authenticated.

        Raises:
            PeerError: it cannot be carried out.
        """
        proof = self.check(request, came_from, now)
        if proof.verdict != "proven":
            return self.challenge(request, came_from, now, stale=proof.verdict == "stale")
        if _user(request, "to") != proof.user or self.trunk_of(proof.user):  # §10.3 step 3
            return self._answers.reply(request, came_from, Refusal(403, "Not Your Address"))
        answer, changed = self._registrar.register(request, proof.user, came_from, now)
        reply = self._answers.reply(request, came_from, answer)
        return [*reply, changed] if changed is not None else reply

    def challenge(self, request: Request, came_from: Flow, now: float, *, stale: bool) -> list[Output]:
        """Answer 401 with all algorithms, the strongest first (RFC 8760 §2.3)."""
        if not stale:
            self.lockouts.failed(came_from.host, 1, now)
        only: Algorithm | None = "MD5" if self._knows_md5_only(request, now) else None
        headers = self._authenticator.challenges(came_from.host, now, stale=stale, only=only)
        return self._answers.reply(request, came_from, Refusal(401, headers=headers))

    def _knows_md5_only(self, request: Request, now: float) -> bool:
        """Whether a phone fails if other algorithms are offered too: by its user agent, or as it just did."""
        call = self._answers.token(request.call_id)
        first = self._challenged.get(call, now)
        if first is None:
            self._challenged.put(call, request.cseq_number, now + CHALLENGED_S)
        again = first is not None and first != request.cseq_number
        return again or _MD5_ONLY.match(request.get("user-agent") or "") is not None


def _user(request: Request, header: str) -> str:
    try:
        return parse_name_addr(request.get(header) or "").uri.user
    except PeerError:
        return ""
