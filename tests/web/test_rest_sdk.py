"""The API over real sockets, called by the official client with its base URL changed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from msgspec import structs
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from b2bua.calls.orders import FromRoom, Redirected
from b2bua.core.ids import CallSid, RecordingSid
from b2bua.core.room_inputs import Document, RoomRecording
from b2bua.core.room_outputs import MemberDone
from b2bua.launch import listening_http
from b2bua.web import server as server_module
from b2bua.web.api.control import Callback, CallRequest, DocumentSource, RecordingRequest
from b2bua.web.api.directory import EventRecord, NotificationRecord
from b2bua.web.server import HttpServer
from tests.unit.web.api_scene import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    NOON,
    ROOT,
    ApiScene,
    a_call,
    a_member,
    a_participant,
    a_recording,
    api_scene,
    sid,
)

pytestmark = pytest.mark.process

T = TypeVar("T")


@dataclass
class Served:
    """A listening API, and the SDK."""

    scene: ApiScene
    client: Client
    url: str

    async def ask(self, what: Callable[[Client], T]) -> T:
        """Run a blocking call beside the loop that answers it."""
        return await asyncio.to_thread(what, self.client)

    async def refused(self, what: Callable[[Client], Any]) -> TwilioRestException:
        with pytest.raises(TwilioRestException) as caught:
            await self.ask(what)
        return caught.value


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    scene = api_scene(tmp_path)
    scene.context.public_url = ""
    server = HttpServer(listening_http("127.0.0.1", 0), scene.health, scene.context, scene.metrics)
    port = await server.start()
    client = Client(ACCOUNT_SID, AUTH_TOKEN)
    client.api.base_url = f"http://127.0.0.1:{port}"
    yield Served(scene, client, client.api.base_url)
    client.http_client.session.close()
    await server.close()


async def test_an_answer_that_takes_too_long_does_not_keep_the_server_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "LAST_ANSWERS_S", 0.2)
    scene = api_scene(tmp_path)
    asked = asyncio.Event()

    async def never(sid: str) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(scene.directory, "call", never)
    server = HttpServer(listening_http("127.0.0.1", 0), scene.health, scene.context, scene.metrics)
    port = await server.start()
    async with httpx.AsyncClient(auth=(ACCOUNT_SID, AUTH_TOKEN)) as client:
        url = f"http://127.0.0.1:{port}{ROOT}/Calls/{sid('CA', 1)}.json"
        request = asyncio.ensure_future(client.get(url))
        await asked.wait()
        async with asyncio.timeout(5):
            await server.close()
        with contextlib.suppress(httpx.HTTPError):
            assert (await request).status_code == 500


class TestCalls:
    async def test_created_with_what_was_asked(self, served: Served) -> None:
        call = await served.ask(
            lambda c: c.calls.create(
                to="sip:bob@127.0.0.1:5070;transport=udp",
                from_="+15550001111",
                url="http://app.test/voice?a=1",
                method="GET",
                status_callback="http://app.test/status",
                status_callback_event=["initiated", "answered"],
                timeout=20,
                record=True,
                recording_channels="dual",
                send_digits="wW12#",
            )
        )
        assert (call.status, call.direction, call.to) == (
            "queued",
            "outbound-api",
            "sip:bob@127.0.0.1:5070;transport=udp",
        )
        assert call._from == "+15550001111" and call.duration is None and call.start_time is None
        [(_, request)] = served.scene.control.asked
        assert isinstance(request, CallRequest)
        assert request.document == DocumentSource(url=Callback("http://app.test/voice?a=1", "GET"))
        assert request.status_callback_events == ("initiated", "answered")
        assert (request.timeout_s, request.send_digits) == (20, "wW12#")
        assert request.recording is not None and request.recording.channels == 2

    async def test_fetched(self, served: Served) -> None:
        served.scene.directory.add(a_call(1, caller_name="Ann", sip_call_id="abc@host"))
        call = await served.ask(lambda c: c.calls(sid("CA", 1)).fetch())
        assert call.duration == "12" and call.caller_name == "Ann"
        assert call.start_time == datetime(2026, 11, 23, 12, 1, tzinfo=UTC)
        assert call.date_created == call.start_time

    async def test_listed_page_by_page(self, served: Served) -> None:
        served.scene.directory.add(*(a_call(n) for n in range(25)))
        calls = await served.ask(lambda c: c.calls.list(page_size=10))
        assert [call.sid for call in calls] == [sid("CA", n) for n in reversed(range(25))]
        first = await served.ask(lambda c: c.calls.page(page_size=10))
        assert first.next_page_url is not None and first.next_page_url.startswith(served.url)

    async def test_limit_ends_a_list(self, served: Served) -> None:
        served.scene.directory.add(*(a_call(n) for n in range(25)))
        assert len(await served.ask(lambda c: c.calls.list(limit=5))) == 5

    async def test_filtered_across_pages(self, served: Served) -> None:
        served.scene.directory.add(*(a_call(n, status="busy" if n % 2 else "completed") for n in range(20)))
        calls = await served.ask(lambda c: c.calls.list(status="busy", page_size=3))
        assert len(calls) == 10 and {call.status for call in calls} == {"busy"}

    async def test_filtered_by_time(self, served: Served) -> None:
        served.scene.directory.add(*(a_call(n) for n in range(10)))
        since = datetime(2026, 11, 23, 12, 3, tzinfo=UTC)
        calls = await served.ask(lambda c: c.calls.list(start_time_after=since))
        assert [call.sid for call in calls] == [sid("CA", n) for n in (9, 8, 7, 6, 5, 4, 3)]

    async def test_redirected(self, served: Served) -> None:
        served.scene.directory.add(a_call(1, status="in-progress", ended_at=None, duration_s=None))
        await served.ask(lambda c: c.calls(sid("CA", 1)).update(twiml="<Response><Hangup/></Response>"))
        assert served.scene.control.asked == [
            ("redirect", sid("CA", 1), DocumentSource(twiml="<Response><Hangup/></Response>"))
        ]

    async def test_completed(self, served: Served) -> None:
        served.scene.directory.add(a_call(1, status="in-progress", ended_at=None, duration_s=None))
        call = await served.ask(lambda c: c.calls(sid("CA", 1)).update(status="completed"))
        assert call.status == "completed"

    async def test_canceled_only_before_the_answer(self, served: Served) -> None:
        served.scene.directory.add(
            a_call(1, status="ringing", ended_at=None), a_call(2, status="in-progress", ended_at=None)
        )
        call = await served.ask(lambda c: c.calls(sid("CA", 1)).update(status="canceled"))
        assert call.status == "canceled"
        error = await served.refused(lambda c: c.calls(sid("CA", 2)).update(status="canceled"))
        assert (error.status, error.code) == (400, 21220)

    async def test_deleted_once_over(self, served: Served) -> None:
        served.scene.directory.add(a_call(1), a_call(2, status="in-progress", ended_at=None))
        assert await served.ask(lambda c: c.calls(sid("CA", 1)).delete())
        error = await served.refused(lambda c: c.calls(sid("CA", 1)).fetch())
        assert (error.status, error.code) == (404, 20404)
        error = await served.refused(lambda c: c.calls(sid("CA", 2)).delete())
        assert (error.status, error.code) == (409, 20009)


class TestRecordings:
    async def test_started_paused_resumed_stopped(self, served: Served) -> None:
        call = a_call(1, status="in-progress", ended_at=None)
        served.scene.directory.add(call)
        recordings = lambda c: c.calls(call.sid).recordings  # noqa: E731
        recording = await served.ask(
            lambda c: recordings(c).create(recording_channels="dual", recording_track="both")
        )
        assert (recording.status, recording.channels, recording.source) == (
            "in-progress",
            2,
            "StartCallRecordingAPI",
        )
        current = lambda c: recordings(c)("Twilio.CURRENT")  # noqa: E731
        paused = await served.ask(lambda c: current(c).update(status="paused", pause_behavior="skip"))
        assert (paused.sid, paused.status) == (recording.sid, "paused")
        resumed = await served.ask(lambda c: current(c).update(status="in-progress"))
        assert resumed.status == "in-progress"
        stopped = await served.ask(lambda c: recordings(c)(recording.sid).update(status="stopped"))
        assert stopped.status == "stopped"
        error = await served.refused(lambda c: current(c).update(status="paused"))
        assert error.status == 404

    async def test_listed_fetched_deleted(self, served: Served, tmp_path: Path) -> None:
        call = a_call(1)
        served.scene.directory.add(call, a_call(2), a_recording(1, call), a_recording(2, a_call(2)))
        assert len(await served.ask(lambda c: c.recordings.list())) == 2
        [of_call] = await served.ask(lambda c: c.recordings.list(call_sid=call.sid))
        [below_call] = await served.ask(lambda c: c.calls(call.sid).recordings.list())
        assert of_call.sid == below_call.sid == sid("RE", 1)
        fetched = await served.ask(lambda c: c.recordings(sid("RE", 1)).fetch())
        assert fetched.duration == "12" and fetched.media_url is not None
        assert fetched.media_url.startswith(served.url)
        sound = tmp_path / f"{sid('RE', 1)}.wav"
        sound.write_bytes(b"RIFF")
        assert await served.ask(lambda c: c.recordings(sid("RE", 1)).delete())
        assert not sound.exists()
        assert len(await served.ask(lambda c: c.recordings.list())) == 1


class TestTheRest:
    async def test_notifications(self, served: Served) -> None:
        call = a_call(1)
        served.scene.directory.add(
            call,
            NotificationRecord(
                sid=sid("NO", 1),
                call_sid=call.sid,
                severity="warning",
                number=13212,
                text="timeout",
                created_at=NOON,
            ),
        )
        [listed] = await served.ask(lambda c: c.notifications.list(log=1))
        [below_call] = await served.ask(lambda c: c.calls(call.sid).notifications.list())
        assert listed.sid == below_call.sid
        fetched = await served.ask(lambda c: c.notifications(sid("NO", 1)).fetch())
        assert (fetched.log, fetched.error_code, fetched.message_date) == ("1", "13212", NOON)
        assert await served.ask(lambda c: c.notifications.list(log=0)) == []

    async def test_events(self, served: Served) -> None:
        call = a_call(1)
        served.scene.directory.add(call)
        served.scene.directory.event_rows[call.sid] = [
            EventRecord(
                created_at=NOON,
                method="POST",
                url="http://app.test/voice",
                params={"CallSid": call.sid},
                status=200,
                elapsed_ms=7,
            )
        ]
        [event] = await served.ask(lambda c: c.calls(call.sid).events.list())
        assert event.request["parameters"] == {"CallSid": call.sid}
        assert event.response["response_code"] == 200

    async def test_numbers_are_changed_in_memory(self, served: Served) -> None:
        first, second = await served.ask(lambda c: c.incoming_phone_numbers.list())
        assert (first.phone_number, first.voice_url) == ("+14155550199", "http://app.test/voice")
        changed = await served.ask(
            lambda c: c.incoming_phone_numbers(second.sid).update(voice_url="http://app.test/new")
        )
        assert (changed.voice_url, changed.voice_method) == ("http://app.test/new", "GET")
        number = served.scene.context.numbers.for_user("+14155550188")
        assert number is not None and number.voice_url == "http://app.test/new"

    async def test_queues(self, served: Served) -> None:
        made = await served.ask(lambda c: c.queues.create("support", max_size=2))
        assert (made.friendly_name, made.max_size, made.current_size) == ("support", 2, 0)
        assert made.average_wait_time == 0
        error = await served.refused(lambda c: c.queues.create("support"))
        assert (error.status, error.code) == (400, 20001)
        for number in range(1, 7):
            await served.ask(lambda c, n=number: c.queues.create(f"q{n}"))  # type: ignore[misc]
        listed = await served.ask(lambda c: c.queues.list(page_size=3))
        assert [each.friendly_name for each in listed] == [*(f"q{n}" for n in range(6, 0, -1)), "support"]
        changed = await served.ask(lambda c: c.queues(made.sid).update(friendly_name="help", max_size=1))
        assert (changed.sid, changed.friendly_name, changed.max_size) == (made.sid, "help", 1)
        fetched = await served.ask(lambda c: c.queues(made.sid).fetch())
        assert fetched.friendly_name == "help"
        assert fetched.date_updated >= fetched.date_created
        await served.ask(lambda c: c.queues(made.sid).delete())
        assert (await served.refused(lambda c: c.queues(made.sid).fetch())).code == 20404

    async def test_members_of_a_queue(self, served: Served) -> None:
        queue = await served.ask(lambda c: c.queues.create("support"))
        sessions = [a_member(served.scene, "support", number) for number in range(1, 8)]
        members = await served.ask(lambda c: c.queues(queue.sid).members.list(page_size=3))
        assert [each.call_sid for each in members] == [sid("CA", number) for number in range(1, 8)]
        assert [each.position for each in members] == list(range(1, 8))
        assert (await served.ask(lambda c: c.queues(queue.sid).fetch())).current_size == 7
        assert (await served.refused(lambda c: c.queues(queue.sid).delete())).status == 409
        first = await served.ask(lambda c: c.queues(queue.sid).members("Front").fetch())
        assert (first.call_sid, first.queue_sid, first.wait_time) == (sid("CA", 1), queue.sid, 0)
        url = "http://app.test/next"
        taken = await served.ask(lambda c: c.queues(queue.sid).members("Front").update(url, method="GET"))
        assert taken.call_sid == sid("CA", 1)
        assert sessions[0].brought[-1] == Redirected(call_sid=CallSid(sid("CA", 1)), url=url, method="GET")
        third = await served.ask(lambda c: c.queues(queue.sid).members(sid("CA", 3)).update(url))
        assert third.position == 3
        assert sessions[2].brought[-1] == Redirected(call_sid=CallSid(sid("CA", 3)), url=url)
        error = await served.refused(lambda c: c.queues(queue.sid).members(sid("CA", 99)).fetch())
        assert (error.status, error.code) == (404, 20404)
        error = await served.refused(lambda c: c.queues(queue.sid).members("Front").update("not a url"))
        assert (error.status, error.code) == (400, 21205)

    async def test_the_priority_of_a_member_is_changed(self, served: Served) -> None:
        queue = (await served.ask(lambda c: c.queues.create("urgent"))).sid
        for number in range(1, 6):
            a_member(served.scene, "urgent", number)
        url = f"{served.url}{ROOT}/Queues/{queue}/Members"
        async with httpx.AsyncClient(auth=(ACCOUNT_SID, AUTH_TOKEN)) as http:
            for number, priority in ((4, 7), (2, 9)):
                answer = await http.post(f"{url}/{sid('CA', number)}.json", data={"Priority": priority})
                assert (answer.status_code, answer.json()["position"]) == (200, 1)
            assert answer.json()["priority"] == 9
            for bad in ({}, {"Priority": "1000"}, {"Priority": "x"}):
                assert (await http.post(f"{url}/Front.json", data=bad)).status_code == 400
            gone = await http.post(f"{url}/{sid('CA', 99)}.json", data={"Priority": "1"})
        assert gone.status_code == 404
        members = await served.ask(lambda c: c.queues(queue).members.list(page_size=2))
        assert [each.call_sid for each in members] == [sid("CA", number) for number in (2, 4, 1, 3, 5)]

    async def test_conferences_and_participants(self, served: Served) -> None:
        scene = served.scene
        first = a_participant(scene, "standup", 1, label="a b")
        assert await served.ask(lambda c: c.conferences.list()) == []  # it has not started
        [waiting] = await served.ask(lambda c: c.conferences.list(status="init"))
        assert (waiting.friendly_name, waiting.status, waiting.region) == ("standup", "init", None)
        for number in range(2, 8):
            a_participant(scene, "standup", number)
        [room] = await served.ask(lambda c: c.conferences.list(friendly_name="standup"))
        assert (room.sid, room.status) == (waiting.sid, "in-progress")
        assert (await served.ask(lambda c: c.conferences("standup").fetch())).sid == room.sid
        listed = await served.ask(lambda c: c.conferences(room.sid).participants.list(page_size=3))
        assert [each.call_sid for each in listed] == [sid("CA", number) for number in range(1, 8)]
        one = await served.ask(lambda c: c.conferences(room.sid).participants("a%20b").fetch())
        assert (one.call_sid, one.label, one.status, one.muted) == (sid("CA", 1), "a b", "connected", False)
        muted = await served.ask(lambda c: c.conferences(room.sid).participants("a%20b").update(muted=True))
        assert (muted.call_sid, muted.muted) == (sid("CA", 1), True)
        [found] = await served.ask(lambda c: c.conferences(room.sid).participants.list(muted=True))
        assert found.call_sid == sid("CA", 1)
        other = sid("CA", 2)
        held = await served.ask(lambda c: c.conferences(room.sid).participants(other).update(hold=True))
        assert held.hold
        error = await served.refused(
            lambda c: c.conferences(room.sid).participants(other).update(coaching=True)
        )
        assert error.status == 400
        await served.ask(lambda c: c.conferences(room.sid).participants(other).delete())
        error = await served.refused(lambda c: c.conferences(room.sid).participants(other).delete())
        assert (error.status, error.code) == (404, 20404)
        ended = await served.ask(lambda c: c.conferences(room.sid).update(status="completed"))
        assert (ended.status, ended.reason_conference_ended) == ("completed", "conference-ended-via-api")
        assert await served.ask(lambda c: c.conferences.list()) == []
        assert await served.ask(lambda c: c.conferences(room.sid).participants.list()) == []
        again = await served.ask(lambda c: c.conferences(room.sid).update(status="completed"))
        assert again.status == "completed"
        url = "http://app.test/announce"
        error = await served.refused(lambda c: c.conferences(room.sid).update(announce_url=url))
        assert (error.status, error.code) == (400, 16022)
        told = first.brought[-1]
        assert isinstance(told, FromRoom) and isinstance(told.output, MemberDone)

    async def test_conferences_over_three_pages(self, served: Served) -> None:
        names = [f"room {number}" for number in range(7)]
        for index, name in enumerate(names):
            a_participant(served.scene, name, 10 + 2 * index)
            a_participant(served.scene, name, 11 + 2 * index)
        listed = await served.ask(lambda c: c.conferences.list(page_size=3))
        assert [each.friendly_name for each in listed] == names[::-1]
        assert [each.sid for each in await served.ask(lambda c: list(c.conferences.stream(page_size=3)))] == [
            each.sid for each in listed
        ]
        page = await served.ask(lambda c: c.conferences.page(page_size=3))
        second = await served.ask(lambda c: page.next_page())
        assert [each.sid for each in second] == [each.sid for each in listed[3:6]]
        today, tomorrow = datetime.now(UTC).date(), datetime.now(UTC).date() + timedelta(days=1)
        for kind in ("date_created", "date_updated"):
            for when, count in (
                ({kind: today}, 7),
                ({f"{kind}_after": tomorrow}, 0),
                ({f"{kind}_before": today, f"{kind}_after": today}, 7),
            ):
                found = await served.ask(lambda c, w=when: c.conferences.list(page_size=3, **w))  # type: ignore[misc]
                assert len(found) == count, when
        async with httpx.AsyncClient(auth=(ACCOUNT_SID, AUTH_TOKEN)) as http:
            answer = await http.get(f"{served.url}{ROOT}/Conferences.json?DateCreated={today}T10:00:00Z")
        assert answer.status_code == 400

    async def test_recordings_of_a_conference(self, served: Served) -> None:
        a_participant(served.scene, "taped", 1)
        a_participant(served.scene, "taped", 2)
        room = (await served.ask(lambda c: c.conferences("taped").fetch())).sid
        path, auth = f"{served.url}{ROOT}/Conferences/{room}/Recordings.json", (ACCOUNT_SID, AUTH_TOKEN)

        async def start() -> dict[str, Any]:
            async with httpx.AsyncClient(auth=auth) as http:
                answer = await http.post(path, data={"RecordingStatusCallback": "http://app.test/recorded"})
            found: dict[str, Any] = answer.json()
            return found | {"http": answer.status_code}

        made = await start()
        assert (made["http"], made["conference_sid"], made["source"]) == (
            201,
            room,
            "StartConferenceRecordingAPI",
        )
        again = await start()
        assert (again["http"], again["code"]) == (400, 16108)
        sids = [made["sid"]]
        one = await served.ask(lambda c: c.conferences(room).recordings(sids[0]).fetch())
        assert (one.sid, one.status, one.channels, one.conference_sid) == (sids[0], "in-progress", 1, room)
        paused = await served.ask(
            lambda c: c.conferences(room).recordings("Twilio.CURRENT").update("paused", pause_behavior="skip")
        )
        assert (paused.sid, paused.status) == (sids[0], "paused")
        going = await served.ask(lambda c: c.conferences(room).recordings(sids[0]).update("in-progress"))
        assert going.status == "in-progress"
        for _ in range(6):
            await served.ask(lambda c: c.conferences(room).recordings("Twilio.CURRENT").update("stopped"))
            sids.append((await start())["sid"])
        error = await served.refused(lambda c: c.conferences(room).recordings(sids[0]).update("stopped"))
        assert (error.status, error.code) == (400, 21220)
        listed = await served.ask(lambda c: c.conferences(room).recordings.list(page_size=3))
        assert sorted(each.sid for each in listed) == sorted(sids)
        streamed = await served.ask(lambda c: list(c.conferences(room).recordings.stream(page_size=3)))
        assert [each.sid for each in streamed] == [each.sid for each in listed]
        day = NOON.date()
        assert len(await served.ask(lambda c: c.conferences(room).recordings.list(date_created=day))) == 7
        before = day - timedelta(days=1)
        assert not await served.ask(lambda c: c.conferences(room).recordings.list(date_created_before=before))
        error = await served.refused(lambda c: c.conferences(room).recordings(sids[-1]).delete())
        assert error.status == 409  # it runs
        row = served.scene.directory.recording_rows[RecordingSid(sids[0])]
        served.scene.directory.add(structs.replace(row, status="completed"))
        assert await served.ask(lambda c: c.conferences(room).recordings(sids[0]).delete())
        error = await served.refused(lambda c: c.conferences(room).recordings(sids[0]).fetch())
        assert (error.status, error.code) == (404, 20404)

    async def test_participants_are_changed_in_every_way(self, served: Served) -> None:
        for number in range(1, 8):
            a_participant(served.scene, "changes", number, muted=number % 2 == 0)
        room = (await served.ask(lambda c: c.conferences("changes").fetch())).sid
        muted = await served.ask(lambda c: c.conferences(room).participants.list(muted=True, page_size=1))
        assert [each.call_sid for each in muted] == [sid("CA", number) for number in (2, 4, 6)]
        streamed = await served.ask(lambda c: list(c.conferences(room).participants.stream(page_size=3)))
        assert len(streamed) == 7
        one, url = sid("CA", 1), "http://app.test/document"
        for change, expected in (
            ({"hold": True, "hold_url": url, "hold_method": "POST"}, {"hold": True}),
            ({"hold": False}, {"hold": False}),
            ({"announce_url": url, "announce_method": "GET"}, {}),
            ({"wait_url": url, "wait_method": "GET"}, {}),
            ({"beep_on_exit": False}, {}),
            ({"end_conference_on_exit": True}, {"end_conference_on_exit": True}),
            ({"end_conference_on_exit": False}, {"end_conference_on_exit": False}),
            ({"coaching": True, "call_sid_to_coach": sid("CA", 2)}, {"coaching": True}),
            ({"coaching": False}, {"coaching": False}),
            ({"muted": True}, {"muted": True}),
        ):
            changed = await served.ask(
                lambda c, w=change: c.conferences(room).participants(one).update(**w)  # type: ignore[misc]
            )
            assert {name: getattr(changed, name) for name in expected} == expected, change
        fetched = await served.ask(lambda c: c.conferences(room).participants(one).fetch())
        assert (fetched.muted, fetched.hold, fetched.coaching, fetched.call_sid_to_coach) == (
            True,
            False,
            False,
            sid("CA", 2),
        )
        async with httpx.AsyncClient(auth=(ACCOUNT_SID, AUTH_TOKEN)) as http:
            path = f"{served.url}{ROOT}/Conferences/{room}"
            path_of_one, volumes = f"{path}/Participants/{one}.json", {"VolumeIn": 10, "VolumeOut": -20}
            answer = await http.post(path_of_one, data=volumes)
            assert (answer.json()["volume_in"], answer.json()["volume_out"]) == (10, -20)
            answer = await http.post(path_of_one, data={"EndConferenceOnExit": "last"})
            assert answer.json()["end_conference_on_exit"] is True
            for name, bad in (("VolumeIn", "11"), ("VolumeOut", "-21"), ("EndConferenceOnExit", "1")):
                assert (await http.post(path_of_one, data={name: bad})).status_code == 400
            answer = await http.get(f"{path}/ActiveSpeakers.json")
            assert (answer.status_code, answer.json()["active_speakers"]) == (200, [])
        coaches = await served.ask(lambda c: c.conferences(room).participants.list(coaching=True))
        held = await served.ask(lambda c: c.conferences(room).participants.list(hold=True))
        assert coaches == held == []

    async def test_a_participant_is_called(self, served: Served) -> None:
        made = await served.ask(
            lambda c: c.conferences("standup").participants.create(
                from_="+14155550100", to="+14155550199", label="guest", early_media=True
            )
        )
        assert (made.status, made.label, made.queue_time) == ("queued", "guest", "0")
        assert (made.start_conference_on_enter, made.end_conference_on_exit) == (True, False)
        [room] = await served.ask(lambda c: c.conferences.list(status="init"))
        assert room.sid == made.conference_sid
        error = await served.refused(
            lambda c: c.conferences("standup").participants.create(
                from_="+14155550100", to="+14155550199", label="guest"
            )
        )
        assert (error.status, error.code) == (400, 16026)
        custom = await served.ask(
            lambda c: c.conferences("custom").participants.create(
                from_="+14155550100", to="client:alice?case=7&tag=a%20b"
            )
        )
        assert custom.status == "queued"
        error = await served.refused(
            lambda c: c.conferences("custom").participants.create(from_="+14155550100", to="app:AP1")
        )
        assert (error.status, error.code) == (400, 21211)
        coach = sid("CA", 77)
        error = await served.refused(
            lambda c: c.conferences(room.sid).participants.create(
                from_="+14155550100", to="+14155550199", call_sid_to_coach=coach
            )
        )
        assert (error.status, error.code) == (400, 16028)
        request, other = [each[1] for each in served.scene.control.asked if each[0] == "create"]
        assert "<Conference" in request.document.twiml
        assert other.to == "client:alice?case=7&tag=a%20b"

    async def test_what_a_called_participant_asks_for(self, served: Served) -> None:
        url = "http://app.test/recorded"
        made = await served.ask(
            lambda c: c.conferences("recorded").participants.create(
                from_="+14155550100",
                to="+14155550199",
                wait_url="",
                beep=False,  # type: ignore[arg-type]
                record=True,
                recording_channels="dual",
                recording_track="inbound",
                recording_status_callback=url,
                recording_status_callback_event=["in-progress", "absent"],
                conference_record=True,  # type: ignore[arg-type]
                conference_trim="do-not-trim",
                conference_recording_status_callback=f"{url}/room",
                conference_recording_status_callback_method="GET",
                conference_recording_status_callback_event=["in-progress", "completed"],
            )
        )
        [request] = [each[1] for each in served.scene.control.asked if each[0] == "create"]
        assert request.recording == RecordingRequest(
            channels=2,
            track="inbound",
            trim=True,
            status_callback=Callback(url),
            status_callback_events=("in-progress", "absent"),
        )
        room = served.scene.rooms.find("recorded")
        assert room is not None
        [member] = room.machine.members
        assert member.call == made.call_sid
        assert member.entrant.wait == Document("")
        assert (member.entrant.beep_on_enter, member.entrant.beep_on_exit) == (False, False)
        assert member.entrant.recording == RoomRecording(
            trim=False,
            callback_url=f"{url}/room",
            callback_method="GET",
            callback_events=frozenset(("in-progress", "completed")),
        )
        changed = await served.ask(
            lambda c: c.conferences("recorded").participants(made.call_sid).update(wait_url=url)
        )
        assert changed.call_sid == made.call_sid
        assert member.wait == Document(url)
        await served.ask(lambda c: c.conferences("recorded").participants(made.call_sid).update(wait_url=""))
        assert member.wait == Document("")

    async def test_the_account(self, served: Served) -> None:
        account = await served.ask(lambda c: c.api.accounts(ACCOUNT_SID).fetch())
        assert (account.sid, account.status) == (ACCOUNT_SID, "active")

    async def test_wrong_token(self, served: Served) -> None:
        other = Client(ACCOUNT_SID, "another-token")
        other.api.base_url = served.url
        try:
            with pytest.raises(TwilioRestException) as caught:
                await asyncio.to_thread(other.calls(sid("CA", 1)).fetch)
        finally:
            other.http_client.session.close()
        assert (caught.value.status, caught.value.code) == (401, 20003)
