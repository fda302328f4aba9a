"""More targets than all workers have slots: those that fit ring; the others have failed."""

from typing import Any

import pytest

from tests.peer.peer import Peer
from tests.peer.talk import hear_each_other
from tests.peer.webapp import WebApp
from tests.sip.node_process import NodeProcess
from tests.sip.test_many_targets import TEN, busy, dial, metric, ringing

pytestmark = pytest.mark.sip

FIT = TEN[:5]
"""Two beside the caller, three in the only helper."""


@pytest.fixture(scope="module")
def sections() -> dict[str, dict[str, Any]]:
    return {"workers": {"idle": 1, "max": 2}}


async def test_those_that_fit_ring_and_one_of_them_wins(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer
) -> None:
    short = await metric(node, "b2bua_workers_short_total")
    dial(app, *(callee.uri(user) for user in TEN))
    call = await caller.invite(node.uri("100"))
    calls = await ringing(callee, FIT)
    warned = await node.expect_log("too few workers to ring all targets")
    assert warned["targets"] == len(TEN) - len(FIT)
    assert await metric(node, "b2bua_workers_short_total") - short == len(TEN) - len(FIT)
    await calls[4].answer()
    await call.expect_response(200)
    await hear_each_other(call, calls[4])
    assert not [each for each in callee.calls if each.to_user not in FIT]
    await call.bye()
    assert (await app.expect("/after"))["DialCallStatus"] == "completed"
    await busy(node, 0)


async def test_where_all_that_fit_refuse_the_dial_has_failed(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer
) -> None:
    dial(app, *(callee.uri(user) for user in TEN))
    call = await caller.invite(node.uri("100"))
    for each in [await callee.expect_invite(user=user, auto=False) for user in FIT]:
        await each.reject(503)
    after = await app.expect("/after")
    assert (after["DialCallStatus"], after["DialSipResponseCode"]) == ("failed", "503")
    await call.expect_end()
    await busy(node, 0)


async def test_a_call_that_comes_meanwhile_is_refused(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer
) -> None:
    """Helpers are workers like others: a call that needs one waits for it, and then gets 503."""
    dial(app, *(callee.uri(user) for user in TEN))
    call = await caller.invite(node.uri("100"))
    calls = await ringing(callee, FIT)
    late = await caller.invite(node.uri("101"))
    await late.expect_response(503)
    await calls[0].answer()
    await call.expect_response(200)
    await call.bye()
    await busy(node, 0)
