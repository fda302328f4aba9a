"""The relay process with real sockets."""

import asyncio
import itertools
import json
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from b2bua.relay.control import (
    CloseLeg,
    LegClosed,
    LegKey,
    LegLost,
    LegMeasured,
    LegReplaced,
    LegsJoined,
    OpenLeg,
    RecordTaps,
    RelayReady,
    StopTaps,
    Tap,
    TapsBegun,
    TapsEnded,
)
from media.relay_file import CHILD, HEADER, MAGIC, PARENT, RECORD, STAMP, SYNC
from tests.peer.ladder import PATIENCE_S
from tests.ports import port_block
from tests.relay.relay_process import Client, Heard, RealLeg, RelayProcess, Talk, bound, receive, run_relay
from tests.unit.relay.relay_scene import parse, rtp

pytestmark = pytest.mark.process


def far_says(leg: RealLeg, seq: int, payload: bytes) -> None:
    leg.far.sendto(rtp(8, seq, 160 * seq, 11, payload), leg.outer)


@pytest.mark.parametrize("bind", ["127.0.0.1", "::1", "0.0.0.0", "::"])
async def test_a_leg_hears_its_worker_then_its_partner(tmp_path: Path, bind: str) -> None:
    async with run_relay(tmp_path, bind=bind) as relay:
        a, b = await relay.leg("a"), await relay.leg("b")
        a.worker.sendto(rtp(8, 1, 160, 5, b"worker"), a.inner)
        assert parse(await receive(a.far)).payload == b"worker"
        far_says(a, 1, b"one")
        assert parse(await receive(a.worker)).payload == b"one"
        relay.join(a, b)
        await relay.controller.expect(LegsJoined)
        far_says(a, 2, b"two")
        far_says(b, 1, b"three")
        assert parse(await receive(b.far)).payload == b"two"
        assert parse(await receive(a.far)).payload == b"three"


async def test_what_the_worker_says_before_its_answer_is_read_is_heard(tmp_path: Path) -> None:
    async with run_relay(tmp_path) as relay:
        leg = RealLeg(relay, LegKey("a@test", "w1"), await relay.pair())
        relay.legs.append(leg)
        relay.edge.send(OpenLeg(leg=leg.key, pair=leg.pair))
        other = await relay.leg("b")  # the relay has opened the first one by then
        for n in range(1, 26):
            leg.worker.sendto(rtp(8, n, 160 * n, 5, b"%d" % n), leg.inner)
        other.worker.sendto(rtp(8, 1, 160, 5, b"later"), other.inner)
        assert parse(await receive(other.far)).payload == b"later"
        leg.describe()
        heard = [parse(await receive(leg.far)).payload for _ in range(25)]
        assert heard == [b"%d" % n for n in range(1, 26)]


async def test_a_relay_that_is_late_passes_on_what_was_said_before_the_end(tmp_path: Path) -> None:
    """It was not given a processor for a while, and finds all of a short prompt and the end of its leg."""
    async with run_relay(tmp_path) as relay:
        leg = await relay.leg("a")
        relay.process.send_signal(signal.SIGSTOP)
        for n in range(1, 26):
            leg.worker.sendto(rtp(8, n, 160 * n, 5, b"%d" % n), leg.inner)
        relay.controller.send(CloseLeg(leg=leg.key))
        relay.process.send_signal(signal.SIGCONT)
        await relay.controller.expect(LegMeasured)
        heard = [parse(await receive(leg.far)).payload for _ in range(25)]
        assert heard == [b"%d" % n for n in range(1, 26)]


def holes(heard: list[Heard]) -> list[tuple[Heard, Heard]]:
    """Neighbours between which something is missing, doubled, or out of time."""
    found = []
    for a, b in itertools.pairwise(heard):
        lost = a.speaker == b.speaker and b.number != a.number + 1
        step = (b.ts - a.ts) & 0xFFFFFFFF
        late = max(a.late_s, b.late_s) > 0.005  # the talker itself: then time goes on by the clock
        if lost or b.seq != (a.seq + 1) & 0xFFFF or step % 160 or (step != 160 and not late):
            found.append((a, b))
    return found


async def test_fifty_changes_leave_no_hole_and_double_no_packet(tmp_path: Path) -> None:
    async with run_relay(tmp_path) as relay:
        a, b = await relay.leg("a"), await relay.leg("b")
        talk = Talk([a, b], workers=True)
        later = asyncio.get_running_loop().call_later
        try:
            for _ in range(25):
                await talk.until(0, speaker=1)
                await talk.until(1, speaker=3)
                relay.join(a, b)
                await relay.controller.expect(LegsJoined)
                await talk.until(0, speaker=2)
                await talk.until(1, speaker=0)
                talk.quiet |= {1, 3}  # the workers' clocks have stopped
                await talk.until(0, speaker=2)
                relay.part(a, b)
                for worker in (1, 3):  # a clock needs a while to run again
                    later(0.03, talk.quiet.discard, worker)
            await talk.until(0, speaker=1)
        finally:
            await talk.stop()
        for leg, heard in zip((a, b), talk.heard, strict=True):
            assert len({packet.ssrc for packet in heard}) == 1
            assert not holes(heard), leg.key
            turns = [speaker for speaker, _ in itertools.groupby(packet.speaker for packet in heard)]
            assert len(turns) >= 50
        assert talk.odd == 0


async def test_a_spraying_stranger_harms_nobody(tmp_path: Path) -> None:
    async with run_relay(tmp_path) as relay:
        legs = [await relay.leg(f"leg{n}") for n in range(40)]
        ports = [port for leg in legs for port in (leg.outer, (leg.host, leg.pair.outer + 1), leg.inner)]
        stranger = bound("127.0.0.1")
        sprayed, under_way = 0, asyncio.Event()

        async def spray() -> None:
            nonlocal sprayed
            loop = asyncio.get_running_loop()
            start = loop.time()
            while True:
                await asyncio.sleep(0.005)
                while sprayed < (loop.time() - start) * 5000:
                    port = ports[sprayed % len(ports)]
                    stranger.sendto(rtp(8, sprayed, 160 * sprayed, 666, b"evil" * 40), port)
                    sprayed += 1
                if sprayed > 1000:
                    under_way.set()

        spraying = asyncio.ensure_future(spray())
        await asyncio.wait_for(under_way.wait(), PATIENCE_S)  # before anybody speaks
        for one, other in zip(legs[::2], legs[1::2], strict=True):
            relay.join(one, other)
            await relay.controller.expect(LegsJoined)
        talk = Talk(legs, workers=False)
        try:
            for n in range(0, 40, 2):
                await talk.until(n, speaker=2 * (n + 1), more=5)
            await talk.until(0, speaker=2, more=100)
        finally:
            await talk.stop()
            spraying.cancel()
            stranger.close()
        assert talk.odd == 0
        for n, heard in enumerate(talk.heard):
            assert {packet.speaker for packet in heard} == {2 * (n ^ 1)}
            assert len(heard) >= 100
            assert not holes(heard)
        assert sprayed >= 5000


async def test_a_killed_relay_is_set_again_on_its_ports(tmp_path: Path) -> None:
    async with run_relay(tmp_path) as relay:
        a, b = await relay.leg("a"), await relay.leg("b")
        path = str(tmp_path / "call.raw")
        taps = RecordTaps(recording="r", path=path, parent=Tap(a.key), child=Tap(b.key))
        relay.controller.send(taps)
        began = (await relay.controller.expect(TapsBegun)).at
        relay.join(a, b)
        talk = Talk([a, b], workers=False)
        try:
            await talk.until(0, speaker=2, more=50)
            await relay.kill()
            free = tuple(relay.pairs)
            before = len(talk.heard[0])
            await relay.start(*free)
            a.open_again()
            b.open_again()
            relay.controller.send(taps)
            relay.join(a, b)
            assert (await relay.controller.expect(TapsBegun)).at == began
            await talk.until(0, speaker=2, more=50)
            await talk.until(1, speaker=0, more=50)
        finally:
            await talk.stop()
        after = talk.heard[0][before:]
        assert not holes(after)
        relay.controller.send(StopTaps(recording="r"))
        ended = await relay.controller.expect(TapsEnded)
        assert ended.reason == ""
        sides = raw_records(Path(path), began)
        assert set(sides) == {PARENT, CHILD}
        assert all(len(found) > 60 for found in sides.values())
        used = {a.pair, b.pair}
        granted = [await relay.pair() for _ in range(10)]
        assert not used & set(granted)


def raw_records(path: Path, began: float) -> dict[int, list[bytes]]:
    """Payloads by side; the file has two headers."""
    data = path.read_bytes()
    found: dict[int, list[bytes]] = {}
    headers = at = 0
    while at < len(data):
        if data.startswith(MAGIC, at):
            assert HEADER.unpack_from(data, at) == (MAGIC, began)
            headers += 1
            at += HEADER.size
            continue
        sync, side, size, _, header = RECORD.unpack_from(data, at)
        assert (sync, header[1] & 0x7F) == (SYNC, 8)
        end = at + STAMP.size + size
        found.setdefault(side, []).append(data[at + RECORD.size : end])
        at = end
    assert headers == 2
    return found


async def test_closed_pairs_are_granted_again_and_the_controller_may_come_back(tmp_path: Path) -> None:
    first = port_block(8)
    async with run_relay(tmp_path, ports=(first, first + 7)) as relay:
        legs = [await relay.leg(f"leg{n}") for n in range(4)]
        assert relay.pairs == []
        await relay.controller.close()
        controller = await Client.connect(relay.path)
        controller.send(relay.config)
        assert (await controller.expect(RelayReady)).pairs == 4
        relay.controller = controller
        controller.send(CloseLeg(leg=legs[0].key))
        assert (await relay.edge.expect(LegClosed)).leg == legs[0].key
        assert await relay.pair() == legs[0].pair
        assert (await controller.expect(LegMeasured)).leg == legs[0].key


@pytest.mark.parametrize("which", ["rtp", "rtcp", "inner"])
async def test_a_leg_whose_ports_are_taken_after_a_restart_is_lost(tmp_path: Path, which: str) -> None:
    relay = RelayProcess(tmp_path)
    await relay.start()
    whole, lost = await relay.leg("whole"), await relay.leg("lost")
    await relay.kill()
    pair = lost.pair
    port = {"rtp": pair.outer, "rtcp": pair.outer + 1, "inner": pair.inner}[which]
    thief = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    thief.bind((relay.config.inner_host if which == "inner" else "127.0.0.1", port))
    first = LegKey("first@test", "w1")
    await relay.start()
    try:
        for _ in range(2):  # an edge may say everything again
            lost.open_again()
        relay.edge.send(LegReplaced(leg=lost.key, old=first))
        whole.open_again()
        assert (await relay.edge.expect(LegClosed)).leg == lost.key
        assert [(await relay.controller.expect(LegLost)).leg for _ in range(2)] == [lost.key, first]
        far_says(whole, 1, b"still there")
        assert parse(await receive(whole.worker)).payload == b"still there"
        relay.process.terminate()
        async with asyncio.timeout(PATIENCE_S):
            assert await relay.process.wait() == 0
        assert relay.log_path.read_text().count("a leg is lost") == 1
    finally:
        thief.close()
        for leg in (whole, lost):
            leg.close()
        if relay.process.returncode is None:
            relay.process.kill()
        await relay.controller.close()
        await relay.edge.close()


@pytest.mark.parametrize(
    "change",
    [{"bind": "192.0.2.1"}, {"bind": "phone"}, {"ports": (20_001, 20_002)}],
    ids=["bind", "name", "ports"],
)
async def test_a_relay_that_cannot_listen_says_so_and_ends(tmp_path: Path, change: dict[str, Any]) -> None:
    relay = RelayProcess(tmp_path, **change)
    with relay.log_path.open("wb") as log:
        command = (sys.executable, "-m", "b2bua.relay", "--control", str(relay.path), "--log-format", "json")
        process = await asyncio.create_subprocess_exec(*command, stderr=log)
    controller = await Client.connect(relay.path)
    controller.send(relay.config)
    async with asyncio.timeout(PATIENCE_S):
        assert await process.wait() == 1
    await controller.close()
    assert "the relay cannot start" in await asyncio.to_thread(relay.log_path.read_text)


async def test_a_recording_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    relay = RelayProcess(tmp_path)
    await relay.start()
    try:
        path = str(tmp_path / "no such folder" / "x.raw")
        order = RecordTaps(recording="r", path=path, parent=None, child=None)
        relay.controller.send(order, StopTaps(recording="r"), StopTaps(recording="never"))
        assert (await relay.controller.expect(TapsEnded)).reason == "No such file or directory"
        assert (await relay.controller.expect(TapsEnded)).reason == "it was not begun"
    finally:
        await relay.kill()


@pytest.mark.parametrize("mode", ["", "--record", "--worker", "--law"])
async def test_the_load_generator_hears_what_it_sends(mode: str) -> None:
    command = (
        *(sys.executable, "-m", "tests.bench", "relay"),
        "--calls",
        "2",
        "--seconds",
        "1",
        *mode.split(),
    )
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    found = json.loads(said)
    assert found["packets_per_s"] == pytest.approx(400 if mode == "--worker" else 200, rel=0.1)
    assert 0 < found["cpu_s_per_call_s"] < 1
    assert found["recorded"] is (mode == "--record")


async def test_a_relay_ends_with_its_parent(tmp_path: Path) -> None:
    path = tmp_path / "relay.sock"
    # The shell ends when the relay listens.
    start = f"{sys.executable} -m b2bua.relay --control {path} & while ! [ -S {path} ]; do sleep 0.1; done"
    shell = await asyncio.create_subprocess_exec("/bin/sh", "-c", start)
    assert await shell.wait() == 0
    reader, writer = await asyncio.open_unix_connection(str(path))
    async with asyncio.timeout(PATIENCE_S):
        assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
