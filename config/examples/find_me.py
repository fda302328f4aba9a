"""Find me: ring one phone after another until one takes the call.

    /find-me?PhoneNumbers[0]=client:alice&PhoneNumbers[1]=+14155550100&Timeout=10&FailUrl=/voicemail/greeting

Each phone rings for ``Timeout`` seconds. This is a ``sequential`` Dial; ``numbers`` is that of ``simulring``.
"""

from simulring import numbers
from twiml import element, link, response, target

Query = dict[str, str]


def find_me(query: Query) -> str:
    """Ring the phones one by one."""
    message = query.get("Message", "")
    asked = {"url": link("/screen/question", Message=message)} if message else {}
    dial = element(
        "Dial",
        *(target(number, **asked) for number in numbers(query)),
        answerOnBridge="true",
        sequential="true",
        timeout=query.get("Timeout", "10"),
        action=link("/forward/after", FailUrl=query.get("FailUrl", "")),
    )
    return response(dial)


ROUTES = {"/find-me": find_me}
