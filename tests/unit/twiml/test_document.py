"""Readable documents: encodings, limits, and the XML attacks that are refused."""

import time

import pytest

from b2bua.core.errors import TwimlError
from b2bua.twiml.document import MAX_BYTES, MAX_DEPTH, MAX_ELEMENTS, one_line, read_document
from b2bua.twiml.parse import parse

pytestmark = pytest.mark.unit

HELLO = "<Response><Say>{}</Say></Response>"


def _error(body) -> TwimlError:
    with pytest.raises(TwimlError) as caught:
        parse(body)
    return caught.value


def _said(body) -> str:
    return parse(body).response.verbs[0].text


# -- limits -----------------------------------------------------------------------------------------


def _padded(size: int) -> bytes:
    return b"<Response><!--" + b"x" * (size - len(b"<Response><!----></Response>")) + b"--></Response>"


def test_a_document_of_64_kib_is_read():
    body = _padded(MAX_BYTES)

    assert len(body) == 65536
    assert parse(body).response.verbs == ()
    assert parse(body.decode()).response.verbs == ()


@pytest.mark.parametrize("body", [_padded(MAX_BYTES + 1), _padded(MAX_BYTES + 1).decode()])
def test_one_byte_more_is_too_large(body):
    assert _error(body).number == 11750


def test_text_is_measured_in_bytes():
    assert _error(HELLO.format("é" * 33_000)).number == 11750


def test_two_hundred_thousand_nested_tags_are_refused_at_once():
    began = time.perf_counter()

    assert _error(b"<Response>" + b"<a>" * 200_000 + b"</a>" * 200_000 + b"</Response>").number == 11750
    assert time.perf_counter() - began < 0.1


def test_elements_nested_too_deep_are_refused_where_they_begin():
    inner = "<a>" * MAX_DEPTH

    error = _error(f"<Response>\n{inner}")

    assert error.number == 12100
    assert (error.line, error.column) == (2, 1 + 3 * (MAX_DEPTH - 1))


def test_elements_nested_as_deep_as_may_be_are_read():
    inside = MAX_DEPTH - 2

    assert _said(HELLO.format("<p>" * inside + "deep" + "</p>" * inside)) == "deep"


def test_too_many_elements_are_refused():
    filled = "<Hangup/>" * (MAX_ELEMENTS - 1)

    assert len(parse(f"<Response>{filled}</Response>").response.verbs) == MAX_ELEMENTS - 1
    error = _error(f"<Response>{filled}\n<Hangup/></Response>")
    assert (error.number, error.line, error.column) == (12100, 2, 1)


# -- nothing to read ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [b"", "", b" \r\n\t", "  ", b"\xef\xbb\xbf", b"\xef\xbb\xbf \n", "\ufeff", b"\xff\xfe"]
)
def test_an_empty_document_is_an_error_of_its_own(body):
    assert _error(body).number == 11770


@pytest.mark.parametrize(
    ("body", "line", "column"),
    [
        ("<Response>", 1, 11),
        ("<Response><Dial></Response>", 1, 19),
        ("<Response>\n  <Dial timeout=5/></Response>", 2, 17),
        ('<Response>\n  <Dial a="1" a="2"/></Response>', 2, 15),
        ("<Response/><Response/>", 1, 12),
        ("<Response/>text", 1, 12),
        ("hello", 1, 1),
        ("<Response>a & b</Response>", 1, 14),
        ("<Response>&nbsp;</Response>", 1, 11),
        ("<Response>\x00</Response>", 1, 11),
        ("<Response>&#1;</Response>", 1, 11),
        ('\n<?xml version="1.0"?><Response/>', 2, 1),
        ("{}", 1, 1),
    ],
)
def test_what_is_not_well_formed_is_told_by_line_and_column(body, line, column):
    error = _error(body)

    assert (error.number, error.line, error.column) == (12100, line, column)
    assert error.text


@pytest.mark.parametrize("root", ["response", "Responses", "Dial", "html", "x:Response"])
def test_another_root_is_an_error_of_its_own(root):
    error = _error(f"<!-- a -->\n <{root}><Dial>1</Dial></{root}>")

    assert (error.number, error.line, error.column) == (12102, 2, 2)


# -- encodings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        HELLO.format("é").encode(),
        b"\xef\xbb\xbf" + HELLO.format("é").encode(),
        HELLO.format("é").encode("utf-16"),
        HELLO.format("é").encode("utf-16-be").join([b"\xfe\xff", b""]),
        ('<?xml version="1.0" encoding="UTF-8"?>' + HELLO.format("é")).encode(),
        ('<?xml version="1.0" encoding="utf8"?>' + HELLO.format("é")).encode(),
        ("<?xml version='1.0' encoding='ISO-8859-1' standalone='yes'?>" + HELLO.format("é")).encode(
            "latin-1"
        ),
        ('<?xml version="1.0" encoding="windows-1252"?>' + HELLO.format("é")).encode("cp1252"),
        ('<?xml version="1.0" encoding="us-ascii"?>' + HELLO.format("&#233;")).encode(),
        ('<?xml version="1.0" encoding="UTF-16"?>' + HELLO.format("é")).encode("utf-16"),
        HELLO.format("é"),
        "\ufeff" + HELLO.format("é"),
        '<?xml version="1.0" encoding="Shift_JIS"?>' + HELLO.format("é"),
    ],
)
def test_a_document_is_read_in_its_encoding(body):
    assert _said(body) == "é"


@pytest.mark.parametrize("encoding", ["utf-7", "rot13", "shift_jis", "unicode_escape", "undefined", "../x"])
def test_an_encoding_outside_the_list_is_refused(encoding):
    error = _error(f'<?xml version="1.0" encoding="{encoding}"?><Response/>'.encode())

    assert error.number == 12100
    assert encoding in error.text


@pytest.mark.parametrize("body", [b"<Response>\xff</Response>", b"\xff\xfe<\x00a", HELLO.format("\ud800")])
def test_what_is_not_in_its_encoding_is_refused(body):
    assert _error(body).number == 12100


@pytest.mark.parametrize("version", ["1.1", "2.0", ""])
def test_another_version_of_xml_is_an_error_of_its_own(version):
    assert _error(f'<?xml version="{version}"?><Response/>').number == 12101


# -- tricks -----------------------------------------------------------------------------------------


def test_a_billion_laughs_are_not_laughed():
    entities = "".join(
        f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' if n else '<!ENTITY l0 "ha">' for n in range(10)
    )
    began = time.perf_counter()

    error = _error(f"<!DOCTYPE Response [{entities}]><Response><Say>&l9;</Say></Response>")

    assert (error.number, error.text) == (12100, "DTDs and entities are refused")
    assert time.perf_counter() - began < 0.1


@pytest.mark.parametrize(
    "doctype",
    [
        "<!DOCTYPE Response>",
        '<!DOCTYPE Response SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE Response PUBLIC "-//x//y" "http://127.0.0.1/x.dtd">',
        '<!DOCTYPE Response [<!ENTITY e SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE Response [<!ENTITY % p SYSTEM "http://127.0.0.1/p"> %p;]>',
        '<!DOCTYPE Response [<!ATTLIST Dial timeout CDATA "5">]>',
    ],
)
def test_a_dtd_is_refused_where_it_begins(doctype):
    error = _error(f"<?xml version='1.0'?>\n{doctype}<Response><Say>&e;</Say></Response>")

    assert error.number == 12100
    assert error.line == 2


def test_processing_instructions_and_comments_mean_nothing():
    body = (
        '<?xml version="1.0"?><?xml-stylesheet href="http://127.0.0.1/x.xsl"?><!-- a -->'
        "<Response><?php echo 1 ?><!-- <Dial>1</Dial> --><Hangup/><!-- b --></Response><!-- c --><?x?>"
    )

    document = parse(body)

    assert len(document.response.verbs) == 1
    assert document.findings == ()


def test_text_is_joined_over_comments_and_cdata():
    body = "<Response><Dial>+1415<!-- area -->555<![CDATA[0123]]></Dial></Response>"

    assert parse(body).response.verbs[0].children[0].text == "+14155550123"


def test_markup_in_cdata_is_text():
    assert _said("<Response><Say><![CDATA[1 < 2 & <Dial>]]></Say></Response>") == "1 < 2 & <Dial>"


def test_a_prefix_is_part_of_the_name_declared_or_not():
    root = read_document('<t:Response xmlns:t="urn:x"><u:Dial/></t:Response>')

    assert root.name == "t:Response"
    assert root.attributes == {}
    assert [element.name for element in root.elements] == ["u:Dial"]


def test_elements_know_where_they_stand_in_characters():
    root = read_document("<Response>é\r\n\t€ <Dial\n a='1'/>\r<Say/></Response>".encode())

    assert [(element.line, element.column) for element in root.elements] == [(2, 4), (4, 1)]


@pytest.mark.parametrize(
    ("text", "line"),
    [("", ""), (" a \r\n b ", "a b"), ("a\x00\x7f\x85\u2028b", "a b"), ("a\xa0b", "a b"), ("ab", "ab")],
)
def test_one_line_has_no_controls_and_single_blanks(text, line):
    assert one_line(text) == line
