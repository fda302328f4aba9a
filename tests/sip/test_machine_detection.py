"""Calls that people and machines answer: the verdict is in the document's request, or in a callback."""

import asyncio
from typing import Any

import numpy as np
import pytest
from twilio.rest import Client

from tests.bench.greetings import tone
from tests.peer.call import Call
from tests.peer.peer import Peer
from tests.peer.talk import hear_each_other
from tests.peer.tones import Samples
from tests.peer.webapp import WebApp
from tests.sip.node_process import ACCOUNT_SID, AUTH_TOKEN, NodeProcess

pytestmark = pytest.mark.sip


@pytest.fixture(scope="module")
def sections() -> dict[str, dict[str, Any]]:
    return {"dial": {"caller_id_policy": "any"}, "workers": {"idle": 2, "max": 4}}


def quiet(length_ms: int) -> Samples:
    return np.zeros(length_ms * 8, np.int16)


def speech_like(length_ms: int) -> Samples:
    """Two tones, which are no beep, with the loudness and the gaps of speech."""
    sound = ((tone(300, length_ms, -20) + tone(700, length_ms, -20)) * 32767).astype(np.int16)
    sound[np.arange(len(sound)) % 2400 > 1900] = 0
    return sound


def beep(length_ms: int) -> Samples:
    return (tone(1000, length_ms) * 32767).astype(np.int16)


HUMAN = np.concatenate([quiet(300), speech_like(500)])
MACHINE = np.concatenate([quiet(300), speech_like(1800), quiet(300), beep(300)])


async def placed(node: NodeProcess, app: WebApp, bob: Peer, **options: str) -> tuple[str, Call]:
    """A call by REST that Bob has answered."""
    client = Client(ACCOUNT_SID, AUTH_TOKEN)
    client.api.base_url = node.http
    app.reply("/hello", '<Response><Pause length="30"/></Response>')
    asked: dict[str, Any] = {
        "to": bob.uri(),
        "from_": "+14155550100",
        "url": app.url("/hello"),
        "machine_detection_speech_threshold": 1000,
        "machine_detection_speech_end_threshold": 600,
    }
    call = await asyncio.to_thread(lambda: client.calls.create(**asked | options))
    incoming = await bob.expect_invite()
    await incoming.answer()
    await incoming.expect("ACK")
    return str(call.sid), incoming


@pytest.mark.parametrize(
    ("greeting", "mode", "answered_by"),
    [
        (HUMAN, "Enable", "human"),
        (MACHINE, "DetectMessageEnd", "machine_end_beep"),
    ],
)
async def test_the_document_of_a_call_by_rest_is_told_who_has_answered(
    node: NodeProcess, app: WebApp, bob: Peer, greeting: Samples, mode: str, answered_by: str
) -> None:
    sid, incoming = await placed(node, app, bob, machine_detection=mode)
    incoming.media.play(greeting)
    asked = await app.expect("/hello")
    assert (asked["CallSid"], asked["AnsweredBy"]) == (sid, answered_by)
    assert 800 < int(asked["MachineDetectionDuration"]) < 30_000
    client = Client(ACCOUNT_SID, AUTH_TOKEN)
    client.api.base_url = node.http
    assert (await asyncio.to_thread(lambda: client.calls(sid).fetch())).answered_by == answered_by
    await incoming.bye()


async def test_the_document_runs_at_once_if_the_verdict_goes_to_a_callback(
    node: NodeProcess, app: WebApp, bob: Peer
) -> None:
    app.reply("/amd", "", status=204)
    sid, incoming = await placed(
        node,
        app,
        bob,
        machine_detection="Enable",
        async_amd="true",
        async_amd_status_callback=app.url("/amd"),
    )
    assert (await app.expect("/hello")).get("AnsweredBy") is None
    incoming.media.play(MACHINE)
    told = await app.expect("/amd")
    assert (told["CallSid"], told["AccountSid"]) == (sid, ACCOUNT_SID)
    assert told["AnsweredBy"] == "machine_start"
    await incoming.bye()


async def test_parties_of_a_dial_talk_before_and_after_the_verdict(
    node: NodeProcess, app: WebApp, ann: Peer, bob: Peer
) -> None:
    app.reply("/amd", "", status=204)
    app.reply(
        "/voice",
        f'<Response><Dial><Sip machineDetection="Enable" machineDetectionSpeechEndThreshold="600" '
        f'amdStatusCallback="/amd">{bob.uri()}</Sip></Dial></Response>',
    )
    call = await ann.invite(node.uri("100"))
    incoming = await bob.expect_invite()
    await incoming.answer()
    await incoming.expect("ACK")
    call.media.play_tone(440)
    await incoming.media.expect_tone(440)  # before the verdict, which needs Bob's voice
    incoming.media.play(HUMAN)
    told = await app.expect("/amd")
    assert told["AnsweredBy"] == "human"
    await hear_each_other(call, incoming)
    await call.bye()
    await incoming.expect("BYE")
