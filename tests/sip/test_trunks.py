"""Trunks of a real node: registration, keep-alive, dialling with a password, admission."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from twilio.rest import Client

from tests.peer import digest
from tests.peer.ladder import PATIENCE_S
from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.peer.wire import Message
from tests.sip.node_process import ACCOUNT_SID, AUTH_TOKEN, NodeProcess, config_text, run_node

pytestmark = [pytest.mark.sip, pytest.mark.measured]

USER, PASSWORD = "node", "trunk-secret-1"
Dial = Callable[..., None]


@pytest.fixture
async def pbx() -> AsyncIterator[Peer]:
    """A trunk with a password, at an address of its own."""
    async with Peer.start("pbx", host="127.0.7.1") as peer:
        yield peer


def trunk(peer: Peer, **changes: Any) -> str:
    given = {"name": "pbx", "uri": f"sip:{peer.host}:{peer.port}", "keepalive_s": 0, **changes}
    lines = [f"{key} = {json.dumps(value)}" for key, value in given.items()]
    return "\n".join(["[[trunks]]", *lines, ""])


def node_text(app: WebApp, *trunks: str, **sections: dict[str, Any]) -> str:
    # Nobody is allowed by address alone: what a call gets, its trunk gets.
    given = {"security": {"allow": []}, "dial": {"trunk": "pbx"}, **sections}
    return config_text({"*": {"voice_url": app.url("/voice")}}, sections=given, extra="".join(trunks))


async def metric(node: NodeProcess, line: str, within_s: float = PATIENCE_S) -> None:
    """Wait for a line of the metrics."""
    text = ""
    async with aiohttp.ClientSession() as session:
        for _ in range(int(within_s / 0.1)):
            async with session.get(f"{node.http}/metrics") as answer:
                text = await answer.text()
            if line in text.splitlines():
                return
            await asyncio.sleep(0.1)
    raise AssertionError(f"no {line!r} in\n{text}")


async def challenged(pbx: Peer, request: Message, algorithm: str) -> Message:
    """Challenge a request; returns the authenticated one."""
    pbx.respond(request, 401, headers=[("WWW-Authenticate", digest.challenge("pbx", algorithm))])
    again = await pbx.expect(request.method)
    assert digest.proves(again, USER, PASSWORD), pbx.ladder()
    return again


class TestRegistration:
    @pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
    async def test_takes_calls_from_where_it_registered(
        self, algorithm: str, app: WebApp, pbx: Peer, caller: Peer, tmp_path: Path
    ) -> None:
        pbx.auto = False
        app.reply("/voice", "<Response><Pause length='60'/></Response>")
        text = node_text(app, trunk(pbx, register=True, username=USER, password=PASSWORD))
        async with run_node(tmp_path, text) as node:
            request = await challenged(pbx, await pbx.expect("REGISTER"), algorithm)
            contact = request.all("Contact")[0]
            pbx.respond(request, 200, headers=[("Contact", f"{contact};expires=600")])
            await metric(node, 'b2bua_trunk_registered{trunk="pbx"} 1.0')

            call = await pbx.invite(contact.strip("<>"))
            voice = await app.expect("/voice")
            assert voice["To"].startswith(f"sip:{USER}@")
            assert voice.get("SipUsername") is None  # a trunk's call is a phone call
            await call.cancel()
            await call.expect_response(487)

            stranger = await caller.invite(node.uri("100"))
            assert (await stranger.expect_response((401, 403))).status

            node.process.terminate()
            last = await pbx.expect("REGISTER")
            assert last["Expires"] == "0"
            pbx.respond(last, 200)
        assert PASSWORD not in (tmp_path / "node.log").read_text()

    async def test_that_has_failed_takes_no_calls_without_a_password(
        self, app: WebApp, pbx: Peer, tmp_path: Path
    ) -> None:
        pbx.auto = False
        app.reply("/voice", "<Response><Reject/></Response>")
        text = node_text(app, trunk(pbx, register=True, username=USER, password=PASSWORD))
        async with run_node(tmp_path, text) as node:
            pbx.respond(await pbx.expect("REGISTER"), 200, headers=[("Expires", "10")])
            await metric(node, 'b2bua_trunk_registered{trunk="pbx"} 1.0')
            await (await pbx.invite(node.uri("100"))).expect_response(404)
            pbx.respond(await pbx.expect("REGISTER"), 403)
            await metric(node, 'b2bua_trunk_registered{trunk="pbx"} 0.0')
            await (await pbx.invite(node.uri("100"))).expect_response(401)

    async def test_of_a_trunk_that_was_removed_takes_no_calls_without_a_password(
        self, app: WebApp, pbx: Peer, tmp_path: Path
    ) -> None:
        pbx.auto = False
        app.reply("/voice", "<Response><Reject/></Response>")
        line = trunk(pbx, register=True, username=USER, password=PASSWORD)
        text = node_text(app, line, dial={})
        async with run_node(tmp_path, text) as node:
            pbx.respond(await pbx.expect("REGISTER"), 200)
            await metric(node, 'b2bua_trunk_registered{trunk="pbx"} 1.0')
            await (await pbx.invite(node.uri("100"))).expect_response(404)
            (tmp_path / "b2bua.toml").write_text(text.replace(line, ""))
            node.process.send_signal(signal.SIGHUP)
            last = await pbx.expect("REGISTER")  # which nobody answers
            assert last["Expires"] == "0"
            await (await pbx.invite(node.uri("100"))).expect_response(401)

    async def test_that_is_refused_is_told(self, app: WebApp, pbx: Peer, tmp_path: Path) -> None:
        pbx.auto = False
        text = node_text(app, trunk(pbx, register=True, username=USER, password="other"))
        async with run_node(tmp_path, text) as node:
            pbx.respond(await pbx.expect("REGISTER"), 403)
            line = await node.expect_log("trunk", registration="failed")
            assert (line["trunk"], line["sip_code"], line["level"]) == ("pbx", 403, "warning")
            await metric(node, 'b2bua_trunk_registered{trunk="pbx"} 0.0')


class TestCallsOut:
    @pytest.mark.parametrize(("status", "algorithm"), [(407, "MD5"), (401, "MD5"), (407, "SHA-256")])
    async def test_answer_the_trunks_challenge(
        self, status: int, algorithm: str, app: WebApp, pbx: Peer, tmp_path: Path
    ) -> None:
        app.reply("/voice", "<Response><Dial answerOnBridge='true'>+14155550199</Dial></Response>")
        text = node_text(app, trunk(pbx, username=USER, password=PASSWORD, match=[f"{pbx.host}/32"]))
        async with run_node(tmp_path, text) as node:
            call = await pbx.invite(node.uri("100"), from_user="+14155550123")
            first = await pbx.expect_invite()
            name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
            await first.reject(status, headers=[(name, digest.challenge("pbx", algorithm))])
            second = await pbx.expect_invite()
            assert digest.proves(second.invite, USER, PASSWORD)
            assert second.invite["P-Asserted-Identity"] == "<sip:+14155550123@127.0.0.1>"
            await second.answer()
            await call.expect_response(200)
            await second.expect("ACK")
            call.media.play_tone(440)
            assert await second.media.expect_tone(440) > -25
            await call.bye()
            await second.expect("BYE")


class TestCallsIn:
    async def test_with_the_trunks_password_they_are_its_from_wherever_they_come(
        self, app: WebApp, pbx: Peer, tmp_path: Path
    ) -> None:
        app.reply("/voice", "<Response><Reject/></Response>")
        text = node_text(app, trunk(pbx, username=USER, password=PASSWORD))
        async with run_node(tmp_path, text) as node, Peer.start("roaming", host="127.0.7.9") as roaming:
            roaming.credentials = (USER, PASSWORD)
            call = await roaming.invite(node.uri("100"), from_user="+14155550123")
            await call.expect_response(404)
            assert (await app.expect("/voice"))["From"] == "+14155550123"
            host, port = node.udp
            answer = await roaming.request(
                "REGISTER",
                f"sip:{host}:{port}",
                to_uri=f"sip:{USER}@127.0.0.1",
                headers=[("Contact", f"<{roaming.uri(USER)}>")],
            )
            assert answer.status == 403


class TestKeepAlive:
    async def test_a_trunk_that_does_not_answer_is_passed_over(
        self, app: WebApp, pbx: Peer, tmp_path: Path
    ) -> None:
        app.reply("/voice", "<Response><Dial answerOnBridge='true'>+14155550199</Dial></Response>")
        async with Peer.start("other", host="127.0.7.2") as other:
            other.auto = False
            text = node_text(
                app,
                trunk(other, name="other", prefixes=["+1415"], keepalive_s=1),
                trunk(pbx, keepalive_s=1, match=[f"{pbx.host}/32"]),
            )
            async with run_node(tmp_path, text) as node:
                request = await other.expect("OPTIONS")
                other.respond(request, 503)
                await metric(node, 'b2bua_trunk_up{trunk="other"} 0.0')
                await metric(node, 'b2bua_trunk_up{trunk="pbx"} 1.0')
                call = await pbx.invite(node.uri("100"))
                incoming = await pbx.expect_invite()
                await incoming.reject(486)
                await call.expect_response(486)

                other.respond(await other.expect("OPTIONS"), 200)
                await metric(node, 'b2bua_trunk_up{trunk="other"} 1.0')
                call = await pbx.invite(node.uri("100"))
                incoming = await other.expect_invite()
                await incoming.reject(486)
                await call.expect_response(486)


class TestFailOver:
    @pytest.mark.parametrize("trouble", ["503", "nobody"])
    async def test_the_next_trunk_takes_the_call(
        self, trouble: str, app: WebApp, pbx: Peer, tmp_path: Path
    ) -> None:
        attributes = f"answerOnBridge='true' action='{app.url('/after')}'"
        app.reply("/voice", f"<Response><Dial {attributes}>+14155550199</Dial></Response>")
        async with Peer.start("first", host="127.0.7.3", transport="tcp") as first:
            uri = f"sip:{first.host}:{first.port};transport=tcp"
            text = node_text(
                app,
                trunk(first, name="first", uri=uri, prefixes=["+1415"]),
                trunk(pbx, match=[f"{pbx.host}/32"]),
            )
            async with run_node(tmp_path, text) as node:
                if trouble == "nobody":
                    await first.close()
                call = await pbx.invite(node.uri("100"))
                if trouble != "nobody":
                    await (await first.expect_invite()).reject(503)
                incoming = await pbx.expect_invite()
                await incoming.answer()
                await call.expect_response(200)
                await incoming.expect("ACK")
                incoming.media.play_tone(660)
                assert await call.media.expect_tone(660) > -25
                await incoming.bye()
                await call.expect("BYE")
                after = await app.expect("/after")
                assert after["DialCallStatus"] == "completed"
                if trouble != "nobody":
                    refused = first.calls[0].invite["X-Twilio-CallSid"]
                    assert refused == incoming.invite["X-Twilio-CallSid"] == after["DialCallSid"]

    async def test_of_a_call_by_rest_too(self, app: WebApp, pbx: Peer, tmp_path: Path) -> None:
        app.reply("/hello", "<Response><Play digits='5'/><Pause length='20'/></Response>")
        async with Peer.start("first", host="127.0.7.3") as first:
            text = node_text(
                app,
                trunk(first, name="first", prefixes=["+1415"], caller_ids=["+14155550100"]),
                trunk(pbx, username=USER, password=PASSWORD),
            )
            async with run_node(tmp_path, text) as node:
                client = Client(ACCOUNT_SID, AUTH_TOKEN)
                client.api.base_url = node.http
                made = await asyncio.to_thread(
                    client.calls.create,
                    to="+14155550199",
                    from_="+14155550100",
                    url=app.url("/hello"),
                    status_callback=app.url("/stage"),
                    status_callback_event=["initiated", "ringing", "answered", "completed"],
                )
                refusing = await first.expect_invite()
                assert refusing.invite["X-Twilio-CallSid"] == made.sid
                await refusing.reject(503)
                challenged = await pbx.expect_invite()
                await challenged.reject(407, headers=[("Proxy-Authenticate", digest.challenge("pbx", "MD5"))])
                incoming = await pbx.expect_invite()
                assert digest.proves(incoming.invite, USER, PASSWORD)
                assert incoming.invite["X-Twilio-CallSid"] == made.sid
                await incoming.ring()
                await incoming.answer()
                assert (await app.expect("/hello"))["CallSid"] == made.sid
                await incoming.media.expect_digit("5")
                await incoming.bye()
                told = [await app.expect("/stage") for _ in range(4)]
                assert [each["CallStatus"] for each in told] == [
                    "initiated",
                    "ringing",
                    "in-progress",
                    "completed",
                ]
                row = await asyncio.to_thread(client.calls(made.sid).fetch)
                assert row.status == "completed"


class TestIdentity:
    async def test_of_a_trunks_caller_reaches_the_application_and_other_trunks(
        self, app: WebApp, pbx: Peer, tmp_path: Path
    ) -> None:
        app.reply("/voice", "<Response><Dial answerOnBridge='true'>+14155550199</Dial></Response>")
        text = node_text(app, trunk(pbx, match=[f"{pbx.host}/32"]))
        async with run_node(tmp_path, text) as node:
            asserted = [("P-Asserted-Identity", '"Bea" <sip:+14155550777@pbx.test>')]
            call = await pbx.invite(node.uri("100"), from_user="4711", headers=asserted)
            incoming = await pbx.expect_invite()
            assert (await app.expect("/voice"))["From"] == "+14155550777"
            assert incoming.invite["P-Asserted-Identity"] == "<sip:+14155550777@127.0.0.1>"
            assert incoming.invite["From"].startswith('"Bea" <sip:+14155550777@')
            await incoming.reject(486)
            await call.expect_response(486)
