"""Two phones register with a node that has no numbers configured, and call each other (RFC 3261 §10)."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.peer.peer import Peer
from tests.sip.node_process import NodeProcess, config_text, run_node

pytestmark = pytest.mark.sip

USERS = """
[[users]]
name = "alice"
password = "alicepw"
[[users]]
name = "bob"
password = "bobpw"
"""


@pytest.fixture
def text() -> str:
    return config_text({}, extra=USERS)


@pytest.fixture
async def node(tmp_path: Path, text: str) -> AsyncIterator[NodeProcess]:
    async with run_node(tmp_path, text) as node:
        yield node


@pytest.fixture(params=["udp", "tcp"])
async def phones(request: pytest.FixtureRequest, node: NodeProcess) -> AsyncIterator[tuple[Peer, Peer]]:
    async with AsyncExitStack() as stack:
        alice, bob = [
            await stack.enter_async_context(Peer.start(name, transport=request.param))
            for name in ("alice", "bob")
        ]
        await register(alice, node)
        await register(bob, node)
        yield alice, bob


async def register(phone: Peer, node: NodeProcess, *, expires: int = 600, user: str = "") -> None:
    name = user or phone.name
    phone.credentials = (name, f"{name}pw")
    host, port = node.sip[phone.transport]
    answer = await phone.request(
        "REGISTER",
        f"sip:{host}:{port};transport={phone.transport}",
        to_uri=f"sip:{name}@127.0.0.1",
        headers=[("Contact", f"<{phone.uri(name)}>"), ("Expires", str(expires))],
    )
    assert answer.status == 200, answer.summary()


async def talk(node: NodeProcess, alice: Peer, bob: Peer) -> None:
    host, port = node.sip[alice.transport]
    call = await alice.invite(f"sip:bob@{host}:{port};transport={alice.transport}", from_user="alice")
    incoming = await bob.expect_invite()
    await incoming.ring()
    await call.expect_response(180)
    await incoming.answer()
    await call.expect_response(200)
    await incoming.expect("ACK")
    call.media.play_tone(440)
    incoming.media.play_tone(660)
    assert await call.media.expect_tone(660) > -25
    assert await incoming.media.expect_tone(440) > -25
    await incoming.bye()
    await call.expect("BYE")


async def test_two_phones_call_each_other_without_any_configured_number(
    node: NodeProcess, phones: tuple[Peer, Peer]
) -> None:
    alice, bob = phones
    await talk(node, alice, bob)
    await node.expect_log("call", user="alice")


async def test_who_is_registered_is_reached_after_a_restart(text: str, tmp_path: Path) -> None:
    async with Peer.start("alice") as alice, Peer.start("bob") as bob:
        async with run_node(tmp_path, text) as node:
            await register(bob, node)
        async with run_node(tmp_path, text) as node:
            await register(alice, node)
            await talk(node, alice, bob)
