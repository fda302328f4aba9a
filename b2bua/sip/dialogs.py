"""The dialogs that pass through the edge: which worker has which, and what their requests get without it.

A dialog is known by its Call-ID and the tag that was there first, from its INVITE on, in whichever direction
that went, until the worker's session is over. That proves as well that who sends a request belongs to the
call: nobody else knows both.
Source: RFC 3261 §11.2, §12.2.2; RFC 6665 §8.3.2 (489).
"""

import math
from typing import Final

from b2bua.core.ids import WorkerId
from b2bua.sip.answers import ALLOW, METHODS, OPTIONS_HEADERS, Refusal
from b2bua.sip.message import Request
from b2bua.sip.soft_state import SoftState
from b2bua.sip.values import Replaces

__all__ = ["Dialogs", "answer_within"]

MAX_DIALOGS: Final = 20_000
OVER_S: Final = 40.0
"""So long after its session may a request of a dialog be repeated: 64*T1 and some more."""

_Key = tuple[str, str]


class Dialogs:
    """See the module's docstring. Thread: the edge's loop."""

    def __init__(self) -> None:
        self._workers: SoftState[_Key, WorkerId] = SoftState(MAX_DIALOGS)
        self._live: dict[WorkerId, set[_Key]] = {}
        """Of sessions that are not over."""

    def __len__(self) -> int:
        return len(self._workers)

    def begin(self, invite: Request, worker: WorkerId) -> None:
        """An INVITE outside dialogs goes to a worker, or comes from it."""
        key = (invite.call_id, invite.from_tag)
        self._workers.put(key, worker, math.inf)
        self._live.setdefault(worker, set()).add(key)

    def worker_of(self, request: Request, now: float) -> WorkerId | None:
        """Whose the dialog of a request from outside is: of either party."""
        return self._find(request.call_id, request.from_tag, request.to_tag, now)

    def worker_named(self, dialog: Replaces, now: float) -> WorkerId | None:
        """Whose a dialog is that somebody else names; who called whom is not said."""
        return self._find(dialog.call_id, dialog.from_tag, dialog.to_tag, now)

    def lives(self, request: Request, worker: WorkerId) -> bool:
        """Whether the session that a dialog belongs to is not over."""
        keys = self._live.get(worker, set())
        return any((request.call_id, tag) in keys for tag in (request.from_tag, request.to_tag))

    def over(self, worker: WorkerId, now: float) -> None:
        """A worker's session is over."""
        for key in self._live.pop(worker, ()):
            if self._workers.get(key, now) == worker:
                self._workers.keep(key, now + OVER_S)

    def sweep(self, now: float) -> None:
        """Forget what has ended."""
        self._workers.sweep(now)

    def _find(self, call_id: str, one: str, other: str, now: float) -> WorkerId | None:
        return self._workers.get((call_id, one), now) or self._workers.get((call_id, other), now)


def answer_within(request: Request) -> Refusal | None:
    """What a request of a live dialog gets from us, because the library would say 500 to it; None: ask it."""
    match request.method:
        case "OPTIONS":
            return Refusal(200, headers=OPTIONS_HEADERS)
        case "SUBSCRIBE":
            return Refusal(489, "Bad Event")
        case "NOTIFY" if (request.get("event") or "").partition(";")[0].strip().lower() != "refer":
            return Refusal(489, "Bad Event")
        case "REGISTER" | "PUBLISH":
            return Refusal(405, headers=(("Allow", ALLOW),))
        case method if method not in METHODS:
            return Refusal(501)
    return None
