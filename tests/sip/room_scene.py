"""Participants of a conference: each number has its own document at ``/NUMBER``."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import TypeVar

from twilio.rest import Client

from tests.peer.call import Call
from tests.peer.peer import Peer
from tests.peer.webapp import Request, WebApp
from tests.sip.node_process import ACCOUNT_SID, AUTH_TOKEN, NodeProcess, config_text, run_node

T = TypeVar("T")

NUMBERS = ("100", "200", "300", "400")
ALL = "start end join leave mute hold modify announcement"
_names = count(1)


@asynccontextmanager
async def room_node(app: WebApp, folder: Path) -> AsyncIterator[NodeProcess]:
    numbers = {each: {"voice_url": app.url(f"/{each}")} for each in NUMBERS}
    async with run_node(folder, config_text(numbers)) as node:
        yield node


class Room:
    """A conference with a name of its own, whose events go to ``/events``."""

    def __init__(self, node: NodeProcess, app: WebApp) -> None:
        self.node, self.app = node, app
        self.name = f"room {next(_names)}"
        app.reply("/events", "", status=204)
        app.reply("/done", "<Response><Pause length='20'/></Response>")
        app.reply("/silence", "<Response><Pause length='60'/></Response>")

    async def join(self, peer: Peer, number: str, dial: str = "", after: str = "", **attributes: str) -> Call:
        """Call a number whose document joins the room; attributes as in TwiML."""
        app = self.app
        given = {
            "statusCallback": app.url("/events"),
            "statusCallbackEvent": ALL,
            "beep": "false",
            "waitUrl": "",
            **attributes,
        }
        words = "".join(f' {key}="{value}"' for key, value in given.items())
        noun = f"<Conference{words}>{self.name}</Conference>"
        action = f"action='{app.url('/done')}'"
        app.reply(f"/{number}", f"<Response><Dial {action} {dial}>{noun}</Dial>{after}</Response>")
        call = await peer.invite(self.node.uri(number))
        await call.expect_response(200)
        return call

    def sid(self, number: str) -> str:
        """CallSid of the latest call to a number."""
        return self.app.of(f"/{number}")[-1]["CallSid"]

    async def event(self, name: str) -> Request:
        """The next event, which must have this name."""
        event = await self.app.expect("/events")
        assert event["StatusCallbackEvent"] == name
        return event

    async def sdk(self, what: Callable[[Client], T]) -> T:
        """Ask the node by the official SDK."""
        import asyncio

        client = Client(ACCOUNT_SID, AUTH_TOKEN)
        client.api.base_url = self.node.http
        try:
            return await asyncio.to_thread(what, client)
        finally:
            client.http_client.session.close()
