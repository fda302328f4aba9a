"""Follows a callee's 3xx response, but only to a few contacts at the place that was called.

A callee may redirect us, but not make us place calls at another party's expense: only contacts at the host
(for a trunk: the addresses) that has responded and users of this node are followed. The INVITE is otherwise
unchanged; the ringing time continues, and the child call stays the same.
Source: RFC 3261 §8.1.3.4, §19.1.5 (a Contact's headers are never applied), §21.3.
"""

import ipaddress
from typing import Final

from msgspec import structs

from b2bua.calls.context import SessionContext
from b2bua.calls.targets import is_ours, own_user
from b2bua.core.commands import InviteLeg
from b2bua.core.errors import PeerError
from b2bua.core.events import LegEnded
from b2bua.core.ids import LegId
from b2bua.settings import TrunkSettings
from b2bua.sip.uri import Uri, parse_uri
from b2bua.sip.values import NameAddr, parse_name_addr, split_values

__all__ = ["Redirections"]

MAX_CONTACTS: Final = 5
"""In total, over all responses: two servers that redirect to each other cannot make a loop."""
_MAX_READ: Final = 20
_FOLLOWED: Final = frozenset({300, 301, 302})
"""305 and 380 require more than a different Request-URI."""
_SAFE_PARAMS: Final = frozenset({"transport", "user"})


class Redirections:
    """The redirections of one target.

    Args:
        invites: the INVITEs to the target that are known from the beginning.
        context: the session's context.
    """

    def __init__(self, invites: tuple[InviteLeg, ...], context: SessionContext) -> None:
        self._context = context
        self._invites = {invite.leg: invite for invite in invites}
        self._tried = {invite.uri for invite in invites}
        self._left = MAX_CONTACTS

    def follow(self, ended: LegEnded) -> tuple[InviteLeg, ...]:
        """Return the INVITEs to send after a leg's end, in the callee's order of preference."""
        origin = self._invites.get(ended.leg)
        if origin is None or ended.cause != "peer" or ended.sip_code not in _FOLLOWED:
            return ()
        uris = [uri for contact in _contacts(ended) for uri in self._ways(origin, contact)]
        fresh = [uri for uri in dict.fromkeys(uris) if uri not in self._tried][: self._left]
        self._left -= len(fresh)
        self._tried.update(fresh)
        invites = tuple(self._again(origin, uri) for uri in fresh)
        self._invites.update({invite.leg: invite for invite in invites})
        return invites

    @property
    def legs(self) -> list[LegId]:
        """The legs of all INVITEs, sent or not."""
        return list(self._invites)

    def _again(self, origin: InviteLeg, uri: str) -> InviteLeg:
        ids = self._context.ids
        return structs.replace(origin, leg=ids.leg(), sip_call_id=ids.sip_call_id(), uri=uri)

    def _ways(self, origin: InviteLeg, contact: Uri) -> list[str]:
        """Return the Request-URIs for a contact; none if it must not be called."""
        called = parse_uri(origin.uri)
        if contact.scheme == "tel" or (called.secure and not contact.secure):
            return []
        text = str(contact)
        if is_ours(contact, self._context.settings):
            user = own_user(text, self._context.settings)
            return list(self._context.contacts(user)) if user is not None else []
        same = contact.host.lower() == called.host.lower() or self._same_trunk(called, contact)
        return [text] if same else []

    def _same_trunk(self, called: Uri, contact: Uri) -> bool:
        try:
            address = ipaddress.ip_address(contact.host.strip("[]"))
        except ValueError:
            return False
        trunks = [trunk for trunk in self._context.settings.trunks if _host(trunk) == called.host.lower()]
        return any(address in network for trunk in trunks for network in trunk.match)


def _host(trunk: TrunkSettings) -> str:
    return parse_uri(trunk.uri).host.lower()


def _contacts(ended: LegEnded) -> list[Uri]:
    """Return the valid Contacts in order of preference, reduced to what an address needs."""
    values = [v for n, text in ended.headers if n.lower() == "contact" for v in split_values(text)]
    contacts: list[tuple[float, Uri]] = []
    for value in values[:_MAX_READ]:
        try:
            contact = parse_name_addr(value)
        except PeerError:
            continue
        uri = contact.uri
        params = tuple((name, given) for name, given in uri.params if name in _SAFE_PARAMS)
        contacts.append((_q(contact), structs.replace(uri, params=params, headers="")))
    contacts.sort(key=lambda each: -each[0])  # stable
    return [uri for _, uri in contacts]


def _q(contact: NameAddr) -> float:
    """Return the q value (RFC 3261 §20.10); the default, 1, if it cannot be parsed."""
    try:
        return min(1.0, max(0.0, float(contact.param("q") or "1")))
    except ValueError:
        return 1.0
