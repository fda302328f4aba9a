"""Recordings: audio whole and in part, as WAV and MP3; nothing outside their folder."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from b2bua.core.errors import LocalStateError
from b2bua.web.api.sound import SoundFiles
from tests.unit.web.api_scene import ROOT, ApiScene, a_call, a_recording, api_scene, sid

pytestmark = pytest.mark.unit

RE1, RE2 = sid("RE", 1), sid("RE", 2)
SECOND = 8000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    return folder


@pytest.fixture
def scene(folder: Path) -> ApiScene:
    """``RE1`` is complete and has a second of audio in two channels, ``RE2`` is still running."""
    scene = api_scene(folder)
    call = a_call(1, status="in-progress", ended_at=None)
    scene.directory.add(call, a_recording(1, call), a_recording(2, call, status="in-progress"))
    time = np.arange(SECOND) / SECOND
    left, right = (np.sin(2 * np.pi * tone * time) * 8000 for tone in (440, 660))
    soundfile.write(folder / f"{RE1}.wav", np.stack([left, right], axis=1).astype("int16"), SECOND)
    return scene


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", ["", ".wav"])
async def test_the_sound_as_it_was_recorded(scene: ApiScene, folder: Path, suffix: str) -> None:
    async with scene.client() as client:
        answer = await client.get(f"{ROOT}/Recordings/{RE1}{suffix}")
    assert answer.content == (folder / f"{RE1}.wav").read_bytes()
    assert answer.headers["Content-Type"] == "audio/x-wav"
    assert answer.headers["Accept-Ranges"] == "bytes"


async def test_mp3_has_both_channels_and_their_tones(scene: ApiScene, folder: Path) -> None:
    async with scene.client() as client:
        answer = await client.get(f"{ROOT}/Recordings/{RE1}.mp3")
        again = await client.get(f"{ROOT}/Recordings/{RE1}.mp3")
    assert answer.headers["Content-Type"] == "audio/mpeg" and again.content == answer.content
    assert names(folder) == [f"{RE1}.mp3", f"{RE1}.wav"]
    sound, rate = soundfile.read(folder / f"{RE1}.mp3")
    original, _ = soundfile.read(folder / f"{RE1}.wav")
    assert rate == SECOND and abs(len(sound) - SECOND) < SECOND / 4
    for channel, tone in ((0, 440), (1, 660)):
        louder_db = 20 * np.log10(np.std(sound[:, channel]) / np.std(original[:, channel]))
        assert abs(louder_db) < 1
        spectrum = np.abs(np.fft.rfft(sound[:, channel]))
        assert abs(np.argmax(spectrum) * rate / len(sound) - tone) < 5


@pytest.mark.parametrize("suffix", ["", ".wav", ".mp3", ".json"])
async def test_head_is_get_without_the_body(scene: ApiScene, suffix: str) -> None:
    path = f"{ROOT}/Recordings/{RE1}{suffix}"
    async with scene.client() as client:
        whole = await client.get(path)
        head = await client.head(path, headers={"Range": "bytes=0-9"})
        assert (await client.head(f"{ROOT}/Recordings/{RE2}.wav")).status_code == 404
        assert (await client.head("/healthz")).status_code == 200
        assert (await client.head(path, auth=("other", "token"))).status_code == 401
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == whole.headers


@pytest.mark.parametrize(
    ("asked", "first", "end"),
    [("bytes=0-9", 0, 10), ("bytes=44-", 44, None), ("bytes=-100", -100, None), ("bytes=5-999999", 5, None)],
)
async def test_a_range(scene: ApiScene, folder: Path, asked: str, first: int, end: int | None) -> None:
    whole = (folder / f"{RE1}.wav").read_bytes()
    async with scene.client() as client:
        answer = await client.get(f"{ROOT}/Recordings/{RE1}.wav", headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.content == whole[first:end]
    start = first % len(whole)
    assert answer.headers["Content-Range"] == f"bytes {start}-{start + len(answer.content) - 1}/{len(whole)}"


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "pages=1-2", "bytes=x-", "bytes=", "bytes=--1"])
async def test_a_range_that_is_not_understood_is_ignored(scene: ApiScene, asked: str) -> None:
    async with scene.client() as client:
        answer = await client.get(f"{ROOT}/Recordings/{RE1}.wav", headers={"Range": asked})
    assert answer.status_code == 200 and answer.content[:4] == b"RIFF"


@pytest.mark.parametrize("asked", ["bytes=999999-", "bytes=-0", "bytes=9-5"])
async def test_a_range_that_is_not_in_the_file(scene: ApiScene, asked: str) -> None:
    async with scene.client() as client:
        answer = await client.get(f"{ROOT}/Recordings/{RE1}.wav", headers={"Range": asked})
    assert (answer.status_code, answer.json()["code"]) == (416, 20416)
    assert answer.headers["Content-Range"].startswith("bytes */")


@pytest.mark.parametrize("suffix", ["", ".wav", ".mp3"])
async def test_no_sound_before_it_is_complete(scene: ApiScene, suffix: str) -> None:
    async with scene.client() as client:
        answer = await client.get(f"{ROOT}/Recordings/{RE2}{suffix}")
    assert (answer.status_code, answer.json()["code"]) == (404, 20404)


async def test_no_sound_without_credentials(scene: ApiScene) -> None:
    async with scene.client(auth=None) as client:
        for suffix in ("", ".wav", ".mp3"):
            assert (await client.get(f"{ROOT}/Recordings/{RE1}{suffix}")).status_code == 401


@pytest.mark.parametrize(
    "name", ["..%2fsecret", "%2e%2e/secret", "secret", "RE/../../secret", f"{RE1}%00", f"{RE1}%0a"]
)
async def test_nothing_outside_the_folder(scene: ApiScene, folder: Path, name: str) -> None:
    (folder.parent / "secret.wav").write_bytes(b"secret")
    async with scene.client() as client:
        for suffix in ("", ".wav"):
            answer = await client.get(f"{ROOT}/Recordings/{name}{suffix}")
            assert answer.status_code in (404, 405) and b"secret" != answer.content


async def test_a_path_is_made_of_an_identifier_only(folder: Path) -> None:
    files = SoundFiles(folder)
    with pytest.raises(LocalStateError):
        await files.find("../secret", "wav")
    with pytest.raises(LocalStateError):
        files.delete(f"{RE1}\n")


@pytest.mark.parametrize(
    "path", [f"/Recordings/{RE1}.json", f"/Recordings/{RE1}", f"/Calls/{sid('CA', 1)}/Recordings/{RE1}"]
)
async def test_deleting_removes_the_files(scene: ApiScene, folder: Path, path: str) -> None:
    async with scene.client() as client:
        await client.get(f"{ROOT}/Recordings/{RE1}.mp3")
        assert (await client.delete(ROOT + path)).status_code == 204
        assert names(folder) == []
        assert (await client.get(f"{ROOT}/Recordings/{RE1}.json")).status_code == 404
        assert (await client.delete(ROOT + path)).status_code == 404


async def test_one_that_runs_cannot_be_deleted(scene: ApiScene) -> None:
    async with scene.client() as client:
        answer = await client.delete(f"{ROOT}/Recordings/{RE2}.json")
    assert (answer.status_code, answer.json()["code"]) == (409, 20009)


async def test_below_another_call_there_is_none(scene: ApiScene) -> None:
    scene.directory.add(a_call(3))
    async with scene.client() as client:
        for method in ("GET", "DELETE"):
            answer = await client.request(method, f"{ROOT}/Calls/{sid('CA', 3)}/Recordings/{RE1}.json")
            assert answer.status_code == 404
        answer = await client.post(
            f"{ROOT}/Calls/{sid('CA', 3)}/Recordings/{RE2}.json", data={"Status": "paused"}
        )
        assert answer.status_code == 404
    assert scene.control.asked == []


async def test_the_current_one_without_the_suffix(scene: ApiScene) -> None:
    async with scene.client() as client:
        path = f"{ROOT}/Calls/{sid('CA', 1)}/Recordings/Twilio.CURRENT"
        answer = await client.post(path, data={"Status": "paused", "PauseBehavior": "skip"})
        assert (answer.json()["sid"], answer.json()["status"]) == (RE2, "paused")
    assert scene.control.asked == [("update_recording", sid("CA", 1), None, "paused", "skip")]


@pytest.mark.parametrize("form", [{}, {"Status": "completed"}, {"Status": "paused", "PauseBehavior": "hum"}])
async def test_updates_that_make_no_sense(scene: ApiScene, form: dict[str, str]) -> None:
    async with scene.client() as client:
        path = f"{ROOT}/Calls/{sid('CA', 1)}/Recordings/Twilio.CURRENT.json"
        answer = await client.post(path, data=form)
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)
