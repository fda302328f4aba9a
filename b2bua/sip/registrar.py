"""The registrar: the changes that a user's REGISTER makes, and its answer.

The registrar gets authenticated requests only and does not check their sender. A node has one domain, so the
host that a phone registers at does not matter (RFC 3261 §10.3 step 1).
Source: RFC 3261 §10.3, RFC 3327 (Path), RFC 5626 §6 (outbound).
"""

import re
from dataclasses import dataclass
from typing import Final

from b2bua.core.errors import PeerError
from b2bua.core.events import Headers
from b2bua.sip.answers import Refusal
from b2bua.sip.edge_control import Binding, BindingsChanged
from b2bua.sip.flow import Flow
from b2bua.sip.location import MAX_CONTACTS, Locations
from b2bua.sip.message import Request
from b2bua.sip.uri import Uri
from b2bua.sip.values import NameAddr, parse_name_addr

__all__ = ["MAX_EXPIRES_S", "MIN_EXPIRES_S", "Registrar"]

MIN_EXPIRES_S: Final = 60
MAX_EXPIRES_S: Final = 3600
MAX_CONTACT: Final = 512
MAX_PATH: Final = 8
FLOW_TIMER_S: Final = 120

_SECONDS = re.compile(r"[0-9]{1,10}")
_Q = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One Contact of the request."""

    contact: NameAddr
    expires_s: int

    @property
    def instance(self) -> str:
        return (self.contact.param("+sip.instance") or "").strip('"')[:200]

    @property
    def reg_id(self) -> int:
        said = self.contact.param("reg-id") or ""
        return int(said) if _SECONDS.fullmatch(said) else 0

    @property
    def q(self) -> float:
        said = self.contact.param("q") or ""
        return float(said) if _Q.fullmatch(said) else 1.0


class Registrar:
    """Carries out REGISTER requests and updates ``locations``. Thread: the edge's loop."""

    def __init__(self, locations: Locations) -> None:
        self._locations = locations

    def register(
        self, request: Request, user: str, came_from: Flow, now: float
    ) -> tuple[Refusal, BindingsChanged | None]:
        """Carry out a REGISTER of ``user``; return the answer and the change, None if nothing changed.

        Raises:
            PeerError: the request cannot be carried out; ``sip_status_hint`` is the status to answer with.
        """
        contacts = request.all("contact")
        if not contacts:
            return self._answer(request, user, now), None  # a query
        before = self._locations.of(user, now)
        if "*" in contacts:
            after = _without_all(request, contacts, before)
        else:
            wanted = [_wanted(text, request) for text in contacts[: MAX_CONTACTS + 1]]
            refusal = _unwanted(wanted)
            if refusal is not None:
                return refusal, None
            after = self._after(request, user, wanted, came_from, now)
        if after == before:
            return self._answer(request, user, now), None
        self._locations.put(user, after)
        changed = BindingsChanged(user=user, bindings=self._locations.of(user, now))
        return self._answer(request, user, now), changed

    def _after(
        self, request: Request, user: str, wanted: list[_Wanted], came_from: Flow, now: float
    ) -> tuple[Binding, ...]:
        bindings = list(self._locations.of(user, now))
        outbound = _outbound(request)
        for each in wanted:
            new = _binding(request, user, each, came_from, now + each.expires_s, outbound)
            old = next((b for b in bindings if _same(b, new)), None)
            if old is not None:
                if _again(request, old):
                    continue
                bindings.remove(old)
            if each.expires_s:
                bindings.append(new)
        return tuple(bindings)

    def _answer(self, request: Request, user: str, now: float) -> Refusal:
        """Return 200 with all bindings (§10.3 step 8)."""
        bindings = self._locations.of(user, now)
        headers: Headers = tuple(("Contact", _contact_value(each, now)) for each in bindings)
        supported = {option.lower() for option in request.all("supported")}
        if "path" in supported:
            headers += tuple(("Path", value) for value in request.all("path")[:MAX_PATH])
        if _outbound(request):
            headers += (("Require", "outbound"), ("Flow-Timer", str(FLOW_TIMER_S)))
        return Refusal(200, headers=headers)


def _wanted(text: str, request: Request) -> _Wanted:
    contact = parse_name_addr(text)
    if len(text) > MAX_CONTACT or contact.uri.scheme == "tel":
        raise PeerError("bad Contact")
    if "[" not in contact.uri.host and not contact.uri.host:
        raise PeerError("bad Contact")
    said = contact.param("expires") or request.get("expires") or ""
    # §10.3 step 6; a malformed value counts as 3600 (§20.19).
    expires_s = int(said) if _SECONDS.fullmatch(said) else MAX_EXPIRES_S
    return _Wanted(contact, min(expires_s, MAX_EXPIRES_S))


def _unwanted(wanted: list[_Wanted]) -> Refusal | None:
    if len(wanted) > MAX_CONTACTS:
        return Refusal(403, "Too Many Contacts")
    if any(0 < each.expires_s < MIN_EXPIRES_S for each in wanted):
        return Refusal(423, headers=(("Min-Expires", str(MIN_EXPIRES_S)),))
    return None


def _without_all(request: Request, contacts: list[str], before: tuple[Binding, ...]) -> tuple[Binding, ...]:
    if contacts != ["*"] or request.get("expires") != "0":
        raise PeerError("Contact: * must stand alone, with Expires: 0")  # §10.2.2
    return tuple(each for each in before if _again(request, each))


def _again(request: Request, old: Binding) -> bool:
    """Whether the request that made a binding has been received again (§10.3 step 7).

    Raises:
        PeerError: the request is older than the one that made the binding.
    """
    if request.call_id != old.call_id or request.cseq_number > old.cseq:
        return False
    if request.cseq_number < old.cseq:
        raise PeerError("out of order", sip_status_hint=500)
    return True


def _outbound(request: Request) -> bool:
    """Whether outbound applies (RFC 5626 §6): only for the first hop, which we are if there is one Via."""
    return (
        "outbound" in {option.lower() for option in request.all("supported")}
        and len(request.all("via")) == 1
        and any("reg-id" in value for value in request.all("contact"))
    )


def _binding(
    request: Request, user: str, wanted: _Wanted, came_from: Flow, expires_at: float, outbound: bool
) -> Binding:
    path = tuple(request.all("path"))
    if len(path) > MAX_PATH:
        raise PeerError("Path too long")
    for value in path:
        parse_name_addr(value)
    return Binding(
        user=user,
        contact=str(wanted.contact.uri),
        call_id=request.call_id[:256],
        cseq=request.cseq_number,
        expires_at=expires_at,
        source=came_from.source,
        listener=came_from.listener,
        path=path,
        instance=wanted.instance,
        reg_id=wanted.reg_id if outbound else 0,
        user_agent=(request.get("user-agent") or "")[:128],
        q=wanted.q,
    )


def _same(old: Binding, new: Binding) -> bool:
    """Whether ``new`` replaces ``old``: compared by flow (RFC 5626 §7), else by Contact."""
    if new.instance and new.reg_id and old.reg_id:
        return (old.instance, old.reg_id) == (new.instance, new.reg_id)
    if old.contact == new.contact:
        return True
    return _key(parse_name_addr(f"<{old.contact}>").uri) == _key(parse_name_addr(f"<{new.contact}>").uri)


def _key(uri: Uri) -> tuple[object, ...]:
    """Return the parts by which Contact URIs are compared, as far as phones vary them (RFC 3261 §19.1.4)."""
    return uri.scheme, uri.user, uri.host.lower(), uri.port, uri.param("transport")


def _contact_value(binding: Binding, now: float) -> str:
    value = f"<{binding.contact}>;expires={max(1, round(binding.expires_at - now))}"
    if binding.q != 1.0:
        value += f";q={binding.q:g}"
    if binding.instance:
        value += f';+sip.instance="{binding.instance}"'
    if binding.reg_id:
        value += f";reg-id={binding.reg_id}"
    return value
