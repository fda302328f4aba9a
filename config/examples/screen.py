"""Screen the caller: who picks up hears who calls, and presses 1 to take the call.

    /screen?PhoneNumber=client:alice&FailUrl=/voicemail/greeting

The question runs on the callee's leg while the caller hears ringing. A mailbox that picks up presses nothing
and does not get the call.
"""

from twiml import element, link, response, target

Query = dict[str, str]


def screen(query: Query) -> str:
    """Ring; whoever picks up is asked at ``/screen/question``."""
    callee = target(query.get("PhoneNumber", ""), url=link("/screen/question", Caller=query.get("From", "")))
    dial = element(
        "Dial",
        callee,
        answerOnBridge="true",
        timeout=query.get("Timeout", "20"),
        action=link("/forward/after", FailUrl=query.get("FailUrl", "")),
    )
    return response(dial)


def question(query: Query) -> str:
    """Say who calls; without a key the call is not taken."""
    message = query.get("Message") or f"You have a call from {_spoken(query.get('Caller', ''))}."
    gather = element(
        "Gather",
        element("Say", f"{message} Press 1 to take it."),
        action="/screen/answer",
        numDigits="1",
        timeout="8",
    )
    return response(gather, element("Hangup"))


def answer(query: Query) -> str:
    """An empty document lets the two talk; Hangup does not."""
    return response() if query.get("Digits") == "1" else response(element("Hangup"))


def _spoken(caller: str) -> str:
    """Digits one by one, names as they are."""
    user = caller.removeprefix("sip:").split("@")[0]
    return " ".join(user) if user.lstrip("+").isdigit() else user or "somebody"


ROUTES = {"/screen": screen, "/screen/question": question, "/screen/answer": answer}
