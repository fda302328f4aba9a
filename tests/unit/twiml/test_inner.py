"""Wait, hold, announcement and offer documents: the verbs that each may contain."""

import pytest

from b2bua.twiml.inner import InnerDocument, only_allowed
from b2bua.twiml.parse import parse

pytestmark = pytest.mark.unit

EVERY_VERB = (
    "<Response><Play>/m</Play><Say>a</Say><Pause/><Gather/><Leave/><Hangup/><Redirect/><Dial>1</Dial>"
    "<Enqueue>q</Enqueue><Record/><Reject/><Refer><Sip>sip:a@b</Sip></Refer></Response>"
)


@pytest.mark.parametrize(
    ("purpose", "kept", "number", "severity"),
    [
        (InnerDocument.ROOM, "Play Say Pause Redirect", 13238, "error"),
        (InnerDocument.QUEUE_WAIT, "Play Say Pause Gather Leave Hangup Redirect", 12200, "warning"),
        (InnerDocument.QUEUE_OFFER, "Play Say Pause Redirect", 12200, "warning"),
    ],
)
def test_other_verbs_are_left_out_with_a_finding_each(purpose, kept, number, severity):
    whole = parse(EVERY_VERB).response

    response, findings = only_allowed(whole, purpose)

    assert " ".join(type(verb).__name__ for verb in response.verbs) == kept
    assert len(findings) == len(whole.verbs) - len(response.verbs)
    assert {(finding.number, finding.severity) for finding in findings} == {(number, severity)}
    left_out = [verb for verb in whole.verbs if verb not in response.verbs]
    assert [finding.column for finding in findings] == [verb.column for verb in left_out]


def test_a_document_of_allowed_verbs_is_unchanged():
    whole = parse("<Response><Say>a</Say><Redirect/></Response>").response

    assert only_allowed(whole, InnerDocument.ROOM) == (whole, ())
