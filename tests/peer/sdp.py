"""The SDP that a test phone needs: one audio line, G.711 and telephone-event (RFC 8866, RFC 3264)."""

from __future__ import annotations

from dataclasses import dataclass

from .srtp import SUITE

STATIC = {0: "PCMU", 8: "PCMA", 13: "CN"}
DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
MIRROR = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}


class SdpError(ValueError):
    """The body is not a session description that a phone could use."""


@dataclass(frozen=True)
class Sdp:
    """The audio line of a session description."""

    host: str
    port: int
    codecs: tuple[tuple[int, str], ...]
    """Payload type and encoding name in order of preference, telephone-event included."""
    direction: str = "sendrecv"
    session_id: int = 1
    version: int = 1
    ptime_ms: int = 20
    profile: str = "RTP/AVP"
    crypto: str = ""
    """The value of a=crypto that we can use (RFC 4568); empty: none."""
    attributes: tuple[str, ...] = ()
    """Every a= line as read; not written back."""

    @property
    def on_hold_by_address(self) -> bool:
        """RFC 2543's hold: a connection address of 0.0.0.0 (RFC 3264 §8.4)."""
        return self.host == "0.0.0.0"

    def payload_type(self, codec: str) -> int | None:
        return next((pt for pt, name in self.codecs if name == codec), None)

    @classmethod
    def parse(cls, text: str) -> Sdp:
        lines = [(line[:1], line[2:].strip()) for line in text.splitlines() if line[1:2] == "="]
        if not lines or lines[0] != ("v", "0"):
            raise SdpError(f"does not begin with v=0: {text[:40]!r}")
        session, audio = _sections(lines)
        origin = next((value.split() for kind, value in session if kind == "o"), None)
        media = next((value.split() for kind, value in audio if kind == "m"), None)
        address = _connection(audio) or _connection(session)
        if origin is None or len(origin) != 6 or media is None or len(media) < 4 or address is None:
            raise SdpError(f"o=, m=audio or c= is missing or broken: {text!r}")
        names = _names(audio)
        codecs = tuple((int(pt), names.get(int(pt), f"?{pt}")) for pt in media[3:])
        flags = [value for kind, value in session + audio if kind == "a"]
        direction = next((flag for flag in reversed(flags) if flag in DIRECTIONS), "sendrecv")
        return cls(
            host=address, port=int(media[1].split("/")[0]), codecs=codecs, direction=direction,
            session_id=int(origin[1]), version=int(origin[2]), ptime_ms=_ptime(flags), profile=media[2],
            crypto=next((f[7:] for f in flags if f.startswith("crypto:") and f"{SUITE} " in f), ""),
            attributes=tuple(flags),
        )  # fmt: skip

    def __str__(self) -> str:
        types = " ".join(str(pt) for pt, _ in self.codecs)
        origin_host = "127.0.0.1" if self.on_hold_by_address else self.host
        lines = [
            "v=0", f"o=peer {self.session_id} {self.version} IN IP4 {origin_host}", "s=-",
            f"c=IN IP4 {self.host}", "t=0 0", f"m=audio {self.port} {self.profile} {types}",
        ]  # fmt: skip
        if self.crypto:
            lines.append(f"a=crypto:{self.crypto}")
        for pt, name in self.codecs:
            lines.append(f"a=rtpmap:{pt} {name}/8000")
            if name == "telephone-event":
                lines.append(f"a=fmtp:{pt} 0-15")
        lines += [f"a=ptime:{self.ptime_ms}", f"a={self.direction}"]
        return "\r\n".join(lines) + "\r\n"


def _sections(lines: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The session part, and the first audio line with its attributes."""
    session: list[tuple[str, str]] = []
    audio: list[tuple[str, str]] = []
    here: list[tuple[str, str]] | None = session
    for kind, value in lines:
        if kind == "m":
            here = audio if value.startswith("audio ") and not audio else None
        if here is not None:
            here.append((kind, value))
    return session, audio


def _connection(section: list[tuple[str, str]]) -> str | None:
    return next((value.split()[-1].split("/")[0] for kind, value in section if kind == "c"), None)


def _names(audio: list[tuple[str, str]]) -> dict[int, str]:
    names = dict(STATIC)
    for kind, value in audio:
        if kind == "a" and value.startswith("rtpmap:"):
            pt, _, rest = value.removeprefix("rtpmap:").partition(" ")
            name, _, clock = rest.strip().partition("/")
            known = name.upper() if name.lower() != "telephone-event" else name.lower()
            names[int(pt)] = known if clock.split("/")[0] == "8000" else f"{known}/{clock}"
    return names


def _ptime(flags: list[str]) -> int:
    return next((int(flag.split(":")[1]) for flag in flags if flag.startswith("ptime:")), 20)
