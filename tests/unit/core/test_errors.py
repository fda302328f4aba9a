import pytest

from b2bua.core.errors import B2buaError, CapacityError, PeerError, TwimlError, WebhookError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("error", "text", "status"),
    [
        (CapacityError("full"), "full", 503),
        (TwimlError(12100, "not XML", line=3, column=7), "12100 not XML", 500),
        (PeerError("no From"), "no From", 400),
        (PeerError("too many hops", sip_status_hint=483), "too many hops", 483),
        (WebhookError(11200, "status", url="http://a/", status=404), "11200 status: http://a/", 500),
    ],
)
def test_every_error_says_what_it_is_and_what_a_caller_may_be_told(
    error: B2buaError, text: str, status: int
) -> None:
    assert str(error) == text
    assert error.sip_status_hint == status


def test_errors_of_documents_and_webhooks_keep_their_data() -> None:
    document = TwimlError(12100, "not XML", line=3, column=7)
    assert (document.number, document.text, document.line, document.column) == (12100, "not XML", 3, 7)
    webhook = WebhookError(11205, "no answer", url="http://a/")
    assert (webhook.number, webhook.text, webhook.url, webhook.status) == (11205, "no answer", "http://a/", 0)
