"""How a document's charset is determined (RFC 7303 §3)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from b2bua.calls.orders import DocumentFetched, FetchDocument, FetchFailed
from b2bua.node.documents import Documents
from b2bua.twiml.verbs import Say
from b2bua.web.webhooks import CallWebhooks, WebhookClient
from tests.web.web_application import TOKEN, Application, serving

pytestmark = pytest.mark.process

TEXT = "Grüße, é"


def document(encoding: str = "") -> str:
    declaration = f'<?xml version="1.0" encoding="{encoding}"?>' if encoding else ""
    return f"{declaration}<Response><Say>{TEXT}</Say></Response>"


@pytest.fixture
async def app() -> AsyncIterator[Application]:
    async with serving() as application:
        yield application


@pytest.fixture
async def call() -> AsyncIterator[CallWebhooks]:
    client = WebhookClient(TOKEN)
    yield client.for_call()
    await client.close()


async def fetched(app: Application, call: CallWebhooks, kind: str, body: bytes) -> str | int:
    """The text that is spoken, or the number of the failure."""
    url = app.on("/document", web.Response(body=body, headers={"Content-Type": kind}))
    answer = (await Documents().fetch(FetchDocument(request=1, url=url), call, None)).answer
    if isinstance(answer, FetchFailed):
        return answer.number
    assert isinstance(answer, DocumentFetched)
    (say,) = answer.document.response.verbs
    assert isinstance(say, Say)
    return say.text


@pytest.mark.parametrize(
    ("charset", "body", "said"),
    [
        # §3.2: HTTP's charset counts more than the declaration.
        ("utf-8", document("utf-16").encode(), TEXT),
        ("utf-8", document("iso-8859-1").encode(), TEXT),
        ("UTF-8", document("iso-8859-1").encode(), TEXT),
        ("us-ascii", document("iso-8859-1").encode(), TEXT),
        ("iso-8859-1", document("utf-8").encode("latin-1"), TEXT),
        ("iso-8859-1", document("iso-8859-1").encode("latin-1"), TEXT),
        ("windows-1252", document().encode("cp1252"), TEXT),
        ("utf-16le", document("utf-8").encode("utf-16-le"), TEXT),
        ("utf-16be", document().encode("utf-16-be"), TEXT),
        ("utf-16", document("utf-16").encode("utf-16-be"), TEXT),
        # §3.3: a byte order mark counts more than both.
        ("iso-8859-1", document("iso-8859-1").encode("utf-8-sig"), TEXT),
        ("utf-8", document("utf-8").encode("utf-16"), TEXT),
        ("utf-16be", document().encode("utf-16"), TEXT),
        # Without a charset, or with one that nobody knows, the document says what it is in.
        ("", document("iso-8859-1").encode("latin-1"), TEXT),
        ("", document().encode(), TEXT),
        ("nonsense", document("iso-8859-1").encode("latin-1"), TEXT),
        ("nonsense", document().encode(), TEXT),
        # What is not in it cannot be run.
        ("utf-8", document("iso-8859-1").encode("latin-1"), 12100),
        ("utf-16le", document().encode("utf-16-le") + b"\x00", 12100),
        ("", document("utf-16").encode(), 12100),
    ],
)
@pytest.mark.parametrize("kind", ["text/xml", "application/xml", "text/html"])
async def test_a_document_is_read_in_its_charset(
    app: Application, call: CallWebhooks, kind: str, charset: str, body: bytes, said: str | int
) -> None:
    assert await fetched(app, call, f"{kind}; charset={charset}" if charset else kind, body) == said


@pytest.mark.parametrize(
    ("charset", "body"),
    [
        ("", TEXT.encode()),
        ("utf-8", TEXT.encode("utf-8-sig")),
        ("iso-8859-1", TEXT.encode("latin-1")),
        ("iso-8859-1", TEXT.encode("utf-16")),
        ("utf-16", TEXT.encode("utf-16-be")),
        ("utf-8", document("iso-8859-1").encode()),
        ("nonsense", document("iso-8859-1").encode("latin-1")),
    ],
)
async def test_a_text_is_spoken_in_its_charset(
    app: Application, call: CallWebhooks, charset: str, body: bytes
) -> None:
    assert (
        await fetched(app, call, f"text/plain; charset={charset}" if charset else "text/plain", body) == TEXT
    )


class TestFiles:
    """Documents in files: a call gets what was there when it came."""

    @staticmethod
    def said(answer: DocumentFetched | FetchFailed | None) -> str:
        assert isinstance(answer, DocumentFetched)
        (say,) = answer.document.response.verbs
        assert isinstance(say, Say)
        return say.text

    @staticmethod
    async def until_fresh(documents: Documents, order: FetchDocument) -> DocumentFetched:
        async with asyncio.timeout(10):
            while True:
                documents.look_ahead()
                if (found := documents.fresh(order)) is not None:
                    return found
                await asyncio.sleep(0.01)

    async def test_one_that_was_read_a_moment_ago_is_not_read_again(self, tmp_path: Path) -> None:
        documents, file = Documents(), tmp_path / "say.xml"
        order = FetchDocument(request=1, file=str(file), url="")
        file.write_text("<Response><Say>one</Say></Response>")
        assert documents.fresh(order) is None
        assert self.said(await documents.read(order)) == "one"
        assert self.said(await self.until_fresh(documents, order)) == "one"

    async def test_the_check_ahead_finds_a_change(self, tmp_path: Path) -> None:
        documents, file = Documents(), tmp_path / "say.xml"
        order = FetchDocument(request=1, file=str(file), url="")
        file.write_text("<Response><Say>one</Say></Response>")
        await documents.read(order)
        file.write_text("<Response><Say>another</Say></Response>")
        for _ in range(1000):
            if documents.fresh(order) is None:
                break
            await asyncio.sleep(0.01)
        assert documents.fresh(order) is None
        assert self.said(await self.until_fresh(documents, order)) == "another"

    async def test_one_that_is_gone_is_not_fresh(self, tmp_path: Path) -> None:
        documents, file = Documents(), tmp_path / "say.xml"
        order = FetchDocument(request=1, file=str(file), url="")
        file.write_text("<Response/>")
        await documents.read(order)
        file.unlink()
        documents.look_ahead()
        failed = await documents.read(order)  # behind the check, in the same thread
        assert isinstance(failed, FetchFailed)
        assert documents.fresh(order) is None
