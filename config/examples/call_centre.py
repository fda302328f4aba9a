"""Call centre: callers hear their position, agents take them one after another, and every talk is recorded.

    /centre?Queue=sales&Urgent=+1415                        for the number that callers dial
    /centre/agent?Queue=sales                               for the number that agents dial

Callers whose number begins with ``Urgent`` come before all others. The caller hears that it is connected, the
agent which queue it serves; ``/voicemail/kept`` gets the URL of each recording, with the agent on channel 1.
"""

from twiml import element, link, response

Query = dict[str, str]


def centre(query: Query) -> str:
    """Let the caller wait for up to ten minutes, and tell it its position whenever that has improved."""
    urgent = query.get("Urgent", "")
    enqueue = element(
        "Enqueue",
        query.get("Queue", "sales"),
        priority="100" if urgent and query.get("From", "").startswith(urgent) else "0",
        announcePosition="20",
        maxWait="600",
        action="/centre/left",
    )
    return response(element("Say", "Welcome. Please hold the line."), enqueue)


def left(query: Query) -> str:
    """Hang up after a talk, and be sorry for all others."""
    talked = query.get("QueueResult") == "bridged"
    return response(element("Hangup") if talked else element("Say", "Please try again later. Goodbye."))


def agent(query: Query) -> str:
    """Whisper to the agent, and connect it with the next caller for as long as it stays."""
    name = query.get("Queue", "sales")
    dial = element(
        "Dial",
        element("Queue", name, url="/centre/connect"),
        timeout="600",
        record="record-from-answer-dual",
        recordingStatusCallback="/voicemail/kept",
        action=link("/centre/agent", Queue=name),
    )
    return response(element("Say", f"The next caller of {name}."), dial)


def connect(query: Query) -> str:
    """Tell the caller what is about to happen."""
    return response(element("Say", "You are being connected. This call is recorded."))


ROUTES = {
    "/centre": centre,
    "/centre/left": left,
    "/centre/agent": agent,
    "/centre/connect": connect,
}
