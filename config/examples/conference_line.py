"""Conference line: a number whose callers type a PIN; the conference begins and ends with its moderators.

    /line?Pin=1234&ModeratorPin=9876&Room=standup

Who types ``ModeratorPin`` is a moderator: the others hear music until one is there, and the conference ends
when the last one leaves. A moderator whose phone is lost has half a minute to come back. After three tries
the line is hung up.
"""

from twiml import element, link, response

Query = dict[str, str]

TRIES = 3


def line(query: Query) -> str:
    """Ask for the PIN."""
    pins = {name: query.get(name, "") for name in ("Pin", "ModeratorPin", "Room")}
    tries = int(query.get("Tries", "0"))
    if tries >= TRIES:
        return response(element("Say", "Goodbye."))
    gather = element(
        "Gather",
        element("Say", "That is not the PIN. Please try again." if tries else "Please type your PIN."),
        numDigits=str(len(pins["Pin"])),
        action=link("/line/enter", Tries=str(tries + 1), **pins),
        actionOnEmptyResult="true",
    )
    return response(gather)


def enter(query: Query) -> str:
    """Let the caller in, or ask again."""
    digits = query.get("Digits", "")
    if not digits or digits not in (query.get("Pin"), query.get("ModeratorPin")):
        return line(query)
    moderator = "true" if digits == query.get("ModeratorPin") else "false"
    room = element(
        "Conference",
        query.get("Room") or "line",
        startConferenceOnEnter=moderator,
        endConferenceOnExit="last" if moderator == "true" else "false",
        exitGrace="30",
        participantLabel=f"{'moderator' if moderator == 'true' else 'guest'} {query.get('CallSid', '')[-6:]}",
    )
    return response(element("Dial", room), element("Say", "The conference is over. Goodbye."))


ROUTES = {"/line": line, "/line/enter": enter}
