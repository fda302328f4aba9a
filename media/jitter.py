"""The jitter buffer of one participant: packets in as they come, one frame of 20 ms out at every tick.

What it plays is delayed so that the latest packets of the last seconds are still in time, and by no more: the
margin of a packet is the time between its arrival and its turn. The smallest margin of a window is held
between ``fixed_s`` and MOST_SPARE_S above it, by leaving a frame out or by repeating one; that is done in a
pause of the voice, and without one only when the margin is two frames off. So different clocks are evened out
(100 ppm are a frame in 200 s), equal clocks never lose or gain a frame, and the delay does not grow for good.

A frame that is lost is concealed. When nothing is there at all, the play-out waits: a late packet is then
still played, and the wait becomes a part of the delay, as long as packets without jitter wait no longer than
``most_s`` and what the clocks are allowed. Nothing here does I/O
or knows a clock. Source: RFC 3550 §5.1 (sequence numbers and timestamps wrap).
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from media.concealment import HISTORY, Concealment
from media.g711 import PCMA, PCMU, decode, encode

__all__ = ["FRAME", "FRAME_S", "JitterBuffer"]

FRAME: Final = 160
"""Samples, and bytes, of a frame."""
FRAME_S: Final = 0.02
_RATE: Final = 8000
_MOST_SPARE_S: Final = 0.03
"""Margin above ``fixed_s`` beyond which a frame is left out: more than one frame, so that one change never
asks for its opposite."""
_URGENT_S: Final = 0.04
"""So far off, a frame is left out or repeated within speech."""
_WINDOW: Final = 125
"""Packets (2.5 s) of each half of the window."""
_MOST_WAIT: Final = 5
"""Frames by which late packets may shift the play-out at once."""
_MOST_S: Final = 0.1
_MOST_FRAMES: Final = 50
"""Frames that are kept; a flood of packets pushes out the oldest."""
_JUMP: Final = 2 * _RATE
"""A timestamp so far from the last one begins a new stream."""
_EARLY_S: Final = 0.04
_EARLY: Final = 10
"""So many packets in a row that are earlier by so much: it is the play-out that has stood still."""
_QUIET: Final = 100.0
"""Mean magnitude of a frame that counts as a pause: -50 dBFS."""
_SILENCE: Final = {PCMU: b"\xff" * FRAME, PCMA: b"\xd5" * FRAME}

Samples = npt.NDArray[np.int16]


class JitterBuffer:
    """The packets of one participant.

    Args:
        law: PCMU or PCMA.
        fixed_s: the least margin, 0..0.06 s: delay for jitter that has not been seen yet.
        most_s: the most jitter that is waited for, 0..0.1 s; packets with more are lost.
    """

    def __init__(self, law: int, fixed_s: float = 0.0, most_s: float = _MOST_S) -> None:
        self.played = 0
        """Frames that were played as they came."""
        self.concealed = 0
        """Frames that were missing at their turn while the stream ran, and were concealed."""
        self.dropped = 0
        """Frames that were left out, or came too late to be played."""
        self.repeated = 0
        """Frames that were played twice."""
        self._law = law
        self._fixed_s = fixed_s
        self._longest_s = fixed_s + most_s + _MOST_SPARE_S
        """Margin that packets without jitter may have."""
        self._early_s = self._longest_s + _EARLY_S
        self._early = 0
        """Packets in a row with a larger margin."""
        self._frames: dict[int, bytes] = {}
        """Payloads by their timestamp, counted on beyond 32 bits."""
        self._parts: dict[int, bytearray] = {}
        """Frames of which a packet has brought a part."""
        self._head: int | None = None
        """Timestamp of the next frame; None: nothing has come yet."""
        self._start_at: float | None = None
        """Play-out begins with the first tick from then on; None: it has begun."""
        self._waited = 0
        """Ticks for which the head has waited for a packet."""
        self._taken_at = 0.0
        self._newest = 0
        self._margins = [np.inf, np.inf]
        """The least margin of the last window and of the one that runs."""
        self._longest = [-np.inf, -np.inf]
        """The largest margin, likewise: that of packets without jitter."""
        self._refused = 0
        """Frames in a row that were later than is waited for."""
        self._count = 0
        self._wish = 0
        """1: a frame is to be repeated; -n: so many are to be left out."""
        self._urgent = False
        self._recent = (_SILENCE[law], _SILENCE[law])
        self._lost: Concealment | None = None

    # --- packets ---

    def put(self, timestamp: int, payload: bytes, at: float) -> None:
        """Take a packet.

        Args:
            timestamp: of RTP, 32 bits.
            payload: G.711, any number of bytes; normally one frame.
            at: time of arrival, by the clock of ``take``.
        """
        # The usual packet is the next one, of one frame, and neither earlier nor later than others before it.
        first = self._newest + FRAME
        head = self._head
        if (
            timestamp == first & 0xFFFFFFFF
            and head is not None
            and self._start_at is None
            and len(payload) == FRAME
            and (ahead := first - head) >= 0
            and not ahead % FRAME
            and not self._parts
            and self._frames
            and self._count < _WINDOW - 1
        ):
            margin = self._taken_at + FRAME_S - at + (ahead - self._waited * FRAME) / _RATE
            if 0.0 <= self._margins[1] <= margin <= self._longest[1] and margin < self._early_s:
                self._newest = first
                self._frames[first] = payload
                self._count += 1
                return
        if not payload or len(payload) > _MOST_FRAMES * FRAME:
            return
        first = self._counted_on(timestamp)
        if self._head is None or abs(first - self._newest) > _JUMP:
            self._begin(first, at)
        assert self._head is not None
        self._newest = max(self._newest, first) if self._frames or self._parts else first
        if self._start_at is None:
            self._measure(first, at)
        elif self._head - _MOST_WAIT * FRAME <= first < self._head:
            self._head = first  # the first packets have changed places
        if len(payload) == FRAME and (first - self._head) % FRAME == 0:
            self._keep(first, payload)
        else:
            self._split(first, payload)

    def _counted_on(self, timestamp: int) -> int:
        """Return the timestamp without its wrap at 32 bits, near the newest one."""
        return self._newest + ((timestamp - self._newest + 0x80000000) & 0xFFFFFFFF) - 0x80000000

    def _begin(self, first: int, at: float) -> None:
        """Start, or start anew, with a packet."""
        self._frames.clear()
        self._parts.clear()
        self._head = self._newest = first
        self._waited = self._wish = self._count = 0
        self._margins = [np.inf, np.inf]
        self._longest = [-np.inf, -np.inf]
        # In the middle of what is allowed: between 5 and 25 ms above the least margin.
        self._start_at = at + self._fixed_s + 0.005

    def _keep(self, first: int, payload: bytes) -> None:
        assert self._head is not None
        if first < self._head:
            self.dropped += 1
            return
        self._frames[first] = payload
        if len(self._frames) > _MOST_FRAMES:
            oldest = min(self._frames)
            del self._frames[oldest]
            self.dropped += 1
            self._head = max(self._head, oldest + FRAME)

    def _split(self, first: int, payload: bytes) -> None:
        """Keep a packet of another length, or between the frames, in the frames that it is a part of."""
        assert self._head is not None
        begin = first - (first - self._head) % FRAME
        for frame in range(begin, first + len(payload), FRAME):
            low, high = max(first, frame), min(first + len(payload), frame + FRAME)
            part = self._parts.setdefault(frame, bytearray(_SILENCE[self._law]))
            part[low - frame : high - frame] = payload[low - first : high - first]
            self._keep(frame, bytes(part))
            if high == frame + FRAME or len(self._parts) > _MOST_FRAMES:
                self._parts.pop(min(self._parts))

    # --- margins ---

    def _measure(self, first: int, at: float) -> None:
        """Note how long before its turn a packet has come, and judge the delay at the end of a window."""
        assert self._head is not None
        # A packet between two frames is needed for the first of them.
        ahead = (first - self._head) // FRAME * FRAME - self._waited * FRAME
        # More lateness than the play-out is shifted for does not count: a stall is no jitter.
        # The difference of times comes first: where it is nothing, margins are the same to the bit.
        margin = max(self._taken_at + FRAME_S - at + ahead / _RATE, -_MOST_WAIT * FRAME_S)
        if margin < self._margins[1]:
            self._margins[1] = margin
        if margin > self._longest[1]:
            self._longest[1] = margin
        self._early = self._early + 1 if margin >= self._early_s else 0
        if self._early == _EARLY:
            self._early = 0
            self._wish, self._urgent = -int((margin - self._fixed_s - _MOST_SPARE_S) / FRAME_S), True
        if (
            margin < 0 and self._frames_to_spare()
        ):  # it is too late, and others will be: the next pause is soon enough
            self._wish, self._urgent = 1, margin < -_URGENT_S
        self._count += 1
        if self._count == _WINDOW:
            self._judge()

    def _judge(self) -> None:
        least = min(self._margins) - self._fixed_s
        self._margins = [self._margins[1], np.inf]
        self._count = 0
        may_grow = self._frames_to_spare() > 0
        self._longest = [self._longest[1], -np.inf]
        if not np.isfinite(least):
            return
        off = least - _MOST_SPARE_S if least > _MOST_SPARE_S else min(least, 0.0)
        self._wish = -int(off / FRAME_S) - 1 if off > 0 else 1 if off < 0 and may_grow else 0
        self._urgent = abs(off) > _URGENT_S

    def _shift(self, frames: int) -> None:
        """Note that the play-out is ``frames`` later than before."""
        self._margins = [margin + frames * FRAME_S for margin in self._margins]
        self._longest = [margin + frames * FRAME_S for margin in self._longest]

    def _frames_to_spare(self) -> int:
        """Return by how many frames the play-out may become later."""
        longest = max(self._longest)
        if longest == -np.inf:
            longest = _MOST_SPARE_S
        return min(max(int((self._longest_s - longest) / FRAME_S), 0), _MOST_WAIT)

    # --- frames ---

    def take(self, now: float) -> bytes:
        """Return the frame for the tick at ``now``: FRAME bytes of G.711."""
        self._taken_at = now
        if self._start_at is not None and now >= self._start_at:
            self._start_at = None
        if self._head is None or self._start_at is not None:
            return _SILENCE[self._law]
        payload = None if self._waited else self._frames.pop(self._head, None)
        payload = payload or self._after_gap()
        if payload is None:
            return self._conceal()
        self._waited = 0
        self._parts.pop(self._head, None)
        self._head += FRAME
        self.played += 1
        if self._wish:
            payload = self._adjusted(payload)
        if self._lost is not None:
            payload = encode(self._law, self._lost.rejoin(self._decoded(payload)))
            self._lost = None
        self._recent = (self._recent[1], payload)
        return payload

    def _after_gap(self) -> bytes | None:
        """Return the frame that follows what the head has waited for, if its turn has come."""
        assert self._head is not None
        if not self._frames:
            self._waited += 1
            return None
        first = min(self._frames)
        due = self._head + self._waited * FRAME
        if first > due:  # what was due is lost
            self._head = due + FRAME
            self._waited = 0
            return None
        late = (due - first) // FRAME
        if late > (most := self._frames_to_spare()):  # a long stall is not made up for by a long delay
            first = self._skip_to(due - most * FRAME)
            late = (due - first) // FRAME
            if late > most and self._refused < _MOST_WAIT:
                self._refused += 1
                self._waited += 1
                self.dropped += 1
                del self._frames[first]
                return None
        self._refused = 0
        if late:
            self._shift(late)
            self._wish = 0
        self._head = first
        return self._frames.pop(first)

    def _skip_to(self, start: int) -> int:
        """Leave out the frames before ``start``, but not the newest one; return the first that remains."""
        for timestamp in sorted(self._frames)[:-1]:
            if timestamp < start:
                del self._frames[timestamp]
                self.dropped += 1
        return min(self._frames)

    def _conceal(self) -> bytes:
        if self._lost is None:
            history = np.concatenate([self._decoded(each) for each in self._recent])
            self._lost = Concealment(history[-HISTORY:])
        if self._lost.silent:
            return _SILENCE[self._law]
        self.concealed += 1
        return encode(self._law, self._lost.next(FRAME))

    def _adjusted(self, payload: bytes) -> bytes:
        """Leave out or repeat this frame if a pause, or need, allows it."""
        assert self._head is not None
        # Repeated, it ends as the frame before it, whose continuation follows once more; otherwise it ends as
        # the frame after it, which is left out.
        other = self._recent[1] if self._wish > 0 else self._frames.get(self._head)
        if other is None:
            return payload
        both = self._decoded(payload), self._decoded(other)
        if not self._urgent and max(np.abs(each.astype(np.int32)).mean() for each in both) > _QUIET:
            return payload
        if self._wish > 0:
            self.repeated += 1
            self._head -= FRAME
            self._frames[self._head] = payload
            self._shift(1)
            self._wish = 0
        else:
            self.dropped += 1
            del self._frames[self._head]
            self._head += FRAME
            self._shift(-1)
            self._wish += 1
        return encode(self._law, _blended(*both))

    def _decoded(self, payload: bytes) -> Samples:
        return decode(self._law, np.frombuffer(payload, np.uint8))


def _blended(first: Samples, second: Samples) -> Samples:
    """Return a frame that begins as ``first`` and ends as ``second``."""
    weight = (np.arange(FRAME, dtype=np.float32) + 0.5) / FRAME
    return (first * (1 - weight) + second * weight).astype(np.int16)
