"""Applications written for the hosted service, with its official SDK, run unchanged against a node."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client
from twilio.twiml.voice_response import Dial, VoiceResponse

from tests.peer.peer import Peer
from tests.sip.moved_application import Form, MovedApplication
from tests.sip.node_process import ACCOUNT_SID, NodeProcess, config_text, run_node
from tests.sip.test_registrar import register

pytestmark = pytest.mark.sip

OURS, CALLER = "+14155550199", "+14155550123"
DESK = "AP" + "d" * 32
KEY, SECRET = "SK" + "e" * 32, "secret-of-the-key"


@pytest.fixture(scope="module")
async def site() -> AsyncIterator[MovedApplication]:
    async with MovedApplication().run() as app:
        yield app


@pytest.fixture
async def caller() -> AsyncIterator[Peer]:
    """The trunk's address, from which its calls come."""
    async with Peer.start("caller", host="127.0.0.2") as peer:
        yield peer


@pytest.fixture(scope="module")
async def callee() -> AsyncIterator[Peer]:
    """The PBX, which is the trunk."""
    async with Peer.start("callee") as peer:
        yield peer


@pytest.fixture(scope="module")
async def node(
    site: MovedApplication, callee: Peer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[NodeProcess]:
    """A PBX on the callee's port is the trunk; alice is a user; the number is an application's."""
    extra = f"""
[[numbers]]
match = "*"
user = "*"
voice_url = "{site.url("/sip")}"
[[numbers]]
match = "{OURS}"
voice_url = "{site.url("/voice")}"
[[trunks]]
name = "pbx"
uri = "sip:127.0.0.1:{callee.port}"
keepalive_s = 0
match = ["127.0.0.2/32"]
[[users]]
name = "alice"
password = "alicepw"
[[applications]]
sid = "{DESK}"
voice_url = "{site.url("/desk")}"
[[api_keys]]
sid = "{KEY}"
secret = "{SECRET}"
"""
    sections = {
        "dial": {"trunk": "pbx"},
        "security": {"allow": []},
        "http": {"public_recordings": True},
    }
    async with run_node(
        tmp_path_factory.mktemp("node"), config_text({}, sections=sections, extra=extra)
    ) as node:
        yield node


def client_of(node: NodeProcess) -> Client:
    """The official client with an API key; only its base URL differs from what the application has."""

    class ToNode(TwilioHttpClient):
        def request(self, method, url, *args, **kwargs):  # type: ignore[no-untyped-def]
            return super().request(method, url.replace("https://api.twilio.com", node.http), *args, **kwargs)

    return Client(KEY, SECRET, ACCOUNT_SID, http_client=ToNode())


async def test_a_forwarder_shows_the_number_that_was_called(
    site: MovedApplication, node: NodeProcess, caller: Peer, callee: Peer
) -> None:
    """The commonest line of all: ``callerId`` is the number that was called."""

    @site.route("/voice")
    def voice(form: Form) -> VoiceResponse:
        assert form["FromCountry"] == "US" and form["FromZip"] == ""
        assert form["FromCity"] in ("", "San Francisco")
        response = VoiceResponse()
        dial = Dial(caller_id=form["To"], answer_on_bridge=True)
        dial.number("+14155550177")
        response.append(dial)
        return response

    call = await caller.invite(node.uri(OURS), from_user=CALLER)
    incoming = await callee.expect_invite(user="+14155550177")
    assert incoming.invite["From"].startswith(f"<sip:{OURS}@")
    form = await site.expect("/voice")
    assert (form["From"], form["To"]) == (CALLER, OURS)
    assert "SipDomain" not in form
    await incoming.answer()
    await call.expect_response(200)
    await call.bye()
    await incoming.expect("BYE")


async def test_a_router_of_a_sip_domain_reads_user_and_uri(
    site: MovedApplication, node: NodeProcess, callee: Peer
) -> None:
    @site.route("/sip")
    def sip(form: Form) -> VoiceResponse:
        assert form["SipDomain"]
        user = form["To"].removeprefix("sip:").partition("@")[0]
        response = VoiceResponse()
        dial = Dial(caller_id=OURS, answer_on_bridge=True)
        dial.number(user)
        response.append(dial)
        return response

    async with Peer.start("alice") as alice:
        await register(alice, node)
        call = await alice.invite(node.uri("+14155550188"))
        incoming = await callee.expect_invite(user="+14155550188")
        form = await site.expect("/sip")
        assert (form["From"], form["SipUsername"]) == ("sip:alice@127.0.0.1", "alice")
        assert form["To"].startswith("sip:+14155550188@127.0.0.1")
        assert form["FromCity"] == form["CalledCountry"] == ""
        await incoming.answer()
        await call.expect_response(200)
        await call.bye()


async def test_a_voicemail_that_waits_for_its_words_is_told(
    site: MovedApplication, node: NodeProcess, caller: Peer
) -> None:
    @site.route("/voice")
    def voice(form: Form) -> VoiceResponse:
        response = VoiceResponse()
        response.record(
            max_length=20,
            finish_on_key="#",
            transcribe=True,
            transcribe_callback=site.url("/words"),
            action="/done",
        )
        return response

    @site.route("/done")
    def done(form: Form) -> VoiceResponse:
        return VoiceResponse()

    @site.route("/words")
    def words(form: Form) -> str:
        return f"{form['TranscriptionText']} {form['RecordingUrl']} {form['From']}"

    call = await caller.invite(node.uri(OURS), from_user=CALLER)
    await call.expect_response(200)
    await call.media.expect_tone(1000)
    call.media.play_tone(440)
    await call.media.expect_heard(len(call.media.heard()) / 8000 + 1.0)
    await call.media.send_digit("#")
    told = await site.expect("/words")
    assert (told["TranscriptionStatus"], told["From"]) == ("failed", CALLER)
    async with httpx.AsyncClient() as browser:  # a mailed link carries no credentials
        assert (await browser.get(told["RecordingUrl"])).headers["Content-Type"] == "audio/x-wav"
        assert (await browser.get(f"{told['RecordingUrl']}.json")).status_code == 401


async def test_a_program_with_an_api_key_calls_by_an_application(
    site: MovedApplication, node: NodeProcess, callee: Peer
) -> None:
    @site.route("/desk")
    def desk(form: Form) -> VoiceResponse:
        response = VoiceResponse()
        response.hangup()
        return response

    client = client_of(node)
    call = await asyncio.to_thread(client.calls.create, to="+14155550166", from_=OURS, application_sid=DESK)
    incoming = await callee.expect_invite(user="+14155550166")
    await incoming.answer()
    assert (await site.expect("/desk"))["CallSid"] == call.sid
    await incoming.expect("BYE")
    domains = await asyncio.to_thread(client.sip.domains.list)
    assert [each.domain_name for each in domains] == ["127.0.0.1"]
    await node.expect_log("call_ended", call_sid=call.sid)
    assert (await asyncio.to_thread(client.calls(call.sid).fetch)).status == "completed"
