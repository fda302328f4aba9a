"""Digest authentication: responses, challenges, and the check of credentials.

Nonces are stateless (a time, a count and a MAC over them and the source's address). Only the highest ``nc``
of each nonce and its request are remembered, so that an overheard request cannot be replayed. Passwords never
reach this module, only H(A1). Source: RFC 7616, RFC 8760 (SHA-256 in SIP), RFC 3261 §22.
"""

import base64
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2s, md5, sha256
from typing import Final, Literal

from b2bua.core.errors import PeerError
from b2bua.core.events import Headers
from b2bua.sip.edge_control import UserSpec
from b2bua.sip.message import Request
from b2bua.sip.soft_state import SoftState
from b2bua.sip.uri import parse_uri

__all__ = [
    "ALGORITHMS",
    "Algorithm",
    "Authenticator",
    "Proof",
    "digest_response",
    "hash_a1",
    "parse_digest",
    "read_params",
]

Algorithm = Literal["SHA-256", "MD5"]
ALGORITHMS: Final[tuple[Algorithm, ...]] = ("SHA-256", "MD5")
"""In order of preference (RFC 8760 §2.3)."""

NONCE_AGE_S: Final = 300.0
REPEAT_S: Final = 32.0
"""64*T1: how long the same request may be retransmitted because its answer was lost."""
MAX_NONCES: Final = 20_000
MAX_PARAMS: Final = 24

_PARAM = re.compile(
    r'\s*([A-Za-z0-9_\-]{1,32})\s*=\s*(?:"((?:[^"\\]|\\.)*+)"|([^\s,";]++))\s*(?:,|$)', re.DOTALL
)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_NC = re.compile(r"[0-9a-fA-F]{8}")
_NO_ONE: Final = "0" * 64


def _hash(algorithm: Algorithm, text: str) -> str:
    data = text.encode("utf-8", "surrogateescape")
    return (
        sha256(data).hexdigest() if algorithm == "SHA-256" else md5(data, usedforsecurity=False).hexdigest()
    )


def hash_a1(algorithm: Algorithm, username: str, realm: str, password: str) -> str:
    """Return H(A1), the only form of a password that is needed (RFC 7616 §3.4.2)."""
    return _hash(algorithm, f"{username}:{realm}:{password}")


def digest_response(algorithm: Algorithm, a1: str, method: str, params: dict[str, str]) -> str:
    """Return the ``response`` parameter (RFC 7616 §3.4.1; without ``qop``, RFC 2069).

    Args:
        algorithm: also that of ``a1``.
        a1: H(A1), from ``hash_a1``.
        method: method of the request.
        params: ``nonce`` and ``uri``; with ``qop`` also ``nc`` and ``cnonce``.
    """
    a2 = _hash(algorithm, f"{method}:{params['uri']}")
    if "qop" not in params:
        return _hash(algorithm, f"{a1}:{params['nonce']}:{a2}")
    middle = ":".join(params[name] for name in ("nonce", "nc", "cnonce", "qop"))
    return _hash(algorithm, f"{a1}:{middle}:{a2}")


def parse_digest(value: str) -> dict[str, str]:
    """Return the parameters of a challenge or of credentials, with names in lower case.

    Raises:
        PeerError: the value is not of the Digest scheme, or is malformed.
    """
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "digest":
        raise PeerError("not Digest")
    params, end = read_params(rest, 0)
    if end < len(rest):
        raise PeerError("bad digest parameters")
    return params


def read_params(text: str, place: int, *, raw: bool = False) -> tuple[dict[str, str], int]:
    """Return the parameters in ``text`` from ``place`` on, with names in lower case, and where they end.

    Args:
        text: a header's value.
        place: the position after the scheme.
        raw: keep quoted pairs escaped, as they have to be repeated to the server.
    """
    params: dict[str, str] = {}
    while place < len(text) and len(params) < MAX_PARAMS:
        match = _PARAM.match(text, place)
        if match is None or match[1].lower() in params:
            break
        quoted = match[2]
        if quoted is not None and not raw:
            quoted = _QUOTED_PAIR.sub(r"\1", quoted)
        params[match[1].lower()] = match[3] if quoted is None else quoted
        place = match.end()
    return params, place


@dataclass(frozen=True, slots=True)
class Proof:
    """The result of checking a request's credentials."""

    verdict: Literal["none", "stale", "wrong", "proven"]
    """none: no credentials for us. stale: correct, but the nonce is no longer valid."""
    user: str = ""
    """The user that the credentials prove."""


class Authenticator:
    """Challenges requests and checks their credentials.

    Args:
        realm: the domain.
        users: the known users.
        secret: random bytes of this process.
    """

    def __init__(self, realm: str, users: Iterable[UserSpec], secret: bytes) -> None:
        self._realm = realm
        self._secret = secret
        self._count = 0
        self._used: SoftState[str, tuple[int, str]] = SoftState(MAX_NONCES)
        """By nonce: its last ``nc``, and the request that had it."""
        self.configure(users)

    def configure(self, users: Iterable[UserSpec]) -> None:
        """Replace the users."""
        self.users = {user.name: user for user in users}

    def tick(self, now: float) -> None:
        """Forget expired nonces."""
        self._used.sweep(now)

    def challenges(
        self, source: str, now: float, *, stale: bool = False, only: Algorithm | None = None
    ) -> Headers:
        """Return the WWW-Authenticate headers for ``source``, one for each algorithm (RFC 8760 §2.4)."""
        self._count = (self._count + 1) & 0xFFFFFFFF
        nonce = self._nonce(int(now), self._count, source)
        more = ",stale=true" if stale else ""
        return tuple(
            (
                "WWW-Authenticate",
                f'Digest realm="{self._realm}",nonce="{nonce}",algorithm={each},qop="auth"{more}',
            )
            for each in ALGORITHMS
            if only in (None, each)
        )

    def check(self, request: Request, source: str, now: float) -> Proof:
        """Check the credentials of a request from ``source``, a host."""
        proof = Proof("none")
        for name in ("authorization", "proxy-authorization"):
            for header in request.headers:
                if header.name == name:
                    proof = self._check(request, header.text, source, now)
                    if proof.verdict == "proven":
                        return proof
        return proof

    def _check(self, request: Request, value: str, source: str, now: float) -> Proof:
        try:
            params = parse_digest(value)
            if params.get("realm") != self._realm:
                return Proof("none")  # for another server: RFC 3261 §22.3
            algorithm = _algorithm(params)
            right = self._right(request, params, algorithm)
        except PeerError:
            return Proof("wrong")
        if not right:
            return Proof("wrong")
        if not self._fresh(params["nonce"], source, now):
            return Proof("stale")
        if not self._first_use(request, params, now):
            return Proof("stale")
        return Proof("proven", params["username"])

    def _right(self, request: Request, params: dict[str, str], algorithm: Algorithm) -> bool:
        for name in ("username", "nonce", "uri", "response", "cnonce", "nc"):
            if name not in params:
                raise PeerError(f"no {name}")
        if params.get("qop") != "auth" or not _NC.fullmatch(params["nc"]):
            raise PeerError("only qop=auth")
        user = self.users.get(params["username"])
        a1 = _NO_ONE if user is None else (user.sha256 if algorithm == "SHA-256" else user.md5)
        expected = digest_response(algorithm, a1, request.method, params)
        same = hmac.compare_digest(expected.encode(), params["response"].lower().encode("utf-8", "replace"))
        return same and user is not None and _same_uri(params["uri"], request.uri)

    # -- nonces -------------------------------------------------------------------------------------

    def _nonce(self, at: int, count: int, source: str) -> str:
        head = at.to_bytes(5, "big") + count.to_bytes(4, "big")
        mac = blake2s(head + source.encode(), key=self._secret, digest_size=9, person=b"nonce").digest()
        return base64.urlsafe_b64encode(head + mac).decode()

    def _fresh(self, nonce: str, source: str, now: float) -> bool:
        try:
            data = base64.b64decode(nonce.encode("ascii"), altchars=b"-_", validate=True)
        except ValueError:
            return False
        at, count = int.from_bytes(data[:5], "big"), int.from_bytes(data[5:9], "big")
        if not hmac.compare_digest(self._nonce(at, count, source), nonce):
            return False
        return 0 <= now - at < NONCE_AGE_S

    def _first_use(self, request: Request, params: dict[str, str], now: float) -> bool:
        """Whether ``nc`` is higher than before, or the request is a retransmission."""
        nonce, nc = params["nonce"], int(params["nc"], 16)
        this = f"{request.call_id}\n{request.cseq_number}\n{request.method}\n{request.top_via.branch}"
        last = self._used.get(nonce, now)
        if last is None or nc > last[0]:
            self._used.put(nonce, (nc, f"{this}\n{now}"), now + NONCE_AGE_S)
            return True
        known, _, at = last[1].rpartition("\n")
        return nc == last[0] and known == this and now - float(at) < REPEAT_S


def _algorithm(params: dict[str, str]) -> Algorithm:
    said = params.get("algorithm", "MD5").upper()
    for each in ALGORITHMS:
        if said == each:
            return each
    raise PeerError("unknown algorithm")


def _same_uri(said: str, uri: str) -> bool:
    """Whether the ``uri`` of credentials means the Request-URI; phones leave out different parts of it."""
    if said == uri:
        return True
    try:
        one, other = parse_uri(said), parse_uri(uri)
    except PeerError:
        return False
    return (one.scheme, one.user, one.host.lower(), one.port or 5060) == (
        other.scheme,
        other.user,
        other.host.lower(),
        other.port or 5060,
    )
