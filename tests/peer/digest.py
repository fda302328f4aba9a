"""Digest authentication from both sides: answering a challenge and judging an answer (RFC 7616, 8760)."""

from __future__ import annotations

import hashlib
import re
import secrets

from .wire import Message

ANSWER_TO = {401: ("WWW-Authenticate", "Authorization"), 407: ("Proxy-Authenticate", "Proxy-Authorization")}
_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}
_PARAM = re.compile(r'([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')


def parse_digest(value: str) -> dict[str, str]:
    """Parameters of a challenge or of credentials, names in lower case."""
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "digest":
        return {}
    return {m[1].lower(): m[2] if m[2] is not None else m[3] for m in _PARAM.finditer(rest)}


def challenge(realm: str = "test", algorithm: str = "MD5", stale: bool = False) -> str:
    """A fresh challenge with qop=auth."""
    extra = ", stale=true" if stale else ""
    nonce = secrets.token_hex(16)
    return f'Digest realm="{realm}", nonce="{nonce}", algorithm={algorithm}, qop="auth"{extra}'


def credentials(request: Message, refusal: Message, user: str, password: str) -> tuple[str, str]:
    """The header (name and value) that answers a 401 or 407 to `request`."""
    ask_name, answer_name = ANSWER_TO[refusal.status]
    asked = next(p for p in map(parse_digest, refusal.all(ask_name)) if p.get("algorithm", "MD5") in _HASHES)
    said = {
        "username": user, "realm": asked["realm"], "nonce": asked["nonce"], "uri": request.uri,
        "algorithm": asked.get("algorithm", "MD5"),
    }  # fmt: skip
    if "qop" in asked:
        said |= {"qop": "auth", "nc": "00000001", "cnonce": secrets.token_hex(8)}
    if "opaque" in asked:
        said["opaque"] = asked["opaque"]
    said["response"] = _response(request.method, said, password)
    bare = ("algorithm", "qop", "nc")
    return answer_name, "Digest " + ", ".join(
        f"{k}={v}" if k in bare else f'{k}="{v}"' for k, v in said.items()
    )


def proves(request: Message, user: str, password: str) -> bool:
    """True when the request carries credentials that this user and password give."""
    values = request.all("Authorization") + request.all("Proxy-Authorization")
    said = [parse_digest(value) for value in values]
    return any(
        s.get("username") == user and s.get("response") == _response(request.method, s, password)
        for s in said
        if {"realm", "nonce", "uri"} <= s.keys() and s.get("algorithm", "MD5") in _HASHES
    )


def _response(method: str, said: dict[str, str], password: str) -> str:
    """RFC 7616 §3.4.1 with qop=auth, or RFC 2617 §3.2.2.1 without qop."""

    def digest(text: str) -> str:
        return _HASHES[said.get("algorithm", "MD5")](text.encode()).hexdigest()

    secret = digest(f"{said['username']}:{said['realm']}:{password}")
    what = digest(f"{method}:{said['uri']}")
    if "qop" in said:
        return digest(f"{secret}:{said['nonce']}:{said['nc']}:{said['cnonce']}:{said['qop']}:{what}")
    return digest(f"{secret}:{said['nonce']}:{what}")
