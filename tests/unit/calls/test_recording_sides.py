"""A host records the leg of a link in the place of a leg on another host, for as long as there is one."""

from typing import Any

import pytest

from b2bua.calls.recording_sides import RecordingSides
from b2bua.core.commands import HostCommand, RecordLegs, StartRecording, StopRecording
from b2bua.core.ids import HostId, LegId

pytestmark = pytest.mark.unit

H1, H2 = HostId("w1"), HostId("w2")
A, B, C = LegId("a"), LegId("b"), LegId("c")
NEAR, FAR = LegId("near"), LegId("far")
HOSTS = {A: H1, B: H2, C: H1}


class Links:
    """At most one link, between A on the first host and B on the second."""

    exists = True

    def stand_in(self, leg: LegId, other: LegId, host: HostId) -> LegId | None:
        if not self.exists or {leg, other} != {A, B}:
            return None
        return NEAR if host == H1 else FAR


class Scene:
    """The sides of recordings, and the link that they depend on."""

    def __init__(self) -> None:
        self.links: Any = Links()
        self.sides = RecordingSides(HOSTS, self.links)

    def start(self, host: HostId, parent: LegId, child: LegId | None) -> tuple[LegId, LegId | None]:
        order = StartRecording(recording="RE1", stem="/re1", parent=parent, child=child)
        [(told_host, told)] = self.sides.told([(host, order)])
        assert told_host == host
        assert isinstance(told, StartRecording) and told.stem == "/re1"
        return told.parent, told.child


def legs(parent: LegId, child: LegId | None) -> RecordLegs:
    return RecordLegs(recording="RE1", parent=parent, child=child)


@pytest.mark.parametrize(
    ("host", "sides", "told"),
    [
        (H1, (A, C), (A, C)),
        (H1, (A, None), (A, None)),
        (H1, (A, B), (A, NEAR)),
        (H2, (A, B), (FAR, B)),
        (H1, (C, B), (C, B)),
    ],
    ids=["both there", "one side", "child elsewhere", "parent elsewhere", "no link"],
)
def test_a_leg_elsewhere_is_heard_by_its_link(
    host: HostId, sides: tuple[LegId, LegId | None], told: tuple[LegId, LegId | None]
) -> None:
    assert Scene().start(host, *sides) == told


def test_other_commands_and_their_order_stay() -> None:
    orders: list[tuple[HostId, HostCommand]] = [
        (H2, StopRecording(recording="RE2")),
        (H1, legs(A, B)),
    ]
    assert Scene().sides.told(orders) == [orders[0], (H1, legs(A, NEAR))]


def test_a_link_that_goes_and_comes_is_told_once_each_time() -> None:
    scene = Scene()
    scene.start(H1, A, B)
    assert scene.sides.changes() == []
    scene.links.exists = False
    assert scene.sides.changes() == [(H1, legs(A, B))]
    assert scene.sides.changes() == []
    scene.links.exists = True
    assert scene.sides.changes() == [(H1, legs(A, NEAR))]


def test_what_has_stopped_or_was_lost_is_not_changed() -> None:
    stopped, lost, kept = Scene(), Scene(), Scene()
    for scene in (stopped, lost, kept):
        scene.start(H1, A, B)
        scene.links.exists = False
    stopped.sides.stopped("RE1")
    lost.sides.lose(H1)
    kept.sides.lose(H2)
    kept.sides.stopped("RE2")
    assert (stopped.sides.changes(), lost.sides.changes()) == ([], [])
    assert kept.sides.changes() == [(H1, legs(A, B))]
