"""Positions of keys in a TOML text."""

import pytest

from b2bua.toml_positions import KeyPath, Positions

pytestmark = pytest.mark.unit

TEXT = '''\
# [not.a.table]
top = 1
[sip]
listen = [  # not = a key
  "[x]",
  "udp://127.0.0.1:5060",
]
  "quoted key" = 2
[[trunks]]
name = "a"
text = """
[fake]
name = "no"
"""
[[ trunks ]]
name = 'b'
literal = \'\'\'
uri = 1
\'\'\'
uri.host = "h"
[trunks.extra]
deep = 1
[rtp] # comment
inline = { a = 1, b = [2, 3] }
last = "with # no comment"'''


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("top",), (2, 1)),
        (("sip",), (3, 1)),
        (("sip", "listen"), (4, 1)),
        (("sip", "listen", 1), (4, 1)),
        (("sip", "quoted key"), (8, 3)),
        (("trunks",), (9, 1)),
        (("trunks", 0), (9, 1)),
        (("trunks", 0, "name"), (10, 1)),
        (("trunks", 1), (15, 1)),
        (("trunks", 1, "name"), (16, 1)),
        (("trunks", 1, "uri"), (20, 1)),
        (("trunks", 1, "uri", "host"), (20, 1)),
        (("trunks", 1, "extra", "deep"), (22, 1)),
        (("rtp", "inline", "b"), (24, 1)),
        (("rtp", "last"), (25, 1)),
    ],
)
def test_place_of_a_key(path: KeyPath, place: tuple[int, int]) -> None:
    assert Positions(TEXT).of(path) == place


@pytest.mark.parametrize(
    ("path", "place"),
    [(("sip", "absent"), (3, 1)), (("trunks", 1, "absent"), (15, 1)), (("absent",), (0, 0)), ((), (0, 0))],
)
def test_what_is_not_there_is_placed_at_what_is_around_it(path: KeyPath, place: tuple[int, int]) -> None:
    assert Positions(TEXT).of(path) == place


@pytest.mark.parametrize("path", [("fake",), ("not",), ("name",)])
def test_strings_and_comments_are_no_keys(path: KeyPath) -> None:
    assert Positions(TEXT).of(path) == (0, 0)


def test_an_empty_text_has_no_places() -> None:
    assert Positions("").of(("sip",)) == (0, 0)
