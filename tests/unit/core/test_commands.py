"""Properties of commands besides their fields."""

import pytest

from b2bua.core.commands import StartRecording
from b2bua.core.ids import LegId

pytestmark = pytest.mark.unit


def test_a_recording_has_two_raw_files_beside_each_other() -> None:
    order = StartRecording(recording="RE1", stem="/var/raw/RE1", parent=LegId("a"))
    assert order.files == ("/var/raw/RE1.parent.wav", "/var/raw/RE1.child.wav")
