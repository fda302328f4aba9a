"""Locations of the users' phones: bindings by user, and by the id that workers call.

Source: RFC 3261 §10.3, RFC 5626 §7.
"""

from collections.abc import Iterable
from typing import Final

from b2bua.sip.edge_control import Binding, BindingsChanged
from b2bua.sip.flow import Flow

__all__ = ["BINDING_PARAM", "MAX_CONTACTS", "Locations"]

BINDING_PARAM: Final = "b2bua-binding"
"""URI parameter of an INVITE to a registered phone that names the binding. It never leaves the node."""
MAX_CONTACTS: Final = 10


class Locations:
    """The bindings of all users. Thread: the edge's loop."""

    def __init__(self) -> None:
        self._users: dict[str, tuple[Binding, ...]] = {}
        self._ids: dict[str, Binding] = {}
        self._sources: dict[str, int] = {}
        """Number of bindings by source."""

    def all(self, now: float) -> list[BindingsChanged]:
        """Return the bindings of all users."""
        return [BindingsChanged(user=user, bindings=self.of(user, now)) for user in self._users]

    def of(self, user: str, now: float) -> tuple[Binding, ...]:
        """Return a user's bindings, the most preferred first."""
        return tuple(each for each in self._users.get(user, ()) if each.expires_at > now)

    def find(self, binding: str, now: float) -> Binding | None:
        """Return the binding with this id; None if there is none or it has expired."""
        found = self._ids.get(binding)
        return found if found is not None and found.expires_at > now else None

    def registered_from(self, flow: Flow) -> bool:
        """Whether a phone has registered over this flow."""
        return flow.source in self._sources

    def user_at(self, flow: Flow, user: str) -> bool:
        """Whether a phone of this user has registered over this flow."""
        return any(each.source == flow.source for each in self._users.get(user, ()))

    def put(self, user: str, bindings: Iterable[Binding]) -> None:
        """Replace a user's bindings; of more than ``MAX_CONTACTS``, those that expire first are dropped."""
        for old in self._users.pop(user, ()):
            del self._ids[old.id]
            self._sources[old.source] -= 1
            if not self._sources[old.source]:
                del self._sources[old.source]
        kept = sorted(bindings, key=lambda each: each.expires_at)[-MAX_CONTACTS:]
        if not kept:
            return
        self._users[user] = tuple(sorted(kept, key=lambda each: -each.q))
        for new in kept:
            self._ids[new.id] = new
            self._sources[new.source] = self._sources.get(new.source, 0) + 1

    def keep_users(self, users: Iterable[str]) -> list[str]:
        """Forget all other users; return those forgotten."""
        gone = self._users.keys() - set(users)
        for user in gone:
            self.put(user, ())
        return sorted(gone)

    def expire(self, now: float) -> list[str]:
        """Forget expired bindings; return the users that had them."""
        changed = [
            user for user, bindings in self._users.items() if any(each.expires_at <= now for each in bindings)
        ]
        for user in changed:
            self.put(user, self.of(user, now))
        return changed
