"""Ringback tone plans: the frequencies and cadences of each country.

This module reads and checks the table, a CSV file (``config/ringtones.csv``); ``tones`` makes the audio. The
caller passes the path of the table: nothing here knows where a program keeps its data.
"""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

__all__ = ["TonePlan", "TonePlanError", "load_tone_plans"]

COLUMNS = ("code", "frequencies_hz", "modulation_hz", "cadence_ms", "source")
LOWEST_HZ, HIGHEST_HZ = 200, 3400
"""The telephone band; a ringback outside it would not be heard."""
SHORTEST_MS, LONGEST_MS = 20, 20_000
"""Limits of one sound or silence. Under 20 ms a sound has no room for the ramps at its ends."""


class TonePlanError(ValueError):
    """The table or one of its rows cannot be used; the text names the row."""


@dataclass(frozen=True, slots=True)
class TonePlan:
    """One row of the table."""

    code: str
    """Name of the plan in ``ringTone`` and ``dial.ringtone``: ``us``, ``us-old``."""
    frequencies_hz: tuple[int, ...]
    """They sound together, at equal levels. Whole hertz, so that one second holds whole periods of all."""
    modulation_hz: int | None
    """Amplitude modulation of the sum, at 100 % depth; None: unmodulated."""
    cadence_ms: tuple[int, ...]
    """Sound, silence, sound, silence …, repeated; ends with a silence. Empty: one continuous tone."""
    source: str = ""
    """Source of the figures."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z]{2}(-[a-z]+)?", self.code):
            raise TonePlanError(f"{self.code!r} is no code of a tone plan")
        if not self.frequencies_hz:
            raise TonePlanError(f"{self.code}: no frequency")
        for hz in self.frequencies_hz:
            if not LOWEST_HZ <= hz <= HIGHEST_HZ:
                raise TonePlanError(f"{self.code}: {hz} Hz is not in {LOWEST_HZ}..{HIGHEST_HZ}")
        if self.modulation_hz is not None and not 1 <= self.modulation_hz <= LOWEST_HZ // 2:
            raise TonePlanError(f"{self.code}: modulation by {self.modulation_hz} Hz")
        if len(self.cadence_ms) % 2:
            raise TonePlanError(f"{self.code}: the cadence does not end in silence")
        for ms in self.cadence_ms:
            if not SHORTEST_MS <= ms <= LONGEST_MS:
                raise TonePlanError(f"{self.code}: {ms} ms is not in {SHORTEST_MS}..{LONGEST_MS}")

    @property
    def loop_ms(self) -> int:
        """Length of one cycle of the cadence; one second for a continuous tone."""
        return sum(self.cadence_ms) or 1000


def load_tone_plans(path: Path) -> Mapping[str, TonePlan]:
    """Read the table at ``path``; return its rows by code, in file order.

    Raises:
        TonePlanError: the file is not such a table, or one of its rows cannot be used.
        OSError: the file cannot be read.
    """
    plans: dict[str, TonePlan] = {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        if tuple(rows.fieldnames or ()) != COLUMNS:
            raise TonePlanError(f"{path}: the columns are not {','.join(COLUMNS)}")
        for row in rows:
            try:
                plan = _plan_of(row)
            except (TonePlanError, TypeError, AttributeError) as err:
                raise TonePlanError(f"{path}:{rows.line_num}: {err}") from err
            if plan.code in plans:
                raise TonePlanError(f"{path}:{rows.line_num}: {plan.code} is there twice")
            plans[plan.code] = plan
    return MappingProxyType(plans)


def _plan_of(row: Mapping[str, str]) -> TonePlan:
    modulation = row["modulation_hz"].strip()
    return TonePlan(
        code=row["code"].strip(),
        frequencies_hz=tuple(_whole(hz) for hz in row["frequencies_hz"].split("+")),
        modulation_hz=_whole(modulation) if modulation else None,
        cadence_ms=tuple(_whole(ms) for ms in row["cadence_ms"].split()),
        source=row["source"].strip(),
    )


def _whole(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", text.strip()):
        raise TonePlanError(f"{text!r} is no whole number")
    return int(text)
