"""Where documents come from: files of the configuration, and the web application.

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
    """How the application has answered."""

    answer: DocumentFetched | FetchFailed
    """For the session."""
    failure_status: int
    """Of HTTP, where that is why it failed; else 0."""
    http: WebhookAnswer | None
    """None where there was no answer that could be used."""


class Documents:
    """Reads files (kept until they change) and asks the application."""

    def __init__(self) -> None:
        self._files: dict[Path, _File] = {}
        """The disk's."""
        self._disk = Disk("documents")

    async def read(self, order: FetchDocument) -> DocumentFetched | FetchFailed:
        """The document of a file. It is looked at (``stat``) for each call, and read when it has changed."""
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
        """The document the application gives for ``order``, and what was said over HTTP."""
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
    """By the answer's content type: a document, a sound to be played, or a text to be spoken."""
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
