import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2bua.core.errors import WebhookError
from b2bua.web.url import MAX_URL, join, parse_url, without_credentials

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        ("https://app.example.com/voice", "https://app.example.com/voice"),
        ("HTTPS://App.Example.COM/Voice", "https://app.example.com/Voice"),
        ("http://app.example.com", "http://app.example.com/"),
        ("http://app.example.com?x=1", "http://app.example.com/?x=1"),
        ("http://app.example.com:80/", "http://app.example.com:80/"),
        (" http://127.0.0.1:8080/a \n", "http://127.0.0.1:8080/a"),
        ("http://[::1]:8080/a", "http://[::1]:8080/a"),
        ("http://my_app:3000/", "http://my_app:3000/"),
        ("https://bücher.example/ü?ö=ä", "https://xn--bcher-kva.example/%C3%BC?%C3%B6=%C3%A4"),
        ("http://a/b c?d e", "http://a/b%20c?d%20e"),
        ("http://a/x?sig=%2F%2b+&&y", "http://a/x?sig=%2F%2b+&&y"),
        ("http://a/x/../y?z=100%", "http://a/x/../y?z=100%"),
        ("http://a/x#rc=3", "http://a/x"),
        ("http://user:secret@a/x", "http://a/x"),
    ],
)
def test_an_address_goes_out_as_it_was_written_but_for_what_may_not(text: str, wire: str) -> None:
    assert parse_url(text).text == wire


@pytest.mark.parametrize(
    "text",
    [
        *("", "voice", "/voice", "www.example.com", "http://", "http:///x", "https:a/b"),
        *("ftp://a/b", "mailto:a@b", "javascript:alert(1)"),
        *("http://a:99999/", "http://a:0/", "http://a:port/"),
        *("http://a b/", "http://-/", "http://a\u0000b/", "http://[::1/", "http://[fe80::1%25eth0]/"),
    ],
)
def test_what_is_no_web_address_is_11100(text: str) -> None:
    with pytest.raises(WebhookError) as caught:
        parse_url(text)
    assert caught.value.number == 11100


def test_credentials_become_a_header_and_show_nowhere() -> None:
    url = parse_url("https://user%40x:p%C3%A4ss%3Aword@app.example.com/x#rc=1")
    assert url.authorization is not None
    assert base64.b64decode(url.authorization.removeprefix("Basic ")).decode() == "user@x:päss:word"
    assert "p%C3%A4ss" not in repr(url) and url.authorization not in repr(url)
    assert url.fragment == "rc=1"


@pytest.mark.parametrize(
    "text",
    [
        "http://user:secret@",
        "http://user:secret@a:99999/",
        "ftp://user:secret@a/",
        "//user:secret@a/x",
        "http:user:secret@a",
    ],
)
def test_errors_hold_no_credentials(text: str) -> None:
    with pytest.raises(WebhookError) as caught:
        parse_url(text)
    assert "secret" not in str(caught.value) + caught.value.url
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_a_long_address_is_11100_and_its_error_short() -> None:
    with pytest.raises(WebhookError) as caught:
        parse_url("http://user:secret@a/" + "x" * MAX_URL)
    assert caught.value.number == 11100
    assert len(str(caught.value)) < 200 and "secret" not in str(caught.value)


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_11100(text: str) -> None:
    for prefix in ("", "http://", "http://a/", "http://a?"):
        try:
            wire = parse_url(prefix + text).text
        except WebhookError as err:
            assert err.number == 11100
        else:
            assert wire.isascii() and " " not in wire
            assert parse_url(wire).text == wire


@pytest.mark.parametrize(
    ("text", "params", "whole"),
    [
        ("http://a/x", (), "http://a/x"),
        ("http://a/x", (("A", "1 2"), ("B", "+&")), "http://a/x?A=1+2&B=%2B%26"),
        ("http://a/x?k=%2F", (("A", "ü"),), "http://a/x?k=%2F&A=%C3%BC"),
        ("http://a/x?A=0", (("A", "1"), ("A", "2")), "http://a/x?A=0&A=1&A=2"),
    ],
)
def test_parameters_follow_the_query_of_the_address(
    text: str, params: tuple[tuple[str, str], ...], whole: str
) -> None:
    assert parse_url(text).with_params(params) == whole


def test_parameters_the_address_has_already_can_be_left_out() -> None:
    url = parse_url("http://a/x?CallSid=CA1&Empty=")
    params = (("CallSid", "CA1"), ("Empty", ""), ("From", "+1"))
    assert url.with_params(params, if_absent=True) == "http://a/x?CallSid=CA1&Empty=&From=%2B1"


def test_origin_writes_the_port() -> None:
    assert parse_url("https://A.example/x").origin == parse_url("https://a.example:443/y?z").origin
    assert parse_url("http://a.example/x").origin != parse_url("https://a.example/x").origin


@pytest.mark.parametrize(
    ("reference", "absolute"),
    [("/b", "http://a/b"), ("b", "http://a/x/b"), ("?q", "http://a/x/y?q"), (" //c/d ", "http://c/d")],
)
def test_relative_references(reference: str, absolute: str) -> None:
    assert join("http://a/x/y?z", reference) == absolute


def test_a_reference_that_is_none_is_11100() -> None:
    with pytest.raises(WebhookError) as caught:
        join("http://a/", "http://user:secret@[::1/")
    assert caught.value.number == 11100 and "secret" not in str(caught.value)


def test_an_at_sign_in_path_or_query_is_no_credential() -> None:
    assert without_credentials("http://a/x@y?z=b@c#d@e") == "http://a/x@y?z=b@c"
