"""Makes prompts, files that can be played to callers: texts are spoken, sounds are fetched and decoded.

Slow or dangerous work is done elsewhere: each download waits in a task of its own, and processes that may die
do the speaking and decoding. A prompt that several calls want at the same time is made once, and is kept.

A sound from the web is requested again only after its server's ``max-age`` has passed, and then with its
validators (RFC 9111 §4.3); the decoded sound is cached by its content, not by its address.

Thread: the controller's loop.
"""

import asyncio
import contextlib
import itertools
import logging
import re
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from cachetools import LRUCache

from b2bua.calls.orders import PreparePrompt, PromptFailed, PromptReady
from b2bua.core.errors import ConfigError, MediaError, WebhookError
from b2bua.node.disk import Disk
from b2bua.node.prompt_files import PromptFiles
from b2bua.node.renderer_client import RendererClient, UnplayableError
from b2bua.twiml.findings import Finding, make_finding
from b2bua.twiml.verbs import Break, Markup, Say
from b2bua.web.download import Download, Downloaded, download
from b2bua.web.url import WebUrl, parse_url
from b2bua.web.webhooks import CallWebhooks, WebhookClient
from media.renderer import Decode, Order, Speak
from media.speech import Ssml, is_neural_installed
from media.voices import choose_voice

__all__ = ["Prepared", "PromptMaker", "PromptOptions"]

log = logging.getLogger(__name__)

MAX_TEXT: Final = 4096
"""Characters of a Say, as in the hosted service; the rest is not spoken."""
_BREAK_MS: Final = {"none": 0, "x-weak": 100, "weak": 250, "medium": 400, "strong": 700, "x-strong": 1200}
_SPEECH_LIMIT_S: Final = 5.0
_NEURAL_LIMIT_S: Final = 60.0
_DECODE_LIMIT_S: Final = 15.0
_MAX_KNOWN: Final = 10_000
_RECORDING: Final = re.compile("recording:(RE[0-9a-f]{32})")
_MAX_FILE: Final = 512 << 20
"""Bytes of a sound in the configuration's folder."""
_MADE_LIKE: Final = "1"
"""A version, changed when the same text or sound would give another prompt, so that old files are unused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptOptions:
    """Folders, limits and clock rate for prompts."""

    cache: Path
    """Folder for finished prompts."""
    max_bytes: int
    """Size limit of that folder."""
    sounds: Path
    """Folder with sounds that documents may name by path."""
    recordings: Path
    """The node's folder of recordings, which can be played (``recording:RE…``)."""
    clock_rate_hz: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """The result of an order."""

    answer: PromptReady | PromptFailed
    findings: tuple[Finding, ...] = ()
    """Ways in which the prompt differs from the order."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A sound that was fetched from the web before."""

    name: str
    download: Downloaded
    fresh_until: float


class PromptMaker:
    """Makes and caches prompts. Call ``start`` first and ``close`` at the end."""

    def __init__(self, options: PromptOptions, client: WebhookClient) -> None:
        self._options = options
        self._client = client
        self._files = PromptFiles(options.cache, options.max_bytes)
        self._disk = Disk("prompts")
        self._speech = RendererClient("speech", _SPEECH_LIMIT_S)
        self._neural = RendererClient("neural", _NEURAL_LIMIT_S)
        self._decoder = RendererClient("decoder", _DECODE_LIMIT_S)
        self._has_neural = is_neural_installed()
        self._known: LRUCache[tuple[str, str], _Known] = LRUCache(_MAX_KNOWN)
        self._making: dict[object, asyncio.Task[str]] = {}
        self._count = itertools.count()

    async def start(self) -> None:
        """Open the cache, and start the speech process.

        Raises:
            ConfigError: the folder cannot be used.
        """
        try:
            await self._disk.soon(self._files.open)
        except OSError as error:
            folder, reason = self._options.cache, error.strerror
            raise ConfigError(f"storage.cache: {folder} cannot be used: {reason}") from error
        await self._speech.start()

    async def close(self) -> None:
        """End the processes; prompts being made fail."""
        for renderer in (self._speech, self._neural, self._decoder):
            await renderer.close()
        for task in list(self._making.values()):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task

    async def prepare(self, order: PreparePrompt, webhooks: CallWebhooks) -> Prepared:
        """Make the prompt of ``order``; ``webhooks`` has the call's credentials."""
        findings: tuple[Finding, ...] = ()
        try:
            if order.say is not None:
                name, findings = await self._say(order.say)
            elif order.url.lower().startswith(("http:", "https:")):
                name = await self._fetch(order.url, webhooks)
            else:
                name = await self._read(order.url)
        except WebhookError as error:
            return Prepared(PromptFailed(request=order.request, number=error.number, text=error.text))
        except UnplayableError as error:
            return Prepared(PromptFailed(request=order.request, number=12300, text=str(error)))
        except (MediaError, OSError) as error:
            log.error("prompt could not be made", extra={"reason": str(error)})
            return Prepared(PromptFailed(request=order.request, number=12400, text=str(error)))
        ready = PromptReady(
            request=order.request,
            file=str(self._files.path(name)),
            duration_s=self._files.duration_s(name, self._options.clock_rate_hz),
        )
        return Prepared(ready, findings)

    # -- texts --------------------------------------------------------------------------------------

    async def _say(self, say: Say) -> tuple[str, tuple[Finding, ...]]:
        voice, wrong = choose_voice(say.voice, say.language)
        number = 13511 if "voice" in wrong else 13512
        findings = [make_finding(number, wrong, line=say.line, column=say.column)] if wrong else []
        parts, is_cut = _spoken(say)
        if is_cut:
            text = f"only {MAX_TEXT} characters are spoken"
            findings.append(make_finding(13520, text, line=say.line, column=say.column))
        neural = self._has_neural and voice.language == "en-us" and "neural" in (say.voice or "").lower()
        name = f"say-{_digest(parts, 'neural' if neural else voice.name, self._options.clock_rate_hz)}.wav"
        order = Speak(
            parts=parts,
            voice=voice.name,
            neural=neural,
            clock_rate_hz=self._options.clock_rate_hz,
            target=str(self._files.path(name)),
        )
        renderer = self._neural if neural else self._speech
        return await self._made(name, lambda: self._make(name, renderer, order)), tuple(findings)

    # -- sounds -------------------------------------------------------------------------------------

    async def _read(self, path: str) -> str:
        """Decode a file of the configuration's folder, or a recording; returns the prompt's name."""
        folder = self._options.sounds
        recorded = _RECORDING.fullmatch(path)

        def look() -> tuple[Path, str]:
            real = (folder / path).resolve()
            if recorded is not None:
                real = self._options.recordings / f"{recorded[1]}.wav"
            elif not real.is_relative_to(folder.resolve()):
                raise WebhookError(11100, "the path is outside the configuration's folder", url=path)
            stat = real.stat()
            if not real.is_file() or stat.st_size > _MAX_FILE:
                raise WebhookError(11200, "not a file, or too large", url=path)
            return real, _digest(str(real), stat.st_mtime_ns, stat.st_size, self._options.clock_rate_hz)

        try:
            real, digest = await self._disk.soon(look)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise WebhookError(11200, f"cannot read: {reason}", url=path) from error
        law = {".ulaw": "audio/basic", ".ul": "audio/basic", ".alaw": "audio/pcma", ".al": "audio/pcma"}
        return await self._decoded(f"file-{digest}.wav", real, law.get(real.suffix.lower(), ""))

    async def _fetch(self, address: str, webhooks: CallWebhooks) -> str:
        url = parse_url(address)
        key = (url.text, webhooks.authorization(url) or "")
        known = self._known.get(key)
        if known is not None and await self._disk.soon(self._files.use, known.name) is None:
            known = None
        if known is not None and time.monotonic() < known.fresh_until:
            return known.name
        return await self._once(key, lambda: self._download(key, known, url, webhooks))

    async def _download(
        self, key: tuple[str, str], known: _Known | None, url: WebUrl, webhooks: CallWebhooks
    ) -> str:
        target = self._files.path(f"download-{next(self._count)}.part")
        wanted = Download(
            url=url,
            target=target,
            authorization=webhooks.authorization,
            conditions=known.download.validators.conditions if known else {},
        )
        try:
            got = await download(self._client.session, wanted)
            if got.is_new:
                digest = _digest(got.digest, got.content_type, self._options.clock_rate_hz)
                name = await self._decoded(f"url-{digest}.wav", target, got.content_type)
            else:
                assert known is not None
                name = known.name
        finally:
            await self._disk.soon(target.unlink, missing_ok=True)
        self._known.pop(key, None)
        said = got.validators
        if said.may_store and (said.conditions or said.max_age_s):
            self._known[key] = _Known(name, got, time.monotonic() + said.max_age_s)
        return name

    async def _decoded(self, name: str, source: Path, content_type: str) -> str:
        order = Decode(
            source=str(source),
            content_type=content_type,
            clock_rate_hz=self._options.clock_rate_hz,
            target=str(self._files.path(name)),
        )
        return await self._made(name, lambda: self._make(name, self._decoder, order))

    # -- making each prompt once --------------------------------------------------------------------

    async def _made(self, name: str, make: Callable[[], Coroutine[None, None, str]]) -> str:
        """Make the file ``name`` unless it exists; returns its name."""
        is_there = await self._disk.soon(self._files.use, name) is not None
        return name if is_there else await self._once(name, make)

    async def _make(self, name: str, renderer: RendererClient, order: Order) -> str:
        await renderer.make(order)
        await self._disk.soon(self._files.made, name)
        return name

    async def _once(self, key: object, work: Callable[[], Coroutine[None, None, str]]) -> str:
        """Return the result of ``work``, which is shared by all concurrent callers with the same ``key``.

        A caller that is cancelled does not stop it.
        """
        task = self._making.get(key)
        if task is None:
            task = self._making[key] = asyncio.get_running_loop().create_task(work())
            task.add_done_callback(lambda _: self._making.pop(key, None))
        return await asyncio.shield(task)


def _spoken(say: Say) -> tuple[tuple[str | int | Ssml, ...], bool]:
    """Return the texts and pauses (ms) to speak, and whether the text had to be cut."""
    parts: list[str | int | Ssml] = []
    left = MAX_TEXT
    for part in say.parts or (say.text,):
        if isinstance(part, Break):
            parts.append(_BREAK_MS[part.strength] if part.time_ms is None else part.time_ms)
            continue
        text = part.text if isinstance(part, Markup) else part
        if len(text) > left:
            parts.append(text[:left])
            return tuple(parts), True
        parts.append(Ssml(text=text, ssml=part.ssml) if isinstance(part, Markup) else text)
        left -= len(text)
    return tuple(parts), False


def _digest(*facts: object) -> str:
    return sha256(repr((_MADE_LIKE, *facts)).encode("utf-8", "surrogatepass")).hexdigest()[:40]
