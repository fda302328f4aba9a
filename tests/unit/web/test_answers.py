import pytest

from b2bua.web.answers import ERROR_NUMBERS, AnswerKind, classify

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("content_type", "body", "kind"),
    [
        ("text/xml", b"<Response/>", "twiml"),
        ("application/xml; charset=utf-8", b"<Response/>", "twiml"),
        ("TEXT/HTML", b"<Response/>", "twiml"),
        ("text/plain", b"Hello", "text"),
        ("text/plain;charset=utf-8", b"<Response/>", "text"),
        ("audio/mpeg", b"", "audio"),
        ("audio/x-wav", b"RIFF", "audio"),
        ("", b"<Response/>", "unsupported"),
        (";", b"<Response/>", "unsupported"),
        ("application/json", b"{}", "unsupported"),
        ("text/xmlish", b"<Response/>", "unsupported"),
        ("text/xml", b"", "empty"),
        ("text/plain", b" \r\n", "empty"),
        ("", b"", "empty"),
    ],
)
def test_content_type_decides(content_type: str, body: bytes, kind: AnswerKind) -> None:
    assert classify(content_type, body) == kind


def test_numbers_of_the_kinds_that_are_errors() -> None:
    assert ERROR_NUMBERS == {"empty": 11770, "unsupported": 12300}
