"""Relative URLs of documents."""

import pytest

from b2bua.twiml.urls import MAX_URL, resolve_url

pytestmark = pytest.mark.unit

BASE = "https://app.example.com:8443/voice/start.php?a=1#rc=3"
ROOT = "https://app.example.com:8443"


@pytest.mark.parametrize(
    ("base", "value", "url"),
    [
        (BASE, "done", f"{ROOT}/voice/done"),
        (BASE, "./done", f"{ROOT}/voice/done"),
        (BASE, "../done", f"{ROOT}/done"),
        (BASE, "/done?b=2", f"{ROOT}/done?b=2"),
        (BASE, "?b=2", f"{ROOT}/voice/start.php?b=2"),
        (BASE, "//other.example/x", "https://other.example/x"),
        (BASE, "http://other.example", "http://other.example"),
        (BASE, "HTTPS://Other.Example/X", "HTTPS://Other.Example/X"),
        (None, "http://127.0.0.1:8000/x", "http://127.0.0.1:8000/x"),
        (None, "http://[::1]:8000/x", "http://[::1]:8000/x"),
        (None, "https://user:pass@h.example/x", "https://user:pass@h.example/x"),
        ("", "https://h.example/", "https://h.example/"),
        (BASE, "  /done \n", f"{ROOT}/done"),
        (BASE, "/a b/é", f"{ROOT}/a b/é"),
        (BASE, "next.php", f"{ROOT}/voice/next.php"),
        (BASE, "index.php/route", f"{ROOT}/voice/index.php/route"),
        (BASE, "a:b/c".replace(":", "%3A"), f"{ROOT}/voice/a%3Ab/c"),
    ],
)
def test_a_good_one_becomes_absolute_without_a_finding(base, value, url):
    assert resolve_url(base, value) == (url, None)


def test_an_empty_one_is_the_document_itself():
    assert resolve_url(BASE, " ") == (BASE, None)


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("/done#ct=500&rp=5xx", f"{ROOT}/done#ct=500&rp=5xx"),
        ("http://h.example/#rc=0", "http://h.example/#rc=0"),
        ("#rc=1", f"{ROOT}/voice/start.php?a=1#rc=1"),
    ],
)
def test_the_fragment_is_its_own(value, url):
    assert resolve_url(BASE, value) == (url, None)


@pytest.mark.parametrize(
    "value", ["www.example.com", "WWW.Example/x", "example.com", "app.example.io/voice?x=1"]
)
def test_a_host_without_a_scheme_is_a_path_and_warns(value):
    url, finding = resolve_url(BASE, value)

    assert url == f"{ROOT}/voice/{value}"
    assert (finding.number, finding.severity) == (11100, "warning")


@pytest.mark.parametrize(
    ("base", "value"),
    [
        (None, "/done"),
        ("", "done"),
        (None, ""),
        (None, "www.example.com"),
        (BASE, "ftp://h.example/x"),
        (BASE, "file:///etc/passwd"),
        (BASE, "javascript:alert(1)"),
        (BASE, "localhost:3000/voice"),
        (BASE, "mailto:a@b"),
        (BASE, "http:"),
        (BASE, "http:done"),
        (BASE, "http:///done"),
        (BASE, "http://[::1"),
        (BASE, "//[x/y"),
        (BASE, "http://h.example:99999/"),
        (BASE, "http://h.example:0/"),
        (BASE, "http://h.example/\r\nHost: evil"),
        (BASE, "/a\x00b"),
        (BASE, "/" + "x" * MAX_URL),
        (BASE, "x" * (MAX_URL - 10)),
        ("file:///etc/", "passwd"),
        ("not a url", "x"),
    ],
)
def test_what_cannot_be_requested_is_an_error(base, value):
    url, finding = resolve_url(base, value)

    assert url == ""
    assert (finding.number, finding.severity) == (11100, "error")


def test_the_longest_is_taken():
    value = "http://h.example/".ljust(MAX_URL, "x")

    assert resolve_url(None, value) == (value, None)
