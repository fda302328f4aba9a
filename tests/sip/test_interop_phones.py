"""Common softphones registered with the node, calling each other: baresip and Linphone."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.peer.ladder import PATIENCE_S
from tests.peer.webapp import WebApp
from tests.phones.account import Account, describe, seconds_of_tone
from tests.phones.baresip import Baresip
from tests.phones.linphone import Linphone
from tests.sip.node_process import NodeProcess, config_text, run_node

pytestmark = pytest.mark.sip

USERS = """
[[users]]
name = "alice"
password = "alice"
[[users]]
name = "bob"
password = "bob"
"""
ALICE_HZ, BOB_HZ = 440.0, 660.0
TALK_S = 1.5
"""There is no event to wait for while people talk."""


@pytest.fixture(scope="module")
async def module_node(
    tmp_path_factory: pytest.TempPathFactory, numbers: dict[str, dict[str, str]]
) -> AsyncIterator[NodeProcess]:
    async with run_node(tmp_path_factory.mktemp("phones"), config_text(numbers, extra=USERS)) as node:
        yield node


@pytest.fixture(scope="module")
def numbers(request: pytest.FixtureRequest, module_app: WebApp) -> dict[str, dict[str, str]]:
    """No configured numbers, unless the test sets ``app``: then all request the application."""
    return {"*": {"voice_url": module_app.url("/voice")}} if getattr(request, "param", "") == "app" else {}


@pytest.fixture
async def alice(node: NodeProcess, tmp_path: Path) -> AsyncIterator[Baresip]:
    account = Account(user="alice", password="alice", server=node.udp, tone_hz=ALICE_HZ)
    async with Baresip.start(account, tmp_path / "alice") as phone:
        yield phone


@pytest.fixture
async def bob(node: NodeProcess, tmp_path: Path) -> AsyncIterator[Linphone]:
    account = Account(user="bob", password="bob", server=node.udp, tone_hz=BOB_HZ)
    async with Linphone.start(account, tmp_path / "bob") as phone:
        yield phone


async def alice_calls_bob(alice: Baresip, bob: Linphone) -> None:
    await alice.call("bob")
    await bob.expect("incoming call from sip:alice@")
    bob.answer()
    await alice.expect("CALL_ESTABLISHED")
    await bob.expect("Media streams established")


async def both_have_heard(alice: Baresip, bob: Linphone, seconds: float = 0.8) -> None:
    """Their recordings are complete when the call has ended; Linphone's a moment later."""
    for _ in range(int(PATIENCE_S / 0.05)):
        if seconds_of_tone(bob.heard(), ALICE_HZ) >= seconds:
            break
        await asyncio.sleep(0.05)
    assert seconds_of_tone(bob.heard(), ALICE_HZ) >= seconds, describe(bob.heard(), ALICE_HZ, BOB_HZ)
    assert seconds_of_tone(alice.heard(), BOB_HZ) >= seconds, describe(alice.heard(), ALICE_HZ, BOB_HZ)


async def test_baresip_calls_linphone_and_both_hear_each_other(
    node: NodeProcess, alice: Baresip, bob: Linphone
) -> None:
    await alice_calls_bob(alice, bob)
    await asyncio.sleep(TALK_S)
    await alice.hang_up()
    await bob.expect("ended")
    await alice.expect("CALL_CLOSED")
    await both_have_heard(alice, bob)


async def test_linphone_calls_baresip_and_both_hear_each_other(
    node: NodeProcess, alice: Baresip, bob: Linphone
) -> None:
    bob.call("alice")
    await alice.expect("CALL_INCOMING")
    await bob.expect("ringing|Ringing")
    await alice.answer()
    await bob.expect("connected")
    await asyncio.sleep(TALK_S)
    bob.hang_up()
    await alice.expect("CALL_CLOSED")
    await bob.expect("ended")
    await both_have_heard(alice, bob)


@pytest.mark.parametrize("numbers", ["app"], indirect=True)
async def test_the_callers_star_ends_the_callee_and_the_document_goes_on(
    node: NodeProcess, app: WebApp, alice: Baresip, bob: Linphone
) -> None:
    app.reply(
        "/voice",
        f'<Response><Dial hangupOnStar="true" action="{app.url("/after")}">'
        "<Client>bob</Client></Dial></Response>",
    )
    app.reply("/after", "<Response><Pause length='60'/></Response>")
    await alice.call("100")
    await bob.expect("incoming call")
    bob.answer()
    await bob.expect("Media streams established")
    await asyncio.sleep(0.3)
    await alice.press("5")
    await bob.expect("Receiving tone 5")
    await alice.press("*")
    await bob.expect("ended")
    after = await app.expect("/after")
    assert (after["DialCallStatus"], after["DialHangupBy"]) == ("completed", "caller")
    assert not [line for line in bob.lines if "Receiving tone *" in line]
    assert "CALL_CLOSED" not in [event["type"] for event in alice.events]


async def test_hold_and_resume_by_either_phone(node: NodeProcess, alice: Baresip, bob: Linphone) -> None:
    await alice_calls_bob(alice, bob)
    await asyncio.sleep(0.5)
    bob.hold()
    await bob.expect("paused|Pausing")
    await asyncio.sleep(0.5)
    bob.resume()
    await bob.expect("resumed|Resuming|Media streams established")
    await asyncio.sleep(TALK_S)
    await alice.hold()
    await asyncio.sleep(0.5)
    await alice.resume()
    await asyncio.sleep(TALK_S)
    await alice.hang_up()
    await bob.expect("ended")
    await alice.expect("CALL_CLOSED")
    await both_have_heard(alice, bob, 2.0)
