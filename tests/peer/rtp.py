"""The media of one dialog: a UDP socket, offer and answer, tones and digits sent, waits for what is heard.

Source: RFC 3264 (offer/answer), RFC 3550 (RTP), RFC 4733 (telephone-event).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from . import g711, g722
from .hearing import EVENTS, FRAME, RTP_HEADER, Counts, Digit, Hearing
from .ladder import PATIENCE_S, Address
from .pacer import Pacer
from .rtp_socket import RtpSocket
from .sdp import MIRROR, Sdp
from .srtp import SrtpError, SrtpStream, new_crypto
from .tones import RATE_HZ, Samples, holds_tone, level_dbfs, sine, tone_dbfs

STATIC_TYPES = {"PCMU": 0, "PCMA": 8, g722.NAME: 9}
WINDOW_S = 0.2
SILENCE_DBFS = -50.0
GAP_S = 0.4
"""Gap that a busy machine may cause; only a longer one counts as silence."""
Source = Callable[[int], Samples]
"""Returns the frame that begins at the n-th sample since the source was set."""


@dataclass(frozen=True)
class MediaOptions:
    """The abilities of a phone."""

    host: str = "127.0.0.1"
    codecs: tuple[str, ...] = ("PCMU", "PCMA")
    telephone_event: int | None = 101
    """Payload type that our offers give to telephone-event; None offers none."""
    symmetric: bool = False
    """Send to the address that packets come from, not to the one in the SDP."""
    srtp: Literal["off", "optional", "required"] = "off"
    """Encrypted media by SDES: optional offers RTP/AVP with a=crypto and accepts both; required RTP/SAVP."""
    spell: Callable[[str], str] = str
    """Turns a correct session description into what the phone sends."""


@dataclass
class _SentDigit:
    code: int
    left: deque[int]
    """Durations still to send, in timestamp units; the end packet three times."""
    timestamp: int
    done: asyncio.Future[None]
    total: int
    first: bool = True


@dataclass
class _Sender:
    """Sequence, timestamp and payload types of what we send."""

    ssrc: int = field(default_factory=lambda: random.getrandbits(32))
    sequence: int = field(default_factory=lambda: random.getrandbits(15))
    timestamp: int = field(default_factory=lambda: random.getrandbits(31))
    codec: str = "PCMU"
    payload_type: int = 0
    event_type: int | None = None
    marker: bool = True


class Media:
    """Audio of one dialog. After negotiation it sends silence until told to play or to stop."""

    def __init__(self, options: MediaOptions, fail: Callable[[str], AssertionError]) -> None:
        self.options = options
        self.local: Sdp | None = None
        self.remote: Sdp | None = None
        self.source_addr: tuple[str, int] | None = None
        """Source of the last packet."""
        self.hearing = Hearing(time.monotonic())
        self.sent = 0
        """Packets sent."""
        self.wire: deque[bytes] = deque(maxlen=50)
        """The last packets, unmodified."""
        self.unopened = 0
        """Packets that the negotiated key does not decrypt."""
        self._crypto = ""
        """Our port in the last description."""
        self._seal: SrtpStream | None = None
        self._open: SrtpStream | None = None
        self._fail = fail
        self._sender = _Sender()
        self._source: Source | None = _quiet
        self._played = 0
        self._outbox: deque[_SentDigit] = deque()
        self._news = asyncio.Event()
        self._socket: RtpSocket | None = None
        self._old_sockets: list[RtpSocket] = []
        self._session_id, self._version = random.getrandbits(31), 0
        self._ticking = False
        self._digits_taken = 0
        self._g722 = g722.Codec()

    # -- sockets ---------------------------------------------------------------------------------

    async def open(self) -> None:
        """Bind a socket to an even port, if there is none yet."""
        if self._socket is None:
            self._socket = RtpSocket(self.options.host, self.packet_received)

    async def rebind(self) -> None:
        """Take a new port; the old one still receives until the media are closed."""
        if self._socket is not None:
            self._old_sockets.append(self._socket)
        self._socket = RtpSocket(self.options.host, self.packet_received)

    def close(self) -> None:
        """Stop sending and receiving; the audio received stays readable."""
        if self._ticking:
            self._ticking = False
            Pacer.here().remove(self)
        for sock in [*self._old_sockets, self._socket]:
            if sock is not None:
                sock.close()
        for digit in self._outbox:
            if not digit.done.done():
                digit.done.set_result(None)  # they may well hang up because of this very digit
        self._outbox.clear()
        self._socket, self._old_sockets = None, []

    @property
    def port(self) -> int:
        """Our RTP port."""
        assert self._socket is not None, "the media are not open"
        return self._socket.port

    # -- offer and answer ------------------------------------------------------------------------

    async def offer(self, direction: str = "sendrecv", c0000: bool = False) -> str:
        """A new offer; its version increases with each (RFC 3264 §8)."""
        await self.open()
        codecs = [(STATIC_TYPES[name], name) for name in self.options.codecs]
        if self.options.telephone_event is not None:
            codecs.append((self.options.telephone_event, "telephone-event"))
        self._crypto = self._crypto or (new_crypto() if self.options.srtp != "off" else "")
        return self._describe(codecs, direction, "0.0.0.0" if c0000 else self.options.host)

    async def answer(self, offer: str) -> str:
        """Our answer to an offer, in force at once. Raises SdpError or, without a common codec, ours."""
        await self.open()
        self.remote = Sdp.parse(offer)
        common = [(pt, name) for pt, name in self.remote.codecs if name in self.options.codecs]
        if not common:
            raise self._fail(f"offer without a codec of {self.options.codecs}: {offer}")
        event_type = self.remote.payload_type("telephone-event")
        if event_type is not None and self.options.telephone_event is not None:
            common.append((event_type, "telephone-event"))
        secure = self.options.srtp != "off" and bool(self.remote.crypto)
        if self.options.srtp == "required" and not secure:
            raise self._fail(f"offer without a key: {offer}")
        self._crypto = new_crypto(int(self.remote.crypto.split()[0])) if secure else ""
        text = self._describe(common, MIRROR[self.remote.direction], self.options.host)
        self._negotiated()
        return text

    def accept_answer(self, answer: str) -> None:
        """Take the answer to our last offer."""
        remote = Sdp.parse(answer)
        assert self.local is not None, "an answer without an offer"
        if not any(name in self.options.codecs for _, name in remote.codecs):
            raise self._fail(f"answer without a codec we offered: {answer}")
        self.remote = remote
        self._negotiated()

    def _describe(self, codecs: list[tuple[int, str]], direction: str, host: str) -> str:
        self._version += 1
        self.local = Sdp(
            host=host, port=self.port, codecs=tuple(codecs), direction=direction,
            session_id=self._session_id, version=self._version, crypto=self._crypto,
            profile=self._profile(),
        )  # fmt: skip
        names = dict(codecs)
        self.hearing.payload_names.update({**names, 0: "PCMU", 8: "PCMA", 13: "CN"})
        return self.options.spell(str(self.local))

    def _profile(self) -> str:
        if self.remote is not None:
            return self.remote.profile  # RFC 3264 §6: an answer has that of the offer
        return "RTP/SAVP" if self.options.srtp == "required" else "RTP/AVP"

    @property
    def encrypted(self) -> bool:
        """Whether both sides have provided a key."""
        return self._seal is not None

    def _negotiated(self) -> None:
        assert self.remote is not None
        if self._crypto and self.remote.crypto:
            self._seal, self._open = SrtpStream(self._crypto), SrtpStream(self.remote.crypto)
        elif self.options.srtp == "required":
            raise self._fail("media without a key")
        sender = self._sender
        for pt, name in self.remote.codecs:
            if name in self.options.codecs:
                sender.codec, sender.payload_type = name, pt
                break
        sender.event_type = self.remote.payload_type("telephone-event")
        if self.options.telephone_event is None:
            sender.event_type = None
        if not self._ticking and self._socket is not None:
            self._ticking = True
            Pacer.here().add(self)

    @property
    def codec(self) -> str:
        """The codec we send."""
        return self._sender.codec

    @property
    def may_send(self) -> bool:
        """Whether both descriptions and the address allow us to send."""
        if self.local is None or self.remote is None or self.remote.port == 0:
            return False
        return (
            self.local.direction in ("sendrecv", "sendonly")
            and self.remote.direction in ("sendrecv", "recvonly")
            and not self.remote.on_hold_by_address
        )

    # -- sending ---------------------------------------------------------------------------------

    def play_tone(self, hz: float, level_dbfs: float = -15.0) -> None:
        """Send a sine wave from now on."""
        self.play_source(lambda at: sine(hz, level_dbfs, FRAME, at))

    def play(self, samples: Samples) -> None:
        """Send these int16 samples at 8 kHz once, then silence."""
        whole = np.concatenate([samples, np.zeros(-len(samples) % FRAME, np.int16)])
        self.play_source(lambda at: whole[at : at + FRAME] if at < len(whole) else _quiet(at))

    def play_source(self, source: Source) -> None:
        """Send the frames that a function returns."""
        self._source, self._played = source, 0

    def silence(self) -> None:
        """Send silence from now on."""
        self.play_source(_quiet)

    def stop(self) -> None:
        """Send no RTP at all."""
        self._source = None

    async def send_digit(self, digit: str, duration_ms: int = 120) -> None:
        """Send one digit as telephone-event; returns when its last packet is sent, or the call is over."""
        if self._sender.event_type is None:
            raise self._fail("telephone-event was not negotiated")
        total = duration_ms * 8
        durations = deque([*range(FRAME, total, FRAME), total, total, total])
        done = asyncio.get_running_loop().create_future()
        self._outbox.append(_SentDigit(EVENTS.index(digit.upper()), durations, 0, done, total))
        await done

    async def send_digits(self, digits: str, duration_ms: int = 120, pause_ms: int = 60) -> None:
        """Send digits one after another as telephone-event."""
        for digit in digits:
            await self.send_digit(digit, duration_ms)
            await asyncio.sleep(pause_ms / 1000)

    def tick(self) -> None:
        """Send the frame that is due (called by the pacer)."""
        self._sender.timestamp = (self._sender.timestamp + FRAME) & 0xFFFFFFFF
        source, at = self._source, self._played
        self._played += FRAME
        if not self.may_send:
            self._sender.marker = True
            return
        if self._outbox:
            self._send_event(self._outbox[0])
        elif source is None:
            self._sender.marker = True
        else:
            sender = self._sender
            frame = source(at)
            coded = (
                self._g722.encode(frame) if sender.codec == g722.NAME else g711.encode(sender.codec, frame)
            )
            self._send(sender.payload_type, sender.marker, sender.timestamp, coded)
            sender.marker = False

    def _send_event(self, digit: _SentDigit) -> None:
        if digit.first:
            digit.timestamp = self._sender.timestamp
        duration = digit.left.popleft()
        flags = (0x80 if duration == digit.total else 0) | 10
        payload = bytes((digit.code, flags)) + duration.to_bytes(2, "big")
        assert self._sender.event_type is not None
        self._send(self._sender.event_type, digit.first, digit.timestamp, payload)
        digit.first = False
        if not digit.left:
            self._outbox.popleft()
            if not digit.done.done():
                digit.done.set_result(None)

    def _send(self, payload_type: int, marker: bool, timestamp: int, payload: bytes) -> None:
        sender, remote = self._sender, self.remote
        assert remote is not None and self._socket is not None
        sender.sequence = (sender.sequence + 1) & 0xFFFF
        second = payload_type | (0x80 if marker else 0)
        header = RTP_HEADER.pack(0x80, second, sender.sequence, timestamp, sender.ssrc)
        told = (remote.host, remote.port)
        packet = header + payload
        if self._seal is not None:
            packet = self._seal.protect(packet)
        self._socket.send(packet, (self.options.symmetric and self.source_addr) or told)
        self.sent += 1

    # -- hearing ---------------------------------------------------------------------------------

    def packet_received(self, data: bytes, addr: Address, at: float) -> None:
        """A datagram arrived at that monotonic time (called by the socket)."""
        self.wire.append(data)
        if self._open is not None:
            try:
                data = self._open.open(data)
            except SrtpError:
                self.unopened += 1
                return
        if self.hearing.receive(data, at):
            self.source_addr = addr
            self._news.set()

    @property
    def counts(self) -> Counts:
        """Lost, duplicate and late packets, jitter and the longest gap."""
        return self.hearing.counts

    @property
    def digits(self) -> str:
        """All digits received as telephone-event."""
        return "".join(digit.digit for digit in self.hearing.digits)

    def heard(self, last_s: float | None = None) -> Samples:
        """int16 at 8 kHz: everything received, or the last seconds of it; gaps are zeros."""
        return self.hearing.heard(last_s)

    def level_dbfs(self, window_s: float = WINDOW_S) -> float:
        """Level of the last audio received."""
        return level_dbfs(self.heard(window_s))

    def tone_dbfs(self, hz: float, window_s: float = WINDOW_S) -> float:
        """Level of one frequency in the last audio received."""
        return tone_dbfs(self.heard(window_s), hz)

    def has_tone(self, hz: float, min_dbfs: float = -25.0) -> bool:
        """Whether the last 200 ms contain this tone, and audio is still arriving."""
        last, window = self.hearing.last_arrival, self.heard(WINDOW_S)
        fresh = last is not None and time.monotonic() - last < WINDOW_S
        return fresh and len(window) >= WINDOW_S * RATE_HZ and holds_tone(window, hz, min_dbfs)

    def is_silent(self, now: float) -> bool:
        """Whether nothing in the last 200 ms is louder than -50 dBFS, or nothing has arrived for a while."""
        last = self.hearing.last_arrival
        if last is None or now - last > GAP_S:
            return True
        return len(self.heard()) >= WINDOW_S * RATE_HZ and self.level_dbfs() < SILENCE_DBFS

    async def expect_tone(self, hz: float, min_dbfs: float = -25.0, within_s: float = PATIENCE_S) -> float:
        """Wait for 200 ms that contain the tone, the last ones or later ones. Returns its level in dBFS."""
        found: list[float] = []
        windows = self.hearing.follow(WINDOW_S)

        def met() -> bool:
            found.extend(tone_dbfs(window, hz) for window in windows() if holds_tone(window, hz, min_dbfs))
            return bool(found)

        await self._until(met, within_s, f"a tone of {hz:g} Hz ≥ {min_dbfs} dBFS")
        return found[0]

    async def expect_no_tone(self, hz: float, for_s: float = 0.5, min_dbfs: float = -35.0) -> None:
        """Assert that for this time from now on, no 200 ms contain this tone."""
        end, windows = time.monotonic() + for_s, self.hearing.follow(WINDOW_S)

        def over() -> bool:
            if any(holds_tone(window, hz, min_dbfs) for window in windows()):
                raise self._fail(f"a tone of {hz:g} Hz that should not be there; {self.describe()}")
            return time.monotonic() >= end

        await self._until(over, for_s + PATIENCE_S, "end of the watch")

    async def expect_silence(self, within_s: float = PATIENCE_S) -> None:
        """Wait until 200 ms from now on contain no sound (silence, or no packets)."""
        begun, length = time.monotonic(), len(self.heard())

        def met() -> bool:
            now = time.monotonic()
            came = len(self.heard()) - length >= WINDOW_S * RATE_HZ
            return (came or now - begun > GAP_S) and self.is_silent(now)

        await self._until(met, within_s, "silence")

    async def expect_sent(self, length_s: float, within_s: float = PATIENCE_S) -> None:
        """Wait until this much more has been sent."""
        wanted = self.sent + round(length_s * RATE_HZ / FRAME)
        await self._until(lambda: self.sent >= wanted, within_s, f"{length_s} s sent")

    async def expect_heard(self, length_s: float, within_s: float = PATIENCE_S) -> None:
        """Wait until this much has been heard in all."""
        await self._until(lambda: len(self.heard()) >= length_s * 8000, within_s, f"{length_s} s of audio")

    async def expect_followed(self, within_s: float = PATIENCE_S) -> None:
        """Wait until audio comes to the latest port, and not only to one that ``rebind`` has left."""
        latest = self._socket
        assert latest is not None, "the media are not open"
        await self._until(lambda: latest.came > 0, within_s, f"audio to port {latest.port}")

    async def expect_digit(self, digit: str | None = None, timeout: float = PATIENCE_S) -> Digit:  # noqa: ASYNC109
        """Wait for the next digit no earlier call returned; it must be `digit` unless that is None."""
        taken = self._digits_taken
        await self._until(lambda: len(self.hearing.digits) > taken, timeout, f"digit {digit or '(any)'}")
        got = self.hearing.digits[taken]
        self._digits_taken += 1
        if digit is not None and got.digit != digit:
            raise self._fail(f"expected digit {digit}, heard {got.digit}")
        return got

    async def _until(self, met: Callable[[], bool], within_s: float, what: str) -> None:
        """Check at each packet, and every 50 ms too, since silence may bring no packets."""
        deadline = time.monotonic() + within_s
        while not met():
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._fail(f"no {what} within {within_s} s; {self.describe()}")
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), min(left, 0.05))
            except TimeoutError:
                continue

    def describe(self) -> str:
        """The audio heard now, for people: level, the strongest frequencies, counts."""
        window = self.heard(WINDOW_S).astype(np.float64)
        strongest = ""
        if len(window) >= FRAME and np.any(window):
            spectrum = np.abs(np.fft.rfft(window * np.hanning(len(window))))
            peaks = np.argsort(spectrum)[::-1][:3] * RATE_HZ / len(window)
            strongest = ", strongest near " + " ".join(f"{hz:.0f}" for hz in peaks) + " Hz"
        last = self.hearing.last_arrival
        ago = "never" if last is None else f"{time.monotonic() - last:.2f} s ago"
        return (
            f"heard {self.level_dbfs():.1f} dBFS{strongest}; last packet {ago}; digits {self.digits!r}; "
            f"sent {self.sent}; {self.counts}; local {_short(self.local)}, remote {_short(self.remote)}"
        )


def _quiet(at: int) -> Samples:
    return np.zeros(FRAME, np.int16)


def _short(sdp: Sdp | None) -> str:
    return "none" if sdp is None else f"{sdp.host}:{sdp.port} {sdp.direction}"
