"""The list of processes, beside the resources of the account."""

from pathlib import Path

import pytest

from tests.unit.web.api_scene import api_scene, sid

pytestmark = pytest.mark.unit


async def test_the_processes_are_the_nodes(tmp_path: Path) -> None:
    async with api_scene(tmp_path).client() as client:
        answer = await client.get("/b2bua/v1/processes")
    assert answer.status_code == 200
    assert answer.json() == {
        "processes": [
            {"kind": "controller", "name": "controller", "pid": 17, "calls": []},
            {"kind": "worker", "name": "w1", "pid": 18, "calls": [sid("CA", 1)]},
        ]
    }


@pytest.mark.parametrize("path", ["/b2bua/v1/processes", "/b2bua/v1/nothing", "/b2bua/v1"])
async def test_without_the_credentials_there_is_nothing(tmp_path: Path, path: str) -> None:
    async with api_scene(tmp_path).client(auth=None) as client:
        answer = await client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (401, 20003)


async def test_other_methods_are_not_allowed(tmp_path: Path) -> None:
    async with api_scene(tmp_path).client() as client:
        answer = await client.post("/b2bua/v1/processes")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")


def test_the_description_has_them(tmp_path: Path) -> None:
    description = api_scene(tmp_path).app.openapi()
    operation = description["paths"]["/b2bua/v1/processes"]["get"]
    assert operation["security"] == [{"HTTPBasic": []}]
    process = description["components"]["schemas"]["Process"]["properties"]
    assert process["kind"]["enum"] == ["supervisor", "edge", "relay", "controller", "forkserver", "worker"]
