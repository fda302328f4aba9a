"""Writes the node's own sounds to the folder from which workers play them."""

from pathlib import Path

from b2bua.resources import config_file
from media.announcements import write_beep, write_error_announcement, write_room_beeps
from media.hold_music import write_hold_music
from media.tones import load_tone_plans, write_loop

__all__ = ["write_tones"]


def write_tones(folder: Path, clock_rate_hz: int) -> None:
    """Write all ringback loops, announcement and music at the bridge's clock rate (about 4 MB, 0.3 s).

    An earlier controller may have written them; workers play them then, so that they stay as they are.
    """
    done = folder / "done"
    if done.exists():
        return
    folder.mkdir(exist_ok=True)
    for code, plan in load_tone_plans(config_file("ringtones.csv")).items():
        write_loop(plan, clock_rate_hz, folder / f"{code}.wav")
    write_error_announcement(clock_rate_hz, folder / "error.wav")
    write_hold_music(clock_rate_hz, folder / "music.wav")
    write_room_beeps(folder)
    write_beep(clock_rate_hz, folder / "beep.wav")
    done.touch()
