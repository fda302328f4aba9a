"""Fetches documents, from configured files and from the web application.

Thread: the controller's loop.
"""

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


@dataclass(frozen=True, slots=True)
class _File:
    version: tuple[int, int]
    document: ParsedDocument


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
        """Cached documents; used only in the file thread."""
        self._disk = Disk("documents")

    async def read(self, order: FetchDocument) -> DocumentFetched | FetchFailed:
        """Return the document in a file; each call checks the file (``stat``) and reads it if it changed."""
        return await self._disk.soon(self._read, order)

    def _read(self, order: FetchDocument) -> DocumentFetched | FetchFailed:
        path = Path(order.file)
        try:
            stat = path.stat()
            version = (stat.st_mtime_ns, stat.st_size)
            kept = self._files.get(path)
            if kept is None or kept.version != version:
                with path.open("rb") as file:
                    kept = _File(version, parse(file.read(_MAX_FILE)))
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
