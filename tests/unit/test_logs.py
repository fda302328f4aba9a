"""Personal data in log lines: none at INFO, and at DEBUG only in ``pii_`` fields."""

import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from b2bua.core import personal
from b2bua.core.personal import without_addresses, without_personal
from b2bua.logs import set_up_logging

pytestmark = pytest.mark.unit

log = logging.getLogger("b2bua.tests")


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in ("alembic", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    parsed = json.loads(capsys.readouterr().err)
    assert isinstance(parsed, dict)
    return parsed


def test_what_is_personal_is_shown_at_debug_only(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("json")
    log.warning("call", extra={"pii_source": "udp:192.0.2.1:5060", "trunk": "pbx"})
    shown = line(capsys)
    assert shown["pii_source"] == "…" and shown["trunk"] == "pbx"
    set_up_logging("json", logging.DEBUG)
    log.warning("call", extra={"pii_source": "udp:192.0.2.1:5060"})
    assert line(capsys)["pii_source"] == "udp:192.0.2.1:5060"


def test_libraries_that_log_each_start_are_silent_above_debug(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("json")
    logging.getLogger("alembic.runtime.migration").info("Context impl SQLiteImpl.")
    logging.getLogger("uvicorn.error").info("Uvicorn running")
    assert capsys.readouterr().err == ""
    set_up_logging("json", logging.DEBUG)
    logging.getLogger("uvicorn.error").info("Uvicorn running", extra={"color_message": "\x1b[1mUvicorn"})
    shown = line(capsys)
    assert shown["event"] == "Uvicorn running" and "color_message" not in shown
    set_up_logging("json")
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    assert line(capsys)["level"] == "warning"


@pytest.mark.parametrize("level", [logging.INFO, logging.DEBUG])
@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_text_of_others_says_nothing_of_people(
    capsys: pytest.CaptureFixture[str], level: int, log_format: str
) -> None:
    set_up_logging(log_format, level)
    log.warning("Error handling request from %s", "192.0.2.7", extra={"text": "to sip:ann@h:5070 failed"})
    log.warning("call", extra={"sip_call_id": "abc123@192.0.2.7"})
    try:
        raise ValueError("Connect call failed ('192.0.2.7', 5060) for +14155550171")
    except ValueError:
        log.exception("it failed")
    written = capsys.readouterr().err
    assert "192.0.2.7" not in written and "4155550171" not in written and "ann@" not in written
    assert "abc123@…" in written
    assert "ValueError" in written and "Connect call failed" in written  # what is needed to find a fault is


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("from udp:192.0.2.1:5060 in", "from udp:… in"),
        ("from [2001:db8::9]:5060", "from […]:5060"),
        ("at 2001:db8::9.", "at …"),
        ("To: sip:ann@example.net;tag=x", "To: sip:…"),
        ("sips:+1@h, tel:+1-415-555-0171, client:ann", "sips:…, tel:…, client:…"),
        ("for +1 (415) 555-0171 there", "for … there"),
        ("+14155550171", "…"),
        ("GET http://app:80/x?From=%2B1415&Digits=1 said 500", "GET http://app:80/x?… said 500"),
        ("cannot ask http://127.0.0.1:80/x", "cannot ask http://127.0.0.1:80/x"),
        ("a colon: and sip: alone", "a colon: and sip: alone"),
        ("pjproject 2.15.1 at 12:30:45, line 1234", "pjproject 2.15.1 at 12:30:45, line 1234"),
        ("CA0123456789abcdef0123456789abcdef", "CA0123456789abcdef0123456789abcdef"),
        ("not between 1 and 14400; 14400 is used", "not between 1 and 14400; 14400 is used"),
    ],
)
def test_what_is_taken_out_of_a_text(text: str, shown: str) -> None:
    assert without_personal(text) == shown


@given(st.ip_addresses(), st.sampled_from(["from {}", "('{}', 5060)", "{} is down", "={}"]))
def test_any_address_is_taken_out(address: object, frame: str) -> None:
    assert str(address) not in without_addresses(frame.format(address)) or len(str(address)) < 3


PIECES = st.sampled_from(
    [
        *"0000000 1234567 1.2.3.4 :12345 :: a:: ::1 fe80::1 0:0:0 .a a f 5 \u0661 …".split(),
        *"http:// sip: tel: client: : . + - ( ) / @ ? ,".split(),
        " ",
    ]
)
TEXTS = st.one_of(
    st.text("0123456789+-.:; ()@a/", max_size=200), st.lists(PIECES, max_size=24).map("".join), st.text()
)


@given(TEXTS)
@example("0000000::0")  # the number kept the address from view
@example("a::1234567")
@example("1.2.3.4.a::1234567")  # the number kept an address from view, and that another one
@example("http://1 2345678?b")
@example("1.2.3.4:123451.2.3.4")
def test_any_text_can_be_shown_twice(text: str) -> None:
    for hide in (without_personal, without_addresses):
        once = hide(text)
        assert hide(once) == once


def test_what_another_address_kept_from_view_is_taken_out() -> None:
    assert without_personal("0000000::0") == "……"
    assert without_personal("http://1 2345678?b") == "http://…?…"


def test_a_text_that_does_not_settle_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(personal, "_PASSES", 3)
    assert without_personal("0000000::0") == "……"
    assert without_personal("1.2.3.4.a::1234567") == "…"


def test_long_texts_cost_no_more_than_their_length() -> None:
    for piece in (
        "1" * 7,
        "1-",
        "1.2.3.",
        "a:",
        "sip:",
        "http://a?",
        "1" * 20 + "a",
        "1.2.3.4:12345",
        "1.2.3.4.a::1234567",
    ):
        text = piece * (200_000 // len(piece))
        assert sys.getsizeof(without_personal(text)) > 0


def test_a_line_of_json_has_its_facts_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("json")
    log.info(
        "call %s", "began", extra={"call_sid": "CA1", "timeline": {"ringing": 0.5}, "trunk": None, "of": Any}
    )
    shown = line(capsys)
    assert shown.pop("timestamp").endswith("Z")
    assert shown == {
        "event": "call began", "level": "info", "logger": "b2bua.tests", "call_sid": "CA1",
        "timeline": {"ringing": 0.5}, "trunk": None, "of": repr(Any),
    }  # fmt: skip
