"""Fetches documents, from configured files and from the web application.

Thread: the controller's loop.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from b2bua.calls.orders import DocumentFetched, FetchDocument, FetchFailed
from b2bua.core.errors import TwimlError, WebhookError
from b2bua.node.disk import Disk
from b2bua.twiml import verbs
from b2bua.twiml.parse import ParsedDocument, parse
from b2bua.web.answers import classify
from b2bua.web.url import without_credentials
from b2bua.web.webhooks import CallWebhooks, WebhookAnswer, WebhookRequest

__all__ = ["Documents", "Fetched"]

_MAX_FILE = 1 << 20
_FRESH_S = 0.1
"""A file that was checked a moment ago is not checked again."""
_MOST_AHEAD = 4
"""Files checked when a call comes."""


@dataclass(frozen=True, slots=True)
class _File:
    version: tuple[int, int]
    document: ParsedDocument
    checked_at: float
    """Monotonic seconds, before the check."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """The result of a request to the application."""

    answer: DocumentFetched | FetchFailed
    """The event for the session."""
    failure_status: int
    """The HTTP status if it caused the failure; otherwise 0."""
    http: WebhookAnswer | None
    """The HTTP answer; None if there was no usable one."""


class Documents:
    """Reads document files (cached until they change) and requests documents from the application."""

    def __init__(self) -> None:
        self._files: dict[Path, _File] = {}
        """Cached documents, the last used one last; changed only in the file thread."""
        self._disk = Disk("documents")

    def look_ahead(self) -> None:
        """Check the files used last, because a call has come: by the time it asks they are checked."""
        if self._files:
            self._disk.later(self._check_last)

    def fresh(self, order: FetchDocument) -> DocumentFetched | None:
        """Return the document in a file that was checked a moment ago; None: ``read`` it."""
        kept = self._files.get(Path(order.file))
        if kept is None or time.monotonic() - kept.checked_at > _FRESH_S:
            return None
        return DocumentFetched(request=order.request, url="", document=kept.document)

    async def read(self, order: FetchDocument) -> DocumentFetched | FetchFailed:
        """Return the document in a file; each call checks the file (``stat``) and reads it if it changed."""
        return await self._disk.soon(self._read, order)

    def _check_last(self) -> None:
        for path in list(self._files)[-_MOST_AHEAD:]:
            try:
                self._files[path] = self._checked(path)
            except (OSError, TwimlError):
                del self._files[path]  # the call that wants it reports why

    def _checked(self, path: Path) -> _File:
        checked_at, stat, kept = time.monotonic(), path.stat(), self._files.get(path)
        version = (stat.st_mtime_ns, stat.st_size)
        if kept is not None and kept.version == version:
            return _File(version, kept.document, checked_at)
        with path.open("rb") as file:
            return _File(version, parse(file.read(_MAX_FILE)), checked_at)

    def _read(self, order: FetchDocument) -> DocumentFetched | FetchFailed:
        path = Path(order.file)
        try:
            kept = self._checked(path)
            self._files.pop(path, None)
            self._files[path] = kept
        except OSError as error:
            return FetchFailed(
                request=order.request, number=11200, text=f"cannot read: {error.strerror}", url=order.file
            )
        except TwimlError as error:
            return _unparsable(order, error)
        return DocumentFetched(request=order.request, url="", document=kept.document)

    async def fetch(self, order: FetchDocument, webhooks: CallWebhooks, token: str | None) -> Fetched:
        """Request the document of ``order`` from the application; returns it with the HTTP answer."""
        answer: WebhookAnswer | None = None
        try:
            answer = await webhooks.request(
                WebhookRequest(
                    url=order.url,
                    method=order.method,
                    params=order.params,
                    idempotency_token=token,
                    expects_document=order.expects_document,
                )
            )
            document = _document(answer) if order.expects_document else parse(b"<Response/>")
        except WebhookError as error:
            failed = FetchFailed(request=order.request, number=error.number, text=error.text, url=error.url)
            return Fetched(failed, error.status, answer)
        except TwimlError as error:
            return Fetched(_unparsable(order, error), 0, answer)
        return Fetched(DocumentFetched(request=order.request, url=answer.url, document=document), 0, answer)


def _document(answer: WebhookAnswer) -> ParsedDocument:
    """Interpret an answer by its content type: a document, a sound to play, or a text to speak."""
    kind = classify(answer.content_type, answer.body)
    if kind == "audio":
        return ParsedDocument(response=verbs.Response(verbs=(verbs.Play(url=answer.url),)), findings=())
    charset = answer.charset if answer.names_charset else ""
    if kind != "text":
        return parse(answer.body, charset)
    try:
        return parse(answer.body, charset)
    except TwimlError:
        say = verbs.Say(text=answer.text)
        return ParsedDocument(response=verbs.Response(verbs=(say,)), findings=())


def _unparsable(order: FetchDocument, error: TwimlError) -> FetchFailed:
    place = f" (line {error.line}, column {error.column})" if error.line else ""
    return FetchFailed(
        request=order.request,
        number=error.number,
        text=error.text + place,
        url=without_credentials(order.url) or order.file,
    )
