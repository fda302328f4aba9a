"""Recordings that the relay has made, wholly or until a worker took over: finished, also after a crash."""

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from b2bua.calls.orders import KeepRecording
from b2bua.calls.recording_placement import HostPart
from b2bua.calls.recording_plan import PauseSpan
from media.measure import goertzel_dbfs
from tests.node.recording_scene import Scene, full_disk
from tests.unit.media.raw_files import tone, write_raw
from tests.unit.media.relay_files import header

pytestmark = pytest.mark.process

RATE = 8000


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    scene = Scene(tmp_path / "recordings")
    scene.start()
    yield scene
    await scene.recordings.close(5)


def sound_of(scene: Scene, order: KeepRecording) -> npt.NDArray[np.int16]:
    samples, rate = soundfile.read(scene.folder / f"{order.recording}.wav", dtype="int16", always_2d=True)
    assert rate == RATE
    return samples


def taken_over(scene: Scene, order: KeepRecording, at_s: float, seconds: float) -> None:
    write_raw(Path(f"{order.stem}.worker.parent.wav"), tone(550, seconds), closed=False)
    write_raw(Path(f"{order.stem}.worker.child.wav"), tone(880, seconds), closed=False)
    scene.recordings.take_over(HostPart(recording=order.recording, at_s=at_s))


async def test_one_of_the_relays_is_as_long_as_it_lasted_and_leaves_nothing(scene: Scene) -> None:
    order = scene.begin()
    scene.relay(order, 2.0)
    scene.finish(order, PauseSpan(start_s=0.5, end_s=1.0, behavior="skip"), duration_s=3.0)
    answer = await scene.answer()
    assert (answer.status, answer.duration_s) == ("completed", 2.5)
    sound = sound_of(scene, order)
    assert goertzel_dbfs(sound[: RATE // 2, 0], 440, RATE) == pytest.approx(-12.0, abs=0.2)
    assert goertzel_dbfs(sound[: RATE // 2, 1], 660, RATE) == pytest.approx(-12.0, abs=0.2)
    assert not sound[-RATE:].any()
    await scene.recordings.close(5)
    assert scene.raw() == []


async def test_what_a_worker_took_over_is_where_it_was_recorded(scene: Scene) -> None:
    order = scene.begin()
    scene.relay(order, 1.1)
    taken_over(scene, order, at_s=1.0, seconds=2.0)
    scene.finish(order, duration_s=3.0)
    assert (await scene.answer()).duration_s == 3.0
    sound = sound_of(scene, order)
    for channel, before, after in ((0, 440, 550), (1, 660, 880)):
        assert goertzel_dbfs(sound[:RATE, channel], before, RATE) == pytest.approx(-12.0, abs=0.2)
        assert goertzel_dbfs(sound[RATE:, channel], after, RATE) == pytest.approx(-12.0, abs=0.2)
    await scene.recordings.close(5)
    assert scene.raw() == []


async def test_a_killed_node_leaves_both_kinds_to_the_next(tmp_path: Path) -> None:
    first = Scene(tmp_path / "recordings")
    first.start()
    relayed, mixed, workers = first.begin(1), first.begin(2), first.begin(3)
    raw = first.relay(relayed, 2.0)
    raw.write_bytes(raw.read_bytes()[:-50])
    first.relay(mixed, 1.0)
    taken_over(first, mixed, at_s=1.5, seconds=1.0)
    first.record(workers, 1.0, closed=False)
    first.crash()
    second = Scene(first.folder)
    second.start()
    await second.recordings.close(10)
    assert [(each["call"], each["RecordingStatus"]) for each in second.told] == [
        (call, "completed") for call in ("CA1", "CA2", "CA3")
    ]
    # The last packet was cut.
    assert [len(sound_of(first, order)) / RATE for order in (relayed, mixed, workers)] == [2.0, 2.5, 1.0]
    assert not sound_of(first, mixed)[RATE + 200 : RATE * 3 // 2].any()
    assert second.raw() == []
    assert list((first.folder / ".raw").iterdir()) == []


async def test_two_parties_that_say_nothing_have_a_silent_recording(scene: Scene) -> None:
    order = scene.begin()
    scene.leave(order, header())
    scene.finish(order, duration_s=2.0)
    assert (await scene.answer()).duration_s == 2.0
    assert not sound_of(scene, order).any()


@pytest.mark.parametrize("content", [None, b""])
async def test_one_that_the_relay_could_not_write_is_absent(scene: Scene, content: bytes | None) -> None:
    order = scene.begin()
    if content is not None:
        scene.leave(order, content)
    scene.finish(order, duration_s=2.0, reason="No space left on device")
    assert (await scene.answer()).status == "absent"
    assert scene.told[-1]["ErrorCode"] == "12400"
    assert scene.told[-1]["ErrorMessage"] == "No space left on device"


async def test_a_full_disk_keeps_what_was_recorded(scene: Scene) -> None:
    order = scene.begin()
    scene.relay(order)
    with full_disk():
        scene.finish(order, duration_s=1.0)
        assert (await scene.answer()).status == "absent"
    assert scene.told[-1]["ErrorCode"] == "12400"
    assert sorted(scene.raw()) == [f"{order.recording}.json", f"{order.recording}.rtp"]


async def test_a_raw_file_without_its_beginning_is_absent_with_the_reason(scene: Scene) -> None:
    order = scene.begin()
    scene.leave(order, b"not ours" * 10)
    scene.finish(order, duration_s=1.0)
    assert (await scene.answer()).status == "absent"
    assert "not a raw file" in scene.told[-1]["ErrorMessage"]
