"""One worker takes every call: remains of a call in the SIP library must not affect the next ones."""

import asyncio
import itertools
import os
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.peer.call import Call
from tests.peer.peer import Peer
from tests.peer.talk import hear_each_other
from tests.peer.webapp import WebApp
from tests.sip.node_process import NodeProcess

pytestmark = [pytest.mark.sip]

TIMER_K_S = 5.0
"""RFC 3261 §17.1.2.2: how long the library keeps the transaction of an answered CANCEL or BYE."""
RANDOM_S = float(os.environ.get("ONE_WORKER_S", "25"))
"""Duration of random calls, in seconds."""
SEED = os.environ.get("ONE_WORKER_SEED", "")
"""Seed of a run to be repeated; sequences have their own seeds, which are printed."""


@pytest.fixture(scope="module")
def sections() -> dict[str, dict[str, Any]]:
    return {"workers": {"idle": 1, "max": 1}}


class Scene:
    """Ways in which one call can proceed; after each, no leg is left."""

    def __init__(self, node: NodeProcess, app: WebApp, caller: Peer, callees: list[Peer]) -> None:
        self.node, self.app, self.caller = node, app, caller
        self.callee, self.second, self.third = callees

    async def begin(self, *callees: Peer, **attributes: str) -> tuple[Call, list[Call]]:
        """A call that has reached these callees."""
        words = "".join(f' {name}="{value}"' for name, value in attributes.items())
        nouns = "".join(f"<Sip>{callee.uri()}</Sip>" for callee in callees)
        dial = f'<Dial answerOnBridge="true" referUrl="/refer"{words}>{nouns}</Dial>'
        self.app.reply("/voice", f"<Response>{dial}</Response>")
        call = await self.caller.invite(self.node.uri("100"))
        return call, [await callee.expect_invite() for callee in callees]

    async def talk(self) -> tuple[Call, Call]:
        call, (incoming,) = await self.begin(self.callee)
        await incoming.answer()
        await call.expect_response(200)
        await incoming.expect("ACK")
        await hear_each_other(call, incoming)
        return call, incoming

    async def caller_hangs_up(self) -> None:
        call, incoming = await self.talk()
        await call.bye()
        await incoming.expect("BYE")

    async def callee_hangs_up(self) -> None:
        call, incoming = await self.talk()
        await incoming.bye()
        await call.expect("BYE")

    async def hung_up_at_once(self) -> None:
        call, (incoming,) = await self.begin(self.callee)
        await incoming.answer()
        await call.expect_response(200)
        await call.bye()
        await incoming.expect("BYE")

    async def refused(self) -> None:
        call, (incoming,) = await self.begin(self.callee)
        await incoming.reject(486)
        await call.expect_response(486)

    async def cancelled_at_once(self) -> None:
        call, (incoming,) = await self.begin(self.callee)
        await call.cancel()
        await call.expect_response(487)
        await incoming.expect("CANCEL")

    async def cancelled_while_ringing(self) -> None:
        call, (incoming,) = await self.begin(self.callee)
        await incoming.ring()
        await call.expect_response(180)
        await call.cancel()
        await call.expect_response(487)
        await incoming.expect("CANCEL")

    async def cancelled_early_media(self) -> None:
        call, (incoming,) = await self.begin(self.callee)
        await incoming.progress()
        incoming.media.play_tone(660)
        await call.media.expect_tone(660)
        await call.cancel()
        await call.expect_response(487)
        await incoming.expect("CANCEL")

    async def ends_late(self) -> None:
        """The 487 arrives after the caller has made other calls."""
        call, (incoming,) = await self.begin(self.callee)
        await incoming.ring()
        incoming.manual.add("CANCEL")
        await call.cancel()
        await call.expect_response(487)
        incoming.respond(await incoming.expect("CANCEL"), 200)
        await asyncio.sleep(0.2)  # nothing is waited for: the other side is slow
        await incoming.reject(487)

    async def answer_crosses_our_cancel(self) -> None:
        call, (incoming,) = await self.begin(self.callee)
        await incoming.ring()
        incoming.manual.add("CANCEL")
        await call.cancel()
        await call.expect_response(487)
        incoming.respond(await incoming.expect("CANCEL"), 200)
        await incoming.answer()
        await incoming.expect("ACK")
        await incoming.expect("BYE")

    async def answer_crosses_the_callers_cancel(self) -> None:
        call, (incoming,) = await self.begin(self.callee)
        await asyncio.gather(incoming.answer(), call.cancel())
        await call.expect_end()
        await incoming.expect_end()

    async def timed_out(self) -> None:
        call, (incoming,) = await self.begin(self.callee, timeout="5")
        await incoming.ring()
        await incoming.expect("CANCEL", timeout=12)
        await call.expect_response(range(400, 600))

    async def two_ring(self) -> None:
        call, (one, other) = await self.begin(self.callee, self.second)
        await one.ring()
        await other.ring()
        await other.answer()
        await call.expect_response(200)
        await one.expect("CANCEL")
        await hear_each_other(call, other)
        await call.bye()
        await other.expect("BYE")

    async def moved_while_another_goes_in_circles(self) -> None:
        call, (one, other) = await self.begin(self.callee, self.second)
        circles = asyncio.create_task(self._circles(other))
        await one.reject(302, headers=[("Contact", f"<{self.callee.uri('desk')}>")])
        moved = await self.callee.expect_invite(user="desk")
        await moved.answer()
        await moved.expect("ACK")
        await call.expect_response(200)
        await hear_each_other(call, moved)
        await call.bye()
        await moved.expect("BYE")
        circles.cancel()

    async def _circles(self, incoming: Call) -> None:
        for n in itertools.count():
            await incoming.reject(302, headers=[("Contact", f"<{self.second.uri(f'round{n % 2}')}>")])
            incoming = await self.second.expect_invite()

    async def transferred(self) -> None:
        call, incoming = await self.talk()
        self.app.reply("/refer", f"<Response><Dial><Sip>{self.third.uri()}</Sip></Dial></Response>")
        response = await incoming.refer(self.third.uri())
        assert response is not None
        assert response.status == 202
        third = await self.third.expect_invite()
        await third.answer()
        await incoming.expect("BYE")
        await hear_each_other(call, third)
        await call.bye()
        await third.expect("BYE")

    async def transferred_in_vain(self) -> None:
        call, incoming = await self.talk()
        self.app.reply("/refer", f"<Response><Dial><Sip>{self.third.uri()}</Sip></Dial></Response>")
        response = await incoming.refer(self.third.uri())
        assert response is not None
        assert response.status == 202
        third = await self.third.expect_invite()
        await third.reject(486)
        await hear_each_other(call, incoming)
        await incoming.bye()
        await call.expect("BYE")

    async def replaced(self) -> None:
        call, incoming = await self.talk()
        dialog = incoming.dialog
        replaces = f"{dialog.call_id};to-tag={dialog.remote_tag};from-tag={dialog.local_tag}"
        third = await self.third.invite(self.node.uri("anybody"), headers=[("Replaces", replaces)])
        await third.expect_response(200)
        await incoming.expect("BYE")
        await hear_each_other(call, third)
        await third.bye()
        await call.expect("BYE")

    def draw(self, draw: random.Random) -> Callable[[], Awaitable[None]]:
        """Any of them; a timeout, which takes ten seconds, only rarely."""
        ways = [
            self.caller_hangs_up,
            self.callee_hangs_up,
            self.hung_up_at_once,
            self.refused,
            self.cancelled_at_once,
            self.cancelled_while_ringing,
            self.cancelled_early_media,
            self.ends_late,
            self.answer_crosses_our_cancel,
            self.answer_crosses_the_callers_cancel,
            self.two_ring,
            self.moved_while_another_goes_in_circles,
            self.transferred,
            self.transferred_in_vain,
            self.replaced,
        ]
        return self.timed_out if draw.random() < 0.01 else draw.choice(ways)


@pytest.fixture
async def scene(node: NodeProcess, app: WebApp, caller: Peer, callees: list[Peer]) -> Scene:
    return Scene(node, app, caller, callees)


async def test_our_cancel_of_one_call_is_not_that_of_a_later_one(scene: Scene) -> None:
    for _ in range(2):
        await scene.cancelled_while_ringing()
    until = time.monotonic() + TIMER_K_S + 1
    while time.monotonic() < until:
        await scene.caller_hangs_up()


@pytest.mark.timeout(RANDOM_S + 180)
async def test_whatever_calls_there_were_the_next_is_heard_both_ways(scene: Scene) -> None:
    until = time.monotonic() + RANDOM_S
    seeds = [int(SEED)] if SEED else []
    sequences = calls = 0
    while time.monotonic() < until:
        seed = seeds.pop(0) if seeds else secrets.randbits(32)
        draw = random.Random(seed)
        ways = [scene.draw(draw) for _ in range(draw.randint(1, 6))]
        names = [way.__name__ for way in ways]
        try:
            for way in (*ways, draw.choice((scene.caller_hangs_up, scene.callee_hangs_up))):
                name = way.__name__
                await way()
                calls += 1
        except BaseException as error:
            error.add_note(f"sequence {sequences}, seed {seed}: {names}, in {name}")
            raise
        sequences += 1
        print(f"{time.monotonic() - until + RANDOM_S:.1f} s: seed {seed}: {names}")
    print(sequences, "sequences", calls, "calls")
    wrong = ("a pj callback failed", "the library refused a command", "ended a ", "a worker")
    lines = [line for line in scene.node.log() if str(line.get("event", "")).startswith(wrong)]
    assert not lines
    assert len(scene.node.worker_pids()) == 1
