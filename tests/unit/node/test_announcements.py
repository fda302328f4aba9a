"""Announcements: their documents are run, their sounds are played one after the other, their end is told."""

import asyncio
from typing import Any

import msgspec
import pytest

from b2bua.calls.orders import DocumentFetched, FetchDocument, FetchFailed, PreparePrompt, PromptReady
from b2bua.core.room_inputs import Document
from b2bua.node.announcements import Announcement, Announcer, Voice
from b2bua.node.documents import Fetched
from b2bua.node.prompt_maker import Prepared
from b2bua.relay.control import PlayInRoom, RoomSoundEnded, StopInRoom
from b2bua.twiml.parse import parse

pytestmark = pytest.mark.unit


class Scene:
    """Pages by URL; sounds are named by their URLs."""

    def __init__(self, **pages: str) -> None:
        self.pages = {f"http://app.test/{name}": page for name, page in pages.items()}
        self.asked: list[FetchDocument] = []
        self.told: list[msgspec.Struct] = []
        self.done: list[str] = []
        nothing: Any = None
        self.announcer = Announcer(Voice(documents=self, prompts=self, webhooks=lambda: nothing, relay=self))

    async def fetch(self, order: FetchDocument, webhooks: Any, token: str | None) -> Fetched:
        self.asked.append(order)
        page = self.pages.get(order.url)
        if page is None:
            return Fetched(FetchFailed(request=0, number=11200, text="404", url=order.url), 404, None)
        return Fetched(DocumentFetched(request=0, url=order.url, document=parse(page)), 0, None)

    async def prepare(self, order: PreparePrompt, webhooks: Any) -> Prepared:
        return Prepared(PromptReady(request=0, file=order.url, duration_s=1.0))

    def send(self, *messages: msgspec.Struct) -> None:
        self.told += messages

    def play(self, url: str = "http://app.test/a") -> None:
        announcement = Announcement(
            room="CF1",
            number=1,
            leg=None,
            document=Document(url),
            params=(("A", "b"),),
            done=self.done.append,
        )
        self.announcer.play(announcement)

    async def moment(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    def sounds(self) -> list[str]:
        return [each.path for each in self.told if isinstance(each, PlayInRoom)]

    async def end(self, failure: str = "") -> None:
        """Let the latest sound end."""
        last = self.told[-1]
        assert isinstance(last, PlayInRoom)
        self.announcer.ended(RoomSoundEnded(room="CF1", sound=last.sound, failure=failure))
        await self.moment()


async def test_sounds_are_played_one_after_the_other() -> None:
    scene = Scene(a="<Response><Play loop='2'>/one</Play><Hangup/><Play>/two</Play></Response>")
    scene.play()
    await scene.moment()
    assert scene.sounds() == ["http://app.test/one"]
    await scene.end()
    await scene.end()
    assert scene.sounds() == ["http://app.test/one", "http://app.test/one", "http://app.test/two"]
    assert scene.done == []
    await scene.end()
    assert scene.done == [""]
    assert scene.asked[0].params == (("A", "b"),)
    assert len({each.sound for each in scene.told if isinstance(each, PlayInRoom)}) == 3


async def test_a_redirect_is_followed() -> None:
    scene = Scene(a="<Response><Redirect>/b</Redirect></Response>", b="<Response><Play>/x</Play></Response>")
    scene.play()
    await scene.moment()
    assert scene.sounds() == ["http://app.test/x"]


async def test_what_cannot_be_had_is_told() -> None:
    scene = Scene()
    scene.play()
    await scene.moment()
    assert scene.done == ["11200 404"]


async def test_a_circle_of_redirects_ends() -> None:
    scene = Scene(a="<Response><Redirect/></Response>")
    scene.play()
    for _ in range(30):
        await scene.moment()
    assert scene.done == ["12400 the documents redirect to each other endlessly"]


async def test_a_stopped_one_falls_silent_and_tells_nothing() -> None:
    scene = Scene(a="<Response><Play>/x</Play></Response>")
    scene.play()
    await scene.moment()
    scene.announcer.stop("CF1", 1)
    await scene.moment()
    assert isinstance(scene.told[-1], StopInRoom)
    assert scene.done == []


async def test_a_failure_of_ours_is_logged_and_told(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Scene):
        async def prepare(self, order: PreparePrompt, webhooks: Any) -> Prepared:
            raise ValueError("not foreseen")

    scene = Broken(a="<Response><Play>/x</Play></Response>")
    scene.play()
    await scene.moment()
    assert scene.done == ["12400 the announcement failed"]
    assert caplog.messages == ["announcement failed"]
