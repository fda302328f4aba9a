"""Limit on the size of answers to unproven source addresses.

The source of a datagram may be forged, and then its answer hits a third party. No answer is withheld for its
size alone; but an answer larger than its request is made as small as possible, and each source gets a limited
number of such answers per second.
"""

from typing import Final

from msgspec import structs

from b2bua.sip.flow import Output, Send
from b2bua.sip.message import Response, make_compact, parse_message
from b2bua.token_buckets import TokenBuckets

__all__ = ["LARGER_PER_S", "Amplification"]

FACTOR: Final = 3
"""Multiple of the request's size in bytes: a larger answer keeps only its first challenge, the strongest."""
LARGER_PER_S: Final = 20.0
"""Answers per second to one source that may be larger than their requests."""


class Amplification:
    """Bounds the answers to datagrams from unproven sources. Thread: the edge's loop."""

    def __init__(self) -> None:
        self._larger = TokenBuckets(LARGER_PER_S)

    def bound(self, outputs: list[Output], size: int, host: str, now: float) -> list[Output]:
        """Return those of ``outputs`` that may be sent for a datagram of ``size`` bytes from a stranger."""
        return [each for output in outputs for each in self._bounded(output, size, host, now)]

    def _bounded(self, output: Output, size: int, host: str, now: float) -> list[Output]:
        if not isinstance(output, Send) or output.to.side == "inner" or len(output.data) <= size:
            return [output]
        data = _smaller(output.data, size * FACTOR)
        if len(data) > size and self._larger.take(host, now) is not True:
            return []
        return [structs.replace(output, data=data)]


def _smaller(data: bytes, most: int) -> bytes:
    """Return our answer in compact form (RFC 3261 §7.3.3); above ``most`` bytes, with one challenge only."""
    response = parse_message(data)
    assert isinstance(response, Response)
    make_compact(response)
    data = response.to_bytes()
    if len(data) <= most:
        return data
    challenges = [header for header in response.headers if header.name == "www-authenticate"]
    response.headers = [header for header in response.headers if header not in challenges[1:]]
    return response.to_bytes()
