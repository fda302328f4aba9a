"""The API behaves as described, for requests generated from its description."""

import asyncio
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import requests
import schemathesis
import soundfile
from hypothesis import HealthCheck, settings
from schemathesis.config import (
    CoveragePhaseConfig,
    GenerationConfig,
    PhasesConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)
from schemathesis.config._auth import AuthConfig
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from b2bua.launch import listening_http
from b2bua.node.queue_desk import QueueDesk
from b2bua.node.queues import Queues
from b2bua.node.room_desk import RoomDesk
from b2bua.store.records import QueueRow
from b2bua.web.api.directory import EventRecord, NotificationRecord
from b2bua.web.server import HttpServer
from tests.unit.web.api_scene import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    NOON,
    ApiScene,
    NoStore,
    a_call,
    a_member,
    a_participant,
    a_recording,
    api_scene,
    numbers,
    quiet_rooms,
    sid,
)

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

EXAMPLES = 4
"""Requests per operation beside those at the bounds of its parameters; raise it to search longer."""

_scene = api_scene(Path(tempfile.gettempdir()) / "nothing-is-here")
_config = SchemathesisConfig(
    projects=ProjectsConfig(
        default=ProjectConfig(
            generation=GenerationConfig(
                max_examples=EXAMPLES, deterministic=True, with_security_parameters=False
            ),
            phases=PhasesConfig(coverage=CoveragePhaseConfig(unexpected_methods={"PUT", "OPTIONS"})),
            auth=AuthConfig(openapi={"HTTPBasic": {"username": ACCOUNT_SID, "password": AUTH_TOKEN}}),
        )
    )
)
_schema = schemathesis.openapi.from_dict(_scene.app.openapi(), config=_config)

STATES = frozenset((21220, 16001, 16020, 16022, 16026, 16027, 16028, 16099, 21422))
"""Numbers of errors that come from what calls, queues and conferences are doing, and which numbers exist."""
REFUSALS = frozenset(
    (
        "FriendlyName: another queue has this name",
        "Hold goes with neither AnnounceUrl nor Coaching",
        "Coaching needs CallSidToCoach",
        "CallSidToCoach: Coaching needs it",
        "10 announcements are waiting",
        "ApplicationSid: there is no such application",
        "VoiceApplicationSid: there is no such application",
    )
)
"""Texts of errors that come from these, or from two parameters together."""

NAMES = {
    "AccountSid": ACCOUNT_SID,
    "CallSid": sid("CA", 1),
    "RecordingSid": sid("RE", 1),
    "NotificationSid": sid("NO", 1),
    "QueueSid": sid("QU", 1),
    "ConferenceSid": sid("CF", 1),
    "Participant": sid("CA", 1),
    "NumberSid": _scene.context.numbers.all()[0][0],
    "ApplicationSid": sid("AP", 1),
    "CallerIdSid": sid("PN", 1),
    "DomainSid": sid("SD", 1),
}
"""Path parameters that name an existing resource."""


def fill(scene: ApiScene, folder: Path) -> None:
    """Restore everything that a request may have deleted or ended."""
    call = a_call(1, status="in-progress", ended_at=None)
    scene.directory.call_rows.clear()
    scene.directory.add(
        call,
        a_call(2),
        a_recording(1, call, conference_sid=sid("CF", 1)),
        a_recording(2, call, status="in-progress"),
    )
    scene.directory.add(
        NotificationRecord(
            sid=sid("NO", 1), call_sid=call.sid, severity="error", number=12100, text="x", created_at=NOON
        )
    )
    event = EventRecord(created_at=NOON, method="GET", url="http://app.test/", params={}, status=200)
    scene.directory.event_rows[call.sid] = [event]
    scene.context.numbers.replace(numbers())
    asyncio.run(refill(scene))
    sound = folder / f"{sid('RE', 1)}.wav"
    if not sound.exists():
        soundfile.write(sound, np.zeros((800, 2), dtype="int16"), 8000)


async def refill(scene: ApiScene) -> None:
    """Have one queue in which a call waits, and one conference with two."""
    queue = QueueRow(
        sid=sid("QU", 1),
        account_sid=ACCOUNT_SID,
        friendly_name="support",
        max_size=10,
        created_at=NOON,
        updated_at=NOON,
    )
    scene.queues = Queues(ACCOUNT_SID, NoStore(), [queue])
    QueueDesk.__init__(scene.context.queues, scene.queues)  # type: ignore[arg-type]
    a_member(scene, "support", 1)
    scene.directory.conference_rows.clear()
    scene.rooms = quiet_rooms(scene.directory)
    RoomDesk.__init__(scene.context.rooms, scene.rooms, scene.control)  # type: ignore[arg-type]
    a_participant(scene, "standup", 1)
    a_participant(scene, "standup", 2)
    room = scene.rooms.find("standup")
    assert room is not None
    scene.directory.conference_rows.clear()
    room.row = msgspec.structs.replace(room.row, sid=sid("CF", 1))
    scene.directory.put(room.row)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recordings")


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """One connection for all requests."""
    with requests.Session() as session:
        yield session


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    """A server in another thread: requests here are blocking."""
    scene_here = api_scene(folder)
    scene_here.context.directory = _scene.directory
    scene_here.context.control = _scene.control
    scene_here.context.queues = _scene.context.queues
    scene_here.context.rooms = _scene.context.rooms
    scene_here.context.numbers = _scene.context.numbers
    scene_here.context.requests_per_s = 1e6
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = HttpServer(
        listening_http("127.0.0.1", 0), scene_here.health, scene_here.context, scene_here.metrics
    )
    port = asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
    yield f"http://127.0.0.1:{port}"
    asyncio.run_coroutine_threadsafe(server.close(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@_schema.parametrize()
@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
def test_answers_are_as_described(
    case: schemathesis.Case, url: str, folder: Path, session: requests.Session
) -> None:
    fill(_scene, folder)
    if case.meta is None or not case.meta.is_negative_at(ParameterLocation.PATH):
        case.path_parameters.update({n: v for n, v in NAMES.items() if n in case.path_parameters})
    case.query.pop("PageToken", None)  # nobody can make one up
    response = case.call(base_url=url, session=session)
    excluded = [ignored_auth]  # asks twice more each time; see below
    # What a call is doing is not in any description, nor which names are taken.
    refused = response.json() if response.status_code == 400 else {}
    if refused.get("code") in STATES or refused.get("message") in REFUSALS:
        excluded.append(positive_data_acceptance)
    case.validate_response(response, excluded_checks=excluded)


async def test_every_operation_wants_credentials() -> None:
    async with _scene.client(auth=None) as client:
        for path, operations in _scene.app.openapi()["paths"].items():
            for method in operations:
                answer = await client.request(method, path.format_map(NAMES))
                expected = 401 if path.startswith(("/2010-04-01", "/b2bua/v1")) else 200
                assert answer.status_code == expected, f"{method} {path}"
