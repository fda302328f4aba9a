"""Native players: each prompt is a file played to one leg, once, a number of times, or until it is stopped.

Who makes the bridge's frames can count them, and that is how a prompt is known to have come to its end: the
player is disconnected, or set back to its beginning, in the moment in which its last frame has been heard and
before it is asked for another. So it never gets to the end of its file, of which it would tell another thread
of the library, at a time when it may be gone already (pjproject #4812), and between two rounds there is no
frame of silence.

A prompt begins when its leg has media. From then on time passes as on a radio: a leg that is held or gets
another port misses what is played meanwhile, and the document goes on when it would have gone on.

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

__all__ = ["PROMPT", "Prompts"]

log = logging.getLogger(__name__)

PROMPT = "prompt"
"""Players are called ``prompt:ID`` in the media graph."""
TONE = "tone:"
"""Before a name instead of a file's path: what the node has made, in the tones' folder."""

_TWO_TICKS = 2
"""After its connection is gone, before a player may go (it may be asked for a frame until then)."""


@dataclass(slots=True)
class _Prompt:
    order: StartPrompt
    player: pj.AudioMediaPlayer
    frames: int
    """Of the file, the last one filled up with silence."""
    rounds: int = 0
    """That have been heard."""
    next_round: int | None = None
    """The tick after which this round is over; None: the leg has no media yet."""

    @property
    def connection(self) -> Connection:
        return Connection(f"{PROMPT}:{self.order.prompt}", self.order.leg)


class Prompts:
    """All prompts of the worker's session.

    Args:
        library: counts the bridge's frames.
        post: takes what is to be told.
    """

    def __init__(self, library: Library, post: Callable[[PromptEnded], None], tones_folder: str = "") -> None:
        self._library = library
        self._tones_folder = tones_folder
        self._post = post
        self._prompts: dict[str, _Prompt] = {}
        self._ended: list[tuple[int, _Prompt]] = []
        """With the tick after which the player may go."""
        self.playing = False
        """``step`` is to be called after each frame."""

    @property
    def busy(self) -> bool:
        """Frames are needed: something plays, or some player waits for its end."""
        return self.playing or self.ended

    @property
    def ended(self) -> bool:
        """``drop_ended`` has something to do after the next frames."""
        return bool(self._ended)

    def connections(self) -> tuple[Connection, ...]:
        """Which legs are to hear what."""
        return tuple(prompt.connection for prompt in self._prompts.values())

    def port(self, name: str) -> pj.AudioMedia | None:
        """The player of a prompt, as long as it may be connected and disconnected."""
        if (prompt := self._prompts.get(name)) is not None:
            return prompt.player
        return next((gone.player for _, gone in self._ended if gone.order.prompt == name), None)

    # -- commands -----------------------------------------------------------------------------------

    def start(self, order: StartPrompt, *, leg_is_live: bool) -> None:
        """Play with the next frame, or when the leg has media."""
        if order.prompt in self._prompts:
            log.error("a prompt was started twice", extra={"prompt": order.prompt})
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
        """No frame more; nothing when it has ended."""
        if which in self._prompts:
            self._end(which, complete=False)

    def leg_ended(self, leg: LegId) -> None:
        """Nobody hears them any more."""
        for which, prompt in list(self._prompts.items()):
            if prompt.order.leg == leg:
                self._end(which, complete=False)

    def stop_all(self) -> None:
        """The session is over."""
        for which in list(self._prompts):
            self._end(which, complete=False)

    # -- by the bridge's clock ----------------------------------------------------------------------

    def begin(self, connected: Collection[Connection]) -> None:
        """From now on these connections exist: prompts that waited for theirs are in their first round."""
        for prompt in self._prompts.values():
            if prompt.next_round is None and prompt.connection in connected:
                prompt.next_round = self._library.ticks + prompt.frames
                self.playing = True

    def step(self) -> bool:
        """To be called after each frame while something plays.

        Returns:
            Whether some prompt has ended: its connection has to go before the next frame.
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
        """Destroy the players that nothing can ask for a frame any more."""
        self._ended = [(at, prompt) for at, prompt in self._ended if at > self._library.ticks]

    def _end(self, which: str, *, complete: bool) -> None:
        prompt = self._prompts.pop(which)
        self._ended.append((self._library.ticks + _TWO_TICKS, prompt))
        self.playing = any(each.next_round is not None for each in self._prompts.values())
        self._post(PromptEnded(prompt=which, at=time.monotonic(), complete=complete))

    def _open(self, player: pj.AudioMediaPlayer, prompt: str, file: str) -> int:
        """How many frames there are to be played; 0 when it cannot be."""
        try:
            player.createPlayer(file, pj.PJMEDIA_FILE_NO_LOOP)
            samples = int(player.getInfo().sizeSamples)
        except pj.Error as error:
            log.error("could not play", extra={"prompt": prompt, "reason": error.reason})
            return 0
        return -(-samples // self._library.samples_a_frame)


def _rewind(prompt: _Prompt) -> bool:
    try:
        prompt.player.setPos(0)
    except pj.Error as error:
        log.error("could not repeat", extra={"prompt": prompt.order.prompt, "reason": error.reason})
        return False
    return True
