"""Calls: accepted and refused requests with their error numbers, and paging."""

from pathlib import Path
from typing import Any

import pytest

from b2bua.web.api.control import CallAmendment, Callback
from tests.unit.web.api_scene import ROOT, ApiScene, a_call, api_scene, sid

pytestmark = pytest.mark.unit

GOOD = {"To": "+15550001111", "From": "+15550002222", "Url": "http://app.test/voice"}


@pytest.fixture
def scene(tmp_path: Path) -> ApiScene:
    return api_scene(tmp_path)


def without(name: str) -> dict[str, str]:
    return {key: value for key, value in GOOD.items() if key != name}


@pytest.mark.parametrize(
    ("form", "number"),
    [
        (without("To"), 21201),
        (GOOD | {"To": ""}, 21201),
        (GOOD | {"To": "sip:a\r\nVia: x"}, 21211),
        (without("From"), 21213),
        (GOOD | {"From": 'x"<sip:y>'}, 21212),
        (without("Url"), 21205),
        (GOOD | {"Url": "/relative"}, 21205),
        (GOOD | {"Url": "ftp://app.test/"}, 21205),
        (GOOD | {"Url": "http://app.test:99999/"}, 21205),
        (GOOD | {"StatusCallback": "nothing"}, 21205),
        (GOOD | {"Method": "PUT"}, 21209),
        (GOOD | {"SendDigits": "12x"}, 21206),
        (GOOD | {"Timeout": "0"}, 21208),
        (GOOD | {"Timeout": "soon"}, 21208),
        (GOOD | {"CallerId": "+19005550100"}, 21210),
        (GOOD | {"Record": "perhaps"}, 20001),
        (GOOD | {"StatusCallbackEvent": "exploded"}, 20001),
        (without("Url") | {"Twiml": "x" * 16_385}, 20001),
        ({}, 21201),
    ],
)
async def test_refused(scene: ApiScene, form: dict[str, str], number: int) -> None:
    async with scene.client() as client:
        answer = await client.post(f"{ROOT}/Calls.json", data=form)
        assert (answer.status_code, answer.json()["code"]) == (400, number)
        assert set(answer.json()) == {"code", "message", "more_info", "status"}
    assert scene.control.asked == []


@pytest.mark.parametrize(
    "to",
    [
        "+15550001111x123", "(555) 000-1111 ext. 12", "tel:+1-555-000-1111;ext=12", "5550001111,,12",
        "1-800-FLOWERS", "\u202a+1\u00a0555\u2011000\u20111111\u202c", "*98",
        "client:ann", "sip:ann@pbx.test",
    ],
)  # fmt: skip
async def test_what_is_asked_to_be_called_reaches_the_node_as_it_is(scene: ApiScene, to: str) -> None:
    assert (await made(scene, To=to)).to == to


@pytest.mark.parametrize("to", ["call 15550001111", "tel:", "x123", "1@pbx.test", "1" * 66, "1\x00", "<1>"])
async def test_what_cannot_be_called_is_refused(scene: ApiScene, to: str) -> None:
    async with scene.client() as client:
        answer = await client.post(f"{ROOT}/Calls.json", data=GOOD | {"To": to})
    assert (answer.status_code, answer.json()["code"]) == (400, 21211)
    assert scene.control.asked == []


async def test_no_room(scene: ApiScene) -> None:
    scene.control.room = 0
    async with scene.client() as client:
        answer = await client.post(f"{ROOT}/Calls.json", data=GOOD)
        assert (answer.status_code, answer.json()["code"]) == (503, 20503)
        assert answer.headers["Retry-After"] == "1"


async def made(scene: ApiScene, **form: Any) -> Any:
    async with scene.client() as client:
        answer = await client.post(f"{ROOT}/Calls.json", data=GOOD | form)
        assert answer.status_code == 201, answer.text
    return scene.control.asked[-1][1]


async def test_defaults(scene: ApiScene) -> None:
    request = await made(scene)
    assert (request.timeout_s, request.time_limit_s, request.recording, request.detects_machine) == (
        60,
        None,
        None,
        False,
    )
    assert request.document.url == Callback("http://app.test/voice", "POST")
    assert request.status_callback_events == ("completed",)


async def test_url_counts_before_twiml(scene: ApiScene) -> None:
    request = await made(scene, Twiml="<Response/>")
    assert request.document.url is not None and request.document.twiml == ""


async def test_events_may_stand_in_one_value(scene: ApiScene) -> None:
    request = await made(scene, StatusCallbackEvent="initiated answered")
    assert request.status_callback_events == ("initiated", "answered")


async def test_empty_values_are_none(scene: ApiScene) -> None:
    request = await made(
        scene, StatusCallback="", StatusCallbackEvent="", FallbackUrl="", Timeout="", CallerId=""
    )
    assert request.status_callback is None and request.fallback is None
    assert (request.timeout_s, request.caller_id) == (60, "")
    assert request.status_callback_events == ("completed",)


async def test_recording_of_a_call_that_is_made(scene: ApiScene) -> None:
    request = await made(
        scene,
        Record="True",
        RecordingChannels="dual",
        RecordingTrack="inbound",
        RecordingStatusCallback="http://app.test/recorded",
        RecordingStatusCallbackEvent=["in-progress", "absent"],
    )
    assert (request.recording.channels, request.recording.track, request.recording.trim) == (
        2,
        "inbound",
        True,
    )
    assert request.recording.status_callback == Callback("http://app.test/recorded")
    assert request.recording.status_callback_events == ("in-progress", "absent")


async def test_detection(scene: ApiScene) -> None:
    request = await made(
        scene, MachineDetection="Enable", AsyncAmd="true", AsyncAmdStatusCallback="http://app.test/amd"
    )
    assert request.detects_machine
    assert not (await made(scene, MachineDetection="Enable", SendDigits="1")).detects_machine


async def test_a_password_is_in_no_text(scene: ApiScene) -> None:
    request = await made(scene, SipAuthUsername="ann", SipAuthPassword="secret-word")
    assert request.sip_auth_password == "secret-word"
    assert "secret-word" not in repr(request)


async def test_what_a_call_looks_like(scene: ApiScene) -> None:
    scene.directory.add(a_call(1, parent_sid=sid("CA", 2), sip_call_id="abc"))
    async with scene.client() as client:
        body = (await client.get(f"{ROOT}/Calls/{sid('CA', 1)}.json")).json()
    assert body["start_time"] == "Mon, 23 Nov 2026 12:01:00 +0000"
    assert (body["duration"], body["from"], body["api_version"]) == ("12", "+14155550123", "2010-04-01")
    assert (body["parent_call_sid"], body["sip_call_id"], body["price"]) == (sid("CA", 2), "abc", None)
    assert body["uri"] == f"{ROOT}/Calls/{sid('CA', 1)}.json"
    assert body["subresource_uris"]["recordings"] == f"{ROOT}/Calls/{sid('CA', 1)}/Recordings.json"


class TestUpdates:
    async def test_other_addresses_without_a_redirect(self, scene: ApiScene) -> None:
        scene.directory.add(a_call(1, status="in-progress", ended_at=None))
        async with scene.client() as client:
            form = {
                "StatusCallback": "http://app.test/s",
                "FallbackUrl": "http://app.test/f",
                "TimeLimit": "9",
            }
            assert (await client.post(f"{ROOT}/Calls/{sid('CA', 1)}.json", data=form)).status_code == 200
        amendment = CallAmendment(
            fallback=Callback("http://app.test/f"),
            status_callback=Callback("http://app.test/s"),
            time_limit_s=9,
        )
        assert scene.control.asked == [("amend", sid("CA", 1), amendment)]

    async def test_nothing_changes_nothing(self, scene: ApiScene) -> None:
        scene.directory.add(a_call(1))
        async with scene.client() as client:
            assert (await client.post(f"{ROOT}/Calls/{sid('CA', 1)}.json")).status_code == 200
        assert scene.control.asked == []

    @pytest.mark.parametrize(
        "form", [{"Twiml": "<Response/>"}, {"Status": "completed"}, {"Status": "canceled"}]
    )
    async def test_a_call_that_is_over(self, scene: ApiScene, form: dict[str, str]) -> None:
        scene.directory.add(a_call(1))
        async with scene.client() as client:
            answer = await client.post(f"{ROOT}/Calls/{sid('CA', 1)}.json", data=form)
            assert (answer.status_code, answer.json()["code"]) == (400, 21220)
            answer = await client.post(f"{ROOT}/Calls/{sid('CA', 2)}.json", data=form)
            assert (answer.status_code, answer.json()["code"]) == (404, 20404)


class TestLists:
    async def listed(self, scene: ApiScene, query: str) -> Any:
        async with scene.client() as client:
            answer = await client.get(f"{ROOT}/Calls.json?{query}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def numbers(self, scene: ApiScene, query: str) -> list[int]:
        return [int(call["sid"][2:], 16) for call in (await self.listed(scene, query))["calls"]]

    async def test_the_next_page_keeps_the_filter(self, scene: ApiScene) -> None:
        scene.directory.add(*(a_call(n, to="sip:a b@x?y=1&z") for n in range(5)))
        first = await self.listed(scene, "PageSize=2&To=sip:a%20b%40x%3Fy%3D1%26z")
        assert (first["page"], first["page_size"], first["start"], first["end"]) == (0, 2, 0, 1)
        assert first["previous_page_uri"] is None
        async with scene.client() as client:
            second = (await client.get(first["next_page_uri"])).json()
            assert (second["page"], second["start"], second["end"], len(second["calls"])) == (1, 2, 3, 2)
            last = (await client.get(second["next_page_uri"])).json()
        assert last["next_page_uri"] is None and len(last["calls"]) == 1

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("StartTime=2026-11-23", [5, 4, 3, 2, 1, 0]),
            ("StartTime=2026-11-22", []),
            ("StartTime=2026-11-23T00:00:00Z", [5, 4, 3, 2, 1, 0]),  # so the SDK writes a day
            ("StartTime=2026-11-23T12:01:00Z", [1]),
            ("StartTime%3E=2026-11-23T12:04:00Z", [5, 4]),
            ("StartTime%3C=2026-11-23T12:01:00Z", [1, 0]),
            ("StartTime%3E=2026-11-23T12:02:00Z&StartTime%3C=2026-11-23T12:03:00Z", [3, 2]),
            ("StartTime%3E=2026-11-24", []),
            ("StartTime%3C=2026-11-23", [5, 4, 3, 2, 1, 0]),
            ("EndTime%3E=2026-11-23T12:05:12Z", [5]),
            ("StartTime%3C=2026-02-29", []),
        ],
    )
    async def test_by_time(self, scene: ApiScene, query: str, expected: list[int]) -> None:
        scene.directory.add(*(a_call(n) for n in range(6)))
        assert await self.numbers(scene, query) == expected

    async def test_more_than_a_page_holds_is_a_full_page(self, scene: ApiScene) -> None:
        async with scene.client() as client:
            answer = await client.get(f"{ROOT}/Calls.json?PageSize=5000")
        assert answer.json()["page_size"] == 1000

    @pytest.mark.parametrize(
        ("query", "number"),
        [
            ("PageSize=0", 20001),
            ("Status=lost", 20001),
            ("StartTime=yesterday", 20001),
            ("StartTime=2026-13-01", 20001),
            ("ParentCallSid=1", 20001),
            ("PageToken=unknown", 20006),
            ("PageToken=%00", 20001),
        ],
    )
    async def test_refused(self, scene: ApiScene, query: str, number: int) -> None:
        async with scene.client() as client:
            answer = await client.get(f"{ROOT}/Calls.json?{query}")
        assert (answer.status_code, answer.json()["code"]) == (400, number)
