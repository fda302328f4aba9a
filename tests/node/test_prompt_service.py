"""Speaking, fetching and decoding prompts, with real requests and real processes."""

import asyncio
import io
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from aiohttp import web

from b2bua.calls.orders import PreparePrompt, PromptFailed, PromptReady
from b2bua.node.prompt_maker import Prepared, PromptMaker, PromptOptions
from b2bua.node.renderer_client import RendererClient
from b2bua.twiml.parse import parse
from b2bua.twiml.verbs import Break, Say
from b2bua.web import download as download_module
from b2bua.web.webhooks import WebhookClient
from media.measure import goertzel_dbfs, rms_dbfs
from media.renderer import Decode
from tests.peer.webapp import WebApp

pytestmark = pytest.mark.process

RATE = 8000
HZ = 700.0


class Service:
    """A node's prompts, and the client with which they fetch."""

    def __init__(self, prompts: PromptMaker, client: WebhookClient, sounds: Path, cache: Path) -> None:
        self.prompts = prompts
        self.client = client
        self.sounds = sounds
        self.cache = cache

    async def prepare(self, *, url: str = "", say: Say | None = None) -> Prepared:
        order = PreparePrompt(request=1, url=url, say=say)
        return await self.prompts.prepare(order, self.client.for_call())

    async def ready(self, *, url: str = "", say: Say | None = None) -> PromptReady:
        answer = (await self.prepare(url=url, say=say)).answer
        assert isinstance(answer, PromptReady), answer
        return answer

    async def failed(self, *, url: str = "", say: Say | None = None) -> PromptFailed:
        answer = (await self.prepare(url=url, say=say)).answer
        assert isinstance(answer, PromptFailed), answer
        return answer

    def leftovers(self) -> list[str]:
        return [name for name in os.listdir(self.cache) if not name.endswith(".wav")]


@pytest.fixture
def max_bytes() -> int:
    return 100_000_000


@pytest.fixture
async def service(tmp_path: Path, max_bytes: int) -> AsyncIterator[Service]:
    sounds, cache = tmp_path / "config", tmp_path / "cache"
    sounds.mkdir()
    client = WebhookClient("token")
    options = PromptOptions(
        cache=cache, max_bytes=max_bytes, sounds=sounds, recordings=sounds, clock_rate_hz=RATE
    )
    prompts = PromptMaker(options, client)
    await prompts.start()
    yield Service(prompts, client, sounds, cache)
    await prompts.close()
    await client.close()


def sound(seconds: float = 1.0, *, hz: float = HZ, rate: int = 44_100, format: str = "WAV") -> bytes:
    at = np.arange(round(seconds * rate)) / rate
    file = io.BytesIO()
    soundfile.write(file, np.column_stack([0.4 * np.sin(2 * np.pi * hz * at)] * 2), rate, format=format)
    return file.getvalue()


def heard(ready: PromptReady) -> np.ndarray:
    samples, rate = soundfile.read(ready.file, dtype="int16")
    assert (rate, samples.ndim) == (RATE, 1)
    assert len(samples) / RATE == pytest.approx(ready.duration_s)
    return samples


async def test_words_are_spoken_at_a_telephones_level_and_at_once(service: Service) -> None:
    first = await service.ready(say=Say(text="Goodbye"))  # waits until the process has started
    took_s = []
    for text in ("Thank you", "One moment", "Please hold the line"):
        begun = time.monotonic()
        ready = await service.ready(say=Say(text=text))
        took_s.append(time.monotonic() - begun)
    assert min(took_s) < 0.3, took_s  # the others may have waited for a busy machine
    assert 0.8 < ready.duration_s < 2.5
    assert -24.0 < rms_dbfs(heard(ready)) < -18.0
    assert first.file != ready.file


async def test_breaks_are_as_long_as_the_document_says(service: Service) -> None:
    one = await service.ready(say=Say(text="One"))
    two = await service.ready(say=Say(text="Two"))
    parts = ("One", Break(time_ms=1500), "Two", Break(strength="strong"))
    both = await service.ready(say=Say(text="One Two", parts=parts))
    assert both.duration_s == pytest.approx(one.duration_s + 1.5 + two.duration_s + 0.7, abs=0.01)


async def test_an_alias_is_spoken_and_markup_reaches_the_speaker(service: Service) -> None:
    def say(inner: str) -> Say:
        (read,) = parse(f"<Response><Say>{inner}</Say></Response>").response.verbs
        assert isinstance(read, Say)
        return read

    alias = await service.ready(say=say('The <sub alias="World Wide Web">WWW</sub>'))
    words = await service.ready(say=say("The World Wide Web"))
    assert np.array_equal(heard(alias), heard(words))
    slow = await service.ready(say=say('<prosody rate="x-slow">The World Wide Web</prosody>'))
    assert slow.duration_s > 1.3 * words.duration_s


async def test_the_same_text_is_spoken_once_and_another_voice_sounds_otherwise(service: Service) -> None:
    man, again, woman = [
        await service.ready(say=Say(text="Hello", voice=voice)) for voice in ("man", "man", "woman")
    ]
    assert man.file == again.file
    assert man.file != woman.file
    assert len(os.listdir(service.cache)) == 2


async def test_an_unknown_voice_is_a_warning_and_the_default_speaks(service: Service) -> None:
    prepared = await service.prepare(say=Say(text="Hello", voice="Polly.Nobody", line=3, column=4))
    assert isinstance(prepared.answer, PromptReady)
    assert [(f.number, f.severity, f.line, f.column) for f in prepared.findings] == [(13511, "warning", 3, 4)]
    prepared = await service.prepare(say=Say(text="Hello", language="tlh"))
    assert [finding.number for finding in prepared.findings] == [13512]


async def test_a_text_that_is_too_long_is_spoken_to_the_limit(service: Service) -> None:
    prepared = await service.prepare(say=Say(text="word " * 2000))
    assert isinstance(prepared.answer, PromptReady)
    assert [finding.number for finding in prepared.findings] == [13520]


async def test_a_lost_speaker_is_replaced(service: Service) -> None:
    await service.ready(say=Say(text="Hello"))
    process = service.prompts._speech._process
    assert process is not None
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await service.ready(say=Say(text="Are you there?"))


async def test_a_speaker_that_stands_still_costs_one_prompt(service: Service) -> None:
    await service.ready(say=Say(text="Hello"))
    process = service.prompts._speech._process
    assert process is not None
    service.prompts._speech._limit_s = 0.5
    process.send_signal(signal.SIGSTOP)
    assert (await service.failed(say=Say(text="Are you there?"))).number == 12400
    service.prompts._speech._limit_s = 5.0
    await service.ready(say=Say(text="Are you there?"))
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("format", ["WAV", "MP3", "OGG", "FLAC", "AIFF"])
async def test_a_sound_of_the_web_is_decoded(service: Service, app: WebApp, format: str) -> None:
    app.reply("/sound", sound(format=format), content_type="audio/mpeg")
    ready = await service.ready(url=app.url("/sound"))
    samples = heard(ready)
    assert ready.duration_s == pytest.approx(1.0, abs=0.1)
    assert goertzel_dbfs(samples[2000:6000], HZ, RATE) == pytest.approx(-8.0, abs=1.0)
    assert service.leftovers() == []


async def test_a_bare_mulaw_file_is_known_by_its_type(service: Service, app: WebApp) -> None:
    app.reply("/sound", bytes(range(256)) * 40, content_type="audio/basic")
    assert (await service.ready(url=app.url("/sound"))).duration_s == pytest.approx(256 * 40 / 8000)


async def test_a_sound_that_has_not_changed_is_not_sent_again(service: Service, app: WebApp) -> None:
    app.reply("/sound", sound(), content_type="audio/wav", headers=(("ETag", '"1"'),))
    first = await service.ready(url=app.url("/sound"))
    app.reply("/sound", b"", content_type="audio/wav", status=304)
    again = await service.ready(url=app.url("/sound"))
    assert again == first
    assert [r.headers.get("If-None-Match") for r in app.of("/sound")] == [None, '"1"']
    app.reply("/sound", sound(2.0), content_type="audio/wav", headers=(("ETag", '"2"'),))
    assert (await service.ready(url=app.url("/sound"))).duration_s == pytest.approx(2.0, abs=0.01)


async def test_a_fresh_sound_is_not_asked_for(service: Service, app: WebApp) -> None:
    app.reply("/sound", sound(), content_type="audio/wav", headers=(("Cache-Control", "max-age=60"),))
    await service.ready(url=app.url("/sound"))
    await service.ready(url=app.url("/sound"))
    assert len(app.of("/sound")) == 1


async def test_what_many_want_at_once_is_fetched_once(service: Service, app: WebApp) -> None:
    app.reply("/sound", sound(), content_type="audio/wav")
    gate = app.hold("/sound")
    wanted = [asyncio.create_task(service.ready(url=app.url("/sound"))) for _ in range(30)]
    await app.expect("/sound")
    wanted.pop().cancel()  # a call has ended: nobody else's is
    gate.set()
    assert len({ready.file for ready in await asyncio.gather(*wanted)}) == 1
    assert len(app.of("/sound")) == 1


async def test_redirects_are_followed_and_credentials_stay_with_their_origin(
    service: Service, app: WebApp
) -> None:
    async with WebApp.start() as other:
        other.reply("/sound", sound(), content_type="audio/wav")
        app.reply("/sound", "", status=302, headers=(("Location", other.url("/sound")),))
        await service.ready(url=app.url("/sound").replace("http://", "http://user:word@"))
        assert app.of("/sound")[0].headers["Authorization"].startswith("Basic ")
        assert "Authorization" not in other.of("/sound")[0].headers


@pytest.mark.parametrize(
    ("body", "content_type", "status", "number"),
    [
        (b"not a sound" * 100, "audio/mpeg", 200, 12300),
        (b"<html>", "text/html", 200, 12300),
        (b"", "audio/mpeg", 200, 11770),
        (b"gone", "text/plain", 404, 11200),
        (b"broken", "text/plain", 503, 11200),
        (sound()[:40], "audio/wav", 200, 12300),
    ],
)
async def test_what_is_no_sound_fails_with_its_number(
    service: Service, app: WebApp, body: bytes, content_type: str, status: int, number: int
) -> None:
    app.reply("/sound", body, content_type=content_type, status=status)
    failed = await service.failed(url=app.url("/sound"))
    assert failed.number == number
    assert str(service.cache) not in failed.text
    assert service.leftovers() == []


async def test_a_server_that_is_not_there_fails(service: Service) -> None:
    assert (await service.failed(url="http://127.0.0.1:9/sound")).number == 11205
    assert (await service.failed(url="http://name.invalid/sound")).number == 11210
    assert (await service.failed(url="http://")).number == 11100


async def test_redirects_in_a_circle_fail(service: Service, app: WebApp) -> None:
    app.reply("/sound", "", status=302, headers=(("Location", "/sound"),))
    assert (await service.failed(url=app.url("/sound"))).number == 11215


async def endless(service: Service, headers: dict[str, str]) -> tuple[PromptFailed, int]:
    """Fetch from a server that never stops sending; returns how much it could send."""
    sent = 0

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"Content-Type": "audio/mpeg", **headers})
        await response.prepare(request)
        while True:
            await response.write(bytes(65_536))
            sent += 65_536

    runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return await service.failed(url=f"http://127.0.0.1:{runner.addresses[0][1]}/sound"), sent
    finally:
        await runner.cleanup()


async def test_a_body_without_an_end_is_cut_at_the_limit(service: Service) -> None:
    failed, sent = await endless(service, {})
    assert failed.number == 11750
    assert sent < download_module.MAX_DOWNLOAD * 1.5
    assert service.leftovers() == []


async def test_the_start_of_the_process_is_not_counted_as_the_orders_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nsleep 3\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    source = tmp_path / "sound"
    source.write_bytes(sound())
    renderer = RendererClient("decoder", limit_s=2.5)
    order = Decode(
        source=str(source), content_type="audio/wav", clock_rate_hz=RATE, target=str(tmp_path / "P.wav")
    )
    assert await renderer.make(order) > 0
    await renderer.close()


async def test_a_body_that_says_it_is_too_large_is_not_read(service: Service) -> None:
    failed, sent = await endless(service, {"Content-Length": str(10 << 30)})
    assert failed.number == 11750
    assert sent < 16 << 20


async def test_a_body_that_never_comes_fails_in_time(service: Service, app: WebApp) -> None:
    app.reply("/sound", sound(), content_type="audio/wav")
    gate = app.hold("/sound")
    begun = time.monotonic()
    assert (await service.failed(url=app.url("/sound") + "#tt=500")).number == 11205
    assert 0.4 < time.monotonic() - begun < 2.0
    gate.set()


async def test_a_file_of_the_configurations_folder_is_played(service: Service) -> None:
    (service.sounds / "deep").mkdir()
    (service.sounds / "deep" / "hello.ogg").write_bytes(sound(format="OGG"))
    first = await service.ready(url="deep/hello.ogg")
    assert goertzel_dbfs(heard(first)[2000:6000], HZ, RATE) > -10.0
    (service.sounds / "deep" / "hello.ogg").write_bytes(sound(2.0, format="OGG"))
    assert (await service.ready(url="deep/hello.ogg")).duration_s == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("../outside.wav", 11100),
        ("/etc/passwd", 11100),
        ("link.wav", 11100),
        ("none.wav", 11200),
        (".", 11200),
    ],
)
async def test_no_path_leads_out_of_the_folder(service: Service, path: str, number: int) -> None:
    (service.sounds.parent / "outside.wav").write_bytes(sound())
    (service.sounds / "link.wav").symlink_to(service.sounds.parent / "outside.wav")
    assert (await service.failed(url=path)).number == number


@pytest.mark.parametrize("max_bytes", [40_000])
async def test_the_oldest_prompts_go_when_there_are_too_many(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("b2bua.node.prompt_files._IN_USE_S", 0.0)
    texts = [f"This is text number {number}" for number in range(4)]
    made = [await service.ready(say=Say(text=text)) for text in texts]
    left = [Path(ready.file).name in os.listdir(service.cache) for ready in made]
    assert left == sorted(left) and not left[0] and left[-1]
    assert sum(path.stat().st_size for path in service.cache.iterdir()) <= 40_000
    again = await service.ready(say=Say(text=texts[0]))
    assert Path(again.file).name in os.listdir(service.cache)


async def test_what_was_made_before_a_restart_is_used(service: Service) -> None:
    ready = await service.ready(say=Say(text="Hello"))
    made_at = os.stat(ready.file).st_ino
    (service.cache / "download-7.part").write_bytes(b"left by a node that was killed")
    options = PromptOptions(
        cache=service.cache,
        max_bytes=10**6,
        sounds=service.sounds,
        recordings=service.sounds,
        clock_rate_hz=RATE,
    )
    next_one = Service(PromptMaker(options, service.client), service.client, service.sounds, service.cache)
    await next_one.prompts.start()
    try:
        assert await next_one.ready(say=Say(text="Hello")) == ready
        assert os.stat(ready.file).st_ino == made_at
        assert next_one.leftovers() == []
    finally:
        await next_one.prompts.close()
