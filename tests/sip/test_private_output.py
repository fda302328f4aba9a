"""The output of a whole node contains no numbers, addresses, keys or passwords.

Calls with webhooks that work and that fail, keys in the audio and by INFO, registrations, REST, refusals.
"""

from pathlib import Path

import aiohttp
import pytest

from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.sip.node_process import ACCOUNT_SID, AUTH_TOKEN, NodeProcess, config_text, run_node

pytestmark = pytest.mark.sip

USER, PASSWORD = "wilhelmina", "open-sesame-7"
URL_USER, URL_PASSWORD = "appuser", "s3cr3t-of-the-url"
ALLOWED, STRANGER, PHONE, CALLEE = "127.0.0.71", "127.0.0.72", "127.0.0.73", "127.0.0.74"
FROM, TO, DIALED = "14155550171", "14155550172", "14155550173"
KEYS, INFO_KEYS = "97531086", "86420135"
WRONG = "wrong-token-of-somebody"

SECRETS = (
    *(USER, PASSWORD, URL_USER, URL_PASSWORD, AUTH_TOKEN, WRONG),
    *(ALLOWED, STRANGER, PHONE, CALLEE, FROM, TO, DIALED, KEYS, INFO_KEYS),
)


def asks(app: WebApp, path: str) -> str:
    return app.url(path).replace("http://", f"http://{URL_USER}:{URL_PASSWORD}@")


async def gathered(node: NodeProcess, app: WebApp) -> None:
    """Keys of both kinds, reported to an application in a query whose response cannot be run."""
    app.reply("/got", "<nonsense")
    app.reply("/after", "<Response/>")
    for keys in (KEYS, INFO_KEYS):
        app.reply(
            "/voice",
            f'<Response><Gather method="GET" action="{asks(app, "/got")}" numDigits="{len(keys)}" '
            'timeout="30"><Pause length="30"/></Gather></Response>',
        )
        async with Peer.start("allowed", host=ALLOWED) as caller:
            call = await caller.invite(node.uri(f"+{TO}"), from_user=f"+{FROM}")
            await call.expect_response(200)
            if keys == KEYS:
                await call.rfc4733(keys)
            else:
                for key in keys:
                    await call.info_dtmf(key)
            assert (await app.expect("/got"))["Digits"] == keys
            await call.expect("BYE")


async def dialled(node: NodeProcess, app: WebApp) -> None:
    """Targets that answer, that refuse, that are not numbers, and that do not exist."""
    async with Peer.start("allowed", host=ALLOWED) as caller, Peer.start("callee", host=CALLEE) as callee:
        for target, dials in (
            (f"<Sip statusCallback='{asks(app, '/stage')}'>{callee.uri(f'+{DIALED}')}</Sip>", True),
            (f"<Number>{DIALED}x1y2</Number>", False),
            (f"<Sip>sip:+{DIALED}@{CALLEE}:9;transport=tcp</Sip>", False),
            (f"<Client>{USER}</Client>", False),
        ):
            action = asks(app, "/after")
            app.reply("/voice", f"<Response><Dial method='GET' action='{action}'>{target}</Dial></Response>")
            call = await caller.invite(node.uri(f"+{TO}"), from_user=f"+{FROM}")
            if dials:
                incoming = await callee.expect_invite()
                await incoming.answer()
                await call.expect_response(200)
                await incoming.bye()
            await app.expect("/after")
            await call.expect_end()


async def registered(node: NodeProcess) -> None:
    host, port = node.udp
    async with Peer.start("phone", host=PHONE) as phone:
        for password, status in (("not-it", 401), (PASSWORD, 200)):
            phone.credentials = (USER, password)
            answer = await phone.request(
                "REGISTER",
                f"sip:{host}:{port}",
                to_uri=f"sip:{USER}@{host}",
                headers=[("Contact", f"<{phone.uri(USER)}>")],
            )
            assert answer.status == status


async def refused(node: NodeProcess) -> None:
    """A stranger's calls, and messages that no grammar allows."""
    async with Peer.start("stranger", host=STRANGER, strict=False) as stranger:
        call = await stranger.invite(node.uri(f"+{TO}"), from_user=f"+{FROM}")
        await call.expect_response(401)
        odd = await stranger.request(
            "OPTIONS", node.uri(f"+{TO}"), headers=[("Contact", f"<sip:+{FROM}@{STRANGER}:99999>")]
        )
        assert odd.status is not None
        stranger.send_raw(f"INVITE sip:+{TO} SIP/2.0\r\nFrom: {FROM}\r\n\r\n".encode(), node.udp)


async def made(node: NodeProcess, app: WebApp) -> None:
    """By REST: a wrong token, a refused call, one that is not answered."""
    calls = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls.json"
    async with aiohttp.ClientSession(node.http) as session, Peer.start("callee", host=CALLEE) as callee:
        for token, status in ((WRONG, 401), (AUTH_TOKEN, 201)):
            headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT_SID, token)}
            form = {"To": callee.uri(f"+{DIALED}"), "From": f"+{FROM}", "Url": asks(app, "/voice")}
            form["StatusCallback"] = asks(app, "/stage")
            async with session.post(calls, data=form, headers=headers) as answer:
                assert answer.status == status, await answer.text()
        incoming = await callee.expect_invite()
        await incoming.reject(486)
        await app.expect("/stage")


@pytest.mark.parametrize("log_format", ["json", "console"])
async def test_nothing_of_what_is_known_of_people_is_in_the_output(
    app: WebApp, tmp_path: Path, log_format: str
) -> None:
    number = {"voice_url": asks(app, "/voice"), "status_callback": asks(app, "/gone")}
    users = f'[[users]]\nname = "{USER}"\npassword = "{PASSWORD}"\n'
    sections = {"security": {"allow": [f"{ALLOWED}/32"]}}
    app.reply("/stage", "", status=400)
    app.reply("/gone", "", status=400)
    text = config_text({"*": number}, sections=sections, extra=users)
    async with run_node(tmp_path, text, log_format=log_format) as node:
        await gathered(node, app)
        await dialled(node, app)
        await registered(node)
        await refused(node)
        await made(node, app)
        await node.quiet()
    assert node.process.stdout is not None
    output = node.log_path.read_text() + (await node.process.stdout.read()).decode()
    for event in ("call_ended", "registered", "status callback given up", "calls refused", "twiml"):
        assert event in output  # else the scene proves nothing
    for secret in SECRETS:
        at = output.find(secret)
        assert at < 0, f"{secret}: {output[max(0, at - 300) : at + 100]}"
