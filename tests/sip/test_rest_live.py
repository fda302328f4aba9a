"""A live node controlled by the official client, with only its base URL changed; SQLite and PostgreSQL."""

import asyncio
import contextlib
import io
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import httpx
import pytest
import soundfile
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from tests.peer.call import Call
from tests.peer.ladder import PATIENCE_S
from tests.peer.pacer import Pacer
from tests.peer.peer import Peer
from tests.peer.talk import hear_each_other
from tests.peer.webapp import WebApp
from tests.sip.node_process import ACCOUNT_SID, AUTH_TOKEN, NodeProcess
from tests.store.postgres import run_cluster

pytestmark = [pytest.mark.sip, pytest.mark.measured]

T = TypeVar("T")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def sections(request: pytest.FixtureRequest) -> Iterator[dict[str, dict[str, Any]]]:
    with contextlib.ExitStack() as stack:
        storage = {}
        if request.param == "postgresql":
            storage["database"] = stack.enter_context(run_cluster()).new_database()
        yield {
            "storage": storage,
            "dial": {"caller_id_policy": "any"},
            "workers": {"idle": 2, "max": 4},
        }


class Program:
    """A user's program: the client, and waits for its results."""

    def __init__(self, node: NodeProcess, app: WebApp, ann: Peer, bob: Peer) -> None:
        self.node, self.app, self.ann, self.bob = node, app, ann, bob
        self.client = Client(ACCOUNT_SID, AUTH_TOKEN)
        self.client.api.base_url = node.http

    async def ask(self, what: Callable[[Client], T]) -> T:
        """Run a blocking call beside the loop."""
        return await asyncio.to_thread(what, self.client)

    async def refused(self, what: Callable[[Client], Any]) -> TwilioRestException:
        with pytest.raises(TwilioRestException) as caught:
            await self.ask(what)
        return caught.value

    async def status(self, sid: str, wanted: str) -> Any:
        """Poll until the call has this status."""
        deadline = time.monotonic() + PATIENCE_S
        while (call := await self.ask(lambda c: c.calls(sid).fetch())).status != wanted:
            assert time.monotonic() < deadline, f"{call.status}, not {wanted}"
            await asyncio.sleep(0.02)  # more than 200 requests a second get 429
        return call

    async def talk(self, attributes: str = "") -> tuple[Call, Call, str]:
        """Ann talks to Bob; returns also the parent's Sid."""
        self.app.reply(
            "/voice",
            f'<Response><Dial action="/after" {attributes}><Sip>{self.bob.uri()}</Sip></Dial>'
            '<Pause length="30"/></Response>',
        )
        call = await self.ann.invite(self.node.uri("100"))
        incoming = await self.bob.expect_invite()
        await incoming.answer()
        await incoming.expect("ACK")
        asked = await self.app.expect("/voice")
        return call, incoming, asked["CallSid"]

    async def child(self, parent: str) -> str:
        (child,) = await self.ask(lambda c: c.calls.list(parent_call_sid=parent))
        return str(child.sid)


@pytest.fixture
def program(node: NodeProcess, app: WebApp, ann: Peer, bob: Peer) -> Program:
    return Program(node, app, ann, bob)


class TestCreate:
    async def test_what_has_no_effect_is_noted_with_the_call(self, program: Program) -> None:
        call = await program.ask(
            lambda c: c.calls.create(
                to=f"{program.bob.uri()}?P-Asserted-Identity=x",
                from_="+14155550100",
                twiml="<Response/>",
            )
        )
        await (await program.bob.expect_invite()).answer()
        await program.status(call.sid, "completed")
        notes = await program.ask(lambda c: c.calls(call.sid).notifications.list())
        assert {(note.error_code, note.log) for note in notes} == {("13252", "1")}

    async def test_whoever_answers_hears_the_document_and_every_stage_is_told(self, program: Program) -> None:
        app, bob = program.app, program.bob
        app.reply("/hello", f"<Response><Dial><Sip>{program.ann.uri()}</Sip></Dial></Response>")
        call = await program.ask(
            lambda c: c.calls.create(
                to=bob.uri(),
                from_="+14155550100",
                url=app.url("/hello"),
                status_callback=app.url("/stage"),
                status_callback_event=["initiated", "ringing", "answered", "completed"],
            )
        )
        assert (call.status, call.direction, call.to) == ("queued", "outbound-api", bob.uri())
        incoming = await bob.expect_invite()
        assert incoming.invite.get("x-twilio-callsid") == call.sid
        assert "sip:+14155550100@" in incoming.from_.uri
        await incoming.ring()
        await incoming.answer()
        asked = await app.expect("/hello")
        assert (asked["CallSid"], asked["Direction"], asked["CallStatus"]) == (
            call.sid,
            "outbound-api",
            "in-progress",
        )
        third = await program.ann.expect_invite()
        await third.answer()
        await hear_each_other(incoming, third)
        live = await program.ask(lambda c: c.calls(call.sid).fetch())
        assert (live.status, live.direction) == ("in-progress", "outbound-api")
        await incoming.bye()
        ended = await program.status(call.sid, "completed")
        assert ended.duration is not None
        told = [await app.expect("/stage") for _ in range(4)]
        assert [each["CallStatus"] for each in told] == ["initiated", "ringing", "in-progress", "completed"]
        assert [each["SequenceNumber"] for each in told] == ["0", "1", "2", "3"]

    async def test_twiml_keys_and_a_recording_from_the_request(self, program: Program) -> None:
        call = await program.ask(
            lambda c: c.calls.create(
                to=program.bob.uri(),
                from_="+14155550100",
                twiml='<Response><Pause length="20"/></Response>',
                send_digits="12",
                record=True,
                recording_channels="dual",
            )
        )
        incoming = await program.bob.expect_invite()
        await incoming.answer()
        await incoming.media.expect_digit("1")
        await incoming.media.expect_digit("2")
        (recording,) = await program.ask(lambda c: c.calls(call.sid).recordings.list())
        assert (recording.status, recording.channels) == ("in-progress", 2)
        await program.ask(lambda c: c.calls(call.sid).update(status="completed"))
        await incoming.expect("BYE")

    @pytest.mark.parametrize(
        ("changes", "number"),
        [
            ({"to": "12"}, 21211),
            ({"to": "client:nobody"}, 21214),
            ({"to": "sip:bob@127.0.0.1:5070", "url": None, "twiml": "<Response><Dial>"}, 12100),
        ],
    )
    async def test_what_cannot_be_called_is_refused(
        self, program: Program, changes: dict[str, Any], number: int
    ) -> None:
        wanted = {"from_": "+14155550100", "url": program.app.url("/hello"), **changes}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        refused = await program.refused(lambda c: c.calls.create(**wanted))
        assert (refused.code, refused.status) == (number, 400)

    async def test_nobody_answers_in_time(self, program: Program) -> None:
        call = await program.ask(
            lambda c: c.calls.create(
                to=program.bob.uri(), from_="+14155550100", url=program.app.url("/hello"), timeout=1
            )
        )
        incoming = await program.bob.expect_invite()
        await incoming.ring()
        await program.status(call.sid, "ringing")
        await incoming.expect("CANCEL")
        await program.status(call.sid, "no-answer")

    async def test_canceled_while_it_rings(self, program: Program) -> None:
        call = await program.ask(
            lambda c: c.calls.create(
                to=program.bob.uri(), from_="+14155550100", url=program.app.url("/hello")
            )
        )
        incoming = await program.bob.expect_invite()
        await incoming.ring()
        await program.ask(lambda c: c.calls(call.sid).update(status="canceled"))
        await incoming.expect("CANCEL")
        await program.status(call.sid, "canceled")
        refused = await program.refused(lambda c: c.calls(call.sid).update(status="canceled"))
        assert refused.code == 21220

    async def test_one_after_another_there_is_a_worker_for_each(self, program: Program) -> None:
        for _ in range(6):  # more than there are workers
            call = await program.ask(
                lambda c: c.calls.create(
                    to=program.bob.uri(), from_="+14155550100", url=program.app.url("/hello")
                )
            )
            incoming = await program.bob.expect_invite()
            await incoming.reject(486)
            await program.status(call.sid, "busy")
        # And where all have something to do, those that were idle are found from both sides.
        talking = [await program.talk() for _ in range(2)]
        ours = [
            await program.ask(
                lambda c: c.calls.create(
                    to=program.bob.uri(), from_="+14155550100", url=program.app.url("/hello")
                )
            )
            for _ in range(2)
        ]
        for call in ours:
            await (await program.bob.expect_invite()).reject(486)
            await program.status(call.sid, "busy")
        for ann, bob, _ in talking:
            await ann.bye()
            await bob.expect("BYE")

    async def test_what_can_be_changed_while_it_rings(self, program: Program) -> None:
        call = await program.ask(
            lambda c: c.calls.create(
                to=program.bob.uri(),
                from_="+14155550100",
                twiml='<Response><Pause length="20"/></Response>',
                time_limit=20,
            )
        )
        incoming = await program.bob.expect_invite()
        await incoming.ring()
        await program.status(call.sid, "ringing")
        refused = await program.refused(
            lambda c: c.calls(call.sid).update(twiml="<Response><Say/></Response>")
        )
        assert (refused.status, refused.code) == (400, 21220)
        await program.ask(lambda c: c.calls(call.sid).update(time_limit=1))
        await incoming.answer()
        await program.status(call.sid, "in-progress")
        await incoming.expect("BYE")
        await program.status(call.sid, "completed")


class TestSteering:
    async def test_a_redirected_parent_drops_the_child_and_runs_the_new_document(
        self, program: Program
    ) -> None:
        ann, bob, sid = await program.talk()
        program.app.reply("/elsewhere", '<Response><Pause length="20"/></Response>')
        await program.ask(lambda c: c.calls(sid).update(url=program.app.url("/elsewhere")))
        asked = await program.app.expect("/elsewhere")
        assert asked["CallSid"] == sid
        await bob.expect("BYE")
        assert not program.app.of("/after")
        await ann.bye()
        await program.status(sid, "completed")

    async def test_a_redirected_child_lets_the_parents_dial_end(self, program: Program) -> None:
        ann, bob, sid = await program.talk()
        child = await program.child(sid)
        await program.ask(lambda c: c.calls(child).update(twiml='<Response><Pause length="20"/></Response>'))
        after = await program.app.expect("/after")
        assert (after["CallSid"], after["DialCallSid"]) == (sid, child)
        assert "DialCallDuration" not in dict(after.params)
        await ann.expect("BYE")
        assert (await program.ask(lambda c: c.calls(child).fetch())).status == "in-progress"
        await program.ask(lambda c: c.calls(child).update(status="completed"))
        await bob.expect("BYE")
        await program.status(child, "completed")

    async def test_a_redirected_child_dials_as_its_caller(self, program: Program) -> None:
        ann, bob, sid = await program.talk()
        child = await program.child(sid)
        later = program.app.url("/later")
        program.app.reply("/later", "<Response/>")
        twiml = f'<Response><Dial action="{later}"><Sip>{program.ann.uri()}</Sip></Dial></Response>'
        await program.ask(lambda c: c.calls(child).update(twiml=twiml))
        await ann.expect("BYE")
        third = await program.ann.expect_invite()
        assert third.from_.uri == "sip:ann@127.0.0.1"
        await third.answer()
        await hear_each_other(bob, third)
        await third.bye()
        assert (await program.app.expect("/later"))["DialCallStatus"] == "completed"
        await bob.expect("BYE")

    async def test_completed_while_a_dial_rings_cancels_the_callees(self, program: Program) -> None:
        program.app.reply(
            "/voice",
            f'<Response><Dial action="/after"><Sip>{program.bob.uri()}</Sip></Dial></Response>',
        )
        ann = await program.ann.invite(program.node.uri("100"))
        incoming = await program.bob.expect_invite()
        await incoming.ring()
        sid = (await program.app.expect("/voice"))["CallSid"]
        assert (await program.status(sid, "in-progress")).direction == "inbound"
        await program.ask(lambda c: c.calls(sid).update(status="completed"))
        await incoming.expect("CANCEL")
        await ann.expect("BYE")
        after = await program.app.expect("/after")
        assert after["DialCallStatus"] == "canceled"
        child = await program.child(sid)
        assert (await program.status(child, "canceled")).parent_call_sid == sid

    async def test_a_call_that_is_over_cannot_be_steered(self, program: Program) -> None:
        ann, bob, sid = await program.talk()
        await ann.bye()
        await bob.expect("BYE")
        await program.status(sid, "completed")
        refused = await program.refused(lambda c: c.calls(sid).update(url=program.app.url("/voice")))
        assert (refused.code, refused.status) == (21220, 400)
        refused = await program.refused(lambda c: c.calls("CA" + "0" * 32).fetch())
        assert (refused.code, refused.status) == (20404, 404)


class TestRecords:
    async def test_calls_are_listed_page_by_page_with_what_happened(self, program: Program) -> None:
        ann, bob, sid = await program.talk()
        child = await program.child(sid)
        await hear_each_other(ann, bob)
        await ann.bye()
        await program.status(child, "completed")
        listed = await program.ask(lambda c: c.calls.list(page_size=2, limit=6))
        assert [each.sid for each in listed][:2] == [child, sid]
        assert len({each.sid for each in listed}) == len(listed)
        (parent,) = [each for each in listed if each.sid == sid]
        assert (parent.status, parent.direction) == ("completed", "inbound")
        events = await program.ask(lambda c: c.calls(sid).events.list())
        asked = [event.request["url"] for event in events]
        assert program.app.url("/voice") in asked
        assert program.app.url("/after") in asked

    async def test_the_row_is_there_before_the_first_webhook(self, program: Program) -> None:
        gate = program.app.hold("/voice")
        program.app.reply("/voice", "<Response><Reject/></Response>")
        call = await program.ann.invite(program.node.uri("100"))
        sid = (await program.app.expect("/voice"))["CallSid"]
        row = await program.ask(lambda c: c.calls(sid).fetch())
        assert (row.status, row.direction) == ("ringing", "inbound")
        gate.set()
        await call.expect_response(404)

    async def test_warnings_are_kept_with_their_call(self, program: Program) -> None:
        program.app.reply("/voice", '<Response><Pause lenght="1"/><Reject/></Response>')
        call = await program.ann.invite(program.node.uri("100"))
        await call.expect_response(404)
        sid = (await program.app.expect("/voice"))["CallSid"]
        (note,) = await program.ask(lambda c: c.calls(sid).notifications.list())
        assert (note.error_code, note.log) == ("12200", "1")

    async def test_a_call_is_forgotten_when_it_is_over(self, program: Program) -> None:
        ann, _, sid = await program.talk()
        assert (await program.refused(lambda c: c.calls(sid).delete())).status == 409
        await ann.bye()
        await program.status(sid, "completed")
        assert await program.ask(lambda c: c.calls(sid).delete())
        assert (await program.refused(lambda c: c.calls(sid).fetch())).status == 404


class TestRecordings:
    async def test_started_paused_resumed_stopped_and_downloaded(self, program: Program) -> None:
        ann, bob, sid = await program.talk()
        await hear_each_other(ann, bob)
        started = await program.ask(
            lambda c: c.calls(sid).recordings.create(
                recording_channels="dual", recording_status_callback=program.app.url("/recorded")
            )
        )
        assert started.status == "in-progress"
        await ann.media.expect_heard(1.0)
        for status in ("paused", "in-progress"):
            changed = await program.ask(
                lambda c, status=status: c.calls(sid).recordings("Twilio.CURRENT").update(status=status)
            )
            assert changed.status == status
        program.app.reply("/recorded", "", status=204)
        stopped = await program.ask(lambda c: c.calls(sid).recordings(started.sid).update(status="stopped"))
        assert stopped.status == "stopped"
        refused = await program.refused(
            lambda c: c.calls(sid).recordings("Twilio.CURRENT").update(status="paused")
        )
        assert refused.status == 404
        told = await program.app.expect("/recorded")
        assert (told["RecordingStatus"], told["RecordingSid"]) == ("completed", started.sid)
        async with httpx.AsyncClient() as web:
            url = f"{told['RecordingUrl']}.wav"
            assert (await web.get(url)).status_code == 401
            sound = await web.get(url, auth=(ACCOUNT_SID, AUTH_TOKEN))
        samples, _ = soundfile.read(io.BytesIO(sound.content))
        assert samples.shape[1] == 2
        assert len(samples) / 8000 > 0.5
        await ann.bye()
        (kept,) = await program.ask(lambda c: c.calls(sid).recordings.list())
        assert (kept.status, kept.source) == ("completed", "StartCallRecordingAPI")
        assert await program.ask(lambda c: c.recordings(kept.sid).delete())


class TestNumbers:
    async def test_a_number_is_sent_elsewhere(self, program: Program) -> None:
        (number,) = await program.ask(lambda c: c.incoming_phone_numbers.list())
        other = program.app.url("/other")
        program.app.reply("/other", "<Response><Reject/></Response>")
        await program.ask(lambda c: c.incoming_phone_numbers(number.sid).update(voice_url=other))
        call = await program.ann.invite(program.node.uri("100"))
        await call.expect_response(404)
        assert program.app.of("/other")
        await program.ask(
            lambda c: c.incoming_phone_numbers(number.sid).update(voice_url=program.app.url("/voice"))
        )


class TestMetrics:
    async def test_what_came_of_each_legs_media_is_counted_and_logged(self, program: Program) -> None:
        before, late_ticks = await scrape(program), Pacer.here().late_ticks
        ann, bob, sid = await program.talk()
        await hear_each_other(ann, bob)
        live = await scrape(program)
        assert live['b2bua_calls{status="in-progress"}'] == 2  # the parent and its child
        assert live['b2bua_workers{state="busy"}'] == 1
        await bob.media.expect_heard(1.0)
        await ann.bye()
        await program.status(sid, "completed")
        line = await program.node.expect_log("call_ended", call_sid=sid)
        assert [leg["lost"] for leg in line["media"]] == [0, 0]
        most_ms = 20 if Pacer.here().late_ticks == late_ticks else 1000  # the peers sent unevenly
        assert all(leg["received"] >= 40 and 0 <= leg["jitter_ms"] < most_ms for leg in line["media"]), line
        (child,) = line["legs"]
        assert list(child["timeline"]) == ["queued", "in-progress", "completed"]
        assert {"answered", "confirmed", "ended"} <= set(line["timeline"])
        after = await scrape(program)
        assert gain(before, after, "b2bua_rtp_loss_ratio_count") == 2
        assert gain(before, after, 'b2bua_rtp_loss_ratio_bucket{le="0.0"}') == 2
        assert gain(before, after, "b2bua_rtp_jitter_seconds_count") == 2
        assert gain(before, after, 'b2bua_calls_ended_total{outcome="completed"}') == 1
        assert gain(before, after, "b2bua_call_setup_seconds_count") == 1
        assert gain(before, after, "b2bua_webhook_seconds_count") >= 1


async def scrape(program: Program) -> dict[str, float]:
    """The metrics as Prometheus gets them, by name with labels."""
    async with httpx.AsyncClient() as web:
        text = (await web.get(f"{program.node.http}/metrics")).text
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def gain(before: dict[str, float], after: dict[str, float], name: str) -> float:
    return after[name] - before.get(name, 0.0)
