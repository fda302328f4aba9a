"""A node, a web application and peers for each test: nothing is shared, nothing is left over."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.sip.node_process import NodeProcess, config_text, run_node


@pytest.fixture
async def app() -> AsyncIterator[WebApp]:
    """The user's web application; ``/voice`` is asked first, ``/after`` and ``/status`` exist."""
    async with WebApp.start() as app:
        app.reply("/after", "<Response/>")
        app.reply("/status", "", status=204)
        yield app


@pytest.fixture
async def caller() -> AsyncIterator[Peer]:
    async with Peer.start("caller") as peer:
        yield peer


@pytest.fixture
async def callee() -> AsyncIterator[Peer]:
    async with Peer.start("callee") as peer:
        yield peer


@pytest.fixture
async def callees() -> AsyncIterator[list[Peer]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Peer.start(name)) for name in ("ann", "ben", "cem")]


@pytest.fixture
def sections() -> dict[str, dict[str, Any]]:
    """Configuration beside the usual one; modules override it."""
    return {}


@pytest.fixture
def extra_config() -> str:
    """TOML put behind the rest; modules override it."""
    return ""


@pytest.fixture
async def node(
    app: WebApp, tmp_path: Path, sections: dict[str, dict[str, Any]], extra_config: str
) -> AsyncIterator[NodeProcess]:
    """A node whose every number asks ``/voice``."""
    number = {"voice_url": app.url("/voice"), "status_callback": app.url("/status")}
    text = config_text({"*": number}, sections=sections, extra=extra_config)
    async with run_node(tmp_path, text) as node:
        yield node


@pytest.fixture
def dial(app: WebApp) -> Callable[..., None]:
    """``dial(peer, ..., timeout="5")``: the TwiML that is run dials these peers with these attributes."""

    def set_document(*targets: Peer, after: str = "", **attributes: str) -> None:
        given = {"action": app.url("/after"), **attributes}
        words = "".join(f' {name}="{value}"' for name, value in given.items() if value)
        nouns = "".join(f"<Sip>{target.uri()}</Sip>" for target in targets)
        app.reply("/voice", f"<Response><Dial{words}>{nouns}</Dial>{after}</Response>")

    return set_document
