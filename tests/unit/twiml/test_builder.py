"""Documents built with the hosted service's own library."""

import pytest
from twilio.twiml.voice_response import Dial, Refer, VoiceResponse

from b2bua.twiml import verbs
from b2bua.twiml.parse import not_yet, parse

pytestmark = pytest.mark.unit


def _verbs(response: VoiceResponse):
    document = parse(str(response))
    assert document.findings == ()
    return document.response.verbs


def test_a_dial_with_every_attribute():
    response = VoiceResponse()
    response.dial(
        "+1 (415) 555-0123",
        action="/done?a=1&b=2",
        method="GET",
        timeout=20,
        hangup_on_star=True,
        time_limit=600,
        caller_id="+14155550100",
        record="record-from-ringing-dual",
        trim="trim-silence",
        recording_status_callback="/recorded",
        recording_status_callback_method="GET",
        recording_status_callback_event="in-progress completed",
        answer_on_bridge=True,
        ring_tone="us-old",
        recording_track="outbound",
        sequential=True,
        refer_url="/refer",
        refer_method="GET",
        events="call-progress-event",
        callReason="Your parcel",
        firstTo="accept",
    )

    (dial,) = _verbs(response)

    assert dial == verbs.Dial(
        line=dial.line,
        column=dial.column,
        children=(verbs.Number(text="+1 (415) 555-0123", line=dial.line, column=dial.column),),
        action="/done?a=1&b=2",
        method="GET",
        timeout=20,
        hangup_on_star=True,
        time_limit=600,
        caller_id="+14155550100",
        call_reason="Your parcel",
        record="record-from-ringing-dual",
        trim="trim-silence",
        recording_status_callback="/recorded",
        recording_status_callback_method="GET",
        recording_status_callback_event=("in-progress", "completed"),
        answer_on_bridge=True,
        ring_tone="us-old",
        recording_track="outbound",
        sequential=True,
        refer_url="/refer",
        refer_method="GET",
        first_to="accept",
    )


def test_a_fork_of_numbers_sips_and_clients():
    dial = Dial(answer_on_bridge=True)
    dial.number(
        "+14155550123",
        url="/screen",
        send_digits="wwww1928",
        status_callback="/events",
        status_callback_event="initiated ringing answered completed",
        byoc="pbx",
        machine_detection="Enable",
        machine_detection_timeout=15,
        amd_status_callback="/amd",
    )
    dial.sip("sip:kate@example.com?x-a=1&x-b=2", username="admin", password="1234", method="GET")
    client = dial.client()
    client.identity("joey")
    client.parameter(name="FirstName", value="Joey")
    response = VoiceResponse()
    response.append(dial)

    (read,) = _verbs(response)

    number, sip, joey = read.children
    assert (number.url, number.send_digits, number.byoc) == ("/screen", "wwww1928", "pbx")
    assert number.status_callback_event == ("initiated", "ringing", "answered", "completed")
    assert (number.machine_detection, number.machine_detection_timeout) == ("Enable", 15)
    assert (sip.uri, sip.username, sip.password) == ("sip:kate@example.com?x-a=1&x-b=2", "admin", "1234")
    assert (joey.identity, joey.parameters[0].name, joey.parameters[0].value) == ("joey", "FirstName", "Joey")


def test_a_conference_with_every_attribute():
    dial = Dial()
    dial.conference(
        "Room 1234",
        muted=False,
        beep="onEnter",
        start_conference_on_enter=False,
        end_conference_on_exit=True,
        wait_url="",
        wait_method="GET",
        max_participants=10,
        record="record-from-start",
        coach="CA" + "0" * 32,
        trim="do-not-trim",
        status_callback="/c",
        status_callback_event="start end join leave mute hold",
        status_callback_method="GET",
        recording_status_callback="/r",
        event_callback_url="/e",
        jitter_buffer_size="small",
        participant_label="agent",
    )
    response = VoiceResponse()
    response.append(dial)

    ((room,),) = (read.children for read in _verbs(response))

    assert (room.name, room.beep, room.max_participants, room.wait_url) == ("Room 1234", "onEnter", 10, "")
    assert (room.start_conference_on_enter, room.end_conference_on_exit) == (False, True)
    assert room.status_callback_event == ("start", "end", "join", "leave", "mute", "hold")


def test_every_other_verb():
    response = VoiceResponse()
    response.say("Hello & welcome", voice="alice", language="en-GB", loop=2)
    response.play("/music.mp3", loop=0)
    response.play(digits="12w3")
    gather = response.gather(
        input="dtmf", action="/keys", method="GET", timeout=3, finish_on_key="*", num_digits=4
    )
    gather.say("Press")
    gather.pause(length=2)
    response.record(max_length=30, finish_on_key="1", play_beep=False, trim="do-not-trim", timeout=2)
    response.enqueue("support", action="/q", wait_url="/w", wait_url_method="GET")
    refer = Refer(action="/after", method="GET")
    refer.sip("sip:bob@example.com")
    response.append(refer)
    response.leave()
    response.pause(length=5)
    response.redirect("/next", method="GET")
    response.reject(reason="busy")
    response.hangup()

    read = _verbs(response)

    assert " ".join(type(verb).__name__ for verb in read) == (
        "Say Play Play Gather Record Enqueue Refer Leave Pause Redirect Reject Hangup"
    )
    assert read[0].text == "Hello & welcome"
    assert [type(prompt).__name__ for prompt in read[3].prompts] == ["Say", "Pause"]
    assert (read[6].uri, read[9].url, read[10].reason) == ("sip:bob@example.com", "/next", "busy")


def test_a_queue():
    dial = Dial()
    dial.queue("support", url="/about-to-connect", method="GET")
    response = VoiceResponse()
    response.append(dial)

    (read,) = _verbs(response)

    assert (read.children[0].name, read.children[0].url) == ("support", "/about-to-connect")


def test_speech_markup_within_say_is_read():
    response = VoiceResponse()
    say = response.say("Hi")
    say.break_(strength="x-weak", time="100ms")
    say.p("Words to speak")

    (read,) = _verbs(response)

    assert read.text == "Hi Words to speak"
    assert [part.time_ms for part in read.parts if not isinstance(part, str)] == [100, None]


def test_an_attribute_of_the_library_that_is_unknown_here_warns():
    response = VoiceResponse()
    response.dial("+14155550123", recording_configuration_id="x")

    document = parse(str(response))

    assert [finding.number for finding in document.findings] == [12200]
    assert not_yet(document) == ()
