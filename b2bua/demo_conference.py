"""``b2bua demo --conference``: a whole conference on this machine, shown as it happens.

A node on free loopback ports and three phones: one waits with music, two join, each says a tone, then all
at once; one leaves, and the moderator ends the conference. Afterwards the tones are measured at the phones
and in the recording.
"""

import time
from pathlib import Path

import soundfile
from rich.console import Console

from b2bua.demo import arrow, heading, perform, tell_picture
from b2bua.phone.phone import Exchange
from b2bua.recording_view import draw_recording
from b2bua.trial_conference import NAMES, ConferenceResult, Told, run_conference

__all__ = ["demo_conference"]

_COLUMNS = ("node", *NAMES)


def demo_conference(out: Path) -> int:
    """Perform the demonstration.

    Args:
        out: folder for its output: messages and events as text, the recording, and the picture of what was
            recorded and what each phone heard.

    Returns: 0 when every tone was heard where it should be, else 1.
    """
    console = Console(highlight=False)
    start = time.monotonic()
    result = perform(
        console,
        ("conference", "Ann waits in a conference, Ben and Cleo join; all talk; Ann ends it."),
        _COLUMNS,
        lambda folder: run_conference(folder, lambda each: console.print(_line(each, start, colour=True))),
    )
    if result is None:
        return 1
    _leave(out, result, start)
    console.print(f"\nWritten to [bold]{out}[/]: conference.txt, conference.wav (the recording).")
    names = ("recording", *(f"heard by {name}" for name in NAMES))
    picture = out / "conference.png"
    tell_picture(console, picture, draw_recording(result.tracks, 8000, _marks(result), picture, names))
    return 0 if result.good else 1


def _line(each: Exchange | Told, start: float, *, colour: bool) -> str:
    if isinstance(each, Exchange):
        return arrow(each, start, _COLUMNS, colour=colour)
    text = f"* {each.name} {each.who}".rstrip()
    return f"{each.at - start:8.3f}    " + (f"[magenta]{text}[/]" if colour else text)


def _leave(out: Path, result: ConferenceResult, start: float) -> None:
    out.mkdir(parents=True, exist_ok=True)
    lines = [heading(_COLUMNS), *(_line(each, start, colour=False) for each in result.story)]
    (out / "conference.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    soundfile.write(out / "conference.wav", result.recording, 8000, subtype="PCM_16")


def _marks(result: ConferenceResult) -> list[tuple[float, str]]:
    """Return times and names of joining and leaving during the conference; its end is the picture's."""
    verbs = {"participant-join": "joins", "participant-leave": "leaves"}
    told = (each for each in result.story if isinstance(each, Told) and each.name in verbs)
    marks = [(each.at - result.started_at, f"{each.who} {verbs[each.name]}") for each in told]
    return [(at, text) for at, text in marks if 0 < at * 8000 < len(result.tracks)]
