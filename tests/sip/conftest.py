"""A node and a web application for each module, peers for each test; each test ends its calls."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.sip.node_process import NodeProcess, config_text, run_node

COVERAGE = "COVERAGE_PROCESS_CONFIG"
"""The environment variable by which coverage reaches the processes that tests start."""


@pytest.fixture(scope="package", autouse=True)
def coverage_config() -> Iterator[str | None]:
    """Start processes without coverage, which costs each more than it takes to start."""
    config = os.environ.pop(COVERAGE, None)
    yield config
    if config is not None:
        os.environ[COVERAGE] = config


@pytest.fixture(scope="module", autouse=True)
def measured(request: pytest.FixtureRequest, coverage_config: str | None) -> Iterator[None]:
    """Include the processes in coverage if the module has the marker ``measured``."""
    if coverage_config is not None and request.node.get_closest_marker("measured"):
        os.environ[COVERAGE] = coverage_config
    yield
    os.environ.pop(COVERAGE, None)


@pytest.fixture(scope="module")
async def module_app() -> AsyncIterator[WebApp]:
    async with WebApp.start() as app:
        yield app


@pytest.fixture
def app(module_app: WebApp) -> WebApp:
    """The user's web application; ``/voice`` is requested first, ``/after`` and ``/status`` exist."""
    module_app.forget()
    module_app.replies.clear()
    module_app.reply("/after", "<Response/>")
    module_app.reply("/status", "", status=204)
    return module_app


@pytest.fixture
async def caller() -> AsyncIterator[Peer]:
    async with Peer.start("caller") as peer:
        yield peer


@pytest.fixture
async def callee() -> AsyncIterator[Peer]:
    async with Peer.start("callee") as peer:
        yield peer


@pytest.fixture
async def ann() -> AsyncIterator[Peer]:
    async with Peer.start("ann") as peer:
        yield peer


@pytest.fixture
async def bob() -> AsyncIterator[Peer]:
    async with Peer.start("bob") as peer:
        yield peer


@pytest.fixture
async def carol() -> AsyncIterator[Peer]:
    async with Peer.start("carol") as peer:
        yield peer


@pytest.fixture
async def callees() -> AsyncIterator[list[Peer]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Peer.start(name)) for name in ("ann", "ben", "cem")]


@pytest.fixture(scope="module")
def sections() -> dict[str, dict[str, Any]]:
    """Additional configuration; modules override it."""
    return {}


@pytest.fixture(scope="module")
def extra_config() -> str:
    """TOML appended to the configuration; modules override it."""
    return ""


@pytest.fixture(scope="module")
async def module_node(
    module_app: WebApp,
    tmp_path_factory: pytest.TempPathFactory,
    sections: dict[str, dict[str, Any]],
    extra_config: str,
) -> AsyncIterator[NodeProcess]:
    number = {"voice_url": module_app.url("/voice"), "status_callback": module_app.url("/status")}
    text = config_text({"*": number}, sections=sections, extra=extra_config)
    async with run_node(tmp_path_factory.mktemp("node"), text) as node:
        yield node


@pytest.fixture
async def node(module_node: NodeProcess) -> AsyncIterator[NodeProcess]:
    """A node whose numbers all request ``/voice``. The tests of a module share it, but no calls."""
    yield module_node
    await module_node.quiet()


@pytest.fixture
def dial(app: WebApp) -> Callable[..., None]:
    """``dial(peer, ..., timeout="5")``: sets TwiML that dials these peers with these attributes."""

    def set_document(*targets: Peer, after: str = "", **attributes: str) -> None:
        given = {"action": app.url("/after"), **attributes}
        words = "".join(f' {name}="{value}"' for name, value in given.items() if value)
        nouns = "".join(f"<Sip>{target.uri()}</Sip>" for target in targets)
        app.reply("/voice", f"<Response><Dial{words}>{nouns}</Dial>{after}</Response>")

    return set_document
