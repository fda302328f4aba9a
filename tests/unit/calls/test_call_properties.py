"""Whatever comes in any order to a call that runs documents: frames end once, one verb runs, all ends."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.effort import examples
from tests.unit.calls.scene import Scene
from tests.unit.calls.world import CHOICES, World

pytestmark = [pytest.mark.unit, pytest.mark.no_cover]

VERBS = [
    "<Say>hello</Say>",
    "<Play loop='0'>http://app.test/a.wav</Play>",
    "<Pause length='3'/>",
    "<Gather action='/gathered' timeout='4'><Say>press</Say></Gather>",
    "<Record action='/recorded' maxLength='20'/>",
    "<Redirect>/next</Redirect>",
    "<Redirect>ftp://no.test/</Redirect>",
    "<Refer action='/referred'><Sip>sip:x@192.0.2.9</Sip></Refer>",
    "<Dial action='/after'><Sip>sip:bob@192.0.2.9</Sip></Dial>",
    "<Dial record='true'><Sip url='/ask' statusCallback='/s'>sip:bob@192.0.2.9</Sip>"
    "<Sip>sip:carol@192.0.2.9</Sip></Dial>",
    "<Dial answerOnBridge='true'><Number>nobody</Number></Dial>",
    "<Dial><Sip machineDetection='Enable' amdStatusCallback='/amd' url='/ask'>sip:bob@192.0.2.9</Sip></Dial>",
    "<Hangup/>",
    "<Reject/>",
]
HAPPENINGS = """document document document none ready ready failed prompt-ended key silence refer-progress
    judged ring answer answer fail end ended recording time time caller-ends redirect redirect-child cancel
    cancel-child""".split()
documents = st.lists(st.sampled_from(VERBS), max_size=4).map("".join).map("<Response>{}</Response>".format)
steps = st.lists(
    st.tuples(st.sampled_from(HAPPENINGS), st.integers(0, CHOICES - 1), documents), min_size=3, max_size=30
)


@settings(database=None, max_examples=examples(80))
@given(first=documents, told=steps)
def test_every_call_comes_to_one_end(first: str, told: list[tuple[str, int, str]]) -> None:
    number = {
        "voice_url": "http://app.test/voice",
        "fallback_url": "http://app.test/fallback",
        "status_callback": "http://app.test/status",
    }
    world = World(Scene(number=number))
    world.do("document", 0, first)
    for what, n, twiml in told:
        if not world.ends:
            world.do(what, n, twiml)
    world.finish()
