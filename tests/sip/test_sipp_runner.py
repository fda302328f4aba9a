"""The SIPp scenarios against each other and the test peer: they must judge a node correctly."""

import asyncio

import pytest

from tests.peer.ladder import PATIENCE_S
from tests.peer.peer import Peer
from tests.sip.sipp_runner import Sipp, SippOptions, run_sipp, sipp

pytestmark = pytest.mark.sip


def calling(callee: Sipp, **more: object) -> SippOptions:
    return SippOptions(target=callee.address, **more)  # type: ignore[arg-type]


async def both(caller: str, callee: str, options: SippOptions | None = None, **more: object) -> None:
    async with sipp(callee, options) as answering:
        (await run_sipp(caller, calling(answering, **more))).check()
        (await answering.wait()).check()


async def test_a_call_is_answered_and_hung_up() -> None:
    await both("caller", "callee")


async def test_a_call_over_tcp() -> None:
    await both("caller", "callee", SippOptions(transport="tcp"), transport="tcp")


async def test_a_busy_callee() -> None:
    await both("caller_refused", "busy", values={"code": "486"})


async def test_a_callee_that_rejects_with_a_code() -> None:
    refusing = SippOptions(values={"code": "503", "reason": "Service Unavailable"})
    await both("caller_refused", "reject", refusing, values={"code": "503"})


async def test_a_caller_that_gives_up() -> None:
    await both("caller_cancels", "ring_only")


async def test_a_late_answer_crosses_the_cancel() -> None:
    async with sipp("late_answer") as late, Peer.start() as peer:
        call = await peer.invite(late.uri())
        await call.expect_response(180)
        await call.cancel()
        await call.expect_response(200)
        if call.state != "ended":
            await call.bye()
        (await late.wait()).check()


async def test_a_caller_holds_and_resumes() -> None:
    async with Peer.start() as peer:
        options = SippOptions(target=peer.address, tone_hz=700, values={"hold_ms": "1000"})
        running = asyncio.create_task(run_sipp("hold_caller", options))
        call = await peer.expect_invite()
        await call.answer()
        await call.media.expect_tone(700)
        hold = await call.expect("INVITE")
        assert "a=sendonly" in hold.text
        await call.media.expect_silence()
        resume = await call.expect("INVITE")
        assert "a=sendrecv" in resume.text
        await call.media.expect_tone(700)
        await call.expect("BYE")
        (await running).check()


async def test_a_callee_holds_and_resumes() -> None:
    async with sipp("callee_holds", SippOptions(tone_hz=700)) as holding, Peer.start() as peer:
        call = await peer.invite(holding.uri())
        await call.media.expect_tone(700)
        assert "a=sendonly" in (await call.expect("INVITE")).text
        assert "a=sendrecv" in (await call.expect("INVITE")).text
        await call.bye()
        (await holding.wait()).check()


async def test_many_calls_one_after_another() -> None:
    async with sipp("callee", SippOptions(calls=5)) as answering:
        result = await run_sipp("caller", calling(answering, calls=5, rate_per_s=50))
        assert (result.check().successful, result.failed) == (5, 0)
        assert (await answering.wait()).check().successful == 5


async def test_a_call_that_goes_otherwise_has_failed_and_is_told() -> None:
    async with sipp("busy") as answering:
        result = await run_sipp("caller", calling(answering))
    assert (result.exit_status, result.failed) == (1, 1)
    with pytest.raises(AssertionError, match=r"SIP/2\.0 486 Busy Here"):
        result.check()


async def test_it_ends_by_itself_when_nobody_calls() -> None:
    result = await run_sipp("callee", SippOptions(limit_s=1))
    assert not result.ok


async def test_it_is_gone_after_its_block() -> None:
    async with sipp("callee") as answering:
        assert answering.process.returncode is None
    assert answering.process.returncode is not None
    assert not answering.folder.exists()
    await asyncio.wait_for(answering.process.wait(), PATIENCE_S)
