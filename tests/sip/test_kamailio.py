"""Kamailio as a PBX with the node as its trunk: registered with a password, called, and calling."""

from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest

from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.sip.kamailio import run_kamailio
from tests.sip.node_process import NodeProcess, config_text, run_node

pytestmark = pytest.mark.sip

USER, PASSWORD = "b2bua", "trunk-secret-2"


class Pbx(NamedTuple):
    port: int
    desk: Peer
    """Its one extension."""
    node: NodeProcess


@pytest.fixture(scope="module")
async def pbx(module_app: WebApp, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pbx]:
    folder = tmp_path_factory.mktemp("kamailio")
    async with (
        Peer.start("desk") as desk,
        run_kamailio(folder, user=USER, password=PASSWORD, desk=desk.uri()) as port,
    ):
        trunk = (
            f'[[trunks]]\nname = "pbx"\nuri = "sip:127.0.0.1:{port}"\nusername = "{USER}"\n'
            f'password = "{PASSWORD}"\nregister = true\nregister_expires_s = 60\nkeepalive_s = 1\n'
        )
        # Nobody is allowed by address: what comes is let in because we are registered there.
        sections = {"security": {"allow": []}, "dial": {"trunk": "pbx"}}
        text = config_text({"*": {"voice_url": module_app.url("/voice")}}, sections=sections, extra=trunk)
        async with run_node(folder, text) as node:
            await node.expect_log("trunk", trunk="pbx", registration="registered")
            await node.expect_log("trunk", trunk="pbx", reachable=True)
            yield Pbx(port, desk, node)


async def test_a_call_comes_by_the_registration_and_is_the_trunks(pbx: Pbx, app: WebApp) -> None:
    app.reply("/voice", "<Response><Play digits='5'/><Pause length='20'/></Response>")
    call = await pbx.desk.invite(f"sip:{USER}@127.0.0.1:{pbx.port}")
    await call.expect_response(200)
    await call.media.expect_digit("5")
    await call.bye()
    line = await pbx.node.expect_log("call", sip_call_id=call.call_id)
    assert line["trunk"] == "pbx"


async def test_a_call_goes_out_with_the_password_and_both_hear_each_other(pbx: Pbx, app: WebApp) -> None:
    app.reply(
        "/voice",
        '<Response><Dial answerOnBridge="true" action="/after"><Number>+14155550100</Number></Dial>'
        "</Response>",
    )
    async with Peer.start("caller") as caller:
        call = await caller.invite(f"sip:{USER}@127.0.0.1:{pbx.port}")
        incoming = await pbx.desk.expect_invite()
        assert incoming.to_user == "+14155550100"
        assert incoming.invite.get("proxy-authorization") is None  # the PBX keeps it to itself
        await incoming.ring()
        await call.expect_response(180)
        await incoming.answer()
        await call.expect_response(200)
        await incoming.expect("ACK")
        call.media.play_tone(440)
        incoming.media.play_tone(660)
        await call.media.expect_tone(660)
        await incoming.media.expect_tone(440)
        await incoming.bye()
        await call.expect("BYE")
    assert (await app.expect("/after"))["DialCallStatus"] == "completed"
    assert PASSWORD not in pbx.node.log_path.read_text()
