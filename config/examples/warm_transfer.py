"""Warm transfer: an agent asks an expert while the customer hears music, then brings them together.

    /warm?Agent=client:alice&Expert=client:bob              for the number that customers dial

The customer waits in a conference of its own while the agent's phone rings. The agent presses *: the customer
is put on hold, and the expert is called into the conference. It presses * again: the three talk. The agent
may hang up at any time; the conference ends with the customer or with the expert.

It uses the REST API: ``B2BUA_API`` is its URL, with account and token: ``http://AC…:TOKEN@127.0.0.1:8080``.
"""

import base64
import os
import urllib.request
from urllib.parse import quote, urlencode, urlsplit

from twiml import element, link, response

Query = dict[str, str]


def rest(path: str, **form: str) -> None:
    """Send a form to a resource of the account."""
    api = urlsplit(os.environ["B2BUA_API"])
    url = f"{api.scheme}://{api.hostname}:{api.port}/2010-04-01/Accounts/{api.username}/{path}.json"
    key = base64.b64encode(f"{api.username}:{api.password}".encode()).decode()
    request = urllib.request.Request(url, urlencode(form).encode(), {"Authorization": f"Basic {key}"})
    urllib.request.urlopen(request, timeout=10).close()


def conference(room: str, **attributes: str) -> str:
    """Make the document that puts a call into the room."""
    return response(element("Dial", element("Conference", room, beep="false", **attributes)))


def warm(query: Query) -> str:
    """Put the customer into a room, and call the agent."""
    room = f"warm {query['CallSid']}"
    url = query["BaseUrl"] + link("/warm/agent", Room=room, Expert=query["Expert"], Customer=query["CallSid"])
    rest("Calls", To=query["Agent"], From=query["To"], Url=url)
    return conference(room, endConferenceOnExit="true", participantLabel="customer")


def agent(query: Query) -> str:
    """Put the agent into the room; its * comes to ``/warm/star``."""
    words = {name: query[name] for name in ("Room", "Expert")}
    action = link("/warm/star", Stars=query.get("Stars", "0"), **words)
    room = element("Conference", query["Room"], beep="false", participantLabel="agent")
    return response(element("Dial", room, hangupOnStar="true", action=action))


def star(query: Query) -> str:
    """Go on with the transfer if the agent has pressed *, and put it into the room again."""
    left = query.get("CallStatus"), query.get("ReasonParticipantLeft")
    if left != ("in-progress", "participant_hung_up"):
        return response(element("Hangup"))
    stars, people = int(query["Stars"]) + 1, f"Conferences/{quote(query['Room'])}/Participants"
    if stars == 1:
        rest(f"{people}/customer", Hold="true")
        expert = {"Label": "expert", "Beep": "false", "EndConferenceOnExit": "true"}
        rest(people, To=query["Expert"], From=query["From"], **expert)
    else:
        rest(f"{people}/customer", Hold="false")
    return agent(query | {"Stars": str(stars)})


ROUTES = {"/warm": warm, "/warm/agent": agent, "/warm/star": star}
