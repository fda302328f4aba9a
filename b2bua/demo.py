"""``b2bua demo``: a whole call on this machine, shown as it happens.

A node on free loopback ports, a caller and two callees: a forked Dial with UK ringback, an answer, a tone
each way, and the caller's ``*``. Afterwards the tones are measured at the phones and in the recording.
"""

import logging
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten

import soundfile
import uvloop
from rich.console import Console
from rich.table import Table

from b2bua.core.errors import B2buaError
from b2bua.logs import set_up_logging
from b2bua.phone.phone import Exchange
from b2bua.recording_view import draw_recording
from b2bua.trial import Measured, TrialResult, run_trial

__all__ = ["arrow", "demo", "heading", "tone_table"]

_COLUMNS = ("caller", "node", "anna", "ben")
_WIDTH = 18
_COLOURS = {"1": "yellow", "2": "green", "4": "red", "5": "red", "6": "red"}


def demo(out: Path) -> int:
    """Perform the demonstration.

    Args:
        out: folder for its output: the ladder diagram as text, the recording and its picture, and what each
            phone heard as WAV.

    Returns: 0 when every tone was heard where it should be, else 1.
    """
    console = Console(highlight=False)
    set_up_logging("console", logging.ERROR)
    console.print("[bold]A caller rings 100; Anna and Ben ring; Anna answers; the caller presses *.[/]\n")
    console.print(f"[dim]{heading(_COLUMNS)}[/]")
    start = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as folder:
            result = uvloop.run(
                run_trial(Path(folder), lambda each: console.print(arrow(each, start, _COLUMNS, colour=True)))
            )
    except (B2buaError, TimeoutError, OSError) as error:
        console.print(f"[red]the call did not work: {error or 'a step timed out'}[/]")
        console.print("Run b2bua doctor to find the cause.")
        return 1
    console.print()
    console.print(tone_table(result.tones))
    _leave(out, result, start)
    console.print(f"\nWritten to [bold]{out}[/]: ladder.txt, and what each phone heard, as WAV files.")
    console.print(f"The recording (left: the caller, right: Anna): [bold]{out / 'recording.wav'}[/]")
    if draw_recording(result.recording, 8000, _marks(result), out / "recording.png"):
        console.print(f"Its picture: [bold]{out / 'recording.png'}[/]")
    else:
        console.print("No picture of it: matplotlib is not installed (pip install 'b2bua\\[tools]').")
    return 0 if result.good else 1


def tone_table(tones: Sequence[Measured]) -> Table:
    """Return the measured tones as a table."""
    table = Table("heard", "Hz", "level", "", title="Tones")
    for tone in tones:
        mark = "[green]good[/]" if tone.good else f"[red]below {tone.wanted_dbfs:.0f}[/]"
        table.add_row(tone.what, f"{tone.hz:.0f}", f"{tone.dbfs:.1f} dBFS", mark)
    return table


def heading(columns: Sequence[str]) -> str:
    """Return the line above a ladder: the phones, and the node."""
    return "seconds".rjust(8) + "".join(name.center(_WIDTH) for name in columns)


def arrow(exchange: Exchange, start: float, columns: Sequence[str], *, colour: bool) -> str:
    """Draw one line of the ladder: an arrow between the phone's column and the node's."""
    phone, node = columns.index(exchange.phone), columns.index("node")
    left, right = sorted((phone, node))
    rightwards = exchange.sent == (phone < node)
    width = (right - left) * _WIDTH - 3
    label = f" {shorten(exchange.text, width - 2, placeholder='…')} ".center(width, "─")
    line = f"{label}▶" if rightwards else f"◀{label}"
    indent = " " * (_WIDTH // 2 + left * _WIDTH + 1)
    style = _COLOURS.get(exchange.text[0], "cyan")
    text = f"[{style}]{line}[/]" if colour else line
    return f"{exchange.at - start:8.3f}{indent}{text}"


def _leave(out: Path, result: TrialResult, start: float) -> None:
    out.mkdir(parents=True, exist_ok=True)
    lines = [heading(_COLUMNS), *(arrow(each, start, _COLUMNS, colour=False) for each in result.ladder)]
    (out / "ladder.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    soundfile.write(out / "recording.wav", result.recording, 8000, subtype="PCM_16")
    for name, samples in result.heard.items():
        if len(samples):
            soundfile.write(out / f"heard-by-{name}.wav", samples, 8000, subtype="PCM_16")


def _marks(result: TrialResult) -> list[tuple[float, str]]:
    """Return times and names of the events in the recording, which begins with the first ringing."""
    ladder = result.ladder
    moments = (
        ("ringing", [each.at for each in ladder if each.text.startswith("180") and each.sent]),
        ("answer", [each.at for each in ladder if each.text.startswith("200") and each.phone == "anna"]),
        ("hang-up", [each.at for each in ladder if each.text == "BYE"]),
    )
    begun = moments[0][1][:1]
    return [(at[0] - begun[0], what) for what, at in moments if at and begun]
