"""Frames between the node's processes: whole messages from arbitrary pieces, and limits."""

import asyncio
from typing import cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2bua.core.errors import LocalStateError
from b2bua.core.ids import WorkerId
from b2bua.ipc.channel import MAX_FRAME, Channel, encode_frames
from b2bua.sip.edge_control import GrantLease, SetDraining, ToEdge, WorkerGone
from tests.unit.ipc.pipe import End, pipe

pytestmark = pytest.mark.unit

MESSAGES: tuple[ToEdge, ...] = (
    GrantLease(worker=WorkerId("w1"), sip_port=10001),
    WorkerGone(worker=WorkerId("w" * 300)),
    SetDraining(draining=True),
)


def channel(end: End) -> Channel[ToEdge]:
    decoder = msgspec.msgpack.Decoder(ToEdge)
    return cast(Channel[ToEdge], Channel(end.reader, end.writer, decoder))


async def received(end: End) -> list[ToEdge]:
    async with asyncio.timeout(10):
        return [message async for message in channel(end)]


@given(cuts=st.lists(st.integers(0, len(encode_frames(MESSAGES)))))
def test_messages_are_whole_however_the_bytes_arrive(cuts: list[int]) -> None:
    async def run() -> None:
        near, far = pipe()
        data, places = encode_frames(MESSAGES), sorted(cuts)
        reading = asyncio.ensure_future(received(near))
        for start, end in zip([0, *places], [*places, len(data)], strict=True):
            far.writer.write(data[start:end])
            await asyncio.sleep(0)  # the reader gets this piece by itself
        far.close()
        assert await reading == list(MESSAGES)

    asyncio.run(run())


async def test_what_was_sent_before_the_close_is_delivered() -> None:
    near, far = pipe()
    sender = channel(far)
    sender.send(*MESSAGES)
    sender.close()
    assert await received(near) == list(MESSAGES)


async def test_after_the_close_nothing_is_sent() -> None:
    near, far = pipe()
    sender = channel(far)
    sender.close()
    sender.send(*MESSAGES)
    assert await received(near) == []


async def test_half_a_message_at_the_end_is_no_message() -> None:
    near, far = pipe()
    far.writer.write(encode_frames(MESSAGES)[:-1])
    far.close()
    assert await received(near) == list(MESSAGES[:-1])


async def test_a_frame_beyond_the_limit_is_refused_before_it_is_complete() -> None:
    near, far = pipe()
    far.writer.write((MAX_FRAME + 1).to_bytes(4, "big"))
    with pytest.raises(LocalStateError, match=str(MAX_FRAME + 1)):
        await received(near)
