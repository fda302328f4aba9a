"""The REST API on the real store: lists, fetches and deletes rows."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest

from b2bua.store.store import Store
from tests.store.store_scene import a_call, a_notification, a_recording, an_ended_call, an_event, sid
from tests.unit.web.api_scene import ROOT, api_scene

pytestmark = pytest.mark.process


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(f"sqlite:///{tmp_path}/b2bua.db")
    yield store
    await store.close()


@pytest.fixture
async def client(store: Store, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    scene = api_scene(tmp_path)
    scene.context.directory = store.directory
    async with scene.client() as client:
        yield client


async def test_calls_are_listed_page_by_page(store: Store, client: httpx.AsyncClient) -> None:
    for number in range(1, 6):
        store.put(an_ended_call(number))
    seen, uri = [], f"{ROOT}/Calls.json?PageSize=2"
    while uri:
        page = (await client.get(uri)).json()
        seen += [call["sid"] for call in page["calls"]]
        uri = page["next_page_uri"]
    assert seen == [sid("CA", number) for number in (5, 4, 3, 2, 1)]


async def test_a_foreign_page_token_is_a_bad_request(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"{ROOT}/Calls.json", params={"PageToken": "abc"})
    assert (answer.status_code, answer.json()["code"]) == (400, 20006)


async def test_what_was_put_is_seen_at_once(store: Store, client: httpx.AsyncClient) -> None:
    store.put(a_call(1))
    assert (await client.get(f"{ROOT}/Calls/{sid('CA', 1)}.json")).json()["status"] == "ringing"
    store.put(msgspec.structs.replace(a_call(1), status="in-progress"))
    assert (await client.get(f"{ROOT}/Calls/{sid('CA', 1)}.json")).json()["status"] == "in-progress"


async def test_the_parts_of_a_call_are_found_and_go_with_it(store: Store, client: httpx.AsyncClient) -> None:
    for record in (an_ended_call(1), a_notification(1), an_event(0, status=200), a_recording(1)):
        store.put(record)
    path = f"{ROOT}/Calls/{sid('CA', 1)}"
    for name, key in (("Notifications", "notifications"), ("Events", "events"), ("Recordings", "recordings")):
        assert len((await client.get(f"{path}/{name}.json")).json()[key]) == 1
    assert (await client.delete(f"{path}.json")).status_code == 204
    assert (await client.get(f"{path}.json")).status_code == 404
    assert (await client.get(f"{ROOT}/Notifications/{sid('NO', 1)}.json")).status_code == 404
    assert (await client.delete(f"{ROOT}/Recordings/{sid('RE', 1)}.json")).status_code == 204
    assert await store.directory.recording(sid("RE", 1)) is None
