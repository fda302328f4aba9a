"""Queue: callers wait with music until an agent takes them. Agents dial a number of their own.

    /queue?Queue=support&FailUrl=/voicemail/greeting        for the number that callers dial
    /queue/agent?Queue=support&Timeout=60                   for the number that agents dial

Callers hear the node's own music, or with ``MusicUrl`` their place in the queue and then that sound. If
``MaxSize`` others wait already, the caller goes to ``FailUrl``. An agent takes the first caller, then the
next one, until it hangs up or nobody comes for ``Timeout`` seconds.
"""

from twiml import element, link, response

Query = dict[str, str]


def queue(query: Query) -> str:
    """Let the caller wait; ``/queue/left`` is requested when it no longer does."""
    music = query.get("MusicUrl", "")
    enqueue = element(
        "Enqueue",
        query.get("Queue", "support"),
        maxQueueSize=query.get("MaxSize", "100"),
        action=link("/queue/left", FailUrl=query.get("FailUrl", "")),
        **({"waitUrl": link("/queue/wait", MusicUrl=music)} if music else {}),
    )
    return response(enqueue)


def wait(query: Query) -> str:
    """Tell the caller its place, and play; the node asks again when the sound is over."""
    place = element("Say", f"You are number {query.get('QueuePosition', '')} in the queue.")
    return response(place, element("Play", query.get("MusicUrl", "")))


def left(query: Query) -> str:
    """Hang up after a talk; a caller for whom there was no place goes to ``FailUrl``."""
    if query.get("QueueResult") == "bridged":
        return response(element("Hangup"))
    if query.get("FailUrl"):
        return response(element("Redirect", query["FailUrl"]))
    return response(element("Say", "We cannot take your call now. Goodbye."))


def agent(query: Query) -> str:
    """Give the agent the caller that has waited longest; the caller hears ``/queue/connect`` first."""
    name, timeout = query.get("Queue", "support"), query.get("Timeout", "60")
    dial = element(
        "Dial",
        element("Queue", name, url="/queue/connect"),
        timeout=timeout,
        action=link("/queue/agent/next", Queue=name, Timeout=timeout),
    )
    return response(dial)


def connect(query: Query) -> str:
    """Tell the caller that it is its turn."""
    return response(element("Say", "You are being connected."))


def following(query: Query) -> str:
    """Give the agent the next caller after a talk; if nobody has come, let it go."""
    if query.get("DialCallStatus") == "completed":
        return agent(query)
    return response(element("Say", "Nobody is waiting. Goodbye."))


ROUTES = {
    "/queue": queue,
    "/queue/wait": wait,
    "/queue/left": left,
    "/queue/agent": agent,
    "/queue/connect": connect,
    "/queue/agent/next": following,
}
