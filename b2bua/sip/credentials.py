"""Digest client: answers to the challenges that we receive.

Source: RFC 3261 §22, RFC 7616, RFC 8760 (SHA-256 in SIP).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from b2bua.sip.digest import ALGORITHMS, Algorithm, digest_response, hash_a1, read_params
from b2bua.sip.message import Response

__all__ = ["Challenge", "answer_challenge", "read_challenge"]

_ASKED_IN: Final = {
    401: ("www-authenticate", "Authorization"),
    407: ("proxy-authenticate", "Proxy-Authorization"),
}
_SCHEME = re.compile(r"[\s,]*([\w-]+)(?:\s+|(?=,)|$)", re.ASCII)
_ESCAPE = re.compile(r'(["\\])')


@dataclass(frozen=True, slots=True)
class Challenge:
    """A digest challenge of a server."""

    header: str
    """Name of the header that carries the answer."""
    realm: str
    """As received, like the other strings: quoted pairs stay escaped."""
    nonce: str
    algorithm: Algorithm
    opaque: str | None
    qop: bool
    """Whether the server offers ``qop=auth``."""
    stale: bool
    """Whether the nonce was merely too old."""


def read_challenge(response: Response) -> Challenge | None:
    """Return the strongest challenge of a 401 or 407 that we can answer; None if there is none."""
    if response.status not in _ASKED_IN:
        return None
    name, header = _ASKED_IN[response.status]
    found: dict[Algorithm, Challenge] = {}
    for said in (said for each in response.headers if each.name == name for said in _challenges(each.text)):
        wanted = said.get("algorithm", "MD5").upper()
        algorithm = next((each for each in ALGORITHMS if each == wanted), None)
        qops = [each.strip().lower() for each in said.get("qop", "auth").split(",")]
        if algorithm is None or not {"realm", "nonce"} <= said.keys() or "auth" not in qops:
            continue
        found.setdefault(
            algorithm,
            Challenge(
                header=header,
                realm=said["realm"],
                nonce=said["nonce"],
                algorithm=algorithm,
                opaque=said.get("opaque"),
                qop="qop" in said,
                stale=said.get("stale", "").lower() == "true",
            ),
        )
    return next((found[algorithm] for algorithm in ALGORITHMS if algorithm in found), None)


def _challenges(line: str) -> Iterator[dict[str, str]]:
    """Yield the parameters of each Digest challenge; one header may hold several (RFC 9110 §11.6.1)."""
    place = 0
    while (scheme := _SCHEME.match(line, place)) is not None:
        params, place = read_params(line, scheme.end(), raw=True)
        if scheme[1].lower() == "digest":
            yield params


@dataclass(frozen=True, slots=True)
class ChallengedRequest:
    """The credentials that answer a challenge, and the request that they are for."""

    method: str
    uri: str
    """The Request-URI."""
    username: str
    password: str


def answer_challenge(challenge: Challenge, request: ChallengedRequest, count: int, cnonce: str) -> str:
    """Return the value of the header ``challenge.header``.

    Args:
        challenge: the challenge to answer.
        request: credentials and request.
        count: how often this nonce has been used, including this time.
        cnonce: any value that is new each time.
    """

    username = _ESCAPE.sub(r"\\\1", request.username)
    a1 = hash_a1(challenge.algorithm, username, challenge.realm, request.password)
    params = {"nonce": challenge.nonce, "uri": request.uri}
    if challenge.qop:
        params |= {"qop": "auth", "nc": f"{count:08x}", "cnonce": cnonce}
    response = digest_response(challenge.algorithm, a1, request.method, params)
    parts = [
        f'username="{username}"',
        f'realm="{challenge.realm}"',
        f'nonce="{challenge.nonce}"',
        f'uri="{request.uri}"',
        f"algorithm={challenge.algorithm}",
    ]
    parts.append(f'response="{response}"')
    if challenge.qop:
        parts += ["qop=auth", f"nc={count:08x}", f'cnonce="{cnonce}"']
    if challenge.opaque is not None:
        parts.append(f'opaque="{challenge.opaque}"')
    return "Digest " + ", ".join(parts)
