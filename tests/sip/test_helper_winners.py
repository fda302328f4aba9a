"""A callee in a helper worker: everything works as for one in the worker of its caller.

Of four targets, a worker that has the caller rings two; the other two are a helper's.
"""

import asyncio
import io
import os
import signal
import time
from typing import Any

import aiohttp
import numpy as np
import pytest
import soundfile

from media.measure import goertzel_dbfs
from tests.peer.call import Call
from tests.peer.ladder import PATIENCE_S
from tests.peer.peer import Peer
from tests.peer.rtp import MediaOptions
from tests.peer.talk import hear_each_other
from tests.peer.webapp import WebApp
from tests.sip.node_process import ACCOUNT_SID, AUTH_TOKEN, NodeProcess
from tests.sip.test_joined_calls import rests
from tests.sip.test_many_targets import busy, dial, ringing
from tests.sip.test_verbs import tone_file
from tests.unit.media.dtmf_sounds import key_sound, pause

pytestmark = pytest.mark.sip

FOUR = ["t0", "t1", "t2", "t3"]
WINNER = 3


@pytest.fixture(scope="module")
def sections() -> dict[str, dict[str, Any]]:
    return {"workers": {"idle": 4, "max": 8}}


async def busy_pids(node: NodeProcess) -> list[int]:
    """Pids of the workers that have a call."""
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT_SID, AUTH_TOKEN)}
    async with (
        aiohttp.ClientSession(node.http, headers=headers) as session,
        session.get("/b2bua/v1/processes") as answer,
    ):
        processes = (await answer.json())["processes"]
    return [int(each["pid"]) for each in processes if each["kind"] == "worker" and each["calls"]]


class Four:
    """Calls with four targets."""

    def __init__(self, node: NodeProcess, app: WebApp, callee: Peer) -> None:
        self.node, self.app, self.callee = node, app, callee

    async def ring(
        self, caller: Peer, winner: Peer | None = None, **attributes: str
    ) -> tuple[Call, list[Call]]:
        """They ring; ``winner``: who is the last of them."""
        last = winner or self.callee
        uris = [self.callee.uri(user) for user in FOUR[:WINNER]]
        dial(self.app, *uris, last.uri(FOUR[WINNER]), **attributes)
        call = await caller.invite(self.node.uri("100"))
        calls = await ringing(self.callee, FOUR[:WINNER])
        return call, [*calls, *await ringing(last, FOUR[WINNER:])]

    async def talk(self, caller: Peer, winner: Peer | None = None, **attributes: str) -> tuple[Call, Call]:
        """The last of them wins, and both hear each other."""
        call, calls = await self.ring(caller, winner, **attributes)
        await calls[WINNER].answer()
        await call.expect_response(200)
        await calls[WINNER].expect("ACK")
        for loser in calls[:WINNER]:
            await loser.expect_end()
        await hear_each_other(call, calls[WINNER])
        return call, calls[WINNER]

    async def over(self, call: Call, winner: Call) -> None:
        await call.bye()
        await winner.expect("BYE")
        await busy(self.node, 0)


@pytest.fixture
def four(node: NodeProcess, app: WebApp, callee: Peer) -> Four:
    return Four(node, app, callee)


class TestAudio:
    async def test_the_relay_joins_the_two_and_both_workers_sleep(self, four: Four, caller: Peer) -> None:
        talk = await four.talk(caller)
        pids = await busy_pids(four.node)
        assert len(pids) == 2
        await asyncio.gather(*map(rests, pids))
        await hear_each_other(*talk)
        await four.over(*talk)

    async def test_the_last_one_holds_and_resumes(self, four: Four, caller: Peer) -> None:
        call, winner = await four.talk(caller)
        await winner.hold()
        await winner.media.expect_silence()
        await call.media.expect_tone(660)  # hold music, by a link
        await winner.resume()
        await hear_each_other(call, winner)
        await four.over(call, winner)

    async def test_two_that_answer_at_once_in_two_workers_make_one_bridge(
        self, four: Four, caller: Peer
    ) -> None:
        call, calls = await four.ring(caller)
        one, other = calls[0], calls[WINNER]
        for each in (one, other):
            each.manual.add("CANCEL")
        await asyncio.gather(one.answer(), other.answer())
        await call.expect_response(200)
        await asyncio.gather(one.expect("ACK"), other.expect("ACK"))
        ends = [asyncio.ensure_future(each.ended.wait()) for each in (one, other)]
        done, pending = await asyncio.wait(ends, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        assert len(done) == 1 and len(pending) == 1
        winner = one if ends[1] in done else other
        for each in pending:
            each.cancel()
        await hear_each_other(call, winner)
        await four.over(call, winner)


class TestKeys:
    async def test_a_star_as_a_tone_ends_the_callee(self, four: Four) -> None:
        async with Peer.start("old", media=MediaOptions(telephone_event=None)) as old:
            call, winner = await four.talk(old, hangupOnStar="true")
            call.media.play(np.concatenate([pause(200), key_sound("*", 120), pause(200)]))
            await winner.expect("BYE")
            after = await four.app.expect("/after")
            assert after["DialHangupBy"] == "caller"
            await busy(four.node, 0)

    async def test_a_star_by_telephone_event_ends_the_callee(self, four: Four, caller: Peer) -> None:
        call, winner = await four.talk(caller, hangupOnStar="true")
        await call.media.send_digit("*")
        await winner.expect("BYE")
        assert winner.media.digits == ""
        await busy(four.node, 0)

    async def test_other_keys_reach_the_other_party_once(self, four: Four, caller: Peer) -> None:
        call, winner = await four.talk(caller)
        await call.media.send_digit("5")
        await winner.media.expect_digit("5")
        await winner.media.send_digit("7")
        await call.media.expect_digit("7")
        await four.over(call, winner)


class TestBeforeTheBridge:
    async def test_it_is_screened(self, four: Four, caller: Peer) -> None:
        four.app.reply("/screen", '<Response><Pause length="1"/></Response>')
        uris = [four.callee.uri(user) for user in FOUR]
        nouns = "".join(f'<Sip url="/screen">{uri}</Sip>' for uri in uris)
        words = 'answerOnBridge="true" action="/after" firstTo="accept"'
        four.app.reply("/voice", f"<Response><Dial {words}>{nouns}</Dial></Response>")
        call = await caller.invite(four.node.uri("100"))
        calls = await ringing(four.callee, FOUR)
        await calls[WINNER].answer()
        await calls[WINNER].expect("ACK")
        await calls[0].answer()
        await calls[0].expect("ACK")
        asked = await four.app.expect("/screen")
        assert asked["CallSid"] == calls[WINNER].invite["X-Twilio-CallSid"]
        await call.expect_response(200)
        await calls[0].expect("BYE")
        await hear_each_other(call, calls[WINNER])
        await four.over(call, calls[WINNER])

    async def test_it_is_asked_for_a_key(self, four: Four, caller: Peer) -> None:
        four.app.reply("/tone.wav", tone_file(800, 0.5), content_type="audio/wav")
        asks = '<Gather numDigits="1" action="/accepted"><Play loop="0">/tone.wav</Play></Gather><Hangup/>'
        four.app.reply("/screen", f"<Response>{asks}</Response>")
        four.app.reply("/accepted", "<Response/>")
        nouns = "".join(f'<Sip url="/screen">{four.callee.uri(user)}</Sip>' for user in FOUR)
        four.app.reply("/voice", f'<Response><Dial action="/after">{nouns}</Dial></Response>')
        call = await caller.invite(four.node.uri("100"))
        calls = await ringing(four.callee, FOUR)
        await calls[WINNER].answer()
        await calls[WINNER].expect("ACK")
        await calls[WINNER].media.expect_tone(800)
        await call.media.expect_tone(440)  # ringback
        await calls[WINNER].media.send_digit("1")
        await hear_each_other(call, calls[WINNER])
        assert (await four.app.expect("/accepted"))["Digits"] == "1"
        await four.over(call, calls[WINNER])


class TestTransfers:
    async def test_the_callee_transfers_the_caller(self, four: Four, caller: Peer, carol: Peer) -> None:
        four.app.reply("/refer", f"<Response><Dial><Sip>{carol.uri()}</Sip></Dial></Response>")
        call, winner = await four.talk(caller, referUrl="/refer")
        response = await winner.refer(carol.uri())
        assert response is not None and response.status == 202
        third = await carol.expect_invite()
        await third.answer()
        await third.expect("ACK")
        await winner.expect_end()
        await hear_each_other(call, third)
        await four.over(call, third)

    async def test_the_callee_transfers_the_caller_to_whom_it_has_consulted(
        self, four: Four, caller: Peer, carol: Peer, bob: Peer
    ) -> None:
        """Afterwards the relay carries the audio through both sessions, and all workers sleep."""
        four.app.reply("/refer", f"<Response><Dial><Sip>{carol.uri()}</Sip></Dial></Response>")
        call, winner = await four.talk(caller, bob, referUrl="/refer")
        dial(four.app, carol.uri())
        consulting = await bob.invite(four.node.uri("200"))
        carols = await carol.expect_invite()
        await carols.answer()
        await consulting.expect_response(200)
        await hear_each_other(consulting, carols)
        response = await winner.refer(consulting)
        assert response is not None and response.status == 202
        await winner.expect_end()
        await consulting.expect_end()
        await hear_each_other(call, carols)
        await asyncio.gather(*map(rests, await busy_pids(four.node)))
        await hear_each_other(call, carols)
        await four.over(call, carols)

    async def test_a_document_for_a_callee_of_its_own_dials_too(
        self, four: Four, caller: Peer, carol: Peer
    ) -> None:
        """A redirected callee (REST) is the parent of its own calls, wherever its leg is."""
        _, winner = await four.talk(caller)
        noun = f"<Sip>{carol.uri()}</Sip>"
        four.app.reply("/own", f'<Response><Dial callerId="desk">{noun}</Dial></Response>')
        sid = winner.invite["X-Twilio-CallSid"]
        headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT_SID, AUTH_TOKEN)}
        url = f"{four.node.http}/2010-04-01/Accounts/{ACCOUNT_SID}/Calls/{sid}.json"
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(url, data={"Url": four.app.url("/own")}) as answer,
        ):
            assert answer.status == 200
        third = await carol.expect_invite()
        await third.answer()
        await third.expect("ACK")
        await hear_each_other(winner, third)
        await winner.bye()
        await third.expect("BYE")
        await busy(four.node, 0)


class TestLoss:
    async def test_a_killed_helper_costs_its_legs_only(self, four: Four, caller: Peer) -> None:
        call, calls = await four.ring(caller)
        await kill_helper(four.node, call)
        await calls[1].answer()
        await call.expect_response(200)
        await hear_each_other(call, calls[1])
        await four.over(call, calls[1])

    async def test_a_killed_winners_helper_ends_the_dial(self, four: Four, caller: Peer) -> None:
        call, _ = await four.talk(caller)
        await kill_helper(four.node, call)
        after = await four.app.expect("/after")
        assert after["DialHangupBy"] == "node"
        await call.expect("BYE")
        await busy(four.node, 0)


async def kill_helper(node: NodeProcess, call: Call) -> None:
    """``kill -9`` of the worker that has targets of a call and not its caller."""
    own = node.worker_pid((await node.expect_log("call", sip_call_id=call.call_id))["worker"])
    deadline = time.monotonic() + PATIENCE_S
    while not (helpers := [pid for pid in await busy_pids(node) if pid != own]):
        assert time.monotonic() < deadline, "no helper has a call"
        await asyncio.sleep(0.02)
    (helper,) = helpers
    os.kill(helper, signal.SIGKILL)


async def test_a_recording_has_both_sides(four: Four, caller: Peer) -> None:
    four.app.reply("/recorded", "", status=204)
    call, winner = await four.talk(
        caller, record="record-from-answer-dual", recordingStatusCallback="/recorded"
    )
    begun = time.monotonic()
    await call.media.expect_sent(1.0)
    await four.over(call, winner)
    told = await four.app.expect("/recorded")
    assert int(told["RecordingDuration"]) <= time.monotonic() - begun + 2
    await two_sides(four.node, told["RecordingUrl"])


async def two_sides(node: NodeProcess, url: str) -> None:
    """The file has the caller's tone in its first channel and the callee's in its second."""
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT_SID, AUTH_TOKEN)}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(url + ".wav", params={"RequestedChannels": "2"}) as answer,
    ):
        assert answer.status == 200
        samples, rate = soundfile.read(io.BytesIO(await answer.read()), dtype="int16")
    last = samples[-rate // 2 - rate // 4 : -rate // 4]
    assert goertzel_dbfs(last[:, 0], 440, rate) > -30
    assert goertzel_dbfs(last[:, 1], 660, rate) > -30
