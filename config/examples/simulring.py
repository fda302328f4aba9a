"""Simulring: ring several phones at once; the first to take the call gets it.

    /simulring?PhoneNumbers[0]=client:alice&PhoneNumbers[1]=+14155550100&Message=A+call+for+the+office.

With ``Message``, each callee who picks up is asked to press 1, so that no mailbox takes the call.
"""

from collections.abc import Mapping

from twiml import element, link, response, target

Query = dict[str, str]


def simulring(query: Query) -> str:
    """Ring all phones; with ``Message``, ask all callees who pick up, and the first to press 1 wins."""
    message = query.get("Message", "")
    asked = {"url": link("/screen/question", Message=message)} if message else {}
    dial = element(
        "Dial",
        *(target(number, **asked) for number in numbers(query)),
        answerOnBridge="true",
        timeout=query.get("Timeout", "20"),
        action=link("/forward/after", FailUrl=query.get("FailUrl", "")),
        **({"firstTo": "accept"} if message else {}),
    )
    return response(dial)


def numbers(query: Mapping[str, str]) -> list[str]:
    """Return ``PhoneNumbers[0]``, ``PhoneNumbers[1]`` … in this order, at most 10."""
    named = (f"PhoneNumbers[{index}]" for index in range(10))
    return [query[name] for name in named if query.get(name)]


ROUTES = {"/simulring": simulring}
