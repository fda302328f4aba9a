"""Digest from the asked side: what answers a challenge that we get.

Source: RFC 3261 §22, RFC 7616, RFC 8760 (SHA-256 in SIP).
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from b2bua.sip.message import Response

__all__ = ["Challenge", "answer_challenge", "read_challenge"]

_ASKED_IN: Final = {
    401: ("www-authenticate", "Authorization"),
    407: ("proxy-authenticate", "Proxy-Authorization"),
}
_HASHES: Final = {"SHA-256": hashlib.sha256, "MD5": hashlib.md5}
"""The stronger first: the order in which they are preferred."""
_ONE = re.compile(r"(?:^|,)\s*digest\s+", re.IGNORECASE)
_PARAM = re.compile(r'([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_ESCAPE = re.compile(r'(["\\])')


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a server asks for."""

    header: str
    """Name of the header that the answer belongs in."""
    realm: str
    """This and the others as they came: quoted pairs stay pairs."""
    nonce: str
    algorithm: str
    opaque: str | None
    qop: bool
    """Whether it knows ``qop=auth``."""
    stale: bool
    """Only the nonce was too old."""


def read_challenge(response: Response) -> Challenge | None:
    """The strongest challenge of a 401 or 407 that we can answer; None where there is none."""
    if response.status not in _ASKED_IN:
        return None
    name, header = _ASKED_IN[response.status]
    found: dict[str, Challenge] = {}
    for line in (each.text for each in response.headers if each.name == name):
        for text in _ONE.split(line)[1:]:
            said = {m[1].lower(): m[2] if m[2] is not None else m[3] for m in _PARAM.finditer(text)}
            algorithm = said.get("algorithm", "MD5").upper()
            qops = [each.strip().lower() for each in said.get("qop", "auth").split(",")]
            if algorithm not in _HASHES or not {"realm", "nonce"} <= said.keys() or "auth" not in qops:
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
    return next((found[algorithm] for algorithm in _HASHES if algorithm in found), None)


@dataclass(frozen=True, slots=True)
class Asker:
    """Who answers a challenge, for what."""

    method: str
    uri: str
    """The Request-URI."""
    username: str
    password: str


def answer_challenge(challenge: Challenge, asker: Asker, count: int, cnonce: str) -> str:
    """Value of the header ``challenge.header``.

    Args:
        challenge: what was asked.
        asker: who answers.
        count: how often this nonce has been answered, with this time.
        cnonce: anything that is new each time.
    """

    def digest(text: str) -> str:
        return _HASHES[challenge.algorithm](text.encode()).hexdigest()

    username = _ESCAPE.sub(r"\\\1", asker.username)
    secret = digest(f"{username}:{challenge.realm}:{asker.password}")
    what = digest(f"{asker.method}:{asker.uri}")
    parts = [
        f'username="{username}"',
        f'realm="{challenge.realm}"',
        f'nonce="{challenge.nonce}"',
        f'uri="{asker.uri}"',
        f"algorithm={challenge.algorithm}",
    ]
    if challenge.qop:
        response = digest(f"{secret}:{challenge.nonce}:{count:08x}:{cnonce}:auth:{what}")
        parts += [f'response="{response}"', "qop=auth", f"nc={count:08x}", f'cnonce="{cnonce}"']
    else:
        parts.append(f'response="{digest(f"{secret}:{challenge.nonce}:{what}")}"')
    if challenge.opaque is not None:
        parts.append(f'opaque="{challenge.opaque}"')
    return "Digest " + ", ".join(parts)
