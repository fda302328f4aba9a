"""Each attribute of each element: how its values are read, and the number of the warning for a bad one."""

import csv
from pathlib import Path

import msgspec
import pytest

from b2bua.twiml import verbs
from b2bua.twiml.attributes import ATTRIBUTES, field_of
from b2bua.twiml.findings import STANDING_TEXT
from b2bua.twiml.parse import ParsedDocument, parse

pytestmark = pytest.mark.unit

COMPLETED = ("completed",)

SCAFFOLDS = {
    "Response": "<Response {}/>",
    "Dial": "<Response><Dial {}>+14155550123</Dial></Response>",
    "Number": "<Response><Dial><Number {}>+14155550123</Number></Dial></Response>",
    "Sip": "<Response><Dial><Sip {}>sip:alice@example.com</Sip></Dial></Response>",
    "Client": "<Response><Dial><Client {}>alice</Client></Dial></Response>",
    "Identity": "<Response><Dial><Client><Identity {}>alice</Identity></Client></Dial></Response>",
    "Parameter": "<Response><Dial><Client>alice<Parameter {}/></Client></Dial></Response>",
    "Conference": "<Response><Dial><Conference {}>room</Conference></Dial></Response>",
    "Queue": "<Response><Dial><Queue {}>support</Queue></Dial></Response>",
    "Hangup": "<Response><Hangup {}/></Response>",
    "Redirect": "<Response><Redirect {}>/next</Redirect></Response>",
    "Reject": "<Response><Reject {}/></Response>",
    "Pause": "<Response><Pause {}/></Response>",
    "Say": "<Response><Say {}>hello</Say></Response>",
    "break": "<Response><Say>a<break {}/>b</Say></Response>",
    "Play": "<Response><Play {}>/tone.wav</Play></Response>",
    "Gather": "<Response><Gather {}/></Response>",
    "Record": "<Response><Record {}/></Response>",
    "Enqueue": "<Response><Enqueue {}>support</Enqueue></Response>",
    "Leave": "<Response><Leave {}/></Response>",
    "Refer": "<Response><Refer {}><Sip>sip:bob@example.com</Sip></Refer></Response>",
}

BOOLEAN_GOOD = [("true", True), ("false", False), ("TRUE", True), ("False", False), (" true ", True)]
BOOLEAN_BAD = ["", "yes", "1", "truefalse"]
METHOD_GOOD = [("GET", "GET"), ("POST", "POST"), ("get", "GET"), (" Post ", "POST")]
METHOD_BAD = ["", "PUT", "GET POST"]
URL_GOOD = [
    ("/done", "/done"),
    (" https://a.example/x?y=1#rc=2 ", "https://a.example/x?y=1#rc=2"),
    ("", None),
]
EVENTS_GOOD = [
    ("ringing", ("ringing",)),
    ("completed  initiated completed", ("initiated", "completed")),
    ("answered\tringing", ("ringing", "answered")),
]
RECORDING_EVENTS_GOOD = [("absent in-progress", ("in-progress", "absent"))]
TRIM_GOOD = [("trim-silence", "trim-silence"), ("do-not-trim", "do-not-trim")]
ROOM_TRIM_GOOD = [*TRIM_GOOD, ("true", "trim-silence"), ("false", "do-not-trim")]
SID = "CA" + "0123456789abcdef" * 2


ERRORS = {13231, 13239, 13240, 14214, 14215, 16023}
"""Numbers whose findings are errors; the others are warnings."""
REFUSING = {"participantLabel", "coach", "callSid", "reservationSid"}
"""Attributes of a noun that is left out if their value is bad."""
IGNORED = {"region", "recordingConfigurationId", "postWorkActivitySid", "workflowSid"}
"""Attributes that any value sets, and that change nothing."""


def _row(element, attribute, *, default, good, bad=(), number=12200, clamped=()):
    return element, attribute, default, good, bad, number, clamped


def _recording_callback(element, number=12200):
    return [
        _row(element, "recordingStatusCallback", default=None, good=URL_GOOD),
        _row(
            element,
            "recordingStatusCallbackMethod",
            default="POST",
            good=METHOD_GOOD,
            bad=METHOD_BAD,
            number=number,
        ),
        _row(
            element,
            "recordingStatusCallbackEvent",
            default=COMPLETED,
            good=RECORDING_EVENTS_GOOD,
            bad=["", "never"],
            clamped=[("absent never", ("absent",))],
            number=number,
        ),
    ]


def _status_callback(element):
    return [
        _row(element, "statusCallback", default=None, good=URL_GOOD),
        _row(element, "statusCallbackMethod", default="POST", good=METHOD_GOOD, bad=METHOD_BAD),
        _row(
            element,
            "statusCallbackEvent",
            default=COMPLETED,
            good=EVENTS_GOOD,
            bad=["", "Ringing"],
            clamped=[("ringing busy", ("ringing",))],
        ),
    ]


def _whole(element, attribute, default, low, high, number=12200, least=None):
    good = [(str(low), low), (str(high), high), (f" +{low} ", low)]
    bad = ["", "ten", "1.5", "1e3", "9" * 19, "٣"]
    clamped = [(str(high + 1), high), ("9" * 18, high)]
    if least is None:
        clamped += [(str(low - 1), low), ("-5", low)]
    else:
        bad += [str(least - 1), "-5"]
    return _row(element, attribute, default=default, good=good, bad=bad, number=number, clamped=clamped)


def _detection(element):
    return [
        _row(
            element,
            "machineDetection",
            default=None,
            good=[("Enable", "Enable"), ("DetectMessageEnd", "DetectMessageEnd")],
            bad=["", "enable"],
        ),
        _whole(element, "machineDetectionTimeout", 30, 3, 59),
        _whole(element, "machineDetectionSpeechThreshold", 2400, 1000, 6000),
        _whole(element, "machineDetectionSpeechEndThreshold", 1200, 500, 5000),
        _whole(element, "machineDetectionSilenceTimeout", 5000, 2000, 10000),
        _row(element, "amdStatusCallback", default=None, good=URL_GOOD),
        _row(element, "amdStatusCallbackMethod", default="POST", good=METHOD_GOOD, bad=METHOD_BAD),
    ]


ROWS = [
    _row("Dial", "action", default=None, good=URL_GOOD),
    _row("Dial", "method", default="POST", good=METHOD_GOOD, bad=METHOD_BAD, number=13210),
    _row("Dial", "answerOnBridge", default=False, good=BOOLEAN_GOOD, bad=BOOLEAN_BAD, number=13219),
    _row(
        "Dial",
        "callerId",
        default=None,
        good=[
            ("+14155550100", "+14155550100"),
            (" client:bob ", "client:bob"),
            ("bob&#13;&#10;X-Evil:&#9;1", "bob X-Evil: 1"),
            ("x" * 300, "x" * 300),
            (" &#13;&#10;", ""),
        ],
    ),
    _row(
        "Dial",
        "callReason",
        default=None,
        good=[("Your parcel", "Your parcel"), ("é" * 50, "é" * 50), ("a&#10;&#10;b&#x85;c", "a b c")],
        bad=["", " "],
        clamped=[("r" * 51, "r" * 50), ("a" * 49 + " bc", "a" * 49)],
    ),
    _row("Dial", "hangupOnStar", default=False, good=BOOLEAN_GOOD, bad=BOOLEAN_BAD, number=13213),
    _row(
        "Dial",
        "record",
        default="do-not-record",
        good=[
            ("do-not-record", "do-not-record"),
            ("false", "do-not-record"),
            ("record-from-answer", "record-from-answer"),
            ("true", "record-from-answer"),
            ("record-from-ringing", "record-from-ringing"),
            ("record-from-answer-dual", "record-from-answer-dual"),
            ("record-from-ringing-dual", "record-from-ringing-dual"),
        ],
        bad=["", "record-from-start", "dual"],
        number=13217,
    ),
    *_recording_callback("Dial"),
    _row(
        "Dial",
        "recordingTrack",
        default="both",
        good=[("inbound", "inbound"), ("outbound", "outbound"), ("both", "both")],
        bad=["", "in"],
    ),
    _row("Dial", "trim", default="do-not-trim", good=TRIM_GOOD, bad=["", "true"]),
    _row("Dial", "referUrl", default=None, good=URL_GOOD),
    _row("Dial", "referMethod", default="POST", good=METHOD_GOOD, bad=METHOD_BAD),
    _row(
        "Dial",
        "ringTone",
        default=None,
        good=[(code, code) for code in verbs.RINGTONE_CODES],
        bad=["", "US", "xx", "us old"],
        number=13220,
    ),
    _row("Dial", "sequential", default=False, good=BOOLEAN_GOOD, bad=BOOLEAN_BAD, number=13218),
    _whole("Dial", "timeLimit", 14400, 1, 86400, 13216, least=1),
    _whole("Dial", "timeout", 30, 5, 600, 13212),
    _row(
        "Dial",
        "firstTo",
        default="answer",
        good=[("accept", "accept"), ("answer", "answer")],
        bad=["", "pickup"],
    ),
    _row("Number", "url", default=None, good=URL_GOOD),
    _row("Number", "method", default="POST", good=METHOD_GOOD, bad=METHOD_BAD, number=13221),
    _row(
        "Number",
        "sendDigits",
        default="",
        good=[("wW1234567890#*", "wW1234567890#*"), ("ABCDabcd", "ABCDabcd"), ("", "")],
        bad=["1 2", "E", "1,2"],
        number=13222,
    ),
    _row(
        "Number",
        "byoc",
        default=None,
        good=[("pbx", "pbx")],
        bad=[""],
        clamped=[("b" * 65, "b" * 64)],
    ),
    *_status_callback("Number"),
    *_detection("Number"),
    _row("Sip", "url", default=None, good=URL_GOOD),
    _row("Sip", "method", default="POST", good=METHOD_GOOD, bad=METHOD_BAD, number=13241),
    *(
        _row(
            "Sip",
            name,
            default=None,
            good=[("alice", "alice"), (" pass wörd ", " pass wörd "), ("x" * 255, "x" * 255)],
            bad=["", "x" * 256, "a&#13;&#10;b"],
            number=13249,
        )
        for name in ("username", "password")
    ),
    *_status_callback("Sip"),
    *_detection("Sip"),
    _row("Client", "url", default=None, good=URL_GOOD),
    _row("Client", "method", default="POST", good=METHOD_GOOD, bad=METHOD_BAD),
    *_status_callback("Client"),
    _row("Conference", "muted", default=False, good=BOOLEAN_GOOD, bad=BOOLEAN_BAD, number=13230),
    _row(
        "Conference",
        "beep",
        default="true",
        good=[("true", "true"), ("false", "false"), ("onEnter", "onEnter"), ("onExit", "onExit")],
        bad=["", "onenter", "always"],
        number=13235,
    ),
    _row(
        "Conference",
        "startConferenceOnEnter",
        default=True,
        good=BOOLEAN_GOOD,
        bad=BOOLEAN_BAD,
        number=13232,
    ),
    _row(
        "Conference",
        "endConferenceOnExit",
        default=False,
        good=[*BOOLEAN_GOOD, ("last", "last")],
        bad=BOOLEAN_BAD,
        number=13231,
    ),
    _whole("Conference", "exitGrace", 0, 0, 600),
    _row(
        "Conference",
        "participantLabel",
        default=None,
        good=[("agent 7", "agent 7"), ("x" * 128, "x" * 128)],
        bad=["", "x" * 129, "a/b", "a%2Fb", "a%2fb", SID],
        number=16023,
    ),
    _whole("Conference", "maxParticipants", 250, 2, 250, least=1),
    _row(
        "Conference", "waitUrl", default=None, good=[("/music", "/music"), ("", ""), (" ", "")], number=13233
    ),
    _row("Conference", "waitMethod", default="POST", good=METHOD_GOOD, bad=METHOD_BAD, number=13234),
    _row(
        "Conference",
        "coach",
        default=None,
        good=[(SID, SID)],
        bad=["", "CA1", SID + "0", SID.replace("CA", "CF")],
        number=13240,
    ),
    _row(
        "Conference",
        "record",
        default="do-not-record",
        good=[
            ("record-from-start", "record-from-start"),
            ("do-not-record", "do-not-record"),
            ("true", "record-from-start"),
            ("false", "do-not-record"),
        ],
        bad=["", "record-from-answer"],
    ),
    _row("Conference", "trim", default="trim-silence", good=ROOM_TRIM_GOOD, bad=["", "yes"], number=13239),
    _row("Conference", "statusCallback", default=None, good=URL_GOOD),
    _row(
        "Conference",
        "statusCallbackEvent",
        default=(),
        good=[
            ("end start", ("start", "end")),
            (
                "announcement speaker modify hold mute leave join",
                ("join", "leave", "mute", "hold", "modify", "speaker", "announcement"),
            ),
        ],
        bad=["", "completed"],
        clamped=[("join completed", ("join",))],
    ),
    _row("Conference", "statusCallbackMethod", default="POST", good=METHOD_GOOD, bad=METHOD_BAD),
    *_recording_callback("Conference", 13256),
    _row(
        "Conference",
        "jitterBufferSize",
        default="large",
        good=[(size, size) for size in ("off", "small", "medium", "large")],
        bad=["", "huge"],
    ),
    _row("Conference", "eventCallbackUrl", default=None, good=URL_GOOD),
    _row("Queue", "url", default=None, good=URL_GOOD),
    _row("Queue", "method", default="POST", good=METHOD_GOOD, bad=METHOD_BAD, number=14210),
    _row("Queue", "callSid", default=None, good=[(SID, SID)], bad=["", "CA1"], number=14214),
    _row("Redirect", "method", default="POST", good=METHOD_GOOD, bad=METHOD_BAD, number=13710),
    _row(
        "Reject",
        "reason",
        default="rejected",
        good=[("rejected", "rejected"), ("busy", "busy")],
        bad=["", "Busy", "no-answer"],
        number=13810,
    ),
    _whole("Pause", "length", 1, 0, 14400, 13910),
    _row("Say", "voice", default=None, good=[("alice", "alice")], bad=["", "x" * 65]),
    _row("Say", "language", default=None, good=[("en-GB", "en-GB")], bad=["", "x" * 36]),
    _whole("Say", "loop", 1, 0, 1000, 13510),
    _row(
        "break",
        "strength",
        default="medium",
        good=[(word, word) for word in ("none", "x-weak", "weak", "medium", "strong", "x-strong")],
        bad=["", "loud"],
    ),
    _row(
        "break",
        "time",
        default=None,
        good=[("300ms", 300), ("1.5s", 1500), ("10s", 10000), ("0s", 0), (" 1s ", 1000)],
        bad=["", "1", "1m", "-1s", ".5s", "1e3ms"],
        clamped=[("10.001s", 10000), ("999999s", 10000)],
    ),
    _whole("Play", "loop", 1, 0, 1000, 13410),
    _row("Play", "digits", default="", good=[("ww12", "ww12"), ("", "")], bad=["1-2"]),
    _row("Gather", "input", default="dtmf", good=[("dtmf", "dtmf")], bad=["", "speech", "dtmf speech"]),
    _row("Gather", "action", default=None, good=URL_GOOD),
    _row("Gather", "method", default="POST", good=METHOD_GOOD, bad=METHOD_BAD, number=13312),
    _whole("Gather", "timeout", 5, 1, 600, 13313),
    _row(
        "Gather",
        "finishOnKey",
        default="#",
        good=[("#", "#"), ("*", "*"), ("7", "7"), ("", "")],
        bad=["12", "A", " "],
        number=13310,
    ),
    _whole("Gather", "numDigits", None, 1, 1000, 13314, least=1),
    _row("Gather", "actionOnEmptyResult", default=False, good=BOOLEAN_GOOD, bad=BOOLEAN_BAD),
    _row("Record", "action", default=None, good=URL_GOOD),
    _row("Record", "method", default="POST", good=METHOD_GOOD, bad=METHOD_BAD, number=13610),
    _whole("Record", "timeout", 5, 0, 600, 13611),
    _row(
        "Record",
        "finishOnKey",
        default="1234567890*#",
        good=[("1#", "1#"), ("", "")],
        bad=["A", "1 2"],
        number=13613,
    ),
    _whole("Record", "maxLength", 3600, 1, 14400, 13612, least=1),
    _row("Record", "playBeep", default=True, good=BOOLEAN_GOOD, bad=BOOLEAN_BAD, number=13616),
    _row("Record", "trim", default="trim-silence", good=TRIM_GOOD, bad=["", "trim"]),
    _row("Record", "transcribe", default=False, good=BOOLEAN_GOOD, bad=BOOLEAN_BAD, number=13614),
    _row("Record", "transcribeCallback", default=None, good=URL_GOOD),
    *_recording_callback("Record"),
    _row("Enqueue", "action", default=None, good=URL_GOOD),
    _row("Enqueue", "method", default="POST", good=METHOD_GOOD, bad=METHOD_BAD, number=14201),
    _row("Enqueue", "waitUrl", default=None, good=[("/wait", "/wait"), ("", "")]),
    _row("Enqueue", "waitUrlMethod", default="POST", good=METHOD_GOOD, bad=METHOD_BAD, number=14206),
    _whole("Enqueue", "maxQueueSize", 1000, 1, 5000, least=1),
    _whole("Enqueue", "priority", 0, 0, 999),
    _whole("Enqueue", "maxWait", None, 1, 14_400, least=1),
    _whole("Enqueue", "announcePosition", None, 5, 3600, least=1),
    _row(
        "Enqueue",
        "announceText",
        default="You are number {position} in the queue.",
        good=[("Platz {position}", "Platz {position}")],
        bad=[""],
        clamped=[("x" * 201, "x" * 200)],
    ),
    _row("Enqueue", "announceLanguage", default=None, good=[("de-DE", "de-DE")], bad=["", "x" * 36]),
    _row("Enqueue", "statusCallback", default=None, good=URL_GOOD),
    _row("Enqueue", "statusCallbackMethod", default="POST", good=METHOD_GOOD, bad=METHOD_BAD),
    _row(
        "Enqueue",
        "statusCallbackEvent",
        default=("joined", "offered", "bridged", "left"),
        good=[("left joined", ("joined", "left"))],
        bad=["", "start"],
        clamped=[("left x", ("left",))],
    ),
    _row("Refer", "action", default=None, good=URL_GOOD),
    _row("Refer", "method", default="POST", good=METHOD_GOOD, bad=METHOD_BAD),
]
"""Element, attribute, default, (text, value) pairs, texts that leave the default, number of the warning,
(text, nearest value) pairs that warn as well."""

every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{row[1]}")


def _parsed(element: str, attribute: str, text: str) -> tuple[object, ParsedDocument]:
    document = parse(SCAFFOLDS[element].format(f'{attribute}="{text}"'))
    return _read(document, element, attribute), document


def _read(document: ParsedDocument, element: str, attribute: str) -> object:
    item = document.response.verbs[0]
    if element == "break":
        item = item.parts[1]
        attribute = {"time": "timeMs"}.get(attribute, attribute)
    elif element in ("Number", "Sip", "Client", "Conference", "Queue"):
        item = item.children[0]
    return getattr(item, field_of(attribute))


@every_row
def test_a_valid_value_is_taken_without_a_finding(row):
    element, attribute, _, good = row[:4]
    assert good
    for text, value in good:
        read, document = _parsed(element, attribute, text)

        assert (text, read, document.findings) == (text, value, ())
        assert type(read) is type(value)


@every_row
def test_an_invalid_value_leaves_the_default_and_warns_by_its_number(row):
    element, attribute, default, _, bad, number, _ = row
    for text in bad:
        document = parse(SCAFFOLDS[element].format(f'{attribute}="{text}"'))

        read = default
        if attribute in REFUSING:
            assert document.response.verbs[0].children == ()
        else:
            read = _read(document, element, attribute)
        severity = "error" if number in ERRORS else "warning"
        findings = [(finding.number, finding.severity) for finding in document.findings]
        assert (text, read, findings) == (text, default, [(number, severity)])


@every_row
def test_a_value_out_of_range_becomes_the_nearest_and_warns_by_its_number(row):
    element, attribute, _, _, _, number, clamped = row
    for text, nearest in clamped:
        read, document = _parsed(element, attribute, text)

        findings = [(finding.number, finding.severity) for finding in document.findings]
        assert (text, read, findings) == (text, nearest, [(number, "warning")])


@every_row
def test_an_absent_attribute_is_its_default(row):
    element, attribute, default = row[:3]

    document = parse(SCAFFOLDS[element].format(""))

    assert _read(document, element, attribute) == default
    assert document.findings == ()


@pytest.mark.parametrize("element", SCAFFOLDS)
def test_an_unknown_attribute_warns_where_the_element_stands(element):
    body = SCAFFOLDS[element].format('colour="blue"')

    document = parse(body)

    (finding,) = [each for each in document.findings if each.number == 12200 and "colour" in each.text]
    assert finding.severity == "warning"
    assert finding.line == 1
    assert body[finding.column - 1 :].startswith(f"<{element} ")


@pytest.mark.parametrize("element", SCAFFOLDS)
def test_attributes_of_schemas_and_of_xml_itself_are_no_findings(element):
    attributes = (
        'xmlns="urn:x" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        ' xsi:noNamespaceSchemaLocation="twiml.xsd" xml:lang="en" name="n"'
    )
    body = SCAFFOLDS[element].format(attributes)

    findings = parse(body).findings

    assert all("has no attribute name" in finding.text for finding in findings)
    assert len(findings) == (element != "Parameter")


def test_an_attribute_in_the_wrong_case_is_unknown_and_the_right_one_is_named():
    document = parse('<Response><Dial callerid="+14155550100">+14155550123</Dial></Response>')

    assert document.response.verbs[0].caller_id is None
    assert document.findings[0].number == 12200
    assert "callerId" in document.findings[0].text


def test_events_of_a_dial_is_known_and_ignored():
    document = parse('<Response><Dial events="anything">+14155550123</Dial></Response>')

    assert document.findings == ()
    assert (
        document.response.verbs[0]
        == parse("<Response><Dial>+14155550123</Dial></Response>").response.verbs[0]
    )


@pytest.mark.parametrize(
    ("element", "attribute"),
    [
        ("Conference", "region"),
        ("Conference", "recordingConfigurationId"),
        ("Queue", "postWorkActivitySid"),
        ("Enqueue", "workflowSid"),
    ],
)
def test_an_attribute_for_what_a_node_does_not_have_is_known_and_ignored(element, attribute):
    with_it = parse(SCAFFOLDS[element].format(f'{attribute}="anything"'))

    assert with_it.findings == ()
    assert with_it.response == parse(SCAFFOLDS[element].format("")).response


@pytest.mark.parametrize("sid", ["", "WR1", "x" * 65])
def test_a_reservation_makes_its_queue_invalid(sid):
    document = parse(SCAFFOLDS["Queue"].format(f'reservationSid="{sid}"'))

    assert document.response.verbs[0].children == ()
    assert [(finding.number, finding.severity) for finding in document.findings] == [(14215, "error")]


@pytest.mark.parametrize("element", ["Dial", "Number", "Sip", "Client", "Conference", "Queue", "Redirect"])
def test_a_finding_does_not_tell_the_value(element):
    body = SCAFFOLDS[element].format('method="s3cret" password="s3\x7fcret" username="s3\x7fcret"')

    assert not any("s3" in finding.text for finding in parse(body).findings)


MODELS = {name: getattr(verbs, name) for name in ATTRIBUTES if name not in ("Identity", "break")}
CONTENT = {
    "line", "column", "verbs", "children", "text", "uri", "identity", "parameters", "parts", "prompts",
}  # fmt: skip


@pytest.mark.parametrize("element", sorted(MODELS))
def test_every_attribute_has_its_field_and_every_field_its_attribute(element):
    content = CONTENT | ({"name"} if element in ("Conference", "Queue", "Enqueue") else set())
    content |= {"url"} if element in ("Redirect", "Play") else set()
    content |= {"refusal"} if element == "Enqueue" else set()
    without = {"events", "reservationSid", *IGNORED}
    attributes = {field_of(name) for name in ATTRIBUTES[element] if name not in without}

    fields = {field.name for field in msgspec.structs.fields(MODELS[element])}

    assert attributes == fields - content


def test_every_attribute_of_the_tables_is_tested():
    tested = {(row[0], row[1]) for row in ROWS}
    known = {(element, name) for element, rows in ATTRIBUTES.items() for name in rows}

    assert known - tested == {
        ("Dial", "events"),
        ("Parameter", "name"),
        ("Parameter", "value"),
        ("Conference", "region"),
        ("Conference", "recordingConfigurationId"),
        ("Queue", "postWorkActivitySid"),
        ("Queue", "reservationSid"),
        ("Enqueue", "workflowSid"),
    }


def test_every_number_of_the_tables_has_its_text():
    assert {row.number for rows in ATTRIBUTES.values() for row in rows.values()} <= STANDING_TEXT.keys()


def test_ringtone_codes_are_those_of_the_ringback_table():
    table = Path(__file__).parents[3] / "config" / "ringtones.csv"
    with table.open(newline="") as file:
        codes = [row["code"] for row in csv.DictReader(line for line in file if not line.startswith("#"))]

    assert sorted(verbs.RINGTONE_CODES) == sorted(codes)
    assert len(set(codes)) == 40
