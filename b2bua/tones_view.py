"""``b2bua tones``: shows the ringback table, or one plan with its cadence drawn; writes a loop as a file."""

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from b2bua.resources import config_file
from b2bua.settings_errors import nearest
from media.plans import TonePlan, load_tone_plans

__all__ = ["cadence_plot", "show"]

CLOCK_RATE_HZ = 8000
"""Sample rate of the written loop, the rate of G.711."""
STEP_MS = 100
"""Time that one column of the plot covers."""


def show(code: str | None, out: Path | None) -> int:
    """Print the table, or the plan ``code``, and write the plan's loop to ``out``.

    Returns:
        The exit code: 0, or 2 if there is no such plan or the file cannot be written.
    """
    plans = load_tone_plans(config_file("ringtones.csv"))
    console = Console(highlight=False)
    if code is None:
        if out is not None:
            return _complain("--out needs the code of a tone: b2bua tones us --out us.wav")
        console.print(_table(list(plans.values())))
        return 0
    plan = plans.get(code)
    if plan is None:
        guess = nearest(code, plans)
        return _complain(f"unknown tone {code!r}" + (f"; did you mean {guess}?" if guess else ""))
    console.print(_details(plan))
    console.print(cadence_plot(plan), soft_wrap=True)
    return 0 if out is None else _write(plan, out)


def cadence_plot(plan: TonePlan) -> str:
    """Draw one round of the cadence as a line of blocks, each 0.1 s, above a scale in seconds."""
    blocks = ""
    elapsed_ms = 0
    for index, ms in enumerate(plan.cadence_ms or (plan.loop_ms,)):
        elapsed_ms += ms
        blocks = blocks.ljust(round(elapsed_ms / STEP_MS), "·" if index % 2 else "█")
    per_second = 1000 // STEP_MS
    scale = "".join(f"{second}s".ljust(per_second) for second in range(len(blocks) // per_second + 1))
    return f"{blocks}\n{scale.rstrip()}"


def _table(plans: list[TonePlan]) -> Table:
    table = Table(title="Ringback tones")
    for heading in ("code", "frequencies", "modulation", "cadence", "source"):
        table.add_column(heading, overflow="fold")
    for plan in plans:
        table.add_row(plan.code, *_facts(plan))
    return table


def _details(plan: TonePlan) -> Table:
    grid = Table.grid(padding=(0, 2))
    for heading, fact in zip(("frequencies", "modulation", "cadence", "source"), _facts(plan), strict=True):
        grid.add_row(heading, fact)
    grid.add_row("loop", f"{plan.loop_ms} ms")
    return grid


def _facts(plan: TonePlan) -> tuple[str, str, str, str]:
    return (
        " + ".join(map(str, plan.frequencies_hz)) + " Hz",
        f"AM {plan.modulation_hz} Hz" if plan.modulation_hz else "",
        " ".join(map(str, plan.cadence_ms)) + " ms" if plan.cadence_ms else "unbroken",
        plan.source,
    )


def _write(plan: TonePlan, out: Path) -> int:
    from media.tones import write_loop

    if out.suffix.lower() != ".wav":
        return _complain(f"{out} is not a .wav file")
    try:
        write_loop(plan, CLOCK_RATE_HZ, out, rewind_ms=0)
    except OSError as err:
        return _complain(f"{out} cannot be written: {err.strerror or err}")
    sys.stdout.write(f"written: {out} (one cadence cycle, 16 bit, {CLOCK_RATE_HZ} Hz)\n")
    return 0


def _complain(text: str) -> int:
    sys.stderr.write(f"b2bua tones: {text}\n")
    return 2
