"""Dialogs that pass through the edge: the worker of each, and requests answered without the worker.

A dialog is identified by its Call-ID and the From tag of its INVITE, in whichever direction the INVITE went,
until the worker's session is over. Knowing both also proves that the sender of a request belongs to the call.
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
"""How long after its session a request of a dialog may still be repeated: 64*T1 and a margin."""

_Key = tuple[str, str]


class Dialogs:
    """Maps dialogs to workers. Thread: the edge's loop."""

    def __init__(self) -> None:
        self._workers: SoftState[_Key, WorkerId] = SoftState(MAX_DIALOGS)
        self._live: dict[WorkerId, set[_Key]] = {}
        """Dialogs by worker, of sessions that are not over."""

    def __len__(self) -> int:
        return len(self._workers)

    def begin(self, invite: Request, worker: WorkerId) -> None:
        """Record the dialog of an initial INVITE to or from a worker."""
        self.restore(invite.call_id, invite.from_tag, worker)

    def restore(self, call_id: str, from_tag: str, worker: WorkerId) -> None:
        """Record the dialog of an INVITE that may have been seen by an edge before this one."""
        key = (call_id, from_tag)
        self._workers.put(key, worker, math.inf)
        self._live.setdefault(worker, set()).add(key)

    def worker_of(self, request: Request, now: float) -> WorkerId | None:
        """Return the worker that has the dialog of a request from outside, in either direction."""
        return self._find(request.call_id, request.from_tag, request.to_tag, now)

    def worker_named(self, dialog: Replaces, now: float) -> WorkerId | None:
        """Return the worker that has the dialog named in Replaces, which does not say who called whom."""
        return self._find(dialog.call_id, dialog.from_tag, dialog.to_tag, now)

    def lives(self, request: Request, worker: WorkerId) -> bool:
        """Whether the request is of a dialog of the worker's current session."""
        keys = self._live.get(worker, set())
        return any((request.call_id, tag) in keys for tag in (request.from_tag, request.to_tag))

    def over(self, worker: WorkerId, now: float) -> None:
        """Record that a worker's session is over."""
        for key in self._live.pop(worker, ()):
            if self._workers.get(key, now) == worker:
                self._workers.keep(key, now + OVER_S)

    def sweep(self, now: float) -> None:
        """Forget dialogs that have ended."""
        self._workers.sweep(now)

    def _find(self, call_id: str, one: str, other: str, now: float) -> WorkerId | None:
        return self._workers.get((call_id, one), now) or self._workers.get((call_id, other), now)


def answer_within(request: Request) -> Refusal | None:
    """Return our answer to a request of a live dialog that the library would answer with 500; else None."""
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
