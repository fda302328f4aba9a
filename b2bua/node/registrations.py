"""The controller's copy of the users' registrations: used for dialing, and stored across restarts.

The edge is the registrar; this copy follows it. Times in the store are wall-clock times; all others are
CLOCK_MONOTONIC, which restarts with the machine. Thread: the controller's loop.
"""

import logging
import time
from collections.abc import Callable, Container, Iterable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from b2bua.sip.edge_control import Binding, BindingsChanged
from b2bua.sip.location import BINDING_PARAM
from b2bua.store.records import RegistrationRow

__all__ = ["RegistrationStore", "Registrations"]

log = logging.getLogger(__name__)


class RegistrationStore(Protocol):
    """The part of the store that registrations use."""

    def put(self, record: RegistrationRow) -> None:
        """Queue a binding; it replaces any other of the same user, contact and flow."""

    def forget(self, record: RegistrationRow) -> None:
        """Queue the deletion of a binding, in order with ``put``."""


class Registrations:
    """The current bindings of all users.

    Args:
        domain: domain of the users' addresses.
        clock: returns monotonic seconds.
        wall_clock: returns the current time, timezone-aware.
    """

    def __init__(
        self,
        domain: str,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._domain = domain
        self._clock = clock
        self._wall_clock = wall_clock
        self._users: dict[str, tuple[Binding, ...]] = {}
        self.store: RegistrationStore | None = None
        """None: nothing is stored."""

    def __len__(self) -> int:
        now = self._clock()
        return sum(each.expires_at > now for bindings in self._users.values() for each in bindings)

    def contacts(self, user: str) -> tuple[str, ...]:
        """Return the URIs of a user's phones (``calls.context.Contacts``).

        The edge finds the phone by the binding parameter.
        """
        now = self._clock()
        return tuple(
            f"sip:{user}@{self._domain}{_transport(each)};{BINDING_PARAM}={each.id}"
            for each in self._users.get(user, ())
            if each.expires_at > now
        )

    def all(self) -> list[BindingsChanged]:
        """Return the bindings of all users."""
        return [BindingsChanged(user=user, bindings=bindings) for user, bindings in self._users.items()]

    def changed(self, message: BindingsChanged) -> None:
        """Adopt the bindings of a user from the edge, and store the difference."""
        before = {each.id: each for each in self._users.pop(message.user, ())}
        if message.bindings:
            self._users[message.user] = message.bindings
        after = {each.id: each for each in message.bindings}
        if before.keys() != after.keys():
            log.info("registered", extra={"pii_user": message.user, "phones": len(after)})
        if self.store is None:
            return
        for name in before.keys() - after.keys():
            self.store.forget(self._row(before[name], 0.0))
        for name, binding in after.items():
            if before.get(name) != binding:
                self.store.put(self._row(binding, binding.expires_at - self._clock()))

    def restore(self, rows: Iterable[RegistrationRow], users: Container[str]) -> list[BindingsChanged]:
        """Adopt stored registrations, and return them as messages for the edge.

        Expired bindings, and bindings of names that are no longer in ``users``, are deleted.
        """
        now, today = self._clock(), self._wall_clock()
        found: dict[str, list[Binding]] = {}
        for row in rows:
            left_s = (row.expires_at - today).total_seconds()
            if left_s > 0 and row.received and row.aor in users:
                found.setdefault(row.aor, []).append(_binding(row, now + left_s))
            elif self.store is not None:
                self.store.forget(row)
        self._users = {user: tuple(bindings) for user, bindings in found.items()}
        return [BindingsChanged(user=user, bindings=bindings) for user, bindings in self._users.items()]

    def _row(self, binding: Binding, left_s: float) -> RegistrationRow:
        return RegistrationRow(
            aor=binding.user,
            contact=binding.contact,
            instance=binding.instance,
            reg_id=binding.reg_id,
            call_id=binding.call_id,
            cseq=binding.cseq,
            expires_at=self._wall_clock() + timedelta(seconds=left_s),
            path=binding.path,
            received=binding.source,
            listener=binding.listener,
            user_agent=binding.user_agent,
            q=binding.q,
        )


def _transport(binding: Binding) -> str:
    """Return the transport parameter for TLS, which allows SRTP keys to be sent; otherwise nothing."""
    return ";transport=tls" if binding.source.startswith("tls:") else ""


def _binding(row: RegistrationRow, expires_at: float) -> Binding:
    return Binding(
        user=row.aor,
        contact=row.contact,
        call_id=row.call_id,
        cseq=row.cseq,
        expires_at=expires_at,
        source=row.received,
        listener=row.listener,
        path=row.path,
        instance=row.instance,
        reg_id=row.reg_id,
        user_agent=row.user_agent,
        q=row.q,
    )
