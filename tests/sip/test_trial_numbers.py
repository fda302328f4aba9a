"""A node without configured numbers: its built-in numbers."""

from collections.abc import AsyncIterator

import pytest

from tests.peer.call import Call
from tests.peer.peer import Peer
from tests.sip.node_process import NodeProcess, config_text, run_node

pytestmark = pytest.mark.sip


@pytest.fixture(scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NodeProcess]:
    async with run_node(tmp_path_factory.mktemp("trial"), config_text({})) as node:
        yield node


async def answered(node: NodeProcess, caller: Peer, user: str) -> Call:
    call = await caller.invite(node.uri(user))
    await call.expect_response(200)
    return call


async def test_600_is_an_echo(node: NodeProcess, caller: Peer) -> None:
    call = await answered(node, caller, "600")
    call.media.play_tone(440)
    await call.media.expect_tone(440)
    await call.bye()


async def test_601_rings_as_in_the_world(node: NodeProcess, caller: Peer) -> None:
    call = await answered(node, caller, "601")
    await call.media.expect_tone(400)  # 400 and 450 Hz: Great Britain
    await call.media.expect_tone(450)
    await call.bye()


async def test_602_plays_back_what_was_said(node: NodeProcess, caller: Peer) -> None:
    call = await answered(node, caller, "602")
    await call.media.expect_tone(1000)
    await call.media.expect_silence()
    call.media.play_tone(440)
    await call.media.expect_heard(len(call.media.heard()) / 8000 + 1.0)
    call.media.silence()
    await call.media.expect_tone(440)
    await call.bye()
