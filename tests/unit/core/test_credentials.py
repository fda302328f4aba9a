"""The parts of a text that may be shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2bua.core.credentials import without_userinfo

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://user:pw@host:80/a?b#rc=3", "http://host:80/a?b#rc=3"),
        ("HTTPS://user:pw@host/", "HTTPS://host/"),
        ("https://pw@host", "https://host"),
        ("https://user:p@w@host", "https://host"),
        ("https://user:p'w(*)&amp;x@host", "https://host"),
        ("//user:pw@host/a", "//host/a"),
        ("postgresql://user:pw@db/name", "postgresql://db/name"),
        ("11200 HTTP status: http://user:pw@host/a", "11200 HTTP status: http://host/a"),
        ("'http://user:pw@h' is none", "'http://h' is none"),
        ('<Redirect method="GET">http://u:pw@h/</Redirect>', '<Redirect method="GET">http://h/</Redirect>'),
        (
            "<Dial action=\"http://u:pw@h/a\" referUrl='http://v:pw@i/b'>",
            "<Dial action=\"http://h/a\" referUrl='http://i/b'>",
        ),
        ('<Dial action="http://u:pw&#64;h/a"/>', '<Dial action="http://h/a"/>'),
        ('<Dial action="http://u:pw&#x0040;h/a"/>', '<Dial action="http://h/a"/>'),
        ("http://us er:p w@host/a", "http://host/a"),
        ("<Redirect>\n http://us er:p w@host/a\n</Redirect>", "<Redirect>\n http://host/a\n</Redirect>"),
        ("<Dial action='http://u:p w@h/a' x=''/>", "<Dial action='http://h/a' x=''/>"),
        # No credentials.
        ("GET http://host:80 for ann@example.com", "GET http://host:80 for ann@example.com"),
        ("<Dial action='http://h' x='a@b'/>", "<Dial action='http://h' x='a@b'/>"),
        ("http://host/x@y?z=b@c#d@e", "http://host/x@y?z=b@c#d@e"),
        ("sip:anna@192.0.2.21", "sip:anna@192.0.2.21"),
        ("see http://host and write to ann@example.com", "see http://host and write to ann@example.com"),
        ('{"url":"http://host","mail":"ann@h"}', '{"url":"http://host","mail":"ann@h"}'),
        ("http://host<b>a@b", "http://host<b>a@b"),
        ("", ""),
    ],
)
def test_no_address_keeps_its_credentials(text: str, shown: str) -> None:
    assert without_userinfo(text) == shown


@given(
    before=st.text(),
    password=st.text(alphabet=st.characters(exclude_characters='/?#<>"', categories=["L", "N", "P", "S"])),
)
def test_a_password_is_never_shown(before: str, password: str) -> None:
    marked = f"pass{password}word"
    assert marked not in without_userinfo(f"{before}http://ann:{marked}@host/")
