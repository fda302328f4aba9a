"""``b2bua demo``: a whole call on this machine, shown as it happens.

A node on free loopback ports, a caller and two callees: a forked Dial with UK ringback, an answer, a tone
each way, and the caller's ``*``. Afterwards the tones are measured at the phones and in the recording.
"""

import logging
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any, Protocol, TypeVar

import soundfile
import uvloop
from rich.console import Console
from rich.table import Table

from b2bua.core.errors import B2buaError
from b2bua.logs import set_up_logging
from b2bua.phone.phone import Exchange
from b2bua.recording_view import draw_recording
from b2bua.trial import Measured, TrialResult, run_trial

__all__ = ["arrow", "demo", "heading", "perform", "tell_picture"]

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
    start = time.monotonic()
    result = perform(
        console,
        ("call", "A caller rings 100; Anna and Ben ring; Anna answers; the caller presses *."),
        _COLUMNS,
        lambda folder: run_trial(
            folder, lambda each: console.print(arrow(each, start, _COLUMNS, colour=True))
        ),
    )
    if result is None:
        return 1
    _leave(out, result, start)
    console.print(f"\nWritten to [bold]{out}[/]: ladder.txt, and what each phone heard, as WAV files.")
    console.print(f"The recording (left: the caller, right: Anna): [bold]{out / 'recording.wav'}[/]")
    picture = out / "recording.png"
    tell_picture(console, picture, draw_recording(result.recording, 8000, _marks(result), picture))
    return 0 if result.good else 1


class Performed(Protocol):
    """The result of a trial."""

    @property
    def tones(self) -> Sequence[Measured]:
        """What was heard."""


Result = TypeVar("Result", bound=Performed)


def perform(
    console: Console,
    title: tuple[str, str],
    columns: Sequence[str],
    run: Callable[[Path], Coroutine[Any, Any, Result]],
) -> Result | None:
    """Run a trial in a temporary folder, between its title and the table of its tones.

    Args:
        console: to print to.
        title: what is performed, in a word, and what happens in it.
        columns: of the ladder.
        run: runs it, in the folder that it is given.

    Returns: its result; None if it failed, which is printed.
    """
    what, happens = title
    set_up_logging("console", logging.ERROR)
    console.print(f"[bold]{happens}[/]\n")
    console.print(f"[dim]{heading(columns)}[/]")
    try:
        with tempfile.TemporaryDirectory() as folder:
            result = uvloop.run(run(Path(folder)))
    except (B2buaError, TimeoutError, OSError) as error:
        console.print(f"[red]the {what} did not work: {error or 'a step timed out'}[/]")
        console.print("Run b2bua doctor to find the cause.")
        return None
    console.print()
    console.print(_tone_table(result.tones))
    return result


def tell_picture(console: Console, picture: Path, is_drawn: bool) -> None:
    """Say where the picture is, or why there is none."""
    if is_drawn:
        console.print(f"Its picture: [bold]{picture}[/]")
    else:
        console.print("No picture of it: matplotlib is not installed (pip install 'b2bua\\[tools]').")


def _tone_table(tones: Sequence[Measured]) -> Table:
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
