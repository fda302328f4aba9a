"""Mixing of conference rooms: all rooms of one tick in one step, on arrays.

Each listener of a room hears the sum of those who talk there without itself. Up to MAX_UNRANKED talkers all
are in the sum. Of more, the RANKED_LOUDEST loudest are, by their smoothed level and with a hang-over: a
ranking, never a threshold, so that a quiet talker is heard whenever the others are quieter. All who hear the
same get the same encoded payload. Sums are int32; a sum within full scale is passed on exactly, a higher one
is turned down as a whole. Whoever begins or ceases to be heard is faded, so that nothing clicks.

Nothing here does I/O. Frames are G.711, 20 ms at 8 kHz; each tick has one frame of every seat.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from media.g711 import PCMA, PCMU, decode, encoding_table
from media.limiter import Limiter
from media.ranking import MAX_UNRANKED, RANKED_LOUDEST, Ranking

__all__ = ["FRAME", "MAX_UNRANKED", "RANKED_LOUDEST", "Mixed", "Mixer", "RoomSeats", "Seat", "Sound"]

FRAME: Final = 160
"""Samples of a frame: 20 ms."""
_FADE: Final = 80
"""Samples of a fade: 10 ms."""

_LOWERED: Final = 2
"""Bits (12 dB) by which a mix is lowered under a sound for one seat only."""

_LAWS: Final = (PCMU, PCMA)
_CODES: Final = np.arange(256, dtype=np.uint8)
_DECODED: Final = np.concatenate([decode(law, _CODES) for law in _LAWS]).astype(np.int32)
"""Sample of each code: 256 of PCMU, then 256 of PCMA."""
_MAGNITUDE: Final = np.abs(_DECODED)
_SOUNDED: Final = np.sort(np.random.default_rng(1).permutation(FRAME)[:48])
"""Samples by which a frame's loudness is judged: enough for a rank, and at no even distance, so that no tone
falls between them."""
_ENCODED: Final = {law: encoding_table(law) for law in _LAWS}
"""Code of each sample, by the sample + 32768."""

_RISE: Final = np.ones(FRAME, np.float32)
_RISE[:_FADE] = 0.5 - 0.5 * np.cos(np.pi * (np.arange(_FADE) + 0.5) / _FADE)
_FALL: Final = np.zeros(FRAME, np.float32)
_FALL[:_FADE] = _RISE[:_FADE][::-1]

Sound = npt.NDArray[np.int16] | npt.NDArray[np.int32]
_Ints = npt.NDArray[np.int32]
_Index = npt.NDArray[np.intp]
_NOBODY: Final = np.zeros(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """One participant of a room."""

    key: str
    """Unique in the process."""
    law: int = PCMU
    """PCMU or PCMA, of both directions."""
    talks: bool = True
    """All others hear it."""
    recorded: bool = True
    """With ``talks``: the recording contains it."""
    listens: bool = True
    """It gets a payload."""
    coaches: str = ""
    """Key of the only seat, of the same room, that hears it; empty: it coaches nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSeats:
    """The seats of one room."""

    key: str
    seats: tuple[Seat, ...]
    recorded: bool = False
    """The sum of the talkers is wanted as well."""


@dataclass(frozen=True, slots=True)
class Mixed:
    """The result of one tick."""

    payloads: list[bytes]
    """Each encoded payload once."""
    payload_of: list[int]
    """For each seat, in the order of ``Mixer.keys``, its payload; -1: it does not listen."""
    recordings: dict[str, npt.NDArray[np.int16]]
    """``int16[FRAME]`` for each room that is recorded."""
    levels: npt.NDArray[np.float64] | None = None
    """For each seat the mean magnitude of its samples, if ``Mixer.measures``."""


@dataclass(slots=True)
class _Layout:
    """Who contributes to which row, as long as nobody begins or ceases to be heard."""

    decoded: _Index
    """Seats whose samples are needed: those in a sum, in the order of rooms, then coaches."""
    summed_seats: int
    """The first so many of ``decoded`` are in a sum; their number is their place there."""
    place: dict[int, int]
    """For each seat of ``decoded`` its place there."""
    starts: _Index
    """Where each room begins in ``decoded``."""
    summed: _Index
    """The rooms of ``starts``."""
    row_room: _Index
    """The room of each row of the result: own mixes, then shared ones, then recordings."""
    own: _Index
    """For each own mix of a seat in a sum, that seat's place in ``decoded``."""
    coached: _Index
    """For each pair of coach and coached: the row of the result."""
    coaches: _Index
    """For each such pair: the coach's place in ``decoded``."""
    unrecorded: _Index
    """For each seat in a sum that is not recorded, and the recording of its room: the recording's row."""
    silenced: _Index
    """For each such pair: the seat's place in ``decoded``."""
    of_law: list[tuple[int, _Index]]
    """Each law that is needed, with the rows that are encoded by it."""
    encoded: int
    """Rows that are encoded; the others are recordings."""
    recorded: list[str] = field(default_factory=list)
    row_of: dict[str, int] = field(default_factory=dict)
    """The row of each seat that shares its mix with nobody."""
    payload_of: list[int] = field(default_factory=list)


class Mixer:
    """All rooms of a process."""

    def __init__(self) -> None:
        self.keys: tuple[str, ...] = ()
        """The seats, in the order in which ``mix`` takes their frames."""
        self.measures = False
        """``Mixed.levels`` are wanted."""
        self._seats: list[Seat] = []
        self._rooms: Sequence[RoomSeats] = ()
        self._room_of = np.zeros(0, np.intp)
        self._table = np.zeros((0, 1), np.intp)
        """Where each seat's law begins in ``_DECODED``."""
        self._one_law: int | None = PCMU
        self._wanted = np.zeros(0, np.bool_)
        """Seats that somebody is to hear: they talk or coach."""
        self._heard = np.zeros(0, np.bool_)
        """Those that were heard at the end of the last tick."""
        self._talks = np.zeros(0, np.bool_)
        self._ranking = Ranking()
        self._limiter = Limiter()
        self._layout: _Layout | None = None
        self._layout_of: tuple[bytes, frozenset[str]] = (b"", frozenset())
        self._last: dict[str, _Ints] = {}
        """What each seat in a sum contributed to the last tick; kept while there is no layout."""
        self._tails: list[tuple[str, _Ints]] = []
        """By room, the fade of a seat that has gone."""
        self._contribution = np.zeros((0, FRAME), np.int32)

    def arrange(self, rooms: Sequence[RoomSeats]) -> None:
        """Take new rooms and seats; what is known of those that remain is kept.

        Args:
            rooms: all rooms, each with its seats.
        """
        before = dict(zip(self.keys, range(len(self.keys)), strict=True))
        old_seats, old_rooms, heard = self._seats, self._rooms, self._heard
        last = self._last = self._last_contributions()
        self._rooms = rooms
        self._seats = [seat for room in rooms for seat in room.seats]
        self.keys = tuple(seat.key for seat in self._seats)
        self._room_of = np.repeat(np.arange(len(rooms)), [len(room.seats) for room in rooms])
        laws = {seat.law for seat in self._seats} or {PCMU}
        self._one_law = laws.pop() if len(laws) == 1 else None
        self._table = np.array([[256 * _LAWS.index(seat.law)] for seat in self._seats], np.intp)
        self._talks = np.array([seat.talks for seat in self._seats], np.bool_)
        self._wanted = np.array([seat.talks or bool(seat.coaches) for seat in self._seats], np.bool_)
        self._heard = np.zeros(len(self._seats), np.bool_)
        for row, seat in enumerate(self._seats):
            old = before.pop(seat.key, None)
            if old is not None and bool(old_seats[old].coaches) == bool(seat.coaches):
                self._heard[row] = heard[old]
        for room in old_rooms:
            for seat in room.seats:
                if seat.key in before and seat.key in last:  # it has gone, and leaves a fade behind
                    self._tails.append((room.key, (last[seat.key][::-1] * _FALL).astype(np.int32)))
        self._ranking.arrange(self.keys, self._room_of, self._talks)
        self._limiter.arrange([room.key for room in rooms])
        self._layout = None

    def mix(
        self,
        frames: npt.NDArray[np.uint8],
        sounds: Mapping[str, Sound] | None = None,
        private: Mapping[str, Sound] | None = None,
    ) -> Mixed:
        """Mix one tick.

        Args:
            frames: ``uint8[len(keys), FRAME]``, G.711 by each seat's law; silence where nothing came.
            sounds: ``[FRAME]`` for rooms in which something else sounds: a beep, an announcement.
            private: ``[FRAME]`` for seats that alone hear a sound, over a mix that is 12 dB lower.
        """
        levels = self._levels(frames) if self.measures else None
        ranked = self._ranking
        if ranked.ranks:
            loud = levels if levels is not None else self._levels(frames[:, _SOUNDED])
            target = self._wanted & ranked.chosen(loud)
        else:
            target = self._wanted & ranked.chosen(_NOBODY)
        private = private or {}
        layout = self._laid_out(target | self._heard, frozenset(private))
        pcm = self._looked_up(_DECODED, frames, layout.decoded)
        changed = target != self._heard
        if changed.any():
            for seat in np.flatnonzero(changed):
                place = layout.place.get(int(seat))
                if place is not None:  # otherwise it coaches nobody who is there
                    pcm[place] = pcm[place] * (_RISE if target[seat] else _FALL)
        self._heard = target
        rows = self._mixed(layout, pcm, sounds or {}, private)
        return Mixed(
            _encoded(rows, layout),
            layout.payload_of,
            {
                key: np.clip(row, -32768, 32767).astype(np.int16)
                for key, row in zip(layout.recorded, rows[layout.encoded :], strict=True)
            },
            levels,
        )

    def _levels(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        """Return the mean magnitude of each seat's samples."""
        levels: npt.NDArray[np.float64] = self._looked_up(_MAGNITUDE, frames, None).mean(axis=1)
        return levels

    def _looked_up(self, table: _Ints, frames: npt.NDArray[np.uint8], seats: _Index | None) -> _Ints:
        """Return the table's value of each code, of all seats or of some."""
        codes = frames if seats is None else frames[seats]
        if self._one_law is not None:
            start = 256 * _LAWS.index(self._one_law)
            return table[start : start + 256].take(codes)
        return table.take(codes + (self._table if seats is None else self._table[seats]))

    def _mixed(
        self,
        layout: _Layout,
        pcm: _Ints,
        sounds: Mapping[str, Sound],
        private: Mapping[str, Sound],
    ) -> _Ints:
        """Return the rows of the result."""
        sums = np.zeros((len(self._rooms), FRAME), np.int32)
        contribution = pcm[: layout.summed_seats]
        if layout.summed_seats:
            sums[layout.summed] = np.add.reduceat(contribution, layout.starts, axis=0)
        if sounds or self._tails:
            numbers = {room.key: number for number, room in enumerate(self._rooms)}
            for key, sound in [*self._tails, *sounds.items()]:
                if key in numbers:
                    sums[numbers[key]] += sound
            self._tails = []
        rows = sums[layout.row_room]
        rows[: layout.own.size] -= contribution[layout.own]
        if layout.coaches.size:
            np.add.at(rows, layout.coached, pcm[layout.coaches])
        if layout.unrecorded.size:
            np.subtract.at(rows, layout.unrecorded, contribution[layout.silenced])
        for key, sound in private.items():
            if (row := layout.row_of.get(key)) is not None:
                rows[row] = (rows[row] >> _LOWERED) + sound
        self._contribution = contribution
        self._limiter.limit(rows, layout.row_room)
        return rows

    def _last_contributions(self) -> dict[str, _Ints]:
        layout = self._layout
        if layout is None:
            return self._last
        rows = zip(layout.decoded, self._contribution, strict=False)
        return {self.keys[row]: last for row, last in rows if self._heard[row]}

    def _laid_out(self, audible: npt.NDArray[np.bool_], private: frozenset[str]) -> _Layout:
        """Return the layout for these audible seats; it is made anew only if they have changed."""
        key = audible.tobytes(), private
        if self._layout is None or key != self._layout_of:
            self._layout, self._layout_of = self._lay_out(audible, private), key
        return self._layout

    def _lay_out(self, audible: npt.NDArray[np.bool_], private: frozenset[str]) -> _Layout:
        summed_seats = np.flatnonzero(
            audible & np.array([not seat.coaches for seat in self._seats], np.bool_)
        )
        summed, starts = np.unique(self._room_of[summed_seats], return_index=True)
        place = {int(seat): number for number, seat in enumerate(summed_seats)}
        row_of_key = {key: row for row, key in enumerate(self.keys)}
        pairs = [
            (row, row_of_key[seat.coaches])
            for row, seat in enumerate(self._seats)
            if seat.coaches in row_of_key and audible[row]
        ]
        coached = {target for _, target in pairs}
        # Own mixes of seats that are in the sum come first, then those of seats that only have a coach or a
        # sound of their own.
        coaches = [row for row, _ in pairs if row not in place]
        decoded = [*place, *dict.fromkeys(coaches)]
        own = [row for row in place if self._seats[row].listens]
        alone = coached | {row_of_key[key] for key in private if key in row_of_key}
        lone = sorted(row for row in alone if self._seats[row].listens and row not in place)
        result = {row: number for number, row in enumerate([*own, *lone])}
        row_room = [int(self._room_of[row]) for row in result]
        row_law = [self._seats[row].law for row in result]
        shared: dict[tuple[int, int], int] = {}
        payload_of: list[int] = []
        for row, seat in enumerate(self._seats):
            if not seat.listens:
                payload_of.append(-1)
            elif row in result:
                payload_of.append(result[row])
            else:
                both = int(self._room_of[row]), seat.law
                if both not in shared:
                    shared[both] = len(row_room)
                    row_room.append(both[0])
                    row_law.append(both[1])
                payload_of.append(shared[both])
        encoded = len(row_room)
        recorded = [number for number, room in enumerate(self._rooms) if room.recorded]
        silenced = [
            (encoded + recorded.index(int(self._room_of[row])), number)
            for row, number in place.items()
            if not self._seats[row].recorded and int(self._room_of[row]) in recorded
        ]
        laws = np.array(row_law, np.intp)
        placed = {row: number for number, row in enumerate(decoded)}
        return _Layout(
            decoded=np.array(decoded, np.intp),
            summed_seats=len(place),
            place=placed,
            starts=starts,
            summed=summed,
            row_room=np.array([*row_room, *recorded], np.intp),
            own=np.array([place[row] for row in own], np.intp),
            coached=np.array([result[target] for _, target in pairs if target in result], np.intp),
            coaches=np.array([placed[coach] for coach, target in pairs if target in result], np.intp),
            unrecorded=np.array([row for row, _ in silenced], np.intp),
            silenced=np.array([number for _, number in silenced], np.intp),
            of_law=[(law, np.flatnonzero(laws == law)) for law in _LAWS if law in row_law],
            encoded=encoded,
            recorded=[self._rooms[number].key for number in recorded],
            row_of={self.keys[row]: number for row, number in result.items()},
            payload_of=payload_of,
        )


def _encoded(rows: _Ints, layout: _Layout) -> list[bytes]:
    """Return the payload of each row; samples beyond full scale are clipped."""
    index = rows[: layout.encoded] + 32768
    if len(layout.of_law) == 1:
        codes = _ENCODED[layout.of_law[0][0]].take(index, mode="clip")
    else:
        codes = np.empty((layout.encoded, FRAME), np.uint8)
        for law, which in layout.of_law:
            codes[which] = _ENCODED[law].take(index[which], mode="clip")
    data = codes.tobytes()
    return [data[start : start + FRAME] for start in range(0, len(data), FRAME)]
