"""Ten minutes on the bridge's clock, run as fast as possible: both sides of a recording stay aligned."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from media.measure import goertzel_dbfs
from tests.unit.media.raw_files import tone, write_raw

pytestmark = pytest.mark.process

RATE = 8000
MINUTES = 10
_MAIN = """
import sys
import pjsua2 as pj
from b2bua.core.commands import StartRecording
from b2bua.engine.endpoint import Library
from b2bua.engine.protocol import WorkerSpec
from b2bua.engine.recorders import Recorders

folder, minutes = sys.argv[1], int(sys.argv[2])
spec = WorkerSpec(worker="w1", control_path="", edge_port=9, secret="", rtp_bind="127.0.0.1",
    rtp_advertise="", rtp_port=28000, rtp_ports=32, codecs=("PCMU",), tones_folder="", user_agent="test")
library = Library(spec, pj.Account())
recorders = Recorders(library, lambda event: None)

def run(ticks):
    for _ in range(ticks):
        library.tick()

def burst():
    pairs = []
    for side in ("parent", "child"):
        player = pj.AudioMediaPlayer()
        player.createPlayer(f"{folder}/burst-{side}.wav", pj.PJMEDIA_FILE_NO_LOOP)
        pairs.append((player, recorders.port(f"R:{side}")))
    for player, port in pairs:
        player.startTransmit(port)
    run(50)
    for player, port in pairs:
        player.stopTransmit(port)
    run(5)

recorders.start(StartRecording(recording="R", stem=f"{folder}/R", parent="a", child="b"))
run(25)
for _ in range(minutes):
    burst()
    run(minutes * 50 * 60 // minutes - 55)  # held: nothing is connected
burst()
recorders.stop("R")
while recorders.busy:
    library.tick()
    recorders.step()
import os
os._exit(0)
"""


def test_ten_minutes_with_holds_do_not_shift_the_sides(tmp_path: Path) -> None:
    for side, hz in (("parent", 440), ("child", 660)):
        write_raw(tmp_path / f"burst-{side}.wav", tone(hz, 0.4), tone(hz, 0.6, -200.0))
    done = subprocess.run(
        [sys.executable, "-c", _MAIN, str(tmp_path), str(MINUTES)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    sides = [soundfile.read(tmp_path / f"R.{side}.wav", dtype="int16")[0] for side in ("parent", "child")]

    assert len(sides[0]) == len(sides[1])
    assert len(sides[0]) / RATE == pytest.approx(MINUTES * 60 + 0.5 + 1.1, abs=0.1)
    onsets = []
    for own, far, hz in ((sides[0], sides[1], 440), (sides[1], sides[0], 660)):
        loud = np.flatnonzero(np.abs(own.astype(np.int32)) > 800)
        first = loud[np.diff(loud, prepend=-RATE) > RATE / 10]
        assert len(first) == MINUTES + 1
        onsets.append(first)
        last = slice(first[-1] + 400, first[-1] + 2800)
        assert goertzel_dbfs(own[last], hz, RATE) - goertzel_dbfs(far[last], hz, RATE) > 40.0
    assert np.abs(onsets[0] - onsets[1]).max() <= 0.020 * RATE
