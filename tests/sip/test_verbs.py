"""Say, Play, Gather on real calls: what is heard, and what stops it. One node serves the whole module."""

import asyncio
import io
import time
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

from media.measure import goertzel_dbfs, on_off_ms, rms_dbfs
from tests.peer.call import Call
from tests.peer.peer import Peer
from tests.peer.rtp import MediaOptions
from tests.peer.webapp import WebApp
from tests.ports import port_block
from tests.sip.node_process import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    NodeProcess,
)
from tests.unit.media.dtmf_sounds import key_sound

pytestmark = pytest.mark.sip


RATE = 8000
CALLERS = 30
LOUD = 300
"""Amplitude of 32768 (-41 dBFS); anything louder counts as sound."""


@pytest.fixture(scope="module")
def sections() -> dict[str, dict[str, Any]]:
    first = port_block(1000)
    return {"workers": {"idle": 8, "max": CALLERS + 8}, "rtp": {"ports": [first, first + 999]}}


def tone_file(hz: float, seconds: float, rate: int = 16000, kind: str = "WAV") -> bytes:
    """A sound as a web server would serve it."""
    n_samples = int(seconds * rate)
    samples = 0.3 * np.sin(2 * np.pi * hz * np.arange(n_samples) / rate)
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind)
    return file.getvalue()


def loud_at(call: Call) -> np.ndarray:
    """Times at which the audio is loud, in monotonic seconds."""
    hearing = call.media.hearing
    return hearing.started_at + np.flatnonzero(np.abs(hearing.heard().astype(np.int32)) > LOUD) / RATE


async def answered(node: NodeProcess, caller: Peer, user: str = "100") -> Call:
    call = await caller.invite(node.uri(user))
    await call.expect_response(200)
    return call


async def test_a_sound_is_played_and_the_document_goes_on(
    node: NodeProcess, app: WebApp, caller: Peer
) -> None:
    app.reply("/tone.wav", tone_file(800, 1.0), content_type="audio/wav")
    app.reply("/voice", '<Response><Play loop="2">/tone.wav</Play></Response>')
    call = await answered(node, caller)
    await call.media.expect_tone(800)
    await call.expect("BYE")
    heard = call.media.heard()
    frames = [bool(np.abs(heard[i : i + 160]).mean() > 300) for i in range(0, len(heard) - 160, 160)]
    assert sum(frames) == pytest.approx(100, abs=3)
    first, last = frames.index(True), len(frames) - frames[::-1].index(True)
    assert last - first == pytest.approx(100, abs=3)  # no gap between the two rounds


async def test_speech_is_heard_at_once_and_whole(node: NodeProcess, app: WebApp, caller: Peer) -> None:
    app.reply("/voice", "<Response><Say>Please hold the line.<break time='1s'/>Goodbye.</Say></Response>")
    call = await answered(node, caller)
    connected = time.monotonic()
    await call.expect("BYE")
    heard = loud_at(call)
    assert heard[0] - connected < 1.0
    assert 2.0 < heard[-1] - heard[0] < 5.0
    assert np.diff(heard).max() == pytest.approx(1.0, abs=0.3)
    words = call.media.heard()
    assert rms_dbfs(words[np.abs(words.astype(np.int32)) > LOUD]) > -24.0


async def test_a_key_stops_the_prompt_and_is_told(node: NodeProcess, app: WebApp, caller: Peer) -> None:
    app.reply("/long.wav", tone_file(800, 20.0), content_type="audio/wav")
    app.reply(
        "/voice",
        '<Response><Gather action="/got" numDigits="3" finishOnKey="#"><Play>/long.wav</Play></Gather>'
        "</Response>",
    )
    app.reply("/got", "<Response><Pause length='1'/></Response>")
    call = await answered(node, caller)
    await call.media.expect_tone(800)
    pressed = time.monotonic()
    await call.media.send_digit("4")
    await call.media.expect_silence()
    assert loud_at(call)[-1] - pressed < 0.15
    await call.media.send_digits("2#")
    got = await app.expect("/got")
    assert (got["Digits"], got["FinishedOnKey"]) == ("42", "#")
    assert got["CallStatus"] == "in-progress"
    await call.bye()
    assert not any("42" in str(line) for line in node.log() if line.get("event") == "twiml")


async def test_a_key_that_is_only_heard_stops_the_prompt(node: NodeProcess, app: WebApp) -> None:
    app.reply("/long.wav", tone_file(800, 20.0), content_type="audio/wav")
    app.reply("/voice", "<Response><Gather><Play>/long.wav</Play></Gather></Response>")
    async with Peer.start("caller", media=MediaOptions(telephone_event=None)) as caller:
        call = await answered(node, caller)
        await call.media.expect_tone(800)
        pressed = time.monotonic()
        call.media.play(key_sound("5", 100))
        await call.media.expect_silence()
        assert loud_at(call)[-1] - pressed < 0.3
        await call.bye()


async def test_a_gather_without_a_key_goes_on(node: NodeProcess, app: WebApp, caller: Peer) -> None:
    app.reply("/tone.wav", tone_file(800, 0.5), content_type="audio/wav")
    app.reply(
        "/voice",
        '<Response><Gather action="/got" timeout="1"/><Play>/tone.wav</Play></Response>',
    )
    before = len(app.of("/got"))
    call = await answered(node, caller)
    await call.media.expect_tone(800)
    await call.expect("BYE")
    assert len(app.of("/got")) == before


async def test_keys_are_played(node: NodeProcess, app: WebApp, caller: Peer) -> None:
    app.reply("/voice", '<Response><Play digits="1w2"/><Pause length="1"/></Response>')
    call = await answered(node, caller)
    await call.media.expect_digit("1")
    await call.media.expect_digit("2")
    await call.expect("BYE")


async def test_the_caller_hears_goodbye_when_nobody_answers(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer
) -> None:
    app.reply("/tone.wav", tone_file(800, 0.5, kind="FLAC"), content_type="audio/flac")
    app.reply(
        "/voice",
        f'<Response><Dial answerOnBridge="true"><Sip>{callee.uri()}</Sip></Dial><Play>/tone.wav</Play>'
        "</Response>",
    )
    call = await caller.invite(node.uri("100"))
    incoming = await callee.expect_invite()
    await incoming.ring()
    await call.expect_response(180)
    await incoming.reject(486)
    await call.expect_response(200)
    await call.media.expect_tone(800)
    await call.expect("BYE")


async def test_a_callee_who_presses_1_is_bridged(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer
) -> None:
    app.reply("/ask.wav", tone_file(800, 20.0, rate=8000), content_type="audio/wav")
    app.reply(
        "/voice",
        '<Response><Dial answerOnBridge="true" action="/after"><Sip url="/screen">'
        f"{callee.uri()}</Sip></Dial></Response>",
    )
    app.reply(
        "/screen",
        '<Response><Gather action="/pressed" numDigits="1"><Play>/ask.wav</Play></Gather><Hangup/>'
        "</Response>",
    )
    app.reply("/pressed", "<Response/>")
    app.reply("/after", "<Response/>")
    call = await caller.invite(node.uri("100"))
    incoming = await callee.expect_invite()
    await incoming.answer()
    await incoming.expect("ACK")
    asked = await app.expect("/screen")
    assert asked["ParentCallSid"] != asked["CallSid"]
    await incoming.media.expect_tone(800)
    await incoming.media.send_digit("1")
    pressed = await app.expect("/pressed")
    assert (pressed["Digits"], pressed["CallSid"]) == ("1", asked["CallSid"])
    await call.expect_response(200)
    call.media.play_tone(440)
    incoming.media.play_tone(660)
    await call.media.expect_tone(660)
    await incoming.media.expect_tone(440)
    await call.bye()
    after = await app.expect("/after")
    assert after["DialCallStatus"] == "completed"


async def test_a_sound_that_cannot_be_had_is_a_warning(node: NodeProcess, app: WebApp, caller: Peer) -> None:
    app.reply("/tone.wav", tone_file(800, 0.5), content_type="audio/wav")
    app.reply("/noise.bin", b"no sound at all" * 100, content_type="audio/wav")
    app.reply(
        "/voice",
        "<Response><Play>/nothing-here.wav</Play><Play>/noise.bin</Play><Say voice='Nobody'>Hi</Say>"
        "<Play>/tone.wav</Play></Response>",
    )
    call = await answered(node, caller)
    await call.media.expect_tone(800)
    await call.expect("BYE")
    for number in (11200, 12300, 13511):
        await node.expect_log("twiml", number=number)


class TestWhatAnswers:
    @pytest.mark.parametrize(
        "verb",
        [
            "<Say>a</Say>",
            '<Play digits="1"/>',
            '<Gather timeout="1"/>',
            '<Record maxLength="1"/>',
            "<Hangup/>",
            "<Dial>not a number</Dial>",
            '<Pause length="1"/><Say>a</Say>',
        ],
    )
    async def test_these_do(self, node: NodeProcess, app: WebApp, caller: Peer, verb: str) -> None:
        app.reply("/voice", f"<Response>{verb}</Response>")
        call = await answered(node, caller)
        await call.expect("BYE")

    @pytest.mark.parametrize(
        ("verb", "code"),
        [
            ("<Reject/>", 404),
            ('<Reject reason="busy"/>', 486),
            ('<Dial answerOnBridge="true">not a number</Dial>', 484),
            ("", 480),
        ],
    )
    async def test_these_do_not(
        self, node: NodeProcess, app: WebApp, caller: Peer, verb: str, code: int
    ) -> None:
        app.reply("/voice", f"<Response>{verb}</Response>")
        call = await caller.invite(node.uri("100"))
        response = await call.expect_response(range(300, 700))
        assert response.status == code

    async def test_a_pause_first_waits_before_the_answer(
        self, node: NodeProcess, app: WebApp, caller: Peer
    ) -> None:
        app.reply("/voice", '<Response><Pause length="1"/><Hangup/></Response>')
        begun = time.monotonic()
        await answered(node, caller)
        assert time.monotonic() - begun >= 1.0

    async def test_a_redirect_first_keeps_it_ringing(
        self, node: NodeProcess, app: WebApp, caller: Peer
    ) -> None:
        app.reply("/voice", '<Response><Redirect method="GET">/next</Redirect></Response>')
        app.reply("/next", "<Response><Reject/></Response>")
        call = await caller.invite(node.uri("100"))
        asked = await app.expect("/next")
        assert (asked.method, asked["CallStatus"]) == ("GET", "ringing")
        await call.expect_response(404)

    async def test_a_sound_instead_of_a_document_is_played(
        self, node: NodeProcess, app: WebApp, caller: Peer
    ) -> None:
        app.reply("/voice", tone_file(800, 0.5), content_type="audio/wav")
        call = await answered(node, caller)
        await call.media.expect_tone(800)
        await call.expect("BYE")

    async def test_the_charset_of_http_counts(self, node: NodeProcess, app: WebApp, caller: Peer) -> None:
        twiml = "<Response><Redirect>/n?m=ö</Redirect></Response>".encode("latin-1")
        app.reply("/voice", twiml, content_type="text/xml; charset=ISO-8859-1")
        app.reply("/n", "<Response><Reject/></Response>")
        call = await caller.invite(node.uri("100"))
        assert (await app.expect("/n"))["m"] == "ö"
        await call.expect_response(404)

    @pytest.mark.parametrize("content_type", ["text/plain", "text/plain; charset=nonsense"])
    async def test_a_text_instead_of_a_document_is_spoken(
        self, node: NodeProcess, app: WebApp, caller: Peer, content_type: str
    ) -> None:
        app.reply("/voice", "Good morning.", content_type=content_type)
        call = await answered(node, caller)
        await call.expect("BYE")
        assert len(loud_at(call)) > RATE / 4


async def test_a_message_is_recorded_after_the_beep_and_told_when_it_is_there(
    node: NodeProcess, app: WebApp, caller: Peer
) -> None:
    app.reply(
        "/voice",
        '<Response><Record action="/done" finishOnKey="#" maxLength="30" recordingStatusCallback="/kept"/>'
        "</Response>",
    )
    app.reply("/done", "<Response/>")
    app.reply("/kept", "", status=204)
    call = await answered(node, caller)
    await call.media.expect_tone(1000)
    call.media.play_tone(440)
    await call.media.expect_heard(len(call.media.heard()) / RATE + 1.5)
    call.media.silence()
    await call.media.send_digit("#")
    done = await app.expect("/done")
    assert (done["Digits"], done["RecordingUrl"]) == ("#", (await app.expect("/kept"))["RecordingUrl"])
    assert 1 <= int(done["RecordingDuration"]) <= 3
    async with httpx.AsyncClient(auth=(ACCOUNT_SID, AUTH_TOKEN)) as web:
        sound = await web.get(done["RecordingUrl"])
    samples, rate = soundfile.read(io.BytesIO(sound.content), dtype="int16")
    assert goertzel_dbfs(samples, 440, rate) > -22
    assert goertzel_dbfs(samples, 1000, rate) < -45  # the beep is not in it
    await call.expect("BYE")


async def test_silence_ends_a_message_and_hanging_up_leaves_one(
    node: NodeProcess, app: WebApp, caller: Peer
) -> None:
    app.reply("/voice", '<Response><Record action="/done" timeout="1" playBeep="false"/></Response>')
    call = await answered(node, caller)
    call.media.play_tone(440)
    await call.media.expect_heard(1.0)
    call.media.silence()
    assert (await app.expect("/done"))["Digits"] == ""
    await call.expect("BYE")
    call = await answered(node, caller)
    call.media.play_tone(440)
    await call.media.expect_heard(0.5)
    await call.bye()
    assert (await app.expect("/done"))["Digits"] == "hangup"


async def test_thirty_callers_hear_the_same_without_a_gap(
    node: NodeProcess, app: WebApp, caller: Peer
) -> None:
    app.reply("/tone.wav", tone_file(800, 3.0), content_type="audio/wav")
    app.reply("/voice", "<Response><Play>/tone.wav</Play></Response>")
    calls = await asyncio.gather(*(answered(node, caller) for _ in range(CALLERS)))
    await asyncio.gather(*(call.expect("BYE") for call in calls))
    for call in calls:
        (length, *_) = on_off_ms(call.media.heard(), RATE)
        assert length == pytest.approx(3000, abs=60)
        assert call.media.counts.lost == 0
