"""Numbers called by REST: read as in a document, with the keys of an extension after the answer."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.peer.peer import Peer
from tests.sip.node_process import ACCOUNT_SID, AUTH_TOKEN, NodeProcess

pytestmark = pytest.mark.sip

NUMBER = "+14155550100"


@pytest.fixture(scope="module")
async def pbx() -> AsyncIterator[Peer]:
    async with Peer.start("pbx") as peer:
        yield peer


@pytest.fixture(scope="module")
def sections() -> dict[str, dict[str, Any]]:
    return {"dial": {"trunk": "pbx", "caller_id_policy": "any"}}


@pytest.fixture(scope="module")
def extra_config(pbx: Peer) -> str:
    return f'[[trunks]]\nname = "pbx"\nuri = "sip:127.0.0.1:{pbx.port}"\nkeepalive_s = 0\n'


async def create(node: NodeProcess, to: str, **more: str) -> httpx.Response:
    path = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls.json"
    form = {"To": to, "From": "+14155550199", "Twiml": '<Response><Play digits="9"/></Response>', **more}
    async with httpx.AsyncClient(base_url=node.http, auth=(ACCOUNT_SID, AUTH_TOKEN)) as client:
        return await client.post(path, data=form)


@pytest.mark.parametrize(
    ("to", "keys"),
    [
        (NUMBER, ""),
        (f"{NUMBER}x123", "123"),
        ("(415) 555-0100 ext. 12", "12"),
        ("tel:+1-415-555-0100;ext=4*", "4*"),
        ("415-555-0100,5", "5"),
        ("1-800-FLOWERS", ""),
    ],
)
async def test_an_extension_is_sent_before_the_document(
    node: NodeProcess, pbx: Peer, to: str, keys: str
) -> None:
    called = "+18003569377" if "FLOWERS" in to else NUMBER
    answer = await create(node, to, SendDigits="#")
    assert (answer.status_code, answer.json()["to"]) == (201, called)
    incoming = await pbx.expect_invite(user=called)
    await incoming.answer()
    for key in f"{keys}#9":
        await incoming.media.expect_digit(key)
    assert incoming.media.digits == f"{keys}#9"
    await incoming.expect("BYE")


@pytest.mark.parametrize(
    "to",
    [
        f"{NUMBER}x",
        f"{NUMBER}x12a",
        f"{NUMBER} or {NUMBER}",
        f"{NUMBER};ext=",
        "tel:",
        "x123",
        "12" * 40,
        "+1",
    ],
)
async def test_what_is_no_number_is_refused(node: NodeProcess, to: str) -> None:
    answer = await create(node, to)
    assert (answer.status_code, answer.json()["code"]) == (400, 21211)
    assert answer.json()["message"].startswith("To")
