"""Encrypted media at both ends: AES_CM_128_HMAC_SHA1_80 with keys from the SDP (RFC 3711, RFC 4568)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

SUITE = "AES_CM_128_HMAC_SHA1_80"
TAG = 10
KEY, SALT = 16, 14


class SrtpError(ValueError):
    """A packet that was not protected with this key."""


def new_crypto(tag: int = 1) -> str:
    """Value of an a=crypto with a new key."""
    return f"{tag} {SUITE} inline:{base64.b64encode(secrets.token_bytes(KEY + SALT)).decode()}"


class SrtpStream:
    """One direction: encrypts or decrypts with the key of an a=crypto value."""

    def __init__(self, crypto: str) -> None:
        master = base64.b64decode(crypto.split("inline:")[1].split("|")[0].split()[0])
        assert len(master) == KEY + SALT, crypto
        self._salt_of_master = int.from_bytes(master[KEY:], "big")
        self._master = master[:KEY]
        self._key = self._derive(0, KEY)
        self._auth = self._derive(1, 20)
        self._salt = int.from_bytes(self._derive(2, SALT), "big")
        self._rollover = 0
        self._highest: int | None = None

    def _derive(self, label: int, length: int) -> bytes:
        """RFC 3711 §4.3.1, with a key derivation rate of 0."""
        start = (self._salt_of_master ^ (label << 48)) << 16
        return _keystream(self._master, start, length)

    def _crypt(self, packet: bytes, rollover: int, payload: bytes, header: int) -> bytes:
        ssrc = int.from_bytes(packet[8:12], "big")
        index = rollover << 16 | int.from_bytes(packet[2:4], "big")
        start = (self._salt << 16) ^ (ssrc << 64) ^ (index << 16)  # §4.1.1
        stream = _keystream(self._key, start, len(payload))
        return packet[:header] + bytes(a ^ b for a, b in zip(payload, stream, strict=True))

    def _tag(self, packet: bytes, rollover: int) -> bytes:
        return hmac.new(self._auth, packet + rollover.to_bytes(4, "big"), hashlib.sha1).digest()[:TAG]

    def _rollover_of(self, packet: bytes) -> int:
        sequence = int.from_bytes(packet[2:4], "big")
        if self._highest is not None and self._highest - sequence > 0x8000:
            self._rollover += 1
        self._highest = sequence
        return self._rollover

    def protect(self, packet: bytes) -> bytes:
        """An RTP packet with a plain header of 12 bytes, encrypted and signed."""
        rollover = self._rollover_of(packet)
        sealed = self._crypt(packet, rollover, packet[12:], 12)
        return sealed + self._tag(sealed, rollover)

    def open(self, packet: bytes) -> bytes:
        """Decrypt and return the packet. Raises SrtpError."""
        sealed, tag = packet[:-TAG], packet[-TAG:]
        rollover = self._rollover_of(packet)
        if len(packet) < 12 + TAG or not hmac.compare_digest(tag, self._tag(sealed, rollover)):
            raise SrtpError("the signature is not of this key")
        header = 12 + 4 * (sealed[0] & 15)
        return self._crypt(sealed, rollover, sealed[header:], header)


def _keystream(key: bytes, start: int, length: int) -> bytes:
    cipher = Cipher(algorithms.AES(key), modes.CTR(start.to_bytes(16, "big"))).encryptor()
    return cipher.update(bytes(length))
