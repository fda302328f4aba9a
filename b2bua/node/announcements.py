"""Announcements to rooms and to their members: documents whose sounds the relay mixes in.

Such a document runs on no leg: whoever hears it stays in the mix. Thread: the controller's loop.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from b2bua.calls.orders import DocumentFetched, FetchDocument, FetchFailed, PreparePrompt, PromptFailed
from b2bua.calls.parameters import Parameters
from b2bua.core.room_inputs import Document
from b2bua.node.documents import Fetched
from b2bua.node.prompt_maker import Prepared
from b2bua.relay.control import LegKey, PlayInRoom, RoomSoundEnded, StopInRoom
from b2bua.twiml import verbs
from b2bua.twiml.inner import InnerDocument, only_allowed
from b2bua.twiml.urls import resolve_url
from b2bua.web.webhooks import CallWebhooks

__all__ = ["Announcement", "Announcer", "Voice"]

log = logging.getLogger(__name__)

_MOST_DOCUMENTS = 60
"""Documents of one announcement; more are taken to refer to each other in a circle."""
_FOR_EVER = 1000
"""How often a sound is played whose ``loop`` is 0."""


class _Documents(Protocol):
    async def fetch(self, order: FetchDocument, webhooks: CallWebhooks, token: str | None) -> Fetched:
        """Request a document."""


class _Prompts(Protocol):
    async def prepare(self, order: PreparePrompt, webhooks: CallWebhooks) -> Prepared:
        """Make a sound."""


class _Relay(Protocol):
    def send(self, *messages: msgspec.Struct) -> None:
        """Tell the relay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """What announcements are made with."""

    documents: _Documents
    prompts: _Prompts
    webhooks: Callable[[], CallWebhooks]
    relay: _Relay


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """One announcement."""

    room: str
    """Sid of the room."""
    number: int
    """Unique in the room."""
    leg: LegKey | None
    """The only one that hears it; None: all."""
    document: Document
    params: Parameters
    """Sent with each request."""
    done: Callable[[str], None] = field(repr=False)
    """Called at the end with the reason for which it could not be played; empty: it was."""


class Announcer:
    """Plays announcements.

    Args:
        voice: what they are made with.
    """

    def __init__(self, voice: Voice) -> None:
        self._voice = voice
        self._tasks: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._ends: dict[tuple[str, str], asyncio.Future[str]] = {}
        """By room and sound: done with the failure when the sound has ended."""

    def play(self, announcement: Announcement) -> None:
        """Begin an announcement."""
        key = announcement.room, announcement.number
        task = asyncio.get_running_loop().create_task(self._run(announcement))
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._tasks.pop(key, None))

    def stop(self, room: str, number: int) -> None:
        """Stop an announcement; its end is not reported."""
        task = self._tasks.pop((room, number), None)
        if task is not None:
            task.cancel()

    def ended(self, event: RoomSoundEnded) -> None:
        """Take the end of a sound."""
        end = self._ends.pop((event.room, event.sound), None)
        if end is not None and not end.done():
            end.set_result(event.failure)

    async def _run(self, announcement: Announcement) -> None:
        try:
            failure = await self._perform(announcement)
        except Exception as error:  # boundary of the task: the room must learn that it is over
            log.error("announcement failed", exc_info=error)
            failure = "12400 the announcement failed"
        announcement.done(failure)

    async def _perform(self, announcement: Announcement) -> str:
        """Run the documents; returns why the announcement could not be played."""
        webhooks = self._voice.webhooks()
        url, method = announcement.document.url or "", announcement.document.method
        played = 0
        for _ in range(_MOST_DOCUMENTS):
            order = FetchDocument(request=0, url=url, method=method, params=announcement.params)
            answer = (await self._voice.documents.fetch(order, webhooks, None)).answer
            if isinstance(answer, FetchFailed):
                return f"{answer.number} {answer.text}"
            redirect, played = await self._play_document(announcement, answer, webhooks, played)
            if redirect is None:
                return ""
            url, method = resolve_url(answer.url, redirect.url)[0], redirect.method
            if not url:
                return "11100 a Redirect has no usable URL"
        return "12400 the documents redirect to each other endlessly"

    async def _play_document(
        self, announcement: Announcement, fetched: DocumentFetched, webhooks: CallWebhooks, played: int
    ) -> tuple[verbs.Redirect | None, int]:
        """Play one document; returns the Redirect at which it ends, and how many sounds were played."""
        response, _ = only_allowed(fetched.document.response, InnerDocument.ROOM)
        for verb in response.verbs:
            match verb:
                case verbs.Redirect():
                    return verb, played
                case verbs.Pause():
                    await asyncio.sleep(verb.length)
                case verbs.Say() | verbs.Play():
                    file = await self._file(verb, fetched.url, webhooks)
                    for _ in range((verb.loop or _FOR_EVER) if file else 0):
                        played += 1
                        if await self._sound(announcement, f"{announcement.number}.{played}", file):
                            break
                case _:
                    pass
        return None, played

    async def _file(self, verb: verbs.Say | verbs.Play, base: str, webhooks: CallWebhooks) -> str:
        """Return the path of a sound; empty: it cannot be had, and is left out."""
        if isinstance(verb, verbs.Say):
            order = PreparePrompt(request=0, say=verb)
        else:
            url = resolve_url(base, verb.url)[0] if verb.url else ""
            if not url:
                return ""
            order = PreparePrompt(request=0, url=url)
        answer = (await self._voice.prompts.prepare(order, webhooks)).answer
        return "" if isinstance(answer, PromptFailed) else answer.file

    async def _sound(self, announcement: Announcement, sound: str, file: str) -> str:
        """Play a sound to its end; returns why it could not be played."""
        room = announcement.room
        end: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._ends[room, sound] = end
        self._voice.relay.send(PlayInRoom(room=room, sound=sound, path=file, leg=announcement.leg))
        try:
            return await end
        except asyncio.CancelledError:
            self._voice.relay.send(StopInRoom(room=room, sound=sound))
            raise
        finally:
            self._ends.pop((room, sound), None)
