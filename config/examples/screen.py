"""Screen the caller: the callee who picks up hears who is calling, and presses 1 to take the call.

    /screen?PhoneNumber=client:alice&FailUrl=/voicemail/greeting

The question runs on the callee's leg while the caller hears ringback. A mailbox that picks up presses no key
and does not get the call.
"""

from twiml import element, link, response, target

Query = dict[str, str]


def screen(query: Query) -> str:
    """Ring the phone; a callee who picks up hears ``/screen/question``."""
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
    """Say who is calling; without a key the call is declined."""
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
    """Accept with an empty document if the key is 1, which bridges the call; else decline with Hangup."""
    return response() if query.get("Digits") == "1" else response(element("Hangup"))


def _spoken(caller: str) -> str:
    """Spell a number digit by digit; leave a name as it is."""
    user = caller.removeprefix("sip:").split("@")[0]
    return " ".join(user) if user.lstrip("+").isdigit() else user or "somebody"


ROUTES = {"/screen": screen, "/screen/question": question, "/screen/answer": answer}
