"""How large an answer may be that goes to an address which nobody has proven.

The source of a datagram may be forged, and then the answer is somebody else's to bear. Nobody is left without
an answer because of its size; but what is larger than its request is made as small as it can be said, and a
source gets so many of those a second and no more.
"""

from dataclasses import replace
from typing import Final

from b2bua.sip.flow import Output, Send
from b2bua.sip.message import Response, make_compact, parse_message
from b2bua.token_buckets import TokenBuckets

__all__ = ["LARGER_PER_S", "Amplification"]

FACTOR: Final = 3
"""Of a request's bytes: an answer beyond it goes without all challenges but the first, the strongest."""
LARGER_PER_S: Final = 20.0
"""Answers to one source that are larger than their requests."""


class Amplification:
    """See the module's docstring. Thread: the edge's loop."""

    def __init__(self) -> None:
        self._larger = TokenBuckets(LARGER_PER_S)

    def bound(self, outputs: list[Output], size: int, host: str, now: float) -> list[Output]:
        """What may go out of ``outputs``, which a datagram of ``size`` bytes from a stranger has led to."""
        return [each for output in outputs for each in self._bounded(output, size, host, now)]

    def _bounded(self, output: Output, size: int, host: str, now: float) -> list[Output]:
        if not isinstance(output, Send) or output.to.side == "inner" or len(output.data) <= size:
            return [output]
        data = _smaller(output.data, size * FACTOR)
        if len(data) > size and self._larger.take(host, now) is not True:
            return []
        return [replace(output, data=data)]


def _smaller(data: bytes, most: int) -> bytes:
    """Our answer in as few bytes as it can be said in (RFC 3261 §7.3.3)."""
    response = parse_message(data)
    assert isinstance(response, Response)
    make_compact(response)
    data = response.to_bytes()
    if len(data) <= most:
        return data
    challenges = [header for header in response.headers if header.name == "www-authenticate"]
    response.headers = [header for header in response.headers if header not in challenges[1:]]
    return response.to_bytes()
