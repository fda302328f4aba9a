"""Keys as tones in the audio: detected if the peer has no other way, and only while they are awaited."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from b2bua.core.commands import AnswerLeg, EndSession, ListenForKeys
from b2bua.core.events import DtmfReceived, LegConfirmed, LegEnded, LegIncoming
from b2bua.core.ids import LegId
from b2bua.engine.protocol import SessionDone
from tests.peer.call import Call
from tests.peer.peer import Peer
from tests.peer.rtp import MediaOptions
from tests.sip.worker_process import FROM_EDGE, WorkerProcess, run_worker_process
from tests.unit.media.dtmf_sounds import key_sound, pause

pytestmark = pytest.mark.sip


@dataclass
class Scene:
    """A caller in a worker, answered."""

    worker: WorkerProcess
    leg: LegId
    call: Call

    def listen(self, wanted: bool = True) -> None:
        self.worker.send(ListenForKeys(leg=self.leg, wanted=wanted))

    async def press(self, keys: str) -> None:
        """Send keys as tones; returns when their effects have arrived."""
        sounds = [np.concatenate([key_sound(key, 80), pause(80)]) for key in keys]
        # After a change of media a phone's first 100 ms are lost.
        self.call.media.play(np.concatenate([pause(200), *sounds]))
        await self.call.media.expect_sent(0.2 + 0.16 * len(keys) + 0.4)

    def keys(self) -> list[tuple[str, str]]:
        return [(e.digit, e.method) for e in self.worker.events if isinstance(e, DtmfReceived)]

    async def hang_up(self) -> None:
        await self.call.bye()
        await self.worker.expect(LegEnded, leg=self.leg)
        self.worker.send(EndSession())
        assert (await self.worker.expect(SessionDone)).healthy


@pytest.fixture
def telephone_event() -> int | None:
    return None


@pytest.fixture
async def scene(tmp_path: Path, telephone_event: int | None) -> AsyncIterator[Scene]:
    media = MediaOptions(telephone_event=telephone_event)
    async with Peer.start("caller", media=media) as caller, run_worker_process(tmp_path, 9) as worker:
        call = await caller.invite(f"sip:100@127.0.0.1:{worker.sip_port}", headers=FROM_EDGE)
        leg = (await worker.expect(LegIncoming)).leg
        worker.send(AnswerLeg(leg=leg))
        await call.expect_response(200)
        await worker.expect(LegConfirmed, leg=leg)
        yield Scene(worker, leg, call)


async def test_tones_are_keys_for_who_listens(scene: Scene) -> None:
    scene.listen()
    await scene.press("1470*#")
    assert scene.keys() == [(key, "inband") for key in "1470*#"]
    await scene.hang_up()


async def test_nobody_listens_nothing_is_heard(scene: Scene) -> None:
    await scene.press("1")
    scene.listen()
    await scene.press("2")
    scene.listen(False)
    await scene.press("3")
    scene.listen()
    await scene.press("4")
    assert [key for key, _ in scene.keys()] == ["2", "4"]
    await scene.hang_up()


@pytest.mark.parametrize("telephone_event", [101])
async def test_a_leg_with_telephone_event_is_not_listened_to(scene: Scene) -> None:
    scene.listen()
    await scene.press("1")
    await scene.call.media.send_digit("2")
    await scene.worker.expect(DtmfReceived)
    assert scene.keys() == [("2", "rfc4733")]
    await scene.hang_up()


async def test_a_leg_that_has_sent_info_is_not_listened_to(scene: Scene) -> None:
    scene.listen()
    await scene.call.info_dtmf("1")
    await scene.worker.expect(DtmfReceived)
    await scene.press("2")
    assert scene.keys() == [("1", "info")]
    await scene.hang_up()


async def test_a_key_that_comes_as_tone_and_as_info_is_one(scene: Scene) -> None:
    scene.listen()
    await scene.press("1")
    await scene.call.info_dtmf("1")
    await scene.call.info_dtmf("2")
    await scene.worker.expect(DtmfReceived, digit="2")
    assert scene.keys() == [("1", "inband"), ("2", "info")]
    await scene.hang_up()


async def test_what_was_said_before_somebody_listened_is_not_heard(scene: Scene) -> None:
    scene.call.media.play(np.concatenate([key_sound("7", 1000), pause(1000)]))
    await scene.call.media.expect_sent(1.3)
    scene.listen()
    await scene.press("1")
    assert [key for key, _ in scene.keys()] == ["1"]
    await scene.hang_up()


async def test_listening_goes_on_after_hold_and_at_another_port(scene: Scene) -> None:
    scene.listen()
    await scene.call.hold()
    await scene.call.resume()
    await scene.press("1")
    await scene.call.reinvite(new_port=True)
    await scene.press("2")
    assert [key for key, _ in scene.keys()] == ["1", "2"]
    await scene.hang_up()
