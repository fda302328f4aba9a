"""Which talkers of a large room are mixed: the loudest by rank, with a hang-over."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["MAX_UNRANKED", "RANKED_LOUDEST", "Ranking"]

MAX_UNRANKED: Final = 8
"""Talkers of a room up to which all are mixed, and the most that ever are in a larger room."""
RANKED_LOUDEST: Final = 5
"""Of more talkers, so many are mixed by their rank."""
_HANG_OVER: Final = 50
"""Ticks (1 s) for which a talker is mixed after it was among the loudest."""
_RISE: Final = 0.5
"""Share of a new, higher level that counts at once, so that a word's first syllable is heard."""
_FALL: Final = 0.05
"""The same for a lower level: a pause between two words costs no rank."""

_EACH: Final = 4
"""Ticks from one ranking to the next, unless somebody begins to talk."""
_ONSET: Final = 2.0
"""A frame that is louder than its talker's level by this factor (6 dB) may be the beginning of a word."""
_QUIET: Final = 30.0
"""Magnitude of what is no beginning at all."""
_STAY: Final = 1.2
"""A talker takes the place of one that is mixed if it is louder by this factor (1.6 dB): the ranks of equal
noises would change all the time."""


class Ranking:
    """The ranks of the talkers in all rooms with more than MAX_UNRANKED of them."""

    def __init__(self) -> None:
        self._keys: tuple[str, ...] = ()
        self._tick = 0
        self._level = np.zeros(0)
        """Smoothed mean magnitude of each seat's samples."""
        self._top_at = np.zeros(0, np.int64)
        """Tick at which each seat was last among the loudest."""
        self._mixed = np.zeros(0, np.bool_)
        """Those that were chosen for the last tick."""
        self._rows = np.zeros(0, np.intp)
        """Talkers in the large rooms."""
        self._room = np.zeros(0, np.intp)
        self._first = np.zeros(0, np.intp)
        """For each of ``_rows`` the place in it where its room begins."""
        self._top = np.zeros(0, np.intp)
        """The places of the loudest, once each room is sorted by loudness."""
        self._everybody = np.zeros(0, np.bool_)
        self._new = True
        """Seats have changed since the latest ranking."""

    def arrange(
        self, keys: Sequence[str], room_of: npt.NDArray[np.intp], talks: npt.NDArray[np.bool_]
    ) -> None:
        """Take new seats; the levels of those that remain are kept.

        Args:
            keys: the seats, ordered by room.
            room_of: the room of each.
            talks: whether each talks.
        """
        old = {key: row for row, key in enumerate(self._keys)}
        level, top_at = np.zeros(len(keys)), np.full(len(keys), -_HANG_OVER - 1, np.int64)
        mixed = np.zeros(len(keys), np.bool_)
        for row, key in enumerate(keys):
            if (before := old.get(key)) is not None:
                level[row], top_at[row] = self._level[before], self._top_at[before]
                mixed[row] = self._mixed[before]
        self._keys, self._level, self._top_at, self._mixed = tuple(keys), level, top_at, mixed
        rooms = int(room_of.max(initial=-1)) + 1
        talkers = np.bincount(room_of[talks], minlength=rooms)
        self._rows = np.flatnonzero(talks & (talkers[room_of] > MAX_UNRANKED))
        self._room = room_of[self._rows]
        begins = np.flatnonzero(np.diff(self._room, prepend=-1))
        places = np.arange(self._room.size)
        self._first = begins[np.searchsorted(begins, places, side="right") - 1]
        self._top = np.flatnonzero(places - self._first < RANKED_LOUDEST)
        self._new = True
        self._everybody = np.ones(len(keys), np.bool_)

    @property
    def ranks(self) -> bool:
        """Whether there is a room with so many talkers; if not, all are chosen."""
        return self._rows.size > 0

    def chosen(self, levels: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Return for each seat whether it may be mixed in this tick.

        Args:
            levels: mean magnitude of each seat's samples; unused if nobody is ranked.
        """
        self._tick += 1
        rows = self._rows
        if not rows.size:
            self._mixed = self._everybody
            return self._everybody
        loudness = levels[rows]
        before = self._level[rows]
        rise = loudness - before
        level = before + np.maximum(rise * _RISE, rise * _FALL)
        self._level[rows] = level
        if self._tick % _EACH and not self._new and not (loudness > before * _ONSET + _QUIET).any():
            return self._mixed
        self._new = False
        order = np.lexsort((np.where(self._mixed[rows], level * -_STAY, -level), self._room))
        first = self._first  # the rooms' order is that of the rows
        ranked = rows[order]
        self._top_at[ranked[self._top]] = self._tick
        lasting = self._tick - self._top_at[ranked] <= _HANG_OVER
        louder: npt.NDArray[np.intp] = np.cumsum(lasting) - lasting  # how many that last are louder
        may = lasting & (louder - louder[first] < MAX_UNRANKED)
        chosen = self._everybody.copy()
        chosen[rows] = False
        chosen[ranked[may]] = True
        self._mixed = chosen
        return chosen
