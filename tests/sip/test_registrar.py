"""Two phones register with a node without configured numbers, and call each other (RFC 3261 §10)."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from b2bua.sip.location import MAX_CONTACTS
from tests.peer.ladder import PATIENCE_S
from tests.peer.peer import Peer
from tests.peer.wire import Headers
from tests.sip.node_process import NodeProcess, config_text, run_node

pytestmark = [pytest.mark.sip, pytest.mark.measured]

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


async def register(
    phone: Peer,
    node: NodeProcess,
    *,
    expires: int = 600,
    user: str = "",
    contact: str = "",
    headers: Headers = (),
) -> None:
    name = user or phone.name
    phone.credentials = (name, f"{name}pw")
    host, port = node.sip[phone.transport]
    answer = await phone.request(
        "REGISTER",
        f"sip:{host}:{port};transport={phone.transport}",
        to_uri=f"sip:{name}@127.0.0.1",
        headers=[("Contact", contact or f"<{phone.uri(name)}>"), ("Expires", str(expires)), *headers],
    )
    assert answer.status == 200, answer.summary


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
    await node.expect_log("call", pii_user="…")  # empty if it is no user's


async def test_who_is_registered_is_reached_after_a_restart(text: str, tmp_path: Path) -> None:
    async with Peer.start("alice") as alice, Peer.start("bob") as bob:
        async with run_node(tmp_path, text) as node:
            await register(bob, node)
        async with run_node(tmp_path, text) as node:
            await register(alice, node)
            await talk(node, alice, bob)


async def test_a_restart_keeps_at_which_of_our_addresses_a_phone_is(tmp_path: Path) -> None:
    text = config_text({}, extra=USERS, sections={"sip": {"listen": ["udp://127.0.0.1:0"] * 2}})
    async with Peer.start("alice") as alice, Peer.start("bob") as bob:
        supported = [("Supported", "path, outbound")]
        flow = ';+sip.instance="<urn:uuid:1>";reg-id=1'
        async with run_node(tmp_path, text) as node:
            await register(bob, node, contact=f"<{bob.uri('bob')}>{flow}", headers=supported)
        async with run_node(tmp_path, text) as node:
            await register(alice, node)
            call = await alice.invite(node.uri("bob"), from_user="alice")
            incoming = await bob.expect_invite()
            assert f":{node.udp[1]};" in incoming.invite.all("Via")[0]
            await incoming.reject(486)
            await call.expect_response(range(400, 700))
            # RFC 5626 §6: the same flow, so that there is no second one to ring.
            await register(bob, node, contact=f"<{bob.uri('bob')};ob>{flow}", headers=supported)
            await node.expect_log("call", pii_user="…")  # empty if it is no user's
            wanted = [("alice", "", 0, 1), ("bob", "<urn:uuid:1>", 1, 1)]
            await until(lambda: rows(tmp_path) == wanted)


async def test_a_phone_that_comes_back_from_ever_new_addresses_leaves_none_behind(
    node: NodeProcess, tmp_path: Path
) -> None:
    async with Peer.start("bob") as bob:
        for port in range(20_000, 20_015):
            await register(bob, node, contact=f"<sip:bob@127.0.0.1:{port}>")
        await until(lambda: len(rows(tmp_path)) == MAX_CONTACTS)
        await register(bob, node, contact="*", expires=0)
        await until(lambda: not rows(tmp_path))


def rows(folder: Path) -> list[tuple[str, str, int, int]]:
    """The store's registrations: user, instance, reg-id, listener."""
    with contextlib.closing(sqlite3.connect(folder / "b2bua.db")) as database:
        query = "SELECT aor, instance, reg_id, listener FROM registrations ORDER BY aor"
        return list(database.execute(query))


async def until(holds: Callable[[], bool], within_s: float = PATIENCE_S) -> None:
    """Wait until a condition holds in a database that another process writes."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
