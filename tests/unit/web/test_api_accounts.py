"""What an account has by configuration, API keys, and what is not here."""

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from b2bua.settings import ApplicationSettings
from b2bua.web.api.application_book import ApplicationBook
from b2bua.web.server import application
from tests.unit.web.api_scene import ACCOUNT_SID, AUTH_TOKEN, ROOT, ApiScene, api_scene

pytestmark = pytest.mark.unit

APPLICATION = "AP" + "1" * 32
KEY, SECRET = "SK" + "2" * 32, "secret-of-the-key"
RECORDING = f"{ROOT}/Recordings/RE{'3' * 32}"


@pytest.fixture
def scene(tmp_path: Path) -> ApiScene:
    scene = api_scene(tmp_path)
    context = replace(
        scene.context,
        credentials={ACCOUNT_SID: AUTH_TOKEN, KEY: SECRET},
        applications=ApplicationBook(
            [
                ApplicationSettings(
                    sid=APPLICATION,
                    name="desk",
                    voice_url="http://ann:pw@app.test/desk",
                    voice_method="GET",
                    fallback_url="http://app.test/desk/sorry",
                )
            ]
        ),
        caller_ids=lambda: ["+14155550100", "+14155550101"],
        sip_domain="sip.example.com",
        public_recordings=True,
    )
    app = application(scene.health, context, scene.metrics)
    return replace(scene, app=app, context=context)


async def got(scene: ApiScene, path: str) -> httpx.Response:
    async with scene.client() as client:
        return await client.get(path)


async def test_what_the_account_has_is_listed_and_fetched(scene: ApiScene) -> None:
    for path, key, field, values in [
        ("Applications", "applications", "friendly_name", ["desk"]),
        ("OutgoingCallerIds", "outgoing_caller_ids", "phone_number", ["+14155550100", "+14155550101"]),
        ("SIP/Domains", "domains", "domain_name", ["sip.example.com"]),
    ]:
        listed = (await got(scene, f"{ROOT}/{path}.json")).json()
        assert [each[field] for each in listed[key]] == values
        for each in listed[key]:
            assert (await got(scene, each["uri"])).json() == each
        nothing = f"{ROOT}/{path}/{listed[key][0]['sid'][:2]}{'f' * 32}.json"
        assert (await got(scene, nothing)).status_code == 404
    (account,) = (await got(scene, "/2010-04-01/Accounts.json")).json()["accounts"]
    assert (await got(scene, account["uri"])).json() == account
    for uri in account["subresource_uris"].values():
        assert (await got(scene, uri)).status_code == 200, uri


async def test_an_applications_password_is_not_shown(scene: ApiScene) -> None:
    shown = (await got(scene, f"{ROOT}/Applications/{APPLICATION}.json")).json()
    assert shown["voice_url"] == "http://app.test/desk"


async def test_an_api_key_opens_the_account(scene: ApiScene) -> None:
    for user, password, status in [(KEY, SECRET, 200), (KEY, AUTH_TOKEN, 401), (ACCOUNT_SID, SECRET, 401)]:
        async with scene.client(auth=(user, password)) as client:
            assert (await client.get(f"{ROOT}/Calls.json")).status_code == status


async def test_an_application_stands_for_its_urls(scene: ApiScene) -> None:
    form = {"To": "+14155550123", "From": "+14155550100", "ApplicationSid": APPLICATION, "Timeout": "20"}
    async with scene.client() as client:
        assert (await client.post(f"{ROOT}/Calls.json", data=form)).status_code == 201
        (_, request) = scene.control.asked[-1]
        assert request.document.url is not None and request.fallback is not None
        assert (request.document.url.url, request.document.url.method) == (
            "http://ann:pw@app.test/desk",
            "GET",
        )
        assert (request.fallback.url, request.timeout_s) == ("http://app.test/desk/sorry", 20)
        form["ApplicationSid"] = "AP" + "0" * 32
        assert (await client.post(f"{ROOT}/Calls.json", data=form)).status_code == 400


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (f"{ROOT}/Messages.json", "Messages"),
        (f"{ROOT}/AvailablePhoneNumbers/US/Local.json", "AvailablePhoneNumbers"),
        (f"{ROOT}/Recordings/RE{'3' * 32}/Transcriptions.json", "Transcriptions"),
        (f"{ROOT}/SIP/CredentialLists.json", "CredentialLists"),
    ],
)
async def test_what_is_known_but_not_here_is_named(scene: ApiScene, path: str, name: str) -> None:
    async with scene.client() as client:
        for answer in (await client.get(path), await client.post(path, data={"Body": "hello"})):
            assert answer.status_code == 501
            assert answer.json()["code"] == 20501
            assert name in answer.json()["message"]


async def test_an_unknown_path_is_named(scene: ApiScene) -> None:
    answer = await got(scene, f"{ROOT}/Nothing.json")
    assert answer.status_code == 404
    assert f"{ROOT}/Nothing.json" in answer.json()["message"]


async def test_the_sound_of_a_recording_may_be_public_and_nothing_else(scene: ApiScene) -> None:
    async with scene.client(auth=None) as client:
        for suffix in ("", ".wav", ".mp3"):
            assert (await client.get(RECORDING + suffix)).status_code == 404  # asked for, and not there
        for path in (f"{RECORDING}.json", f"{ROOT}/Recordings.json", f"{ROOT}/Recordings", f"{RECORDING}/x"):
            assert (await client.get(path)).status_code == 401
        assert (await client.delete(RECORDING)).status_code == 401


async def test_the_sound_of_a_recording_is_private_by_default(tmp_path: Path) -> None:
    async with api_scene(tmp_path).client(auth=None) as client:
        assert (await client.get(RECORDING)).status_code == 401
