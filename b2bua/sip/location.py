"""Where the users' phones are: bindings, found by user and by the id that workers call them by.

Source: RFC 3261 §10.3, RFC 5626 §7.
"""

from collections.abc import Iterable
from typing import Final

from b2bua.sip.edge_control import Binding
from b2bua.sip.flow import Flow

__all__ = ["BINDING_PARAM", "MAX_CONTACTS", "Locations"]

BINDING_PARAM: Final = "b2bua-binding"
"""Of the URI of an INVITE to a registered phone: which binding. It stays between worker and edge."""
MAX_CONTACTS: Final = 10


class Locations:
    """See the module's docstring. Thread: the edge's loop."""

    def __init__(self) -> None:
        self._users: dict[str, tuple[Binding, ...]] = {}
        self._ids: dict[str, Binding] = {}
        self._sources: dict[str, int] = {}
        """How many bindings came from each source."""

    def of(self, user: str, now: float) -> tuple[Binding, ...]:
        """A user's bindings, the preferred first."""
        return tuple(each for each in self._users.get(user, ()) if each.expires_at > now)

    def find(self, binding: str, now: float) -> Binding | None:
        """The binding of this id."""
        found = self._ids.get(binding)
        return found if found is not None and found.expires_at > now else None

    def registered_from(self, flow: Flow) -> bool:
        """Whether a phone has registered from there."""
        return flow.source in self._sources

    def user_at(self, flow: Flow, user: str) -> bool:
        """Whether this user's phone has registered from there."""
        return any(each.source == flow.source for each in self._users.get(user, ()))

    def put(self, user: str, bindings: Iterable[Binding]) -> None:
        """These are a user's now; of more than ``MAX_CONTACTS`` those go that would end first."""
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
        """Forget who is no user any more; returns them."""
        gone = self._users.keys() - set(users)
        for user in gone:
            self.put(user, ())
        return sorted(gone)

    def expire(self, now: float) -> list[str]:
        """Forget what has ended; returns whose."""
        changed = [
            user for user, bindings in self._users.items() if any(each.expires_at <= now for each in bindings)
        ]
        for user in changed:
            self.put(user, self.of(user, now))
        return changed
