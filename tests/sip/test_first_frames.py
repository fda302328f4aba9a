"""Every prompt is heard from its first frame to its last, also when the node's processes are late."""

import asyncio
import os
import signal
from typing import Any

import numpy as np
import pytest

from tests.peer.call import Call
from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.ports import port_block
from tests.sip.node_process import NodeProcess
from tests.sip.test_verbs import LOUD, RATE, tone_file

pytestmark = pytest.mark.sip

AT_ONCE = 10
LENGTH_S = 0.3


@pytest.fixture(scope="module")
def sections() -> dict[str, dict[str, Any]]:
    first = port_block(400)
    return {"workers": {"idle": AT_ONCE, "max": AT_ONCE + 4}, "rtp": {"ports": [first, first + 399]}}


def tone_s(call: Call) -> float:
    """How long the tone was that the caller has heard; what is missing within it does not count."""
    loud = np.flatnonzero(np.abs(call.media.hearing.heard().astype(np.int32)) > LOUD)
    return len(np.unique(loud // 8)) * 8 / RATE


async def test_a_prompt_is_heard_whole_that_is_over_when_the_edge_reads_the_answer(
    node: NodeProcess, app: WebApp, caller: Peer
) -> None:
    app.reply("/tone.wav", tone_file(800, LENGTH_S), content_type="audio/wav")
    app.reply("/voice", "<Response><Play>/tone.wav</Play><Redirect>/next</Redirect></Response>")
    app.reply("/next", "<Response><Pause length='60'/></Response>")
    before = await caller.invite(node.uri("100"))
    await app.expect("/voice")
    await app.expect("/next")  # the node has the prompt by now, so that the next call plays it at once
    await before.bye()
    gate = app.hold("/voice")
    call = await caller.invite(node.uri("100"))
    await app.expect("/voice")
    edge = node.pid_named("b2bua-edge")
    os.kill(edge, signal.SIGSTOP)
    try:
        gate.set()
        await app.expect("/next")
    finally:
        os.kill(edge, signal.SIGCONT)
    await call.expect_response(200)
    await call.media.expect_silence()
    assert tone_s(call) == pytest.approx(LENGTH_S, abs=0.02)
    await call.bye()


async def test_thirty_short_prompts_are_each_heard_whole(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer
) -> None:
    app.reply("/tone.wav", tone_file(800, LENGTH_S), content_type="audio/wav")
    app.reply(
        "/voice",
        f'<Response><Dial answerOnBridge="true"><Sip>{callee.uri()}</Sip></Dial><Play>/tone.wav</Play>'
        "</Response>",
    )

    async def goodbye() -> float:
        call = await caller.invite(node.uri("100"))
        await call.expect_response(200)
        await call.expect("BYE")
        return tone_s(call)

    for _ in range(3):
        calls = [asyncio.ensure_future(goodbye()) for _ in range(AT_ONCE)]
        for _ in calls:
            await (await callee.expect_invite()).reject(486)
        assert await asyncio.gather(*calls) == [pytest.approx(LENGTH_S, abs=0.02)] * AT_ONCE
