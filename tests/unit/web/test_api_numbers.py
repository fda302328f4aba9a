"""Numbers, notifications and events: their resources, and the effect of changing a number."""

from pathlib import Path

import httpx
import pytest

from b2bua.core.admission import Origin
from b2bua.settings import NumberSettings
from b2bua.web.api.directory import EventRecord, NotificationRecord
from b2bua.web.api.number_book import NumberBook
from tests.unit.web.api_scene import NOON, ROOT, ApiScene, a_call, api_scene, numbers, sid

pytestmark = pytest.mark.unit


@pytest.fixture
def scene(tmp_path: Path) -> ApiScene:
    return api_scene(tmp_path)


class TestNumberBook:
    def test_identifiers_stay_after_a_restart(self) -> None:
        assert [sid for sid, _ in NumberBook(numbers()).all()] == [
            sid for sid, _ in NumberBook(numbers()).all()
        ]

    def test_the_first_that_matches_counts(self) -> None:
        book = NumberBook(numbers())
        first, second = book.for_user("+14155550199"), book.for_user("+14155550100")
        assert first is not None and first.voice_url == "http://app.test/voice"
        assert second is not None and second.voice_url == "http://app.test/others"
        assert book.for_user("+15") is None

    def test_an_address_replaces_a_file(self, tmp_path: Path) -> None:
        book = NumberBook([NumberSettings(match="100", twiml=tmp_path / "hello.xml")])
        [(number_sid, _)] = book.all()
        assert book.change(number_sid, {"fallback_url": "http://a/f"}).twiml is not None
        assert book.change(number_sid, {"voice_url": "http://a/v"}).twiml is None

    def test_the_configuration_counts_when_it_is_read_again(self) -> None:
        book = NumberBook(numbers())
        number_sid, before = book.all()[0]
        book.change(number_sid, {"voice_url": "http://a/new"})
        book.replace(numbers())
        assert book.find(number_sid) == before


class TestHowNumbersAreCompared:
    """RFC 3966 §4: neither visual separators nor parameters count."""

    @pytest.mark.parametrize(
        "called",
        [
            "+14155557003",
            "+1-415-555-7003",
            "+1(415)555.7003",
            "+14155557003;npdi;rn=+14155550000",
            "+1-415-5557003;phone-context=example.com",
            "%2B14155557003",
        ],
    )
    @pytest.mark.parametrize(
        "match", ["+14155557003", "+1-415-555-7003", "+1415*", "+1-415-555-70[0-9]3", "*"]
    )
    def test_a_number_has_many_spellings(self, called: str, match: str) -> None:
        number = NumberSettings(match=match, voice_url="http://app.test/")
        assert NumberBook([number]).for_user(called) == number

    @pytest.mark.parametrize(
        ("match", "called"),
        [
            ("ann.smith", "annsmith"),
            ("annsmith", "ann.smith"),
            ("ann-*", "ann.smith"),
            ("+14155557003", "14155557003"),
            ("100", "1000"),
            ("ann", "Ann"),
        ],
    )
    def test_other_names_are_compared_as_they_are(self, match: str, called: str) -> None:
        assert (
            NumberBook([NumberSettings(match=match, voice_url="http://app.test/")]).for_user(called) is None
        )

    def test_a_name_has_parameters_too(self) -> None:
        number = NumberSettings(match="ann.smith", voice_url="http://app.test/")
        assert NumberBook([number]).for_user("ann.smith;x=1") == number

    def test_an_exact_entry_counts_before_a_pattern_wherever_it_stands(self) -> None:
        pattern = NumberSettings(match="*", voice_url="http://app.test/any")
        exact = NumberSettings(
            match="+1 415".replace(" ", "-") + "-555-7003", voice_url="http://app.test/one"
        )
        book = NumberBook([pattern, exact])
        assert book.for_user("+14155557003;npdi") == exact
        assert book.for_user("+14155557004") == pattern

    def test_a_star_is_a_key_where_it_is_exactly_that(self) -> None:
        code = NumberSettings(match="*98", voice_url="http://app.test/")
        assert (
            NumberBook([NumberSettings(match="*", voice_url="http://a.test/"), code]).for_user("*98") == code
        )


async def test_one_page_after_another(scene: ApiScene) -> None:
    async with scene.client() as client:
        first = (await client.get(f"{ROOT}/IncomingPhoneNumbers.json?PageSize=1")).json()
        second = (await client.get(first["next_page_uri"])).json()
        listed = [page["incoming_phone_numbers"][0]["phone_number"] for page in (first, second)]
        assert listed == ["+14155550199", "+1415*"] and second["next_page_uri"] is None
        one = (await client.get(f"{ROOT}/IncomingPhoneNumbers.json?PhoneNumber=%2B1415*")).json()
        assert len(one["incoming_phone_numbers"]) == 1
        answer = await client.get(f"{ROOT}/IncomingPhoneNumbers.json?PageToken=-5")
        assert (answer.status_code, answer.json()["code"]) == (400, 20006)


async def test_every_address_of_a_number_can_be_changed(scene: ApiScene) -> None:
    number_sid = scene.context.numbers.all()[0][0]
    form = {
        "VoiceUrl": "http://a/v",
        "VoiceMethod": "GET",
        "VoiceFallbackUrl": "http://a/f",
        "VoiceFallbackMethod": "GET",
        "StatusCallback": "http://a/s",
        "StatusCallbackMethod": "GET",
    }
    async with scene.client() as client:
        path = f"{ROOT}/IncomingPhoneNumbers/{number_sid}.json"
        body = (await client.post(path, data=form)).json()
        assert (await client.get(path)).json() == body
        refused = await client.post(path, data={"VoiceUrl": "nothing"})
        assert (refused.status_code, refused.json()["code"]) == (400, 21402)
        assert (await client.get(f"{ROOT}/IncomingPhoneNumbers/{sid('PN', 1)}.json")).status_code == 404
    expected = NumberSettings(
        match="+14155550199",
        voice_url="http://a/v",
        voice_method="GET",
        fallback_url="http://a/f",
        fallback_method="GET",
        status_callback="http://a/s",
        status_callback_method="GET",
    )
    assert scene.context.numbers.find(number_sid) == expected
    assert body["voice_fallback_url"] == "http://a/f" and body["status_callback_method"] == "GET"
    async with scene.client() as client:
        body = (
            await client.post(path, data={"VoiceUrl": "", "VoiceFallbackUrl": "", "StatusCallback": ""})
        ).json()
    assert (body["voice_url"], body["voice_fallback_url"], body["status_callback"]) == ("http://a/v", "", "")


async def test_notifications_of_a_call_and_of_all(scene: ApiScene) -> None:
    first, second = a_call(1), a_call(2)
    scene.directory.add(first, second)
    for number, call in ((1, first), (2, second)):
        scene.directory.add(
            NotificationRecord(
                sid=sid("NO", number),
                call_sid=call.sid,
                severity="error" if number == 1 else "warning",
                number=12100,
                text="text",
                created_at=call.created_at,
            )
        )
    async with scene.client() as client:

        async def listed(path: str) -> list[str]:
            body = (await client.get(ROOT + path)).json()
            return [each["sid"] for each in body["notifications"]]

        assert await listed("/Notifications.json") == [sid("NO", 2), sid("NO", 1)]
        assert await listed("/Notifications.json?Log=0") == [sid("NO", 1)]
        assert await listed("/Notifications.json?MessageDate=2026-11-22") == []
        assert await listed(f"/Calls/{first.sid}/Notifications.json") == [sid("NO", 1)]
        path = f"{ROOT}/Calls/{second.sid}/Notifications/{sid('NO', 1)}.json"
        assert (await client.get(path)).status_code == 404
        body = (await client.get(f"{ROOT}/Calls/{first.sid}/Notifications/{sid('NO', 1)}.json")).json()
        assert (body["log"], body["error_code"]) == ("0", "12100")
        assert body["more_info"] == "https://www.twilio.com/docs/errors/12100"
        assert (await client.delete(f"{ROOT}/Notifications/{sid('NO', 1)}.json")).status_code == 204
        assert await listed("/Notifications.json") == [sid("NO", 2)]


async def test_events_are_in_their_order(scene: ApiScene) -> None:
    call = a_call(1)
    scene.directory.add(call)
    urls = ["http://a/voice", "http://a/after"]
    scene.directory.event_rows[call.sid] = [
        EventRecord(created_at=NOON, method="POST", url=url, params={"CallSid": call.sid}, status=200)
        for url in urls
    ]
    async with scene.client() as client:
        body = (await client.get(f"{ROOT}/Calls/{call.sid}/Events.json")).json()
        assert [event["request"]["url"] for event in body["events"]] == urls
        assert (await client.get(f"{ROOT}/Calls/{sid('CA', 2)}/Events.json")).status_code == 404


class TestWhoseCallsANumberIsFor:
    """``trunk`` and ``user`` of a number."""

    @pytest.mark.parametrize(
        ("origin", "url"),
        [
            (Origin(source="udp:192.0.2.1:5060", trunk="pbx"), "http://app.test/pbx"),
            (Origin(source="udp:192.0.2.2:5060", trunk="other"), "http://app.test/all"),
            (Origin(source="udp:192.0.2.3:5060", user="alice"), "http://app.test/users"),
            (Origin(source="udp:192.0.2.4:5060"), "http://app.test/all"),
        ],
    )
    def test_the_first_that_is_for_the_caller_counts(self, origin: Origin, url: str) -> None:
        book = NumberBook(
            [
                NumberSettings(match="*", user="a*", voice_url="http://app.test/users"),
                NumberSettings(match="100", user="b*", voice_url="http://app.test/never"),
                NumberSettings(match="100", trunk="pbx", voice_url="http://app.test/pbx"),
                NumberSettings(match="1*", voice_url="http://app.test/all"),
            ]
        )
        chosen = book.for_user("100", origin)
        assert chosen is not None and chosen.voice_url == url
        assert len(book.all()) == 4

    def test_a_pattern_owns_no_number(self) -> None:
        book = NumberBook(
            [
                NumberSettings(match="+1415*", voice_url="http://app.test/"),
                NumberSettings(match="+1-212-555-0100", voice_url="http://app.test/"),
                NumberSettings(match="442079460000", voice_url="http://app.test/"),
            ]
        )
        assert not book.owns("+14155550100")
        assert book.owns("+12125550100") and book.owns("+442079460000")


async def posted(scene: ApiScene, form: dict[str, str]) -> httpx.Response:
    async with scene.client() as client:
        return await client.post(f"{ROOT}/IncomingPhoneNumbers.json", data=form)


class TestNumbersMadeByPrograms:
    async def test_a_number_is_taken_and_given_back(self, scene: ApiScene) -> None:
        form = {"PhoneNumber": "+12125550123", "VoiceUrl": "http://app.test/new", "VoiceMethod": "GET"}
        made = await posted(scene, form)
        assert made.status_code == 201
        number = scene.context.numbers.for_user("+12125550123")
        assert number is not None and (number.voice_url, number.voice_method) == (form["VoiceUrl"], "GET")
        again = await posted(scene, form)
        assert (again.status_code, again.json()["code"]) == (400, 21422)
        path = f"{ROOT}/IncomingPhoneNumbers/{made.json()['sid']}.json"
        async with scene.client() as client:
            assert (await client.delete(path)).status_code == 204
            assert scene.context.numbers.for_user("+12125550123") is None
            assert (await client.delete(path)).status_code == 404

    @pytest.mark.parametrize(
        ("form", "code"),
        [
            ({"PhoneNumber": "+12125550123"}, 20001),
            ({"PhoneNumber": "212", "VoiceUrl": "http://app.test/"}, 21421),
            ({"VoiceUrl": "http://app.test/"}, 21421),
            ({"PhoneNumber": "+12125550123", "VoiceApplicationSid": "AP" + "0" * 32}, 20001),
        ],
    )
    async def test_what_is_wrong_is_said(self, scene: ApiScene, form: dict[str, str], code: int) -> None:
        answer = await posted(scene, form)
        assert answer.status_code == 400
        assert answer.json()["code"] in (code, 21402)
