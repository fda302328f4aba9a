"""The files of recordings: found by identifier, converted to MP3 on demand, served whole or in part.

Only ``SID.wav`` and ``SID.mp3`` in one folder are ever touched, and an identifier cannot contain a slash.
"""

import asyncio
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import soundfile
from fastapi.responses import FileResponse
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from b2bua.core.errors import LocalStateError
from b2bua.web.api.errors import error_answer
from b2bua.web.head import WITHOUT_BODY

__all__ = ["SoundFiles", "SoundResponse"]

Format = Literal["wav", "mp3"]

_SID: Final = re.compile("RE[0-9a-f]{32}")
_RANGE: Final = re.compile(r"bytes=(?:(?P<first>[0-9]{1,18})-(?P<last>[0-9]{0,18})|-(?P<tail>[0-9]{1,18}))")
_TYPES: Final[Mapping[Format, str]] = {"wav": "audio/x-wav", "mp3": "audio/mpeg"}
_BLOCK_FRAMES: Final = 65_536


class SoundFiles:
    """The recordings' folder. Thread: loop, which never waits for the disk; ``delete``: any other thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # One at a time: calls matter more than downloads.
        self._encoding = asyncio.Lock()

    async def find(self, sid: str, form: Format) -> Path | None:
        """Return the complete file of a recording, or None. A missing MP3 is made from the WAV, and kept."""
        path = self._path(sid, form)
        if await asyncio.to_thread(path.is_file):
            return path
        if form == "wav":
            return None
        async with self._encoding:
            is_there = await asyncio.to_thread(_made_of, self._path(sid, "wav"), path)
        return path if is_there else None

    def delete(self, sid: str) -> None:
        """Remove all files of a recording."""
        for form in ("wav", "mp3"):
            self._path(sid, form).unlink(missing_ok=True)

    def _path(self, sid: str, form: Format) -> Path:
        if not _SID.fullmatch(sid):
            raise LocalStateError("not a recording SID")
        return self._folder / f"{sid}.{form}"


def _made_of(source: Path, target: Path) -> bool:
    """Make the MP3 unless it exists; returns False if there is no source."""
    if not target.is_file():
        if not source.is_file():
            return False
        _encode(source, target)
    return True


def _encode(source: Path, target: Path) -> None:
    """Encode an MP3; it gets its name only when it is complete."""
    partial = target.with_name(f".{target.stem}-{secrets.token_hex(4)}.mp3")
    try:
        with soundfile.SoundFile(source) as sound:
            rate, channels = sound.samplerate, sound.channels
            with soundfile.SoundFile(partial, "w", rate, channels, format="MP3") as encoded:
                # libsndfile 1.2.2 encodes two int16 channels 6 dB too quiet, but not floating point.
                for block in sound.blocks(_BLOCK_FRAMES, dtype="float32"):
                    encoded.write(block)
        partial.rename(target)
    finally:
        partial.unlink(missing_ok=True)


class SoundResponse(FileResponse):
    """A file, or one range of it (RFC 9110 §14). Construct it in a thread: it reads the file's status."""

    def __init__(self, path: Path, form: Format) -> None:
        super().__init__(path, media_type=_TYPES[form], stat_result=path.stat())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope.get(WITHOUT_BODY):
            # The file is not read. RFC 9110 §14.2: ranges apply only to GET.
            scope = {**scope, "method": "HEAD", "headers": _without_range(scope["headers"])}
        size = int(self.headers["content-length"])
        asked = _RANGE.fullmatch(Headers(scope=scope).get("range", ""))
        if asked is None:
            # §14.2: a range that is not understood is ignored; Starlette would answer 400. Several ranges
            # would be slower than the whole file.
            scope = {**scope, "headers": _without_range(scope["headers"])}
        elif not _satisfiable(asked, size):
            refusal = error_answer(416, headers={"Content-Range": f"bytes */{size}"})
            await refusal(scope, receive, send)
            return
        await super().__call__(scope, receive, send)


def _satisfiable(asked: re.Match[str], size: int) -> bool:
    if asked["tail"] is not None:
        return int(asked["tail"]) > 0 and size > 0
    return int(asked["first"]) < size and (not asked["last"] or int(asked["first"]) <= int(asked["last"]))


def _without_range(headers: Any) -> list[tuple[bytes, bytes]]:
    return [pair for pair in headers if pair[0] != b"range"]
