"""Orders of edge and controller: names, wishes, heirs, ends."""

import gc
import weakref

import pytest

from b2bua.relay.control import (
    CloseLeg,
    DescribeLeg,
    JoinLegs,
    LegClosed,
    LegDescribed,
    LegKey,
    LegMeasured,
    LegReplaced,
    LegsJoined,
    LegsParted,
    OpenLeg,
    Pair,
    PartLegs,
    SendKeys,
)
from tests.unit.relay.relay_scene import PCMA, Scene

pytestmark = pytest.mark.unit

NOBODY = LegKey("nobody@test", "w9")


def test_each_description_says_what_the_relay_can_do() -> None:
    scene = Scene()
    a = scene.party("a").describe()
    a.describe(((8, "PCMA/8000"),))
    a.describe(plain=False)
    a.describe(((9, "G722/8000"), (101, "telephone-event/8000")))
    assert [(said.recordable, said.keys) for said in scene.told(LegDescribed)] == [
        (True, True),
        (True, False),
        (False, False),
        (False, True),
    ]


def test_a_leg_opened_again_is_the_same() -> None:
    scene = Scene()
    a = scene.party("a").describe()
    assert scene.relay.open_leg(OpenLeg(leg=a.key, pair=Pair(2, 2)), a.lines, scene.now) is a.leg


def test_one_call_id_on_two_workers_is_two_legs() -> None:
    scene = Scene()
    a = scene.party("a").describe()
    other = LegKey(a.key.call_id, "w2")
    leg = scene.relay.open_leg(OpenLeg(leg=other, pair=Pair(2, 2)), scene.party("x").lines, scene.now)
    assert leg is not a.leg
    scene.order(CloseLeg(leg=other))
    assert list(scene.relay.legs) == [a.key, LegKey("x@test", "w1")]


def test_orders_about_nobody_do_nothing() -> None:
    scene = Scene()
    for order in (
        DescribeLeg(leg=NOBODY, far=None, near=None),  # type: ignore[arg-type]
        LegReplaced(leg=NOBODY, old=NOBODY),
        PartLegs(one=NOBODY, other=NOBODY),
        JoinLegs(one=NOBODY, other=NOBODY),
        SendKeys(leg=NOBODY, digits="1"),
        CloseLeg(leg=NOBODY),
    ):
        assert scene.order(order) is None
    assert scene.relay.to_controller == []
    assert scene.relay.to_edge == []


def test_a_wish_told_twice_is_one() -> None:
    scene = Scene()
    a, b = scene.joined()
    scene.join(b, a)
    scene.join(a, b)
    assert len(scene.told(LegsJoined)) == 1


def test_another_wish_takes_the_place_of_the_first() -> None:
    scene = Scene()
    a, b = scene.joined()
    c = scene.party("c").describe()
    scene.join(a, c)
    a.says(b"\x01" * 160)
    assert [packet.payload[0] for packet in c.heard] == [1]
    assert b.leg.partner is None
    scene.part(a, b)
    assert a.leg.partner is c.leg


def test_both_former_partners_are_parted_by_another_wish() -> None:
    scene = Scene()
    a, b, c, d = (scene.party(name).describe() for name in "abcd")
    for one, other in ((a, b), (c, d), (a, c)):
        scene.join(one, other)
    assert (a.leg.partner, c.leg.partner) == (c.leg, a.leg)
    assert (b.leg.partner, d.leg.partner) == (None, None)
    scene.part(c, d)
    assert a.leg.partner is c.leg


def test_a_withdrawn_wish_is_not_reported_and_does_not_come_back() -> None:
    scene = Scene()
    a, b = scene.joined()
    scene.part(b, a)
    a.describe()
    assert scene.told(LegsParted) == []
    assert len(scene.told(LegsJoined)) == 1
    assert a.leg.partner is None


def test_an_heir_is_joined_in_the_place_of_the_leg_that_it_replaces() -> None:
    scene = Scene()
    a, b = scene.joined()
    a.says()
    heir = scene.party("heir").describe()
    scene.order(LegReplaced(leg=heir.key, old=a.key))
    heir.says(b"\x01" * 160)
    assert b.heard[-1].payload[0] == 1
    assert scene.told(LegsParted) == [LegsParted(one=a.key, other=b.key)]
    assert scene.told(LegsJoined) == [LegsJoined(one=a.key, other=b.key)] * 2
    assert scene.told(LegDescribed)[-1].leg == a.key
    # The edge closes the old leg; the controller never hears of it.
    scene.relay.obey(CloseLeg(leg=a.key), "edge", scene.now)
    assert scene.told(LegMeasured) == []
    assert b.leg.partner is heir.leg
    # The controller closes the heir by the name that it knows.
    assert scene.order(CloseLeg(leg=a.key)) is heir.leg
    assert scene.relay.to_edge == [LegClosed(leg=heir.key)]
    (measured,) = scene.told(LegMeasured)
    assert (measured.leg, measured.received) == (a.key, 2)


def test_an_heir_may_come_after_the_end_of_the_leg_and_before_its_own_description() -> None:
    scene = Scene()
    a, b = scene.two()
    scene.relay.obey(CloseLeg(leg=a.key), "edge", scene.now)
    heir = scene.party("heir")
    scene.order(LegReplaced(leg=heir.key, old=a.key))
    scene.join(a, b)
    assert scene.told(LegsJoined) == []
    heir.describe()
    assert len(scene.told(LegsJoined)) == 1


def test_an_heir_of_an_heir_has_the_first_name() -> None:
    scene = Scene()
    a, b = scene.joined()
    second, third = scene.party("second").describe(), scene.party("third").describe()
    scene.order(LegReplaced(leg=second.key, old=a.key))
    scene.order(LegReplaced(leg=third.key, old=second.key))
    assert third.leg.name == a.key
    assert b.leg.partner is third.leg


def test_the_edge_is_not_told_what_it_has_said_itself() -> None:
    scene = Scene()
    a = scene.party("a").describe()
    assert scene.relay.obey(CloseLeg(leg=a.key), "edge", scene.now) is a.leg
    assert scene.relay.to_edge == []
    assert len(scene.told(LegMeasured)) == 1


def test_a_partner_of_a_closed_leg_is_reported_as_parted() -> None:
    scene = Scene()
    a, b = scene.joined()
    scene.relay.obey(CloseLeg(leg=a.key), "edge", scene.now)
    assert scene.told(LegsParted) == [LegsParted(one=a.key, other=b.key)]


def test_a_controller_that_has_come_back_is_told_how_legs_are() -> None:
    scene = Scene()
    a, b = scene.joined()
    scene.party("c")
    scene.relay.to_controller.clear()
    scene.relay.repeat()
    assert {said.leg for said in scene.told(LegDescribed)} == {a.key, b.key}
    (joined,) = scene.told(LegsJoined)
    assert {joined.one, joined.other} == {a.key, b.key}


def test_nothing_keeps_a_closed_leg_alive() -> None:
    scene = Scene()
    gone = []
    gc.disable()  # as in the relay: there is nobody to find a cycle
    try:
        for n in range(5):
            a, b = scene.party(f"a{n}").describe(PCMA), scene.party(f"b{n}").describe(PCMA)
            scene.join(a, b)
            for party in (a, b):
                party.worker_says()
                party.says()
            scene.order(SendKeys(leg=a.key, digits="1"))
            scene.passes(0.7)
            scene.part(a, b)
            a.says()
            gone += [weakref.ref(a.leg), weakref.ref(b.leg)]
            for party in (a, b):
                scene.order(CloseLeg(leg=party.key))
            del a, b, party
        assert [ref() for ref in gone] == [None] * 10
    finally:
        gc.enable()
