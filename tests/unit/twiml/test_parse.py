"""Allowed children, treatment of others; order and positions of verbs."""

import pytest

from b2bua.twiml import verbs
from b2bua.twiml.findings import STANDING_TEXT, make_finding
from b2bua.twiml.parse import parse
from b2bua.twiml.reader import MAX_FINDINGS, MAX_TARGETS

pytestmark = pytest.mark.unit


def _parsed(inner: str, severity: str = "warning"):
    """Verbs, and (number, column) of the findings, of a one-line Response (whose own tag is 10 wide)."""
    document = parse(f"<Response>{inner}</Response>")
    assert all(finding.severity == severity and finding.line == 1 for finding in document.findings)
    return document.response.verbs, [(finding.number, finding.column - 10) for finding in document.findings]


def _children(inner: str, severity: str = "warning"):
    (dial,), findings = _parsed(inner, severity)
    return dial.children, findings


# -- Response ---------------------------------------------------------------------------------------


def test_an_empty_response_has_no_verbs_and_no_findings():
    document = parse("<Response/>")

    assert document.response == verbs.Response(line=1, column=1)
    assert document.findings == ()


def test_verbs_keep_their_order_and_places():
    body = (
        "<Response>\n"
        " <Pause/><Dial>1</Dial>\n"
        " <Say>a</Say><Play>b</Play>\n"
        " <Gather/><Record/><Enqueue>q</Enqueue>\n"
        " <Leave/><Refer><Sip>sip:a@b</Sip></Refer>\n"
        " <Redirect>/c</Redirect><Reject/><Hangup/>\n"
        "</Response>"
    )

    found = [(type(verb), verb.line, verb.column) for verb in parse(body).response.verbs]

    assert found == [
        (verbs.Pause, 2, 2),
        (verbs.Dial, 2, 10),
        (verbs.Say, 3, 2),
        (verbs.Play, 3, 14),
        (verbs.Gather, 4, 2),
        (verbs.Record, 4, 11),
        (verbs.Enqueue, 4, 20),
        (verbs.Leave, 5, 2),
        (verbs.Refer, 5, 10),
        (verbs.Redirect, 6, 2),
        (verbs.Reject, 6, 25),
        (verbs.Hangup, 6, 34),
    ]


@pytest.mark.parametrize("name", ["dial", "DIAL", "Sms", "Connect", "Number", "t:Dial"])
def test_an_unknown_verb_is_skipped_with_a_warning(name):
    found, findings = _parsed(f"<Pause/><{name}>1</{name}><Hangup/>")

    assert [type(verb) for verb in found] == [verbs.Pause, verbs.Hangup]
    assert findings == [(12200, 9)]


@pytest.mark.parametrize("name", ["Connect", "Start", "Stop", "Pay", "Sms", "Prompt"])
def test_a_verb_of_the_hosted_service_is_no_misspelling(name):
    (finding,) = parse(f"<Response><Hangup/><{name}/></Response>").findings

    assert (finding.number, finding.severity) == (12200, "warning")
    assert finding.text == f"schema: {name} is known, but not done here"


@pytest.mark.parametrize(
    ("inner", "severity"),
    [
        ("<Connect/>", "error"),
        ("<Start/><Connect/>", "error"),
        ("<dial/>", "error"),
        ("<Say>Hello</Say><Connect/>", "error"),
        ("<Say>Hello</Say><Start/>", "warning"),
        ("<Connect/><Redirect>/next</Redirect>", "warning"),
    ],
)
def test_a_document_that_leads_nowhere_without_an_unknown_verb_is_an_error(inner, severity):
    findings = parse(f"<Response>{inner}</Response>").findings

    assert {finding.severity for finding in findings} == {severity}


@pytest.mark.parametrize(
    ("inner", "said"),
    [
        ('<Gather speechTimeout="auto"/>', "Gather speechTimeout is known, but not done here"),
        ('<Gather language="de"/>', "Gather language is known, but not done here"),
        ('<Gather speechtimeout="1"/>', "Gather has no attribute speechtimeout"),
        ('<Gather input="speech"/>', "Gather input: there is no speech recogniser here; only keys are taken"),
        (
            '<Gather input="dtmf speech"/>',
            "Gather input: there is no speech recogniser here; only keys are taken",
        ),
        ('<Gather input="voice"/>', "Gather input: neither dtmf nor speech; keys are taken"),
    ],
)
def test_what_a_gather_does_not_do_here_is_said(inner, said):
    (finding,) = parse(f"<Response>{inner}</Response>").findings

    assert finding.text == f"schema: {said}"


def test_text_outside_verbs_is_ignored_with_a_warning():
    document = parse("<Response>hello<Hangup/></Response>")

    assert [type(verb) for verb in document.response.verbs] == [verbs.Hangup]
    assert [(finding.number, finding.column) for finding in document.findings] == [(12200, 1)]


@pytest.mark.parametrize(
    "inner",
    [
        "<Hangup>now</Hangup>",
        "<Reject>no</Reject>",
        "<Pause>1</Pause>",
        "<Record>x</Record>",
        "<Leave>x</Leave>",
        "<Gather>press one</Gather>",
        "<Refer>x<Sip>sip:a@b</Sip></Refer>",
    ],
)
def test_text_where_none_belongs_is_ignored_with_a_warning(inner):
    found, findings = _parsed(inner)

    assert len(found) == 1
    assert findings == [(12200, 1)]


@pytest.mark.parametrize(
    "inner",
    ["<Hangup><a/></Hangup>", "<Redirect><a/>/x</Redirect>", "<Play><a/>/x</Play>", "<Pause><a/></Pause>"],
)
def test_an_element_within_one_that_has_none_is_ignored_with_a_warning(inner):
    found, findings = _parsed(inner)

    assert len(found) == 1
    assert findings == [(12200, inner.index("<a/>") + 1)]


def test_findings_are_bounded():
    document = parse("<Response>" + "<x/>" * 400 + "</Response>")

    assert len(document.findings) == MAX_FINDINGS


def test_findings_begin_with_the_standing_text_of_their_number():
    assert make_finding(13212, "not a whole number").text == "Dial: bad timeout: not a whole number"
    assert all(text and not text.endswith(".") for text in STANDING_TEXT.values())


# -- Dial -------------------------------------------------------------------------------------------


def test_plain_text_is_a_number():
    children, findings = _children("<Dial>\n 415-123-4567 \n</Dial>")

    assert children == (verbs.Number(text="415-123-4567", line=1, column=11),)
    assert findings == []


def test_nouns_keep_their_order():
    children, findings = _children(
        "<Dial><Sip>sip:a@b</Sip><Number>1</Number><Client>c</Client><Number>2</Number></Dial>"
    )

    assert [type(child) for child in children] == [verbs.Sip, verbs.Number, verbs.Client, verbs.Number]
    assert findings == []


def test_text_beside_nouns_is_ignored_with_a_warning():
    children, findings = _children("<Dial>415<Number>1</Number></Dial>")

    assert [child.text for child in children] == ["1"]
    assert findings == [(12200, 1)]


@pytest.mark.parametrize("inner", ["<Dial/>", "<Dial> \n </Dial>", "<Dial><!-- 1 --></Dial>"])
def test_a_dial_without_a_target_warns(inner):
    children, findings = _children(inner)

    assert children == ()
    assert findings == [(13223, 1)]


@pytest.mark.parametrize("name", ["number", "Say", "Sim", "Identity"])
def test_an_unknown_noun_is_skipped_with_a_warning(name):
    children, findings = _children(f"<Dial><{name}>1</{name}><Number>1</Number></Dial>")

    assert [type(child) for child in children] == [verbs.Number]
    assert findings == [(13215, 7)]


def test_a_dial_of_unknown_nouns_only_has_no_target():
    children, findings = _children("<Dial><Sim>1</Sim></Dial>")

    assert children == ()
    assert findings == [(13215, 7), (13223, 1)]


@pytest.mark.parametrize(
    ("noun", "number", "severity"),
    [
        ("Number", 13223, "warning"),
        ("Sip", 13243, "warning"),
        ("Client", 12200, "warning"),
        ("Conference", 13237, "error"),
        ("Queue", 14212, "error"),
    ],
)
def test_an_empty_noun_is_skipped_with_a_finding(noun, number, severity):
    children, findings = _children(f"<Dial><{noun}> </{noun}><Number>1</Number></Dial>", severity)

    assert [type(child) for child in children] == [verbs.Number]
    assert findings == [(number, 7)]


@pytest.mark.parametrize("noun", ["Number", "Sip", "Conference", "Queue"])
def test_an_element_within_a_noun_is_ignored_with_a_warning(noun):
    children, findings = _children(f"<Dial><{noun}><b>x</b>text</{noun}></Dial>")

    assert len(children) == 1
    assert findings == [(12200, 9 + len(noun))]


@pytest.mark.parametrize(
    ("inside", "kept", "at"),
    [
        ("<Conference>a</Conference><Number>1</Number>", ["a"], 33),
        ("<Conference>a</Conference><Conference>b</Conference>", ["a"], 33),
        ("<Queue>a</Queue><Conference>b</Conference>", ["a"], 23),
        ("<Number>1</Number><Conference>a</Conference><Number>2</Number>", ["1", "2"], 25),
        ("<Number>1</Number><Queue>a</Queue>", ["1"], 25),
    ],
)
def test_a_conference_or_a_queue_is_alone_and_the_first_noun_decides(inside, kept, at):
    children, findings = _children(f"<Dial>{inside}</Dial>")

    assert [getattr(child, "text", None) or child.name for child in children] == kept
    assert findings == [(13000, at)]


def test_targets_beyond_the_tenth_are_dropped_with_one_warning():
    noun = "<Number>1</Number>"

    children, findings = _children(f"<Dial>{noun * 13}</Dial>")

    assert len(children) == MAX_TARGETS == 10
    assert findings == [(13250, 7 + 10 * len(noun))]


def test_ten_targets_are_no_finding():
    children, findings = _children(f"<Dial>{'<Number>1</Number>' * 10}</Dial>")

    assert len(children) == 10
    assert findings == []


# -- Client -----------------------------------------------------------------------------------------


def test_a_client_has_its_identity_as_text_or_as_an_element():
    (text, element), findings = _children(
        "<Dial><Client>alice</Client><Client><Identity>alice</Identity></Client></Dial>"
    )

    assert text.identity == element.identity == "alice"
    assert findings == []


def test_a_client_has_parameters_in_order():
    (client,), findings = _children(
        '<Dial><Client><Parameter name="a" value="1"/><Identity>alice</Identity>'
        '<Parameter name="b" value="x&#13;&#10;y"/><Parameter name="c"/></Client></Dial>'
    )

    assert [(each.name, each.value) for each in client.parameters] == [("a", "1"), ("b", "x y"), ("c", "")]
    assert client.parameters[0].column == 10 + 15
    assert findings == []


@pytest.mark.parametrize("parameter", ['<Parameter value="1"/>', '<Parameter name="{}"/>'.format("x" * 129)])
def test_a_parameter_without_a_good_name_is_skipped_with_a_warning(parameter):
    (client,), findings = _children(f"<Dial><Client>a{parameter}</Client></Dial>")

    assert client.parameters == ()
    assert {number for number, _ in findings} == {12200}


@pytest.mark.parametrize(
    ("inside", "count"),
    [
        ("alice<Identity>bob</Identity>", 1),
        ("<Identity>alice</Identity><Identity>bob</Identity>", 1),
        ("alice<Identity/>", 0),
        ("alice<Uri/>", 1),
        ("<Identity>alice<b/></Identity>", 1),
        ('alice<Parameter name="a">text</Parameter>', 1),
        ('alice<Parameter name="a"><b/></Parameter>', 1),
    ],
)
def test_what_is_odd_within_a_client_warns_and_the_first_identity_is_used(inside, count):
    (client,), findings = _children(f"<Dial><Client>{inside}</Client></Dial>")

    assert client.identity == "alice"
    assert [number for number, _ in findings] == [12200] * count


# -- other verbs ------------------------------------------------------------------------------------


def test_a_redirect_without_text_means_this_document():
    (redirect,), findings = _parsed("<Redirect/>")

    assert redirect.url == ""
    assert findings == []


def test_play_has_a_url_or_digits():
    (url, digits, neither), findings = _parsed('<Play>/a.wav</Play><Play digits="1w2"/><Play/>')

    assert (url.url, digits.digits, neither.url) == ("/a.wav", "1w2", "")
    assert findings == [(12200, 40)]


def test_say_is_one_text_with_blanks_collapsed():
    (say,), findings = _parsed("<Say>\n  Hello,\n   world </Say>")

    assert (say.text, say.parts) == ("Hello, world", ())
    assert findings == []


def test_say_has_breaks_between_its_parts():
    (say,), findings = _parsed('<Say>a <break time="1s"/><break/><p>b <s>c</s></p>d</Say>')

    assert say.text == "a b c d"
    assert [part if isinstance(part, str) else (part.strength, part.time_ms) for part in say.parts] == [
        "a",
        ("medium", 1000),
        ("medium", None),
        "b c",
        ("strong", None),
        ("x-strong", None),
        "d",
    ]
    assert findings == []


def test_other_markup_within_say_is_spoken_with_a_warning():
    (say,), findings = _parsed(
        "<Say>a <prosody rate='x'>b<amazon:emotion>c</amazon:emotion></prosody>d</Say>"
    )

    assert (say.text, say.parts) == ("a bcd", ())
    assert [number for number, _ in findings] == [12200, 12200]


@pytest.mark.parametrize("inner", ["<Say/>", "<Say> </Say>", "<Say><break/></Say>"])
def test_a_silent_say_warns(inner):
    (say,), findings = _parsed(inner)

    assert say.text == ""
    assert findings == [(13520, 1)]


def test_gather_has_prompts_in_order_and_nothing_else():
    (gather,), findings = _parsed("<Gather><Say>a</Say><Dial>1</Dial><Pause/><Play>b</Play><say/></Gather>")

    assert [type(prompt) for prompt in gather.prompts] == [verbs.Say, verbs.Pause, verbs.Play]
    assert findings == [(13320, 21), (13320, 57)]


@pytest.mark.parametrize(
    ("enqueue", "number"),
    [
        ("<Enqueue/>", 14204),
        (f"<Enqueue>{'q' * 65}</Enqueue>", 14205),
        ('<Enqueue workflowSid="WW1"/>', 14222),
        ("<Enqueue><Task>{}</Task></Enqueue>", 14222),
    ],
)
def test_an_enqueue_without_a_usable_name_is_kept_for_its_result(enqueue, number):
    found, findings = _parsed(f"{enqueue}<Hangup/>", "error")

    assert [type(verb) for verb in found] == [verbs.Enqueue, verbs.Hangup]
    assert (found[0].name, found[0].refusal) == ("", number)
    assert findings == [(number, 1)]


def test_an_enqueue_with_a_name_ignores_its_task():
    (enqueue,), findings = _parsed(f"<Enqueue workflowSid='WW1'>{'q' * 64}<Task>{{}}</Task><b/></Enqueue>")

    assert (enqueue.name, enqueue.refusal) == ("q" * 64, 0)
    assert [number for number, _ in findings] == [12200]


@pytest.mark.parametrize(
    ("noun", "number"),
    [
        ("<Conference/>", 13237),
        (f"<Conference>{'r' * 129}</Conference>", 13237),
        ('<Conference participantLabel="a/b">r</Conference>', 16023),
        ('<Conference coach="CA1">r</Conference>', 13240),
        ("<Queue> </Queue>", 14212),
        (f"<Queue>{'q' * 65}</Queue>", 14213),
        ('<Queue callSid="me">q</Queue>', 14214),
        ('<Queue reservationSid="WR1">q</Queue>', 14215),
    ],
)
def test_a_dial_whose_room_or_queue_is_refused_has_no_target_and_one_error(noun, number):
    children, findings = _children(f"<Dial>{noun}</Dial>", "error")

    assert children == ()
    assert findings == [(number, 7)]


def test_the_longest_names_of_rooms_and_queues_are_whole():
    (room,), _ = _children(f"<Dial><Conference>{'r' * 128}</Conference></Dial>")
    (queue,), _ = _children(f"<Dial><Queue>{'q' * 64}</Queue></Dial>")

    assert (len(room.name), len(queue.name)) == (128, 64)


def test_refer_has_one_sip():
    (refer,), findings = _parsed('<Refer action="/a"><Sip>sip:a@b?x-c=1</Sip></Refer>')

    assert (refer.uri, refer.action) == ("sip:a@b?x-c=1", "/a")
    assert findings == []


@pytest.mark.parametrize(
    ("inside", "numbers"),
    [("", [13243]), ("<Sip/>", [13243, 13243]), ("<Number>1</Number>", [12200, 13243])],
)
def test_refer_without_a_sip_is_skipped(inside, numbers):
    found, findings = _parsed(f"<Refer>{inside}</Refer>")

    assert found == ()
    assert [number for number, _ in findings] == numbers


def test_of_two_sips_of_a_refer_the_first_is_used():
    (refer,), findings = _parsed("<Refer><Sip>sip:a@b</Sip><Sip>sip:c@d</Sip></Refer>")

    assert refer.uri == "sip:a@b"
    assert findings == [(12200, 26)]


# -- SSML -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inner", "ssml"),
    [
        ('<prosody rate="slow">a</prosody>', '<prosody rate="slow">a</prosody>'),
        ('<prosody rate="+20%" pitch="-10%">a</prosody>', '<prosody rate="120%" pitch="90%">a</prosody>'),
        ('<prosody volume="-6dB">a</prosody>', '<prosody volume="50%">a</prosody>'),
        ('<emphasis level="strong">a</emphasis>', '<emphasis level="strong">a</emphasis>'),
        ('<lang xml:lang="de-DE">a</lang>', '<voice xml:lang="de-DE">a</voice>'),
        ("<emphasis>a &lt;b/&gt; &amp;amp;</emphasis>", "<emphasis>a &lt;b/&gt; &amp;amp;</emphasis>"),
        (
            '<say-as interpret-as="spell-out">a&lt;b</say-as>',
            '<say-as interpret-as="characters">a&lt;b</say-as>',
        ),
        ('x <prosody rate="fast"><w>a</w></prosody> y', 'x <prosody rate="fast">a</prosody> y'),
    ],
)
def test_speech_markup_is_passed_on_from_checked_values(inner, ssml):
    (say,), findings = _parsed(f"<Say>{inner}</Say>")

    assert [part.ssml for part in say.parts] == [ssml]
    assert findings == []


def test_markup_ends_before_a_break_and_begins_again_after_it():
    (say,), _ = _parsed('<Say><prosody rate="slow">a<break time="1s"/>b</prosody> c</Say>')

    first, pause, last = say.parts
    assert (first.text, first.ssml) == ("a", '<prosody rate="slow">a</prosody>')
    assert pause.time_ms == 1000
    assert (last.text, last.ssml) == ("b c", '<prosody rate="slow">b</prosody> c')


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        ('<sub alias="World Wide Web">WWW</sub> is', "World Wide Web is"),
        ('<say-as interpret-as="telephone">+1 (415) 555-0100</say-as>', "+ 1, 4 1 5, 5 5 5, 0 1 0 0"),
        ('<say-as interpret-as="digits">1234</say-as>', "1 2 3 4"),
        ('<say-as interpret-as="cardinal">1234</say-as>', "1234"),
    ],
)
def test_what_plain_text_can_say_too_is_rewritten(inner, text):
    (say,), findings = _parsed(f"<Say>{inner}</Say>")

    assert (say.text, say.parts, findings) == (text, (), [])


@pytest.mark.parametrize(
    "inner",
    [
        '<say-as interpret-as="date">a</say-as>',
        '<say-as interpret-as="telephone">a</say-as>',
        "<say-as>a</say-as>",
        "<sub>a</sub>",
        '<phoneme alphabet="ipa" ph="x">a</phoneme>',
        "<lang>a</lang>",
        '<lang xml:lang="de&quot;/&gt;&lt;audio">a</lang>',
        '<prosody rate="&quot;/&gt;">a</prosody>',
        '<prosody src="x">a</prosody>',
        '<audio src="/etc/passwd">a</audio>',
    ],
)
def test_markup_that_is_not_understood_is_spoken_plainly_with_a_warning(inner):
    (say,), findings = _parsed(f"<Say>{inner}</Say>")

    assert (say.text, say.parts) == ("a", ())
    assert findings == [(12200, 6)]


def test_markup_is_bounded_and_the_rest_is_spoken_plainly():
    piece = '<prosody rate="slow" pitch="low" volume="soft">a<break/></prosody>'
    last = '<lang xml:lang="de">' + "x" * 40_000 + "</lang>"
    (say,), _ = _parsed(f"<Say>{piece * 240}{last}</Say>")

    assert sum(len(part.ssml) for part in say.parts if isinstance(part, verbs.Markup)) <= 32_768
    assert isinstance(say.parts[-1], str)
