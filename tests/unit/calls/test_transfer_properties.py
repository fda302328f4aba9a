"""In any order of events around transfers, each leg ends once and each REFER gets one final report."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.effort import examples
from tests.unit.calls.scene import A, Scene
from tests.unit.calls.world import CHOICES, OTHER_DIALOG, World

pytestmark = [pytest.mark.unit, pytest.mark.no_cover]

DIAL = '<Dial referUrl="/refer" action="/after" answerOnBridge="{keep}" hangupOnStar="true">{nouns}</Dial>'
BOB = "<Sip>sip:bob@192.0.2.9</Sip>"
DOCUMENTS = [
    f"<Response>{DIAL.format(keep='true', nouns='<Sip>sip:carol@192.0.2.7</Sip>')}</Response>",
    f"<Response>{DIAL.format(keep='false', nouns='<Sip>sip:carol@192.0.2.7</Sip>' + BOB)}</Response>",
    "<Response><Pause length='5'/></Response>",
    "<Response><Dial>nobody</Dial><Redirect>/next</Redirect></Response>",
    "<Response/>",
]
HAPPENINGS = """refer refer attended document document none ring answer answer fail end ended
    caller-ends star time redirect cancel""".split()
steps = st.lists(
    st.tuples(st.sampled_from(HAPPENINGS), st.integers(0, CHOICES - 1), st.sampled_from(DOCUMENTS)),
    max_size=25,
)


def bridged(keep: bool) -> World:
    """A caller who talks to Bob, who may transfer it."""
    world = World(Scene(dialogs=[OTHER_DIALOG]))
    world.answered.add(A)
    world.do("document", 0, f"<Response>{DIAL.format(keep=str(keep).lower(), nouns=BOB)}</Response>")
    world.do("answer", 0)
    world.scene.confirms()
    world.look()
    return world


@settings(database=None, max_examples=examples(80))
@given(told=steps, keep=st.booleans())
def test_it_comes_to_an_end(told: list[tuple[str, int, str]], keep: bool) -> None:
    world = bridged(keep)
    for what, n, twiml in told:
        world.do(what, n, twiml)
    world.finish()
    assert world.over.total() == 1
