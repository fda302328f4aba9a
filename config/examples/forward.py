"""Forward: ring one number, and run another document if nobody takes the call.

/forward?PhoneNumber=+14155550100&Timeout=20&FailUrl=/sorry
"""

from twiml import element, link, response, target

Query = dict[str, str]


def forward(query: Query) -> str:
    """Ring the number; ``/forward/after`` is requested when the Dial is over."""
    dial = element(
        "Dial",
        target(query.get("PhoneNumber", "")),
        answerOnBridge="true",
        timeout=query.get("Timeout", "20"),
        action=link("/forward/after", FailUrl=query.get("FailUrl", "")),
    )
    return response(dial)


def after(query: Query) -> str:
    """Hang up after an answered call; otherwise send the caller on to ``FailUrl``, or apologise."""
    if query.get("DialCallStatus") in ("completed", "answered"):
        return response(element("Hangup"))
    if query.get("FailUrl"):
        return response(element("Redirect", query["FailUrl"]))
    return response(element("Say", "Nobody can take your call now. Goodbye."))


ROUTES = {"/forward": forward, "/forward/after": after}
