"""What a death of the relay costs: ``scripts/bench deaths``. It is killed again and again in recorded calls.

Each death may cost two seconds of audio. The recordings have silence there, and are otherwise whole; no call
ends. On a busy machine the phones of this test stand still at times; so short pauses do not count, and for
each of its own long ones a recording may have one more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import soundfile

from media.measure import goertzel_dbfs
from tests.peer.call import Call
from tests.peer.metronome import UNSURE_S, Metronome
from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.sip.node_process import NodeProcess, config_text, run_node

CALLER_HZ, CALLEE_HZ = 440.0, 660.0
BACK_S = 2.0
_BETWEEN_S = 31.0
"""The supervisor delays the restart of a process that dies more often, and in the end gives it up."""
_WINDOW = 800
"""Samples of a recording that are judged at once."""
_LOUD_DBFS = -25.0
_PAUSE_S = 0.5
"""Shorter ones are those of a busy machine."""


async def _bridged(node: NodeProcess, caller: Peer, callee: Peer) -> tuple[Call, Call]:
    call = await caller.invite(node.uri("100"))
    incoming = await callee.expect_invite()
    await incoming.answer()
    await call.expect_response(200)
    call.media.play_tone(CALLER_HZ)
    incoming.media.play_tone(CALLEE_HZ)
    return call, incoming


async def _death(node: NodeProcess, sides: list[Call]) -> float:
    """Kill the relay; return the longest time for which one of the sides then heard nothing."""
    for side in sides:
        side.media.hearing.reset_counts()
    for side in sides:
        await side.media.expect_heard(len(side.media.heard()) / 8000 + 0.2)
    killed_at = time.monotonic()
    os.kill(node.pid_named("b2bua-relay"), signal.SIGKILL)
    while not all((side.media.hearing.last_packet or 0.0) > killed_at + 0.2 for side in sides):
        if time.monotonic() > killed_at + 20:
            raise SystemExit("audio does not come back")
        await asyncio.sleep(0.02)  # what a phone has heard is known without an event
    await asyncio.sleep(_BETWEEN_S)
    return max(side.media.hearing.counts.max_gap_ms for side in sides) / 1000


def _faults(path: Path, most: int) -> list[str]:
    """What is wrong with a recording: more pauses than there may be, or longer ones."""
    sound, rate = soundfile.read(path, dtype="int16", always_2d=True)
    found = []
    for channel, hz in enumerate((CALLER_HZ, CALLEE_HZ)):
        track = sound[: len(sound) // _WINDOW * _WINDOW, channel].reshape(-1, _WINDOW)
        loud = np.array([goertzel_dbfs(window, hz, rate) > _LOUD_DBFS for window in track])
        edges = np.flatnonzero(np.diff(loud.astype(np.int8), prepend=0, append=0))
        pauses = [int(b - a) * _WINDOW / rate for a, b in zip(edges[1:-1:2], edges[2::2], strict=True)]
        pauses = [pause for pause in pauses if pause > _PAUSE_S]
        if len(pauses) > most or max(pauses, default=0.0) > BACK_S + 0.5:
            found.append(f"channel {channel}: pauses of {pauses} s")
    return found


async def _run(calls: int, rounds: int, folder: Path) -> dict[str, object]:
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(WebApp.start())
        caller = await stack.enter_async_context(Peer.start("caller"))
        callee = await stack.enter_async_context(Peer.start("callee"))
        told = f'recordingStatusCallback="{app.url("/recorded")}"'
        dial = f'<Dial record="record-from-answer-dual" {told}><Sip>{callee.uri()}</Sip></Dial>'
        app.reply("/voice", f"<Response>{dial}</Response>")
        app.reply("/recorded", "", status=204)
        numbers = {"*": {"voice_url": app.url("/voice")}}
        sections = {"workers": {"idle": 4, "max": calls + 8}}
        node = await stack.enter_async_context(run_node(folder, config_text(numbers, sections=sections)))
        metronome = Metronome()
        stack.callback(metronome.close)
        pairs = [await _bridged(node, caller, callee) for _ in range(calls)]
        sides = [side for pair in pairs for side in pair]
        gaps = [await _death(node, sides) for _ in range(rounds)]
        ended = sum(side.state != "confirmed" for side in sides)
        for call, incoming in pairs:
            await call.bye()
            await incoming.expect("BYE")
        made = [await app.expect("/recorded") for _ in range(calls)]
        folder_of = node.log_path.parent / "recordings"
        complete = [each["RecordingSid"] for each in made if each["RecordingStatus"] == "completed"]
        stalls = sum(until - since > _PAUSE_S + 2 * UNSURE_S for since, until in metronome.stalls())
        most = rounds + stalls
        faults = [fault for sid in complete for fault in _faults(folder_of / f"{sid}.wav", most)]
        log = [json.loads(line) for line in node.log_path.read_text().splitlines() if line.startswith("{")]
        alarms = sorted({str(each.get("event")) for each in log if each.get("level") in ("warning", "error")})
    return {
        "calls": calls,
        "deaths": rounds,
        "longest_gap_s": [round(gap, 2) for gap in gaps],
        "stalls_of_the_phones": stalls,
        "ended_calls": ended,
        "recordings": len(complete),
        "faults": faults[:8],
        "in_the_log": alarms,
    }


def main(arguments: list[str]) -> int:
    """Measure and print; returns 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="scripts/bench deaths", description=__doc__)
    parser.add_argument("--calls", type=int, default=20, metavar="N", help="recorded, at once (default: 20)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="deaths (default: 5)")
    given = parser.parse_args(arguments)
    if not 1 <= given.calls <= 200 or not 1 <= given.rounds <= 100:
        parser.error("1 to 200 calls, 1 to 100 deaths")
    with tempfile.TemporaryDirectory(prefix="bench-deaths-") as temporary:
        found = asyncio.run(_run(given.calls, given.rounds, Path(temporary)))
    print(json.dumps(found))
    gaps = found["longest_gap_s"]
    assert isinstance(gaps, list)
    good = max(gaps) < BACK_S and not found["ended_calls"] and not found["faults"]
    return 0 if good and found["recordings"] == given.calls else 1
