"""What the caller hears when a callee announces early media, and sends them or not."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from media.measure import on_off_ms
from tests.peer.call import Call
from tests.peer.peer import Peer
from tests.peer.rtp import Media
from tests.peer.tones import Samples, tone_dbfs
from tests.sip.node_process import NodeProcess

pytestmark = pytest.mark.sip

Dial = Callable[..., None]
RING_HZ = (400, 450)
"""British ringback, whose cadence is short."""
CADENCE_MS = (400, 200, 400, 2000)
CALLEE_HZ = 700
FRAME = 160


@pytest.fixture(scope="module")
def sections() -> dict[str, dict[str, Any]]:
    return {"dial": {"ringtone": "uk"}}


async def early(callee: Peer) -> Call:
    """The callee sends 183 with SDP, and no packet."""
    incoming = await callee.expect_invite()
    incoming.media.stop()
    await incoming.progress()
    return incoming


async def expect_ringback(media: Media) -> None:
    for hz in RING_HZ:
        await media.expect_tone(hz, min_dbfs=-28)


def heard_after(media: Media, hz: float, since: float) -> float:
    """Seconds from a time until this tone began to arrive."""
    begin = media.hearing.position(since)
    audio = media.heard()[begin:]
    for at in range(0, len(audio) - FRAME, FRAME // 2):
        if tone_dbfs(audio[at : at + FRAME], hz) > -25:
            return at / 8000
    raise AssertionError(media.describe())


def one_packet(media: Media) -> None:
    """Packets that keep a NAT binding open, and contain no audio."""

    def once(at: int) -> Samples:
        media.stop()
        return np.zeros(FRAME, np.int16)

    media.play_source(once)


@pytest.mark.parametrize("answer_on_bridge", ["true", "false"])
async def test_ringback_goes_on_until_early_media_come_and_again_when_they_stop(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial, answer_on_bridge: str
) -> None:
    dial(callee, answerOnBridge=answer_on_bridge)
    call = await caller.invite(node.uri("100"))
    incoming = await early(callee)
    await call.expect_response(183 if answer_on_bridge == "true" else 200)
    await expect_ringback(call.media)
    delays_s = []
    for _ in range(3):
        begun = time.monotonic()
        incoming.media.play_tone(CALLEE_HZ)
        await call.media.expect_tone(CALLEE_HZ)
        delays_s.append(heard_after(call.media, CALLEE_HZ, begun))
        assert not any(call.media.has_tone(hz, min_dbfs=-35) for hz in RING_HZ)
        begun = time.monotonic()
        incoming.media.stop()
        await expect_ringback(call.media)
        # At once, and not where the cadence stood: that may be in the middle of a pause.
        assert heard_after(call.media, RING_HZ[0], begun) < 1.9
    assert min(delays_s) < 0.2, delays_s  # the others may have waited for a busy machine
    await incoming.answer()
    incoming.media.play_tone(CALLEE_HZ)
    call.media.play_tone(440)
    await call.media.expect_tone(CALLEE_HZ)
    await incoming.media.expect_tone(440)
    await call.media.expect_no_tone(RING_HZ[0])
    await call.bye()


async def test_a_promise_of_media_and_single_packets_leave_the_cadence_alone(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee)
    call = await caller.invite(node.uri("100"))
    incoming = await callee.expect_invite()
    await incoming.ring()
    await call.expect_response(200)
    await expect_ringback(call.media)
    incoming.media.stop()
    await incoming.progress()
    for _ in range(3):
        one_packet(incoming.media)
        length_s = len(call.media.heard()) / 8000
        await call.media.expect_heard(length_s + 2.2)
    assert incoming.media.sent == 3
    measured = on_off_ms(call.media.heard(), 8000)
    assert len(measured) > len(CADENCE_MS) + 2
    for have, want in zip(measured[:-1], CADENCE_MS * 3, strict=False):
        assert abs(have - want) <= 25, measured
    await call.bye()


async def test_media_that_go_on_after_a_180_are_not_heard(
    node: NodeProcess, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee)
    call = await caller.invite(node.uri("100"))
    incoming = await callee.expect_invite()
    incoming.media.play_tone(CALLEE_HZ)
    await incoming.progress()
    await call.expect_response(200)
    await call.media.expect_tone(CALLEE_HZ)
    await incoming.ring()
    await expect_ringback(call.media)
    await call.media.expect_no_tone(CALLEE_HZ)
    await call.bye()
