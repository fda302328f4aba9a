"""Common softphones as transferors: baresip and Linphone."""

import inspect
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.peer.call import Call
from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.phones.account import Account
from tests.phones.baresip import Baresip
from tests.phones.linphone import Linphone
from tests.sip.node_process import NodeProcess

pytestmark = pytest.mark.sip

USER = """
[[users]]
name = "bob"
password = "bob"
"""
BOB_HZ = 550.0


@pytest.fixture(scope="module")
def extra_config() -> str:
    return USER


@pytest.fixture(params=[Baresip, Linphone])
async def bob(
    request: pytest.FixtureRequest, node: NodeProcess, tmp_path: Path
) -> AsyncIterator[Baresip | Linphone]:
    account = Account(user="bob", password="bob", server=node.udp, tone_hz=BOB_HZ, answers=True)
    async with request.param.start(account, tmp_path / "bob") as phone:
        yield phone


async def talks_to_bob(node: NodeProcess, app: WebApp, ann: Peer, keep: str) -> Call:
    app.reply(
        "/voice",
        f'<Response><Dial referUrl="/refer" answerOnBridge="{keep}"><Client>bob</Client></Dial></Response>',
    )
    call = await ann.invite(node.uri("100"))
    await call.expect_response(200)
    await call.media.expect_tone(BOB_HZ)
    return call


async def hands_over(bob: Baresip | Linphone, uri: str) -> None:
    done = bob.transfer(uri)
    if inspect.isawaitable(done):
        await done


@pytest.mark.parametrize("keep", ["false", "true"])
async def test_a_phone_hands_its_caller_over(
    node: NodeProcess, app: WebApp, ann: Peer, carol: Peer, bob: Baresip | Linphone, keep: str
) -> None:
    call = await talks_to_bob(node, app, ann, keep)
    app.reply("/refer", f"<Response><Dial><Sip>{carol.uri()}</Sip></Dial></Response>")
    await hands_over(bob, carol.uri())
    asked = await app.expect("/refer")
    assert carol.uri() in asked["ReferTransferTarget"]
    third = await carol.expect_invite()
    await third.ring()
    await third.answer()
    call.media.play_tone(440)
    third.media.play_tone(660)
    await call.media.expect_tone(660)
    await third.media.expect_tone(440)
    if isinstance(bob, Baresip):
        await bob.expect("CALL_CLOSED")
    else:
        await bob.expect("ended")
    await call.bye()
    await third.expect("BYE")


async def test_a_phone_whose_target_is_busy_is_told_and_gets_its_caller_back(
    node: NodeProcess, app: WebApp, ann: Peer, carol: Peer, bob: Baresip | Linphone
) -> None:
    call = await talks_to_bob(node, app, ann, "true")
    app.reply("/refer", f"<Response><Dial><Sip>{carol.uri()}</Sip></Dial></Response>")
    await hands_over(bob, carol.uri())
    third = await carol.expect_invite()
    await call.media.expect_tone(480)  # ringback
    await third.reject(486)
    if isinstance(bob, Baresip):
        assert "486" in (await bob.expect("TRANSFER_FAILED"))["param"]
        await call.expect("BYE")  # this phone gives up, by itself
        return
    await call.media.expect_tone(BOB_HZ)
    await call.bye()


@pytest.mark.parametrize("bob", [Linphone], indirect=True)
async def test_a_phone_asks_first_and_then_hands_its_caller_over(
    node: NodeProcess, app: WebApp, ann: Peer, carol: Peer, bob: Linphone
) -> None:
    call = await talks_to_bob(node, app, ann, "false")
    app.reply("/voice", f"<Response><Dial><Sip>{carol.uri()}</Sip></Dial></Response>")
    app.reply("/refer", f"<Response><Dial><Sip>{carol.uri()}</Sip></Dial></Response>")
    bob.hold()
    await bob.expect("paused|Pausing")
    bob.call("200")
    asked = await carol.expect_invite()
    await asked.answer()
    await asked.media.expect_tone(BOB_HZ)
    bob.command("transfer 1 --to-call 2")
    request = await app.expect("/refer")
    assert request["ReferReplaces"]
    call.media.play_tone(440)
    asked.media.play_tone(660)
    await call.media.expect_tone(660)
    await asked.media.expect_tone(440)
    for _ in range(2):
        await bob.expect("ended")
    assert not carol.invites.items
    await call.bye()
    await asked.expect("BYE")
