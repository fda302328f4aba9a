"""Voicemail: ring, and take a message if nobody answers.

    /voicemail?PhoneNumber=client:alice&Timeout=15

``/voicemail/kept`` receives the URL of the message; fetch it with the account's credentials.
"""

import sys

from twiml import element, link, response, target

Query = dict[str, str]


def voicemail(query: Query) -> str:
    """Ring the phone; ``/voicemail/greeting`` runs if nobody answers."""
    dial = element(
        "Dial",
        target(query.get("PhoneNumber", "")),
        answerOnBridge="true",
        timeout=query.get("Timeout", "20"),
        action=link("/forward/after", FailUrl="/voicemail/greeting"),
    )
    return response(dial)


def greeting(query: Query) -> str:
    """Ask for a message of up to two minutes; five seconds of silence or # ends it."""
    record = element(
        "Record",
        action="/voicemail/done",
        maxLength="120",
        timeout="5",
        finishOnKey="#",
        trim="trim-silence",
        recordingStatusCallback="/voicemail/kept",
    )
    return response(
        element("Say", "Please leave a message after the tone."),
        record,
        element("Say", "There was no message. Goodbye."),
    )


def done(query: Query) -> str:
    """Thank the caller for the message."""
    return response(element("Say", "Thank you. Goodbye."))


def kept(query: Query) -> str:
    """Report the complete recording on stderr."""
    print(f"a message of {query.get('RecordingDuration')} s: {query.get('RecordingUrl')}", file=sys.stderr)
    return ""


ROUTES = {
    "/voicemail": voicemail,
    "/voicemail/greeting": greeting,
    "/voicemail/done": done,
    "/voicemail/kept": kept,
}
