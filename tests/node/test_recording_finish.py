"""A node's recordings alone: made in order, reported, and recovered after failures."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import soundfile

from b2bua.calls.orders import FollowRecording
from b2bua.calls.recording_plan import PauseSpan
from b2bua.core.errors import ConfigError, MediaError
from b2bua.node.journal import Journal
from b2bua.node.recordings import Recordings
from media.renderer import Merge
from tests.node.recording_scene import Scene, full_disk
from tests.unit.media.raw_files import quiet, write_raw

pytestmark = pytest.mark.process

RATE = 8000


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    scene = Scene(tmp_path / "recordings")
    scene.start()
    yield scene
    await scene.recordings.close(5)


async def test_its_life_is_written_down_and_told(scene: Scene) -> None:
    order = scene.begin()
    scene.record(order, 2.0)
    scene.finish(order, PauseSpan(start_s=0.5, end_s=1.0, behavior="skip"))
    answer = await scene.answer()
    assert (answer.status, answer.duration_s) == ("completed", 1.5)
    assert [row.status for row in scene.rows] == ["in-progress", "in-progress", "processing", "completed"]
    assert scene.rows[-1].duration_s == 2
    assert [each["RecordingStatus"] for each in scene.told] == ["in-progress", "completed"]
    assert "RecordingDuration" not in scene.told[0]
    assert soundfile.info(scene.folder / f"{order.recording}.wav").frames == 1.5 * RATE
    await scene.recordings.close(5)
    assert scene.raw() == []


async def test_a_voicemail_whose_words_are_asked_for_is_told_without_them(scene: Scene) -> None:
    params = (("CallSid", "CA1"), ("From", "+14155550123"))
    order = scene.begin(
        callback_url="", transcribe_url="http://app.test/words", transcribe_params=params, dual=False
    )
    scene.record(order, 2.0)
    scene.finish(order)
    await scene.answer()
    (told,) = scene.told
    assert {**dict(params), "TranscriptionStatus": "failed", "TranscriptionText": ""}.items() <= told.items()
    assert told["RecordingSid"] == order.recording
    assert told["RecordingUrl"].endswith(f"/Recordings/{order.recording}")
    assert told["TranscriptionUrl"].endswith(f"/Transcriptions/{told['TranscriptionSid']}")


async def test_fifty_that_end_in_one_second_are_made_in_order_within_ten(scene: Scene) -> None:
    orders = [scene.begin(number) for number in range(1, 51)]
    for order in orders:
        scene.record(order, 30.0)
    begun = time.monotonic()
    for order in orders:
        scene.finish(order)
    done = [(await scene.answer()).recording for _ in orders]
    assert time.monotonic() - begun < 10.0
    assert done == [order.recording for order in orders]
    ended = [each["RecordingSid"] for each in scene.told if each["RecordingStatus"] == "completed"]
    assert ended == done


async def test_a_full_disk_is_absent_with_its_reason_and_keeps_what_was_said(scene: Scene) -> None:
    order = scene.begin()
    scene.record(order)
    with full_disk():
        scene.finish(order)
        assert (await scene.answer()).status == "absent"
    told = scene.told[-1]
    assert (told["RecordingStatus"], told["ErrorCode"]) == ("absent", "12400")
    assert "File too large" in told["ErrorMessage"] or "could not be written" in told["ErrorMessage"]
    assert scene.rows[-1].error_code == 12400
    assert f"{order.recording}.parent.wav" in scene.raw()
    assert not list(scene.folder.glob("*.part")) + list(scene.folder.glob(".*.part"))


async def test_a_process_that_dies_at_its_work_is_followed_by_another(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = scene.begin()
    scene.record(order)
    make, tries = scene.recordings._renderer.make, []

    async def dying(merge: Merge) -> float:
        tries.append(merge)
        if len(tries) == 1:
            raise MediaError("the process that was to make it has died")
        return await make(merge)

    monkeypatch.setattr(scene.recordings._renderer, "make", dying)
    scene.finish(order)
    assert (await scene.answer()).status == "completed"
    assert "ErrorCode" not in scene.told[-1]


async def test_what_could_not_be_written_down_is_told_once_more_by_the_next(tmp_path: Path) -> None:
    first = Scene(tmp_path / "recordings", keeps=False)
    first.start()
    order = first.begin()
    first.record(order)
    first.finish(order)
    assert (await first.answer()).status == "completed"
    await first.recordings.close(5)
    second = Scene(first.folder)
    second.start()
    await second.recordings.close(5)
    assert second.tokens == first.tokens[1:]
    assert second.raw() == []


async def test_one_that_could_not_be_begun_is_absent_with_the_workers_reason(scene: Scene) -> None:
    order = scene.begin()
    scene.finish(order, reason="No space left on device")
    assert (await scene.answer()).status == "absent"
    assert scene.told[-1]["ErrorMessage"] == "No space left on device"


async def test_nothing_but_silence_is_absent_without_an_error(scene: Scene) -> None:
    order = scene.begin(trim=True)
    for side in ("parent", "child"):
        write_raw(Path(f"{order.stem}.{side}.wav"), quiet(1.0))
    scene.finish(order)
    assert (await scene.answer()).status == "absent"
    assert "ErrorCode" not in scene.told[-1]


async def test_what_a_killed_node_leaves_is_finished_by_the_next(tmp_path: Path) -> None:
    first = Scene(tmp_path / "recordings")
    first.start()
    second = Scene(first.folder)
    second.start()  # another node, which lives, with the same folder
    running = second.begin(7)
    order = first.begin(1)
    first.record(order, closed=False)
    paused = PauseSpan(start_s=0.0, end_s=0.5, behavior="skip")
    first.recordings.follow(
        FollowRecording(recording=order.recording, status="in-progress", pauses=(paused,), began_at=None)
    )
    first.crash()

    third = Scene(first.folder)
    third.start()
    await third.recordings.close(10)
    assert [(each["call"], each["RecordingStatus"]) for each in third.told] == [("CA1", "completed")]
    assert third.tokens == [f"{order.recording}-completed"]
    assert soundfile.info(first.folder / f"{order.recording}.wav").frames == RATE // 2
    assert third.rows[-1].status == "completed"
    # The living node's is its own.
    assert third.raw() == [f"{running.recording}.json"]
    second.record(running)
    second.finish(running)
    assert (await second.answer()).status == "completed"
    await second.recordings.close(5)
    assert list((first.folder / ".raw").iterdir()) == []


async def test_a_note_that_cannot_be_read_costs_its_recording_only(tmp_path: Path) -> None:
    first = Scene(tmp_path / "recordings")
    first.start()
    good, bad = first.begin(1), first.begin(2)
    for order in (good, bad):
        first.record(order)
    first.spoil(bad)
    first.crash()
    second = Scene(first.folder)
    second.start()
    await second.recordings.close(10)
    assert [each["call"] for each in second.told] == ["CA1"]
    assert f"{bad.recording}.parent.wav" in second.raw()


@pytest.mark.parametrize("place", ["no/such", "file", "/proc/self/recordings"])
def test_a_folder_that_cannot_be_used_is_a_configuration_error(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"storage\.recordings: .*cannot be kept in"):
        Recordings(tmp_path / place, "AC1", Journal(lambda name: None)).open()


async def test_one_whose_making_fails_by_an_error_of_ours_is_absent_and_tried_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: Recordings, note: object, target: Path) -> None:
        raise RuntimeError("a bug")

    order = scene.begin()
    scene.record(order)
    with monkeypatch.context() as patch:
        patch.setattr(Recordings, "_merge", broken)
        scene.finish(order)
        answer = await scene.answer()
    assert (answer.recording, answer.status) == (order.recording, "absent")
    assert scene.rows[-1].status == "absent"
    assert [each["RecordingStatus"] for each in scene.told] == ["in-progress", "absent"]
    assert len(scene.recordings) == 0
    assert scene.raw(), "the next start makes it of this"
