"""Callers and agents of a queue: numbers that begin with 7 are agents', all others are callers'."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.peer.call import Call
from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.sip.node_process import NodeProcess, config_text, run_node

MUSIC_DBFS = -40.0
"""Anything louder than this is music, or a tone."""


@asynccontextmanager
async def queue_node(app: WebApp, folder: Path, **sections: dict[str, Any]) -> AsyncIterator[NodeProcess]:
    numbers = {
        "7*": {"voice_url": app.url("/agent")},
        "*": {"voice_url": app.url("/caller"), "status_callback": app.url("/status")},
    }
    async with run_node(folder, config_text(numbers, sections=sections)) as node:
        yield node


def enqueues(app: WebApp, name: str, wait: str | None = "/wait", after: str = "", **more: str) -> None:
    """Let callers wait in a queue, with the wait document at ``wait`` (None: our music)."""
    given = {"action": app.url("/left"), **more} | ({} if wait is None else {"waitUrl": app.url(wait)})
    words = "".join(f' {key}="{value}"' for key, value in given.items() if value)
    app.reply("/caller", f"<Response><Enqueue{words}>{name}</Enqueue>{after}</Response>")
    app.reply("/left", "<Response><Pause length='20'/></Response>")


def takes(app: WebApp, name: str, url: str = "", after: str = "", sid: str = "", **dial: str) -> None:
    """Let agents take callers out of a queue, with the document before the bridge at ``url``."""
    words = "".join(f' {key}="{value}"' for key, value in {"action": app.url("/done"), **dial}.items())
    noun = (f' url="{app.url(url)}"' if url else "") + (f' callSid="{sid}"' if sid else "")
    app.reply("/agent", f"<Response><Dial{words}><Queue{noun}>{name}</Queue></Dial>{after}</Response>")
    app.reply("/done", "<Response><Pause length='20'/></Response>")


async def answered(node: NodeProcess, peer: Peer, user: str) -> Call:
    call = await peer.invite(node.uri(user))
    await call.expect_response(200)
    return call


async def talk(one: Call, other: Call) -> None:
    """Assert that both hear each other, and nothing of themselves."""
    one.media.play_tone(440)
    other.media.play_tone(660)
    await one.media.expect_tone(660)
    await other.media.expect_tone(440)
    assert one.media.tone_dbfs(440) < -40
    assert other.media.tone_dbfs(660) < -40
