"""Orders to a worker about a recording wait until its note is written."""

import asyncio

import pytest

from b2bua.core.commands import EndSession, HangupLeg, LegCommand, RecordLegs, StartRecording, StopRecording
from b2bua.core.ids import LegId
from b2bua.node.recorder_orders import RecorderOrders

pytestmark = pytest.mark.unit

ANN, BOB = LegId("ann"), LegId("bob")
START = StartRecording(recording="RE1", stem="/raw/RE1", parent=ANN)
LEGS = RecordLegs(recording="RE1", parent=ANN, child=BOB)
STOP = StopRecording(recording="RE1")
OTHER = StartRecording(recording="RE2", stem="/raw/RE2", parent=ANN)
HANGUP = HangupLeg(leg=BOB, sip_code=486)


class Scene:
    def __init__(self) -> None:
        self.sent: list[LegCommand] = []
        self.orders = RecorderOrders()
        self.noted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.orders.hold("RE1", self.noted)

    def send(self, *orders: LegCommand) -> None:
        self.orders.send(lambda *sent: self.sent.extend(sent), orders)

    async def note(self, error: Exception | None = None) -> None:
        if error is None:
            self.noted.set_result(None)
        else:
            self.noted.set_exception(error)
        await asyncio.sleep(0)  # callbacks of a future come in the loop's next round


@pytest.fixture
async def scene() -> Scene:
    return Scene()


async def test_it_is_sent_in_order_when_it_is_noted_and_nothing_else_waits(scene: Scene) -> None:
    scene.send(START, HANGUP, OTHER)
    scene.send(LEGS)
    assert scene.sent == [HANGUP, OTHER]
    await scene.note()
    assert scene.sent == [HANGUP, OTHER, START, LEGS]
    scene.send(STOP)
    assert scene.sent[-1] == STOP


async def test_a_note_that_cannot_be_written_does_not_cost_the_recording(scene: Scene) -> None:
    scene.send(START)
    await scene.note(OSError("full"))
    assert scene.sent == [START]


async def test_one_that_is_given_up_meanwhile_is_not_begun(scene: Scene) -> None:
    scene.send(START, STOP)
    scene.orders.drop("RE1")
    await scene.note()
    assert scene.sent == []


async def test_nothing_comes_after_the_end_of_the_session(scene: Scene) -> None:
    scene.send(START)
    scene.send(EndSession())
    await scene.note()
    assert scene.sent == [EndSession()]
