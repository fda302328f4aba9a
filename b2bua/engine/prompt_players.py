"""Native players: each prompt is a file played to one leg, once, several times, or until it is stopped.

This thread drives the bridge and counts its frames, and so knows when a prompt ends: the player is
disconnected, or rewound, right after its last frame was heard and before it is asked for another. So it never
reaches the end of its file, which it would report on another thread of the library, possibly when it no
longer exists (pjproject #4812), and there is no frame of silence between two rounds.

A prompt begins when its leg has media. From then on time passes as on a radio: a leg that is on hold or gets
another port misses what is played meanwhile, and the document continues when it would have anyway.

Thread: the SIP thread.
"""

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import pjsua2 as pj

from b2bua.core.commands import Connection, StartPrompt
from b2bua.core.events import PromptEnded
from b2bua.core.ids import LegId
from b2bua.engine.endpoint import Library

__all__ = ["PROMPT", "PromptPlayers"]

log = logging.getLogger(__name__)

PROMPT = "prompt"
"""Players are named ``prompt:ID`` in the media graph."""
TONE = "tone:"
"""Prefix of a name that stands for a file path: a file that the node has made, in the tones folder."""

_TWO_TICKS = 2
"""Ticks between a player's disconnection and its destruction; it may be asked for a frame until then."""


@dataclass(slots=True)
class _Prompt:
    order: StartPrompt
    player: pj.AudioMediaPlayer
    frames: int
    """Frames in the file; the last one is padded with silence."""
    rounds: int = 0
    """Rounds that have been heard."""
    next_round: int | None = None
    """The tick after which this round is over; None: the leg has no media yet."""

    @property
    def connection(self) -> Connection:
        return Connection(f"{PROMPT}:{self.order.prompt}", self.order.leg)


class PromptPlayers:
    """All prompts of the worker's session.

    Args:
        library: counts the bridge's frames.
        post: takes the events.
    """

    def __init__(self, library: Library, post: Callable[[PromptEnded], None], tones_folder: str = "") -> None:
        self._library = library
        self._tones_folder = tones_folder
        self._post = post
        self._prompts: dict[str, _Prompt] = {}
        self._ended: list[tuple[int, _Prompt]] = []
        """Each with the tick after which the player may be destroyed."""
        self.playing = False
        """Whether ``step`` has to be called after each frame."""

    @property
    def busy(self) -> bool:
        """Whether frames are needed: a prompt plays, or a player waits to be destroyed."""
        return self.playing or self.ended

    @property
    def ended(self) -> bool:
        """Whether ``drop_ended`` has to be called after the next frames."""
        return bool(self._ended)

    def connections(self) -> tuple[Connection, ...]:
        """Return a connection from each player to its leg."""
        return tuple(prompt.connection for prompt in self._prompts.values())

    def port(self, name: str) -> pj.AudioMedia | None:
        """Return the player of a prompt, as long as it may be connected and disconnected."""
        if (prompt := self._prompts.get(name)) is not None:
            return prompt.player
        return next((gone.player for _, gone in self._ended if gone.order.prompt == name), None)

    # -- commands -----------------------------------------------------------------------------------

    def start(self, order: StartPrompt, *, leg_is_live: bool) -> None:
        """Play from the next frame, or as soon as the leg has media."""
        if order.prompt in self._prompts:
            log.error("prompt started twice", extra={"prompt": order.prompt})
            return
        player = pj.AudioMediaPlayer()
        file = order.file
        if file.startswith(TONE):
            file = f"{self._tones_folder}/{file.removeprefix(TONE)}.wav"
        if not leg_is_live or not (frames := self._open(player, order.prompt, file)):
            self._post(PromptEnded(prompt=order.prompt, at=time.monotonic(), complete=False))
            return
        self._prompts[order.prompt] = _Prompt(order, player, frames)

    def stop(self, which: str) -> None:
        """Stop a prompt at once; does nothing if it has ended."""
        if which in self._prompts:
            self._end(which, complete=False)

    def leg_ended(self, leg: LegId) -> None:
        """Stop the prompts of a leg that has ended."""
        for which, prompt in list(self._prompts.items()):
            if prompt.order.leg == leg:
                self._end(which, complete=False)

    def stop_all(self) -> None:
        """Stop all prompts: the session is over."""
        for which in list(self._prompts):
            self._end(which, complete=False)

    # -- driven by the bridge's clock ---------------------------------------------------------------

    def begin(self, connected: Collection[Connection]) -> None:
        """Begin the first round of the prompts that waited for one of the ``connected`` connections."""
        for prompt in self._prompts.values():
            if prompt.next_round is None and prompt.connection in connected:
                prompt.next_round = self._library.ticks + prompt.frames
                self.playing = True

    def step(self) -> bool:
        """Rewind or end the prompts that are due; call after each frame while something plays.

        Returns:
            Whether a prompt has ended: its connection must be removed before the next frame.
        """
        ticks = self._library.ticks
        due = [w for w, p in self._prompts.items() if p.next_round is not None and p.next_round <= ticks]
        ended = False
        for which in due:
            prompt = self._prompts[which]
            prompt.rounds += 1
            if prompt.rounds == prompt.order.loops or not _rewind(prompt):
                self._end(which, complete=prompt.rounds == prompt.order.loops)
                ended = True
            else:
                prompt.next_round = ticks + prompt.frames
        return ended

    def drop_ended(self) -> None:
        """Destroy the players that can no longer be asked for a frame."""
        self._ended = [(at, prompt) for at, prompt in self._ended if at > self._library.ticks]

    def _end(self, which: str, *, complete: bool) -> None:
        prompt = self._prompts.pop(which)
        self._ended.append((self._library.ticks + _TWO_TICKS, prompt))
        self.playing = any(each.next_round is not None for each in self._prompts.values())
        self._post(PromptEnded(prompt=which, at=time.monotonic(), complete=complete))

    def _open(self, player: pj.AudioMediaPlayer, prompt: str, file: str) -> int:
        """Open the file; returns its number of frames, or 0 if it cannot be played."""
        try:
            player.createPlayer(file, pj.PJMEDIA_FILE_NO_LOOP)
            samples = int(player.getInfo().sizeSamples)
        except pj.Error as error:
            log.error("prompt cannot be played", extra={"prompt": prompt, "reason": error.reason})
            return 0
        return -(-samples // self._library.samples_a_frame)


def _rewind(prompt: _Prompt) -> bool:
    try:
        prompt.player.setPos(0)
    except pj.Error as error:
        log.error("prompt cannot be repeated", extra={"prompt": prompt.order.prompt, "reason": error.reason})
        return False
    return True
