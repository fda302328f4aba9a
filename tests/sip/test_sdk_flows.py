"""Applications as people write them for the hosted service, with its SDK: only the base URL is ours.

Each application is a function of a request and a client; it knows nothing of the tests.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import pytest
from twilio.rest import Client
from twilio.twiml.voice_response import Dial, Gather, VoiceResponse

from tests.peer.call import Call
from tests.peer.peer import Peer
from tests.peer.talk import hear_each_other
from tests.sip.node_process import ACCOUNT_SID, AUTH_TOKEN, NodeProcess, config_text, run_node

pytestmark = pytest.mark.sip

Values = dict[str, str]
View = Callable[[Values], str]

AGENTS: dict[str, str] = {}
"""The SIP URI of each agent."""


# -- what is shared by the applications -------------------------------------------------------------------


class Site:
    """The web server of all applications."""

    def __init__(self) -> None:
        self.client = Client(ACCOUNT_SID, AUTH_TOKEN)
        self.views: dict[str, View] = {}
        self.asked: list[str] = []
        """The paths of all requests."""
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                url = urlsplit(self.path)
                site.asked.append(url.path)
                values = dict(parse_qsl(url.query)) | dict(parse_qsl(self.rfile.read(length).decode()))
                body = site.views[url.path](values).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/xml")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}{path}"

    def route(self, path: str) -> Callable[[View], View]:
        def keep(view: View) -> View:
            self.views[path] = view
            return view

        return keep


site = Site()
client = site.client


@pytest.fixture(scope="module")
async def module_node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NodeProcess]:
    numbers = {each: {"voice_url": site.url(f"/{each}")} for each in ("hold", "warm", "pin", "help", "agent")}
    async with run_node(tmp_path_factory.mktemp("node"), config_text(numbers)) as node:
        client.api.base_url = node.http
        yield node
    site.server.shutdown()
    client.http_client.session.close()


async def called(node: NodeProcess, peer: Peer, number: str) -> Call:
    call = await peer.invite(node.uri(number))
    await call.expect_response(200)
    return call


async def sound(call: Call) -> None:
    """Wait for music or speech."""
    while abs(call.media.heard(0.5)).max(initial=0) < 500:
        await call.media.expect_heard(len(call.media.heard()) / 8000 + 0.1)


# -- hold by conference -----------------------------------------------------------------------------------


@site.route("/hold")
def support(values: Values) -> str:
    response = VoiceResponse()
    dial = Dial()
    dial.conference(
        f"case-{values['CallSid']}",
        participant_label="customer",
        start_conference_on_enter=True,
        end_conference_on_exit=True,
        beep=False,
        status_callback=site.url("/hold/events"),
        status_callback_event="join",
    )
    response.append(dial)
    return str(response)


@site.route("/hold/events")
def joined(values: Values) -> str:
    if values["ParticipantLabel"] == "customer":
        client.conferences(values["ConferenceSid"]).participants.create(
            from_="+14155550100", to=AGENTS["support"], label="agent", end_conference_on_exit=True, beep=False
        )
    return ""


@site.route("/hold/music")
def music(values: Values) -> str:
    response = VoiceResponse()
    response.say("Please hold the line.", loop=0)
    return str(response)


def set_hold(hold: bool) -> None:
    [conference] = client.conferences.list(status="in-progress", limit=1)
    customer = client.conferences(conference.sid).participants("customer")
    if hold:
        customer.update(hold=True, hold_url=site.url("/hold/music"))
    else:
        customer.update(hold=False)


async def test_hold_by_conference(node: NodeProcess, ann: Peer, bob: Peer) -> None:
    AGENTS["support"] = bob.uri()
    customer = await called(node, ann, "hold")
    agent = await bob.expect_invite()
    await agent.answer()
    await hear_each_other(customer, agent)
    await asyncio.to_thread(set_hold, True)
    await agent.media.expect_silence()
    await sound(customer)
    await asyncio.to_thread(set_hold, False)
    await hear_each_other(customer, agent)
    await agent.bye()
    await customer.expect("BYE")


# -- warm transfer ----------------------------------------------------------------------------------------


def conference(name: str, wait_url: str, start: bool, end: bool) -> str:
    response = VoiceResponse()
    dial = Dial()
    dial.conference(name, start_conference_on_enter=start, end_conference_on_exit=end, wait_url=wait_url)
    response.append(dial)
    return str(response)


@site.route("/warm")
def customer_calls(values: Values) -> str:
    room = values["CallSid"]
    url = site.url(f"/warm/agent1?room={room}")
    client.calls.create(from_="+14155550100", to=AGENTS["first"], url=url)
    return conference(room, site.url("/warm/wait"), False, True)


@site.route("/warm/wait")
def wait(values: Values) -> str:
    response = VoiceResponse()
    response.say("Thank you for calling. Please wait in line for a few seconds.")
    response.redirect("")
    return str(response)


@site.route("/warm/agent1")
def first_agent(values: Values) -> str:
    return conference(values["room"], site.url("/warm/wait"), True, False)


@site.route("/warm/agent2")
def second_agent(values: Values) -> str:
    return conference(values["room"], site.url("/warm/wait"), True, True)


def ask_for_help() -> None:
    [room] = client.conferences.list(status="in-progress", limit=1)
    url = site.url(f"/warm/agent2?room={room.friendly_name}")
    client.calls.create(from_="+14155550100", to=AGENTS["second"], url=url)


async def test_warm_transfer(node: NodeProcess, ann: Peer, bob: Peer, carol: Peer) -> None:
    AGENTS.update(first=bob.uri(), second=carol.uri())
    customer = await called(node, ann, "warm")
    await sound(customer)  # the wait document, in a circle
    first = await bob.expect_invite()
    await first.answer()
    await hear_each_other(customer, first)
    await asyncio.to_thread(ask_for_help)
    second = await carol.expect_invite()
    await second.answer()
    second.media.play_tone(1200)
    for call in (customer, first):
        await call.media.expect_tone(1200)
    await first.bye()
    await hear_each_other(customer, second)
    await second.bye()
    await customer.expect("BYE")


# -- a conference with PIN --------------------------------------------------------------------------------


@site.route("/pin")
def ask(values: Values) -> str:
    response = VoiceResponse()
    gather = Gather(num_digits=4, action="/pin/check", timeout=10)
    gather.say("Please enter your conference PIN.")
    response.append(gather)
    response.redirect("/pin")
    return str(response)


@site.route("/pin/check")
def check(values: Values) -> str:
    response = VoiceResponse()
    role = {"1111": "guest", "2222": "host"}.get(values.get("Digits", ""))
    if role is None:
        response.say("Invalid PIN.")
        response.redirect("/pin")
        return str(response)
    dial = Dial()
    is_host = role == "host"
    dial.conference(
        "board", start_conference_on_enter=is_host, end_conference_on_exit=is_host, beep="onEnter"
    )
    response.append(dial)
    return str(response)


async def test_a_conference_with_pin(node: NodeProcess, ann: Peer, bob: Peer) -> None:
    guest = await called(node, ann, "pin")
    await guest.media.send_digits("9999")
    while site.asked.count("/pin") < 2:  # it is told that this was not the PIN
        await guest.media.expect_heard(len(guest.media.heard()) / 8000 + 0.1)
    await guest.media.expect_heard(len(guest.media.heard()) / 8000 + 0.6)
    await sound(guest)
    await guest.media.send_digits("1111")
    host = await called(node, bob, "pin")
    await host.media.send_digits("2222")
    await hear_each_other(guest, host)
    await host.bye()
    await guest.expect("BYE")


# -- a queue with agents ----------------------------------------------------------------------------------


@site.route("/help")
def wait_in_line(values: Values) -> str:
    response = VoiceResponse()
    response.enqueue("help", wait_url="/help/wait", action="/help/done")
    return str(response)


@site.route("/help/wait")
def position(values: Values) -> str:
    response = VoiceResponse()
    response.say(f"You are number {values['QueuePosition']} of {values['CurrentQueueSize']} in line.")
    response.pause(length=1)
    return str(response)


@site.route("/help/done")
def done(values: Values) -> str:
    response = VoiceResponse()
    response.say("Goodbye." if values["QueueResult"] == "bridged" else "Sorry.")
    response.hangup()
    return str(response)


@site.route("/help/connect")
def connect(values: Values) -> str:
    response = VoiceResponse()
    response.say("You will now be connected to an agent.")
    return str(response)


@site.route("/agent")
def agent_calls(values: Values) -> str:
    response = VoiceResponse()
    dial = Dial()
    dial.queue("help", url="/help/connect")
    response.append(dial)
    response.redirect("/agent")
    return str(response)


def waiting() -> int:
    return sum(each.current_size for each in client.queues.list() if each.friendly_name == "help")


async def test_a_queue_with_agents(node: NodeProcess, ann: Peer, bob: Peer, carol: Peer) -> None:
    first = await called(node, ann, "help")
    await sound(first)
    second = await called(node, carol, "help")
    while await asyncio.to_thread(waiting) != 2:
        pass
    agent = await called(node, bob, "agent")
    await hear_each_other(first, agent)
    await first.bye()
    await hear_each_other(second, agent)
    await agent.bye()
    await second.expect("BYE")
