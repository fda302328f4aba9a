"""Delay until a caller hears a prompt, and until a key stops it: ``scripts/bench prompts``.

A node of its own, callers in this process; all figures are from the wire. First one caller at a time, with
texts that were never spoken before; then many at once, each with its own text, and the same sound for all.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import itertools
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from tests.peer.call import Call
from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.ports import port_block
from tests.sip.node_process import NodeProcess, config_text, run_node

RATE = 8000
HZ = 800.0
LOUD = 300
"""Amplitude of 32768 (-41 dBFS); anything louder counts as sound."""
TEXT = "Good morning, this is the office. You are caller number {}."


def _tone(seconds: float) -> bytes:
    file = io.BytesIO()
    wave = 0.25 * np.sin(2 * np.pi * HZ * np.arange(round(seconds * RATE)) / RATE)
    soundfile.write(file, wave, RATE, format="WAV")
    return file.getvalue()


def _loud_at(call: Call) -> np.ndarray:
    """Times at which the audio is loud, in monotonic seconds."""
    hearing = call.media.hearing
    loud = np.flatnonzero(np.abs(hearing.heard().astype(np.int32)) > LOUD)
    return hearing.started_at + loud / RATE


async def _listen(node: NodeProcess, peer: Peer) -> Call:
    call = await peer.invite(node.uri("100"))
    await call.expect_response(200, timeout=10)
    await call.expect("BYE", timeout=30)
    return call


async def _first_words(node: NodeProcess, app: WebApp, peer: Peer, callers: int) -> list[float]:
    """Milliseconds from the document's arrival to the first loud sample, for this many concurrent calls."""
    documents = [f"<Response><Say>{TEXT.format(next(_NUMBERS))}</Say></Response>" for _ in range(callers)]
    app.reply("/voice", *documents)
    before = len(app.of("/voice"))
    calls = await asyncio.gather(*(_listen(node, peer) for _ in range(callers)))
    asked = sorted(request.at for request in app.of("/voice")[before:])
    heard = sorted(float(_loud_at(call)[0]) for call in calls)
    return [(first - at) * 1000 for first, at in zip(heard, asked, strict=True)]


async def _key_to_silence(node: NodeProcess, app: WebApp, peer: Peer) -> float:
    """Milliseconds from a key's first packet to the last loud sample."""
    app.reply("/voice", "<Response><Gather><Play>/tone.wav</Play></Gather></Response>")
    call = await peer.invite(node.uri("100"))
    await call.expect_response(200)
    await call.media.expect_tone(HZ)
    pressed = time.monotonic()
    await call.media.send_digit("5")
    await call.media.expect_silence()
    last = float(_loud_at(call)[-1])
    await call.bye()
    return (last - pressed) * 1000


async def _gaps(node: NodeProcess, app: WebApp, peer: Peer, callers: int) -> tuple[float, int, float]:
    """For one tone to all calls: longest silence in it (ms), lost packets, longest packet gap."""
    app.reply("/voice", "<Response><Play>/short.wav</Play></Response>")
    calls = await asyncio.gather(*(_listen(node, peer) for _ in range(callers)))
    silence_ms = max(float(np.diff(_loud_at(call)).max()) * 1000 for call in calls)
    lost = sum(call.media.counts.lost for call in calls)
    return silence_ms, lost, max(call.media.counts.max_gap_ms for call in calls)


_NUMBERS = itertools.count(1)


async def _run(callers: int, folder: Path) -> dict[str, float]:
    first = port_block(20 * callers)
    sections = {
        "workers": {"idle": callers, "max": callers + 4},
        "rtp": {"ports": [first, first + 20 * callers - 1]},
    }
    async with WebApp.start() as app, Peer.start("caller") as peer:
        app.reply("/tone.wav", _tone(60), content_type="audio/wav")
        app.reply("/short.wav", _tone(5), content_type="audio/wav")
        text = config_text({"*": {"voice_url": app.url("/voice")}}, sections=sections)
        async with run_node(folder, text) as node:
            alone = [value for _ in range(10) for value in await _first_words(node, app, peer, 1)]
            keys = [await _key_to_silence(node, app, peer) for _ in range(10)]
            many = await _first_words(node, app, peer, callers)
            silence_ms, lost, wait_ms = await _gaps(node, app, peer, callers)
    return {
        "first_words_ms": statistics.median(alone),
        "first_words_ms_worst": max(alone),
        f"first_words_ms_of_{callers}": statistics.median(many),
        f"first_words_ms_of_{callers}_worst": max(many),
        "key_to_silence_ms": statistics.median(keys),
        "key_to_silence_ms_worst": max(keys),
        f"silence_within_prompt_ms_of_{callers}": silence_ms,
        f"packets_lost_of_{callers}": lost,
        f"longest_wait_for_packet_ms_of_{callers}": wait_ms,
    }


BARS = {"first_words_ms_worst": 300.0, "key_to_silence_ms_worst": 100.0}


def main(arguments: list[str]) -> int:
    """Measure and print; returns 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="scripts/bench prompts", description=__doc__)
    parser.add_argument("--callers", type=int, default=30, metavar="N", help="at once (default: 30)")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        found = asyncio.run(_run(given.callers, Path(folder)))
    for name, value in found.items():
        bar = f"   bar ≤ {BARS[name]:g}" if name in BARS else ""
        print(f"{name:44} {value:8.1f}{bar}")
    print(json.dumps({name: round(value, 1) for name, value in found.items()}))
    return int(any(found[name] > bar for name, bar in BARS.items()))
