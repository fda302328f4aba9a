"""``<Dial record>`` from the document to the file: modes, callbacks, faults."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import numpy.typing as npt
import pytest
import pytest_asyncio

from tests.peer.call import Call
from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.sip.node_process import NodeProcess, config_text, run_node

pytestmark = [pytest.mark.sip, pytest.mark.asyncio(loop_scope="module")]

Samples = npt.NDArray[np.int16]
Dial = Callable[..., None]
RATE = 8000
PARENT_HZ, CHILD_HZ = 440.0, 660.0


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def app() -> AsyncIterator[WebApp]:
    async with WebApp.start() as app:
        app.reply("/after", "<Response/>")
        app.reply("/recorded", "", status=204)
        yield app


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def node(app: WebApp, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NodeProcess]:
    folder = tmp_path_factory.mktemp("node")
    async with run_node(folder, config_text({"*": {"voice_url": app.url("/voice")}})) as node:
        yield node


@pytest_asyncio.fixture(loop_scope="module")
async def caller() -> AsyncIterator[Peer]:
    async with Peer.start("caller") as peer:
        yield peer


@pytest_asyncio.fixture(loop_scope="module")
async def callee() -> AsyncIterator[Peer]:
    async with Peer.start("callee") as peer:
        yield peer


@pytest.fixture
def dial(app: WebApp) -> Dial:
    def set_document(target: Peer, **attributes: str) -> None:
        given = {
            "action": app.url("/after"),
            "recordingStatusCallback": app.url("/recorded"),
            "recordingStatusCallbackEvent": "in-progress completed absent",
            **attributes,
        }
        words = "".join(f' {name}="{value}"' for name, value in given.items())
        app.reply("/voice", f"<Response><Dial{words}><Sip>{target.uri()}</Sip></Dial></Response>")

    return set_document


@asynccontextmanager
async def talking(node: NodeProcess, caller: Peer, callee: Peer) -> AsyncIterator[tuple[Call, Call]]:
    """A bridged call in which each end sends its tone; hung up at the end."""
    call = await caller.invite(node.uri("100"))
    incoming = await callee.expect_invite()
    await incoming.answer()
    await call.expect_response(200)
    call.media.play_tone(PARENT_HZ)
    incoming.media.play_tone(CHILD_HZ)
    await call.media.expect_tone(CHILD_HZ)
    await incoming.media.expect_tone(PARENT_HZ)
    yield call, incoming
    await call.bye()


async def test_dual_from_answer_is_told_and_has_each_on_its_channel(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, record="record-from-answer-dual")
    async with talking(node, caller, callee):
        begun = await app.expect("/recorded")
        assert begun["RecordingStatus"] == "in-progress"
    done = await app.expect("/recorded")
    assert done["RecordingStatus"] == "completed"
    print(done)
