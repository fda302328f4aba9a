"""Detection of answering machines, as the application asks for it, and its verdict in webhooks. Sans I/O.

Source: the hosted service's "Answering Machine Detection" (read November 2026).
"""

from typing import Literal

import msgspec

from b2bua.calls.parameters import Parameters
from b2bua.core.commands import WatchForMachine
from b2bua.core.events import MachineJudged
from b2bua.core.ids import LegId
from b2bua.twiml import verbs
from b2bua.twiml.verbs import Method

__all__ = ["Detection", "detection_of", "verdict_parameters"]

_GRACE_S = 2.0
"""How much later than its host the session gives a verdict up."""


class Detection(msgspec.Struct, frozen=True, kw_only=True):
    """How it is found out who answers a call, and who is told."""

    mode: Literal["Enable", "DetectMessageEnd"] = "Enable"
    timeout_s: int = 30
    speech_ms: int = 2400
    speech_end_ms: int = 1200
    silence_ms: int = 5000
    waits: bool = False
    """Whether the document is requested after the verdict, and told of it."""
    callback: str = ""
    """Absolute URL that is asked with the verdict; empty: none."""
    callback_method: Method = "POST"

    def watch(self, leg: LegId) -> WatchForMachine:
        """Return the command for a leg that has been answered."""
        return WatchForMachine(
            leg=leg,
            message_end=self.mode == "DetectMessageEnd",
            timeout_s=self.timeout_s,
            speech_ms=self.speech_ms,
            speech_end_ms=self.speech_end_ms,
            silence_ms=self.silence_ms,
        )

    @property
    def wait_s(self) -> float:
        """How long a document waits for a verdict that never comes."""
        return self.timeout_s + _GRACE_S


def detection_of(noun: verbs.Number | verbs.Sip | verbs.Client, callback: str) -> Detection | None:
    """Return what a noun asks for; ``callback``: its ``amdStatusCallback``, resolved."""
    if isinstance(noun, verbs.Client) or noun.machine_detection is None:
        return None
    return Detection(
        mode=noun.machine_detection,
        timeout_s=noun.machine_detection_timeout,
        speech_ms=noun.machine_detection_speech_threshold,
        speech_end_ms=noun.machine_detection_speech_end_threshold,
        silence_ms=noun.machine_detection_silence_timeout,
        callback=callback,
        callback_method=noun.amd_status_callback_method,
    )


def verdict_parameters(judged: MachineJudged) -> Parameters:
    """Return the parameters by which a webhook tells the verdict."""
    return (("AnsweredBy", judged.answered_by), ("MachineDetectionDuration", str(judged.duration_ms)))
