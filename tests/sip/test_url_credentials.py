"""URLs with a password: each is requested with it, and it is never stored, shown or logged."""

import contextlib
import json
import sqlite3
from pathlib import Path

import aiohttp
import pytest

from tests.peer.peer import Peer
from tests.peer.talk import hear_each_other
from tests.peer.webapp import WebApp
from tests.sip.node_process import ACCOUNT_SID, AUTH_TOKEN, NodeProcess, config_text, run_node

pytestmark = pytest.mark.sip

SECRET = "s3cr3t"


def held(app: WebApp, path: str) -> str:
    """A URL of the application with credentials of its own."""
    return app.url(path).replace("http://", f"http://user{path[1:]}:{SECRET}{path[1:]}@")


async def asked(app: WebApp, path: str) -> dict[str, str]:
    """The requests received, by their credentials."""
    request = await app.expect(path)
    login = aiohttp.BasicAuth.decode(request.headers["Authorization"])
    assert (login.login, login.password) == (f"user{path[1:]}", f"{SECRET}{path[1:]}")
    return dict(request.params)


async def everything_shown(node: NodeProcess) -> str:
    """Everything that the API returns: each list, and each resource linked from the lists."""
    seen: dict[str, str] = {}
    root = f"/2010-04-01/Accounts/{ACCOUNT_SID}"
    lists = ("Calls", "Recordings", "Notifications", "IncomingPhoneNumbers")
    todo = [
        "/metrics",
        "/openapi.json",
        "/healthz",
        f"{root}.json",
        *(f"{root}/{name}.json" for name in lists),
    ]
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT_SID, AUTH_TOKEN)}
    async with aiohttp.ClientSession(node.http, headers=headers) as session:
        while todo:
            path = todo.pop()
            async with session.get(path) as answer:
                seen[path] = await answer.text()
            if path.startswith(root):
                todo += [each for each in uris(json.loads(seen[path])) if each not in seen]
    assert sum("Events.json" in path for path in seen) >= 3
    return "\n".join(seen.values())


def uris(body: object) -> list[str]:
    """All links of a resource to others."""
    if isinstance(body, dict):
        return [uri for value in body.values() for uri in uris(value)]
    if isinstance(body, list):
        return [uri for value in body for uri in uris(value)]
    return [body] if isinstance(body, str) and body.startswith("/2010-04-01/") else []


def everything_kept(folder: Path) -> str:
    """All rows of all tables of a node that has ended; no callback is pending."""
    with contextlib.closing(sqlite3.connect(folder / "b2bua.db")) as database:
        return "\n".join(database.iterdump())


async def transferred(node: NodeProcess, app: WebApp, ann: Peer, bob: Peer, carol: Peer) -> None:
    """A call that requests every URL: document, callbacks, transfer, recording, action."""
    for path in ("/voice", "/screen", "/refer", "/action"):
        app.reply(path, "<Response/>")
    for path in ("/stage", "/recorded"):
        app.reply(path, "", status=204)
    app.reply(
        "/voice",
        f'<Response><Dial record="record-from-answer" action="{held(app, "/action")}" '
        f"referUrl='{held(app, '/refer')}' recordingStatusCallback=\"{held(app, '/recorded')}\">"
        f'<Sip url="{held(app, "/screen")}" statusCallback="{held(app, "/stage")}">{bob.uri()}</Sip>'
        "</Dial></Response>",
    )
    app.reply(
        "/refer",
        f'<Response><Dial action="{held(app, "/action")}"><Sip>{carol.uri()}</Sip></Dial></Response>',
    )
    call = await ann.invite(node.uri("100"))
    incoming = await bob.expect_invite()
    await incoming.answer()
    await asked(app, "/voice")
    await asked(app, "/screen")
    await hear_each_other(call, incoming)
    await incoming.refer(carol.uri())
    assert carol.uri() in (await asked(app, "/refer"))["ReferTransferTarget"]
    third = await carol.expect_invite()
    await third.answer()
    await hear_each_other(call, third)
    await third.bye()
    for path in ("/action", "/recorded", "/stage", "/status"):
        await asked(app, path)


async def failing(node: NodeProcess, app: WebApp, ann: Peer) -> list[str]:
    """Calls whose URLs cannot be requested, or return what cannot be run; what the fallback receives."""
    app.reply("/fallback", '<Response><Reject reason="busy"/></Response>')
    app.reply("/status", "", status=400)
    told = []
    for body in (
        "<nonsense",
        f"<Response><Redirect>{held(app, '/gone')}</Redirect></Response>",
        f"<Response><Redirect>ftp://user:{SECRET}@127.0.0.1/</Redirect></Response>",
        f"<Response><Redirect>http://user:{SECRET}@[::1/</Redirect></Response>",
        f"<Response><Redirect>http://user:{SECRET}@nowhere.invalid/</Redirect></Response>",
    ):
        app.reply("/voice", body)
        call = await ann.invite(node.uri("100"))
        told.append((await asked(app, "/fallback"))["ErrorUrl"])
        await call.expect_response(486)
    app.reply("/voice", f"<Response><Play>{held(app, '/sound')}</Play></Response>")
    call = await ann.invite(node.uri("100"))
    await asked(app, "/sound")
    await call.expect("BYE")
    return told


async def made(node: NodeProcess, app: WebApp, bob: Peer) -> None:
    """A call by REST, redirected by REST."""
    app.reply("/made", '<Response><Pause length="20"/></Response>')
    app.reply("/elsewhere", "<Response/>")
    app.reply("/stage", "", status=204)
    path = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls"
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT_SID, AUTH_TOKEN)}
    async with aiohttp.ClientSession(node.http, headers=headers) as session:
        form = {
            "To": bob.uri(),
            "From": "+14155550100",
            "Url": held(app, "/made"),
            "StatusCallback": held(app, "/stage"),
        }
        async with session.post(f"{path}.json", data=form) as answer:
            assert answer.status == 201, await answer.text()
            sid = (await answer.json())["sid"]
        incoming = await bob.expect_invite()
        await incoming.answer()
        await asked(app, "/made")
        form = {"Url": held(app, "/elsewhere")}
        async with session.post(f"{path}/{sid}.json", data=form) as answer:
            assert answer.status == 200
        await asked(app, "/elsewhere")
        await incoming.expect("BYE")
        await asked(app, "/stage")


async def test_no_password_of_an_address_is_kept_shown_or_logged(
    app: WebApp, ann: Peer, bob: Peer, carol: Peer, tmp_path: Path
) -> None:
    number = {
        "voice_url": held(app, "/voice"),
        "fallback_url": held(app, "/fallback"),
        "status_callback": held(app, "/status"),
    }
    async with run_node(tmp_path, config_text({"*": number})) as node:
        await transferred(node, app, ann, bob, carol)
        for url in await failing(node, app, ann):
            assert url and SECRET not in url
        await made(node, app, bob)
        await node.quiet()
        shown = await everything_shown(node)
    kept = everything_kept(tmp_path)
    for where, text in (("API", shown), ("database", kept), ("log", node.log_path.read_text())):
        at = text.find(SECRET)
        assert at < 0, f"{where}: {text[max(0, at - 300) : at + 100]}"
    for path in ("/voice", "/refer", "/stage", "/recorded", "/gone", "/made", "/elsewhere"):
        assert app.url(path) in kept and app.url(path) in shown
