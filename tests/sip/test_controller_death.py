"""``kill -9`` of the controller: calls go on, and the next controller knows them."""

import asyncio
import io
import os
import signal
import struct
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
import soundfile

from b2bua.reload import reload
from tests.peer.call import Call
from tests.peer.peer import Peer
from tests.peer.tones import holds_tone
from tests.peer.webapp import WebApp
from tests.sip.node_process import ACCOUNT_SID, AUTH_TOKEN, NodeProcess, config_text, run_node
from tests.sip.queue_scene import answered, enqueues, takes, talk

pytestmark = [pytest.mark.sip]

ROOT = f"/2010-04-01/Accounts/{ACCOUNT_SID}"
LIMIT_S = 20.0


@pytest.fixture
async def own_node(app: WebApp, tmp_path: Path) -> AsyncIterator[NodeProcess]:
    numbers = {
        "7*": {"voice_url": app.url("/agent")},
        "8*": {"voice_url": app.url("/caller")},
        "*": {"voice_url": app.url("/voice"), "status_callback": app.url("/status")},
    }
    text = config_text(numbers, sections={"node": {"run_folder": str(tmp_path / "run")}})
    async with run_node(tmp_path, text) as node:
        yield node


async def lose_the_controller(node: NodeProcess) -> None:
    """Kill it, and wait until another one is ready."""
    before = node.pid_named("b2bua-control")
    os.kill(before, signal.SIGKILL)
    await another_is_ready(node, before)


async def another_is_ready(node: NodeProcess, before: int) -> None:
    """Wait until there is a controller that is not this one."""
    until = time.monotonic() + LIMIT_S
    while True:
        assert time.monotonic() < until, node.log_path.read_text()[-6000:]
        await asyncio.sleep(0.05)
        try:
            if node.pid_named("b2bua-control") == before:
                continue
            async with aiohttp.ClientSession() as session, session.get(f"{node.http}/healthz") as answer:
                if answer.status == 200:
                    return
        except (AssertionError, aiohttp.ClientError):
            continue


async def rest(node: NodeProcess, path: str) -> Any:
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT_SID, AUTH_TOKEN)}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.get(f"{node.http}{ROOT}/{path}") as answer:
            return await answer.json()


def tone(seconds: float) -> bytes:
    file = io.BytesIO()
    at = np.arange(int(8000 * seconds)) / 8000
    soundfile.write(file, 0.3 * np.sin(2 * np.pi * 440 * at), 8000, format="WAV")
    return file.getvalue()


async def confer(*calls: Call) -> None:
    """One after another says a tone of its own, and all others hear it."""
    for speaker, hz in zip(calls, (440, 660, 880), strict=False):
        speaker.media.play_tone(hz)
        await asyncio.gather(*(call.media.expect_tone(hz) for call in calls if call is not speaker))
        speaker.media.silence()


async def bridged(node: NodeProcess, caller: Peer, callee: Peer) -> tuple[Call, Call]:
    call = await caller.invite(node.uri("100"))
    incoming = await callee.expect_invite()
    await incoming.answer()
    await call.expect_response(200)
    await incoming.expect("ACK")
    await talk(call, incoming)
    return call, incoming


async def test_a_bridged_recorded_call_goes_on(
    own_node: NodeProcess, app: WebApp, caller: Peer, callee: Peer
) -> None:
    node = own_node
    app.reply(
        "/voice",
        f'<Response><Dial action="{app.url("/after")}" record="record-from-answer-dual"'
        f' recordingStatusCallback="{app.url("/recorded")}"><Sip>{callee.uri()}</Sip></Dial></Response>',
    )
    app.reply("/after", "<Response><Hangup/></Response>")
    app.reply("/recorded", "", status=204)
    app.reply("/status", "", status=204)
    began = time.monotonic()
    call, incoming = await bridged(node, caller, callee)
    talking = time.monotonic()
    sids = {each["sid"] for each in (await rest(node, "Calls.json?Status=in-progress"))["calls"]}
    assert len(sids) == 2
    await lose_the_controller(node)
    assert {e["sid"] for e in (await rest(node, "Calls.json?Status=in-progress"))["calls"]} == sids
    await talk(call, incoming)
    before = node.pid_named("b2bua-control")
    os.kill(before, signal.SIGKILL)
    hung_up = time.monotonic()
    await incoming.bye()  # which no controller hears of
    gone = time.monotonic()
    await another_is_ready(node, before)
    after = await app.expect("/after", 10)
    assert after["DialCallStatus"] == "completed"
    assert hung_up - talking - 1 <= int(after["DialCallDuration"]) <= gone - began + 1
    await call.expect("BYE", timeout=10)
    recorded = await app.expect("/recorded", 10)
    assert recorded["RecordingStatus"] == "completed"
    assert int(recorded["RecordingDuration"]) >= int(after["DialCallDuration"]) - 1
    assert len(app.of("/after")) == len(app.of("/recorded")) == 1
    assert (await rest(node, "Calls.json?Status=in-progress"))["calls"] == []


async def test_a_ringing_call_can_be_answered(
    own_node: NodeProcess, app: WebApp, caller: Peer, callee: Peer
) -> None:
    node = own_node
    app.reply(
        "/voice",
        f'<Response><Dial action="{app.url("/after")}" answerOnBridge="true" timeLimit="6">'
        f"<Sip>{callee.uri()}</Sip></Dial><Hangup/></Response>",
    )
    app.reply("/after", "<Response><Hangup/></Response>")
    call = await caller.invite(node.uri("100"))
    incoming = await callee.expect_invite()
    await incoming.ring()
    await call.expect_response(180)
    await lose_the_controller(node)
    await incoming.answer()
    await call.expect_response(200)
    await incoming.expect("ACK")
    answered = time.monotonic()
    await talk(call, incoming)
    await lose_the_controller(node)
    await talk(call, incoming)
    await incoming.expect("BYE", timeout=LIMIT_S)
    talked_s = time.monotonic() - answered
    after = await app.expect("/after", 5)
    assert after["DialCallStatus"] == "completed"
    assert 6 <= int(after["DialCallDuration"]) <= talked_s + 2
    await call.expect("BYE", timeout=5)
    assert len(app.of("/voice")) == len(app.of("/after")) == 1


async def test_a_prompt_is_not_repeated(own_node: NodeProcess, app: WebApp, caller: Peer) -> None:
    """A call in ``<Play>``: the sound ends once, and the next verb runs."""
    node = own_node
    app.reply("/sound.wav", tone(4.0), content_type="audio/wav")
    play = f"<Play>{app.url('/sound.wav')}</Play>"
    app.reply("/voice", f"<Response>{play}<Redirect>/next</Redirect></Response>")
    app.reply("/next", "<Response><Pause length='10'/></Response>")
    call = await caller.invite(node.uri("100"))
    await call.expect_response(200)
    await call.media.expect_tone(440)
    await lose_the_controller(node)
    await app.expect("/next", 10)
    await call.media.expect_silence()
    heard = call.media.heard()
    windows = [heard[at : at + 1600] for at in range(0, len(heard) - 1600, 1600)]
    played_s = 0.2 * sum(holds_tone(window, 440) for window in windows)
    assert 3.2 <= played_s <= 4.4, "the prompt was cut, or played again"
    assert len(app.of("/voice")) == len(app.of("/sound.wav")) == 1
    await call.bye()


async def test_a_queue_keeps_its_callers(
    own_node: NodeProcess, app: WebApp, caller: Peer, callee: Peer
) -> None:
    node = own_node
    enqueues(app, "support", wait=None)
    takes(app, "support")
    first = await answered(node, caller, "81")
    second = await answered(node, caller, "82")
    await app.expect("/caller")
    await app.expect("/caller")
    (queue,) = (await rest(node, "Queues.json"))["queues"]
    before = (await rest(node, f"Queues/{queue['sid']}/Members.json"))["queue_members"]
    assert len(before) == 2
    await lose_the_controller(node)
    after = (await rest(node, f"Queues/{queue['sid']}/Members.json"))["queue_members"]
    assert [each["call_sid"] for each in after] == [each["call_sid"] for each in before]
    assert after[0]["wait_time"] >= before[0]["wait_time"]
    agent = await answered(node, callee, "70")
    await talk(agent, first)
    await lose_the_controller(node)
    await talk(agent, first)
    assert (await rest(node, f"Queues/{queue['sid']}.json"))["current_size"] == 1
    await agent.bye()
    done = await app.expect("/done")
    assert done["DialCallStatus"] == "completed"
    left = await app.expect("/left")
    assert left["QueueResult"] == "bridged"
    await asyncio.gather(first.bye(), second.bye())
    assert len(app.of("/caller")) == 2
    assert (await app.expect("/left"))["QueueResult"] == "hangup"


async def test_a_room_keeps_its_members(own_node: NodeProcess, app: WebApp, caller: Peer) -> None:
    node = own_node
    app.reply("/events", "", status=204)
    app.reply("/after", "<Response><Hangup/></Response>")
    noun = (
        f'<Conference beep="false" waitUrl="" statusCallback="{app.url("/events")}"'
        ' statusCallbackEvent="start end join leave">team</Conference>'
    )
    app.reply("/voice", f"<Response><Dial action='{app.url('/after')}'>{noun}</Dial></Response>")
    calls = [await answered(node, caller, user) for user in ("1", "2", "3")]
    for name in ("participant-join", "participant-join", "conference-start", "participant-join"):
        assert (await app.expect("/events"))["StatusCallbackEvent"] == name
    await confer(*calls)
    (room,) = (await rest(node, "Conferences.json?Status=in-progress"))["conferences"]
    path = f"Conferences/{room['sid']}/Participants.json"
    before = [each["call_sid"] for each in (await rest(node, path))["participants"]]
    await lose_the_controller(node)
    assert [each["call_sid"] for each in (await rest(node, path))["participants"]] == before
    await confer(*calls)
    await calls[0].bye()
    leave = await app.expect("/events")
    assert (leave["StatusCallbackEvent"], leave["SequenceNumber"]) == ("participant-leave", "5")
    await confer(*calls[1:])
    await asyncio.gather(calls[1].bye(), calls[2].bye())
    names = [(await app.expect("/events"))["StatusCallbackEvent"] for _ in range(3)]
    assert names == ["participant-leave", "participant-leave", "conference-end"]


async def test_new_code_costs_no_call(
    own_node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, tmp_path: Path
) -> None:
    node = own_node
    dial = f'<Dial action="{app.url("/after")}"><Sip>{callee.uri()}</Sip></Dial>'
    app.reply("/voice", f"<Response>{dial}</Response>")
    app.reply("/after", "<Response><Hangup/></Response>")
    call, incoming = await bridged(node, caller, callee)
    before = node.pid_named("b2bua-control")
    assert reload(tmp_path / "run", new_code=True) == ""
    await another_is_ready(node, before)
    assert not [line for line in node.log() if line.get("event") == "a process has died"]
    await talk(call, incoming)
    await call.bye()
    await incoming.expect("BYE")
    assert (await app.expect("/after"))["DialCallStatus"] == "completed"
    assert reload(tmp_path / "run", new_code=False) == ""
    await node.expect_log("configuration read again")


def spoil_the_logs(folder: Path) -> None:
    """Write what no code can read, as a log of other code may be."""
    for path in folder.glob("*.inputs"):
        if path.stat().st_size:
            with path.open("ab") as file:
                file.write(struct.pack(">I", 3) + b"\xff\xff\xff")


async def test_a_call_of_other_code_goes_on_to_its_end(
    own_node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, tmp_path: Path
) -> None:
    node = own_node
    app.reply(
        "/voice",
        f'<Response><Dial record="record-from-answer" recordingStatusCallback="{app.url("/recorded")}">'
        f"<Sip>{callee.uri()}</Sip></Dial></Response>",
    )
    app.reply("/recorded", "", status=204)
    call, incoming = await bridged(node, caller, callee)
    sids = {each["sid"] for each in (await rest(node, "Calls.json?Status=in-progress"))["calls"]}
    await asyncio.to_thread(spoil_the_logs, tmp_path / "run" / "inputs")
    await lose_the_controller(node)
    await talk(call, incoming)
    assert {e["sid"] for e in (await rest(node, "Calls.json?Status=in-progress"))["calls"]} == sids
    assert not app.of("/recorded")
    await incoming.bye()
    await call.expect("BYE")
    assert (await app.expect("/recorded", 10))["RecordingStatus"] == "completed"
    ended = (await rest(node, "Calls.json?Status=completed"))["calls"]
    assert {each["sid"] for each in ended} == sids
    assert all(int(each["duration"]) >= 1 for each in ended)
