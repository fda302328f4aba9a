"""Plans a ``<Dial>`` from its nouns: which targets to invite and how, and which cannot be invited.

Decides on numbers, trunks, caller ids and headers. It must not send anything or depend on workers.
Source: TwiML ``<Dial>``, ``<Number>``, ``<Sip>``, ``<Client>``; RFC 3325 (P-Asserted-Identity), RFC 9796
(call-reason).
"""

import re
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple
from urllib.parse import unquote

from b2bua.calls.caller import Caller
from b2bua.calls.child import Child
from b2bua.calls.context import SessionContext
from b2bua.calls.encryption import media_encryption
from b2bua.calls.numbers import Dialled, dialled_number, is_dialable, read_dialled, trunks_for
from b2bua.core.commands import InviteLeg, Srtp
from b2bua.core.dial_plan import BranchPlan, DialPlan, TargetKind
from b2bua.core.events import Headers
from b2bua.core.ids import CallSid, LegId
from b2bua.core.outcomes import NotInvited, refused_outcome
from b2bua.settings import Settings, TrunkSettings
from b2bua.sip.uri import Uri, parse_uri
from b2bua.twiml import verbs
from b2bua.twiml.findings import Finding
from b2bua.twiml.sip_noun import parse_sip_target

__all__ = ["PlannedDial", "is_ours", "own_user", "plan_dial"]

_SIP_CALLER_ID = re.compile(r"[A-Za-z0-9+\-_.]+")
_NUMBER_CALLER_ID = re.compile(r"\+?[0-9]{1,15}")
_MAX_CALLER_ID = 64
_MAX_WAYS = 4
"""The most trunks tried for one number."""
_TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]{1,64}")


@dataclass(frozen=True, slots=True)
class _From:
    """The caller identity of a child call."""

    user: str
    name: str
    anonymous: bool
    reported_as: str
    """The caller as named in webhooks."""
    asserted: str = ""
    """User part of the identity asserted to trunks (RFC 3325); empty: none is known."""


@dataclass(frozen=True, slots=True)
class _Target:
    """The target of one noun: its address, or the reason why it has none."""

    kind: TargetKind
    reported_as: str
    """The target as named in webhooks."""
    uri: str = ""
    refusal: NotInvited | None = None
    trunk: TrunkSettings | None = None
    keys: str = ""
    """The keys of an extension, sent after the answer."""
    headers: Headers = ()
    username: str = ""
    password: str = ""
    srtp: Srtp = "off"
    others: tuple["_Target", ...] = ()
    """The same target by other trunks, tried if this one fails."""


_Called = verbs.Number | verbs.Sip | verbs.Client
"""The nouns that lead to child calls."""


class PlannedDial(NamedTuple):
    """A Dial that is ready to start."""

    plan: DialPlan
    children: tuple[Child, ...]
    """The child calls of the plan's branches, in the same order."""
    findings: tuple[Finding, ...]


class _Planner:
    """Plans one Dial and collects the findings about it."""

    def __init__(self, dial: verbs.Dial, caller: Caller, context: SessionContext, takes_over: str) -> None:
        self._takes_over = takes_over
        self._dial = dial
        self._caller = caller
        self._context = context
        self._settings: Settings = context.settings
        self.findings: list[Finding] = []

    def targets(self, noun: _Called) -> list[_Target]:
        """Return the targets of a noun: a single one, or one for each phone of a user."""
        targets = self._targets(noun)
        return [self._in_place(targets[0])] if self._takes_over else targets

    def _in_place(self, target: _Target) -> _Target:
        """Return a target that takes over an existing dialog; the edge knows the dialog's worker."""
        uri = f"sip:replaced@{self._settings.sip.domain}"
        headers = (*target.headers, ("Replaces", self._takes_over))
        srtp = media_encryption(uri, self._settings.rtp.srtp)
        return _Target(target.kind, target.reported_as, uri=uri, headers=headers, srtp=srtp)

    def _targets(self, noun: _Called) -> list[_Target]:
        match noun:
            case verbs.Number():
                return [self._number(noun)]
            case verbs.Sip():
                return self._sip(noun)
            case verbs.Client():
                headers = self._parameters(noun)
                targets = self._phones("client", f"client:{noun.identity}", noun.identity, headers)
                known = any(noun.identity == each.name for each in self._settings.users)
                if not known and targets[0].refusal is NotInvited.NOT_REGISTERED:
                    self.warn(12200, "no user of this node has the name of this Client", noun)
                return targets

    def _phones(self, kind: TargetKind, reported_as: str, user: str, headers: Headers) -> list[_Target]:
        contacts = self._context.contacts(user)
        if not contacts:
            return [_Target(kind, reported_as, refusal=NotInvited.NOT_REGISTERED)]
        general = self._settings.rtp.srtp
        own: Srtp | Literal[""] = next((e.srtp for e in self._settings.users if e.name == user), "")
        return [
            _Target(
                kind, reported_as, uri=contact, headers=headers, srtp=media_encryption(contact, general, own)
            )
            for contact in contacts
        ]

    def _parameters(self, noun: verbs.Client) -> Headers:
        """Return ``<Parameter>`` elements as headers; a name not valid in a header is left out."""
        headers = []
        for each in noun.parameters:
            if _TOKEN.fullmatch(each.name):
                headers.append((f"X-Param-{each.name}", each.value))
            else:
                self.warn(
                    12200, "the Parameter's name is not valid in a header; the Parameter is not sent", noun
                )
        return tuple(headers)

    def _number(self, noun: verbs.Number) -> _Target:
        dialled = read_dialled(noun.text, self._settings.dial.country)
        if dialled is None:
            code = 13224 if is_dialable(noun.text) else 13223
            self.warn(code, "not a telephone number", noun)
            return _Target("number", noun.text, refusal=NotInvited.BAD_NUMBER)
        number = dialled.number
        trunks = trunks_for(number, self._settings.trunks, self._settings.dial.trunk, noun.byoc or "")
        if not trunks:
            self.warn(13224, "no trunk takes this number", noun)
            return _Target("number", number, refusal=NotInvited.NO_ROUTE)
        answering = [trunk for trunk in trunks if not self._context.trunk_is_down(trunk.name)]
        # A trunk that fails OPTIONS may still take calls: if all trunks seem down, they are tried anyway.
        ways = [self._by_trunk(dialled, trunk) for trunk in (answering or trunks)[:_MAX_WAYS]]
        return replace(ways[0], others=tuple(ways[1:]))

    def _by_trunk(self, dialled: Dialled, trunk: TrunkSettings) -> _Target:
        number = dialled.number
        uri = _with_user(trunk.uri, number)
        return _Target(
            "number",
            number,
            uri=uri,
            keys=dialled.keys,
            trunk=trunk,
            username=trunk.username,
            password=trunk.password.get_secret_value(),
            srtp=media_encryption(uri, self._settings.rtp.srtp, trunk.srtp),
        )

    def _sip(self, noun: verbs.Sip) -> list[_Target]:
        parsed = parse_sip_target(noun.uri, line=noun.line, column=noun.column)
        self.findings += parsed.findings
        if not parsed.uri:
            return [_Target("sip", noun.uri, refusal=NotInvited.BAD_NUMBER)]
        reported_as = parsed.uri.partition(";")[0]
        user = own_user(parsed.uri, self._settings)
        if user is not None:
            return self._phones("sip", reported_as, user, parsed.headers)
        return [
            _Target(
                "sip",
                reported_as,
                uri=parsed.uri,
                headers=parsed.headers,
                username=noun.username or "",
                password=noun.password or "",
                srtp=media_encryption(parsed.uri, self._settings.rtp.srtp),
            )
        ]

    def origin(self, target: _Target) -> _From | None:
        """Return the caller identity of the child call; None if the caller id is not allowed."""
        wanted = self._dial.caller_id
        caller = self._caller
        if wanted is None:
            return _From(caller.user, caller.name, caller.anonymous, caller.number, caller.asserted)
        if len(wanted) > _MAX_CALLER_ID:
            self.warn(13248, "callerId is too long", self._dial)
            return None
        if target.kind == "number":
            allowed = self._allowed_number(wanted)
        else:
            user = wanted.removeprefix("client:") if target.kind == "client" else wanted
            allowed = user if _SIP_CALLER_ID.fullmatch(user) else None
        if allowed is None:
            self.warn(13214, _why_not(wanted, target.kind), self._dial)
            return None
        return _From(allowed, "", False, wanted if target.kind == "client" else allowed, allowed)

    def _allowed_number(self, wanted: str) -> str | None:
        number = dialled_number(wanted, self._settings.dial.country)
        if number is None or not _NUMBER_CALLER_ID.fullmatch(number):
            return None
        return number if self._may_show(number) else None

    def _may_show(self, number: str) -> bool:
        """Return whether callees may be shown this number as the caller's.

        A phone call may show its own two numbers: the network has verified one, and the other is ours.
        """
        caller, settings = self._caller, self._settings
        return (
            settings.dial.caller_id_policy == "any"
            or (caller.phone_call and number in (caller.number, caller.called))
            or self._context.owns_number(number)
            or any(number in trunk.caller_ids for trunk in settings.trunks)
        )

    def branch(self, noun: _Called, target: _Target, parent: CallSid, fits: bool) -> tuple[BranchPlan, Child]:
        """Return the plan of one target and its child call. ``fits``: whether a slot is free for it."""
        origin = self.origin(target)
        plan = self._branch(noun, target, origin, fits)
        child = Child(
            call_sid=plan.child,
            parent_sid=parent,
            noun=noun,
            kind=target.kind,
            from_=origin.reported_as if origin else self._caller.number,
            to=target.reported_as,
            anonymous=origin is not None and origin.anonymous,
            asserted=origin.asserted if origin else "",
            uri=target.uri,
            sip_call_id=plan.invite.sip_call_id if plan.invite else None,
        )
        return plan, child

    def _branch(self, noun: _Called, target: _Target, origin: _From | None, fits: bool) -> BranchPlan:
        child = self._context.ids.call_sid()
        leg = self._context.ids.leg()
        refusal = target.refusal
        if refusal is None and origin is None:
            refusal = NotInvited.BAD_CALLER_ID
        if refusal is None and not fits:
            self.warn(12400, "more targets than this node can ring for one call", noun)
            refusal = NotInvited.NO_SLOT
        if refusal is not None or origin is None:
            assert refusal is not None
            return BranchPlan(leg=leg, child=child, kind=target.kind, refused=refused_outcome(refusal))
        digits = target.keys + (noun.send_digits if isinstance(noun, verbs.Number) else "")
        # Only a bridged callee may send REFER, not one that is still being screened or sent digits.
        may_refer = self._dial.refer_url is not None and noun.url is None and not digits
        invite = self._invite(leg, child, origin, target, may_refer)
        others = tuple(
            self._invite(self._context.ids.leg(), child, origin, other, may_refer) for other in target.others
        )
        return BranchPlan(
            leg=leg,
            child=child,
            kind=target.kind,
            invite=invite,
            alternatives=others,
            send_digits=digits,
            screened=noun.url is not None,
        )

    def _invite(
        self, leg: LegId, child: CallSid, origin: _From, target: _Target, may_refer: bool
    ) -> InviteLeg:
        return InviteLeg(
            leg=leg,
            sip_call_id=self._context.ids.sip_call_id(),
            uri=target.uri,
            from_header=self._from_header(origin),
            headers=(*self._headers(child, origin, target), *target.headers),
            username=target.username,
            password=target.password,
            srtp=target.srtp,
            may_refer=may_refer,
        )

    def _from_header(self, origin: _From) -> str:
        if origin.anonymous:
            return '"Anonymous" <sip:anonymous@anonymous.invalid>'  # RFC 3323 §4.1.1.3
        name = origin.name.replace("\\", "").replace('"', "")
        display = f'"{name}" ' if name else ""
        return f"{display}<sip:{origin.user or 'anonymous'}@{self._settings.sip.domain}>"

    def _headers(self, child: CallSid, origin: _From, target: _Target) -> Headers:
        headers = [("X-Twilio-CallSid", child), ("X-Twilio-AccountSid", self._context.account_sid)]
        if target.trunk is not None:
            # RFC 3325 §7: only trunks are trusted.
            if origin.asserted:
                identity = f"<sip:{origin.asserted}@{self._settings.sip.domain}>"
                headers.append(("P-Asserted-Identity", identity))
            if origin.anonymous:
                headers.append(("Privacy", "id"))
        reason = self._dial.call_reason
        if reason:
            quoted = reason.replace("\\", "\\\\").replace('"', '\\"')
            headers.append(("Call-Info", f'<data:>;purpose=jcard;call-reason="{quoted}"'))
            headers.append(("Subject", reason))
        return tuple(headers)

    def time_limit_s(self) -> int:
        """Return how long the bridge may last, in seconds."""
        most = self._settings.dial.max_time_limit_s
        if self._dial.time_limit > most:
            self.warn(13216, f"timeLimit is more than {most}; {most} is used", self._dial)
        return min(self._dial.time_limit, most)

    def warn(self, number: int, text: str, where: verbs.Verb | verbs.Noun) -> None:
        """Note a warning about an element of the document."""
        self.findings.append(
            Finding(number=number, severity="warning", text=text, line=where.line, column=where.column)
        )


def plan_dial(
    dial: verbs.Dial, parent: CallSid, caller: Caller, context: SessionContext, takes_over: str = ""
) -> PlannedDial:
    """Return the plan of ``dial``, which belongs to the call ``parent``, and the warnings about it.

    ``takes_over``: the dialog of this node that a Dial with a single noun takes over, as a Replaces value;
    empty: none.
    """
    planner = _Planner(dial, caller, context, takes_over if len(dial.children) == 1 else "")
    settings = context.settings.dial
    branches: list[BranchPlan] = []
    children: list[Child] = []
    invited = 0
    for noun in dial.children:
        if isinstance(noun, verbs.Conference | verbs.Queue):
            continue  # warned about as having no effect yet
        for target in planner.targets(noun):
            fits = dial.sequential or invited < context.most_targets
            branch, child = planner.branch(noun, target, parent, fits)
            branches.append(branch)
            children.append(child)
            invited += branch.invite is not None
    plan = DialPlan(
        branches=tuple(branches),
        answer_on_bridge=dial.answer_on_bridge,
        ring_timeout_s=dial.timeout + settings.timeout_buffer_s,
        time_limit_s=planner.time_limit_s(),
        hangup_on_star=dial.hangup_on_star,
        allow_refer=dial.refer_url is not None,
        ringtone=dial.ring_tone,
        default_ringtone=settings.ringtone,
        sequential=dial.sequential,
        first_to_accept=dial.first_to == "accept",
        screening_limit_s=settings.screening_limit_s,
    )
    return PlannedDial(plan, tuple(children), tuple(planner.findings))


def is_ours(uri: Uri, settings: Settings) -> bool:
    """Return whether a URI leads to this node."""
    own_port = uri.port is None or uri.port in {listen.port for listen in settings.sip.listen}
    return own_port and uri.host.lower() in (settings.sip.domain.lower(), settings.sip.advertise.lower())


def own_user(uri: str, settings: Settings) -> str | None:
    """Return the user of this node that a URI addresses; None if it addresses no user of this node."""
    parsed = parse_uri(uri)
    user = unquote(parsed.user)
    known = any(user == each.name for each in settings.users)
    return user if known and is_ours(parsed, settings) else None


def _why_not(caller_id: str, kind: TargetKind) -> str:
    """Return why a caller id is not used, and which keys of the configuration would allow it."""
    if kind != "number":
        return f"bad callerId {caller_id!r}"
    return (
        f"callerId {caller_id!r} is not a verified number: it must be the match of one of [[numbers]] "
        "or among a trunk's caller_ids, or dial.caller_id_policy must be any"
    )


def _with_user(trunk_uri: str, user: str) -> str:
    """Return a trunk's URI, such as ``sip:192.0.2.10:5060;transport=udp``, with a user part."""
    scheme, _, rest = trunk_uri.partition(":")
    return f"{scheme}:{user}@{rest.rpartition('@')[2]}"
