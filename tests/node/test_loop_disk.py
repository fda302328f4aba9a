"""The controller's loop never waits for a disk (docs/adr/0007)."""

import asyncio
import io
import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import numpy as np
import pytest
import soundfile

from b2bua.store.records import RecordingRow
from b2bua.store.store import Store
from tests.node import loop_watch
from tests.peer.peer import Peer
from tests.peer.talk import hear_each_other
from tests.peer.webapp import WebApp
from tests.sip.node_process import ACCOUNT_SID, AUTH_TOKEN, NodeProcess, config_text, run_node

pytestmark = pytest.mark.sip

ROOT = f"/2010-04-01/Accounts/{ACCOUNT_SID}"
OLD = "RE" + "0" * 31 + "1"


def sound() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, 0.3 * np.sin(np.arange(4000)), 8000, format="WAV")
    return file.getvalue()


async def leave_an_old_recording(folder: Path) -> None:
    """An old recording that pruning must find."""
    (folder / "recordings").mkdir()
    (folder / "recordings" / f"{OLD}.wav").write_bytes(sound())
    at = datetime.now(UTC) - timedelta(days=9)
    store = await Store.open(f"sqlite:///{folder / 'b2bua.db'}")
    store.put(
        RecordingRow(
            sid=OLD,
            call_sid="CA" + "0" * 32,
            status="completed",
            source="DialVerb",
            channels=1,
            track="both",
            created_at=at,
            updated_at=at,
            path=f"{OLD}.wav",
        )
    )
    assert await store.close() == 0


async def listen(node: NodeProcess, app: WebApp, ann: Peer) -> None:
    """A document of the folder, a text, sounds from the web and the folder, and one that does not exist."""
    for user in ("file", "file", "100"):
        call = await ann.invite(node.uri(user))
        await call.expect("BYE", timeout=15)
    assert app.of("/sound.wav")


async def record(node: NodeProcess, app: WebApp, ann: Peer, bob: Peer) -> str:
    """A recorded call; returns the recording."""
    app.reply(
        "/voice",
        '<Response><Dial record="record-from-answer-dual" recordingStatusCallback="/recorded">'
        f"<Sip>{bob.uri()}</Sip></Dial></Response>",
    )
    app.reply("/recorded", "", status=204)
    call = await ann.invite(node.uri("100"))
    incoming = await bob.expect_invite()
    await incoming.answer()
    await hear_each_other(call, incoming)
    await call.bye()
    return (await app.expect("/recorded", 10))["RecordingSid"]


async def use_the_api(node: NodeProcess, recording: str) -> None:
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT_SID, AUTH_TOKEN)}
    async with aiohttp.ClientSession(node.http, headers=headers) as session:
        for path in (
            f"{recording}.wav",
            recording,
            f"{recording}.mp3",
            f"{recording}.mp3",
            f"{recording}.json",
        ):
            async with session.get(f"{ROOT}/Recordings/{path}") as answer:
                assert answer.status == 200 and await answer.read()
        for name in ("Calls", "Recordings", "Notifications", "IncomingPhoneNumbers"):
            async with session.get(f"{ROOT}/{name}.json") as answer:
                assert answer.status == 200
        async with session.delete(f"{ROOT}/Recordings/{recording}.json") as answer:
            assert answer.status == 204
        async with session.get("/metrics") as answer:
            assert answer.status == 200


async def test_no_file_is_touched_by_the_loop(app: WebApp, ann: Peer, bob: Peer, tmp_path: Path) -> None:
    await leave_an_old_recording(tmp_path)
    (tmp_path / "beside.wav").write_bytes(sound())
    (tmp_path / "hello.xml").write_text("<Response><Play>beside.wav</Play><Say>Hello</Say></Response>")
    app.reply("/sound.wav", sound(), content_type="audio/wav", headers=(("Cache-Control", "max-age=60"),))
    app.reply(
        "/voice",
        f"<Response><Play>{app.url('/sound.wav')}</Play><Play>/nothing.wav</Play>"
        f"<Play>{app.url('/sound.wav')}</Play></Response>",
    )
    numbers = {"file": {"twiml": "hello.xml"}, "*": {"voice_url": app.url("/voice")}}
    storage = {"storage": {"keep_days": 1, "cache": "cache"}}
    text = config_text(numbers, sections=storage)
    async with run_node(tmp_path, text, watch=loop_watch.__name__) as node:
        await node.expect_log("pruned", recordings=1)
        await listen(node, app, ann)
        os.kill(node.process.pid, signal.SIGHUP)
        await node.expect_log("configuration read again")
        (tmp_path / "hello.xml").write_text("<Response><Reject/></Response>")
        call = await ann.invite(node.uri("file"))
        await call.expect_response(404)
        await use_the_api(node, await record(node, app, ann, bob))
        await node.quiet()
    found = [line for line in node.log() if line.get("event") == loop_watch.EVENT]
    text = "\n".join("\n    ".join((f"{line['what']} {line['path']}", *line["stack"])) for line in found)
    assert not found, text


async def test_the_watch_sees_what_the_loop_does(tmp_path: Path) -> None:
    """Otherwise the other test could not fail."""
    watched = ("open", "os.stat", "os.mkdir", "os.remove")
    program = (
        "import sys, threading\n"
        "from pathlib import Path\n"
        "from tests.node import loop_watch\n"
        "loop_watch.install()\n"
        "loop_watch._loop_thread = threading.get_ident()\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "(folder / 'a').mkdir(); (folder / 'b').write_bytes(b''); (folder / 'b').is_file()\n"
        "(folder / 'b').unlink()\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    told = (await process.stderr.read()).decode()
    await process.wait()
    for each in watched:
        assert f'"what": "{each}"' in told
