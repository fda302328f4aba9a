"""SIPp, an independent stack, as caller and callee, over UDP and TCP."""

import asyncio

import pytest

from tests.peer.webapp import WebApp
from tests.sip.node_process import NodeProcess
from tests.sip.sipp_runner import Sipp, SippOptions, run_sipp, sipp

pytestmark = pytest.mark.sip


def dial(app: WebApp, *callees: Sipp, **attributes: str) -> None:
    given = {"answerOnBridge": "true", "action": app.url("/after"), **attributes}
    words = "".join(f' {name}="{value}"' for name, value in given.items())
    nouns = "".join(f"<Sip>{callee.uri()}</Sip>" for callee in callees)
    app.reply("/voice", f"<Response><Dial{words}>{nouns}</Dial></Response>")


def to(node: NodeProcess, **options: object) -> SippOptions:
    return SippOptions(target=node.udp, user="100", **options)  # type: ignore[arg-type]


async def test_a_call_is_bridged(node: NodeProcess, app: WebApp) -> None:
    async with sipp("callee") as callee:
        dial(app, callee)
        (await run_sipp("caller", to(node))).check()
        (await callee.wait()).check()
    after = await app.expect("/after")
    assert after["DialCallStatus"] == "completed"


async def test_a_caller_over_tcp(node: NodeProcess, app: WebApp) -> None:
    async with sipp("callee") as callee:
        dial(app, callee)
        options = SippOptions(target=node.sip["tcp"], user="100", transport="tcp")
        (await run_sipp("caller", options)).check()
        (await callee.wait()).check()


async def test_a_fork_cancels_those_that_only_ring(node: NodeProcess, app: WebApp) -> None:
    async with sipp("ring_only") as first, sipp("ring_only") as second, sipp("callee") as third:
        dial(app, first, second, third)
        (await run_sipp("caller", to(node))).check()
        for each in (first, second, third):
            (await each.wait()).check()


async def test_a_busy_callee_makes_the_caller_busy(node: NodeProcess, app: WebApp) -> None:
    async with sipp("busy") as callee:
        dial(app, callee)
        (await run_sipp("caller_refused", to(node, values={"code": "486"}))).check()
        (await callee.wait()).check()
    assert (await app.expect("/after"))["DialCallStatus"] == "busy"


async def test_a_caller_that_gives_up(node: NodeProcess, app: WebApp) -> None:
    async with sipp("ring_only") as callee:
        dial(app, callee)
        (await run_sipp("caller_cancels", to(node))).check()
        (await callee.wait()).check()


async def test_an_answer_that_comes_too_late(node: NodeProcess, app: WebApp) -> None:
    async with sipp("late_answer") as callee:
        dial(app, callee)
        (await run_sipp("caller_cancels", to(node))).check()
        (await callee.wait()).check()


@pytest.mark.parametrize(("caller", "callee"), [("hold_caller", "callee"), ("caller", "callee_holds")])
async def test_a_reinvite_from_either_end(node: NodeProcess, app: WebApp, caller: str, callee: str) -> None:
    async with sipp(callee) as called:
        dial(app, called)
        (await run_sipp(caller, to(node, duration_ms=1500))).check()
        (await called.wait()).check()


async def test_ten_calls_on_six_workers(node: NodeProcess, app: WebApp) -> None:
    """Two a second, each shorter than a second: workers are reused."""
    async with sipp("callee", SippOptions(calls=10)) as callee:
        dial(app, callee)
        (await run_sipp("caller", to(node, calls=10, rate_per_s=2.0))).check()
        (await callee.wait()).check()
    await asyncio.gather(*(app.expect("/after") for _ in range(10)))
