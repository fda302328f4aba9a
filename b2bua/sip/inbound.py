"""Requests from outside: the choice of their worker, or their refusal.

Source: RFC 3261 §8.2, §16.3–§16.6, §16.11.
"""

import re
from dataclasses import dataclass, replace
from typing import Final

from b2bua.core.admission import Lease, Origin
from b2bua.core.ids import SipCallId, WorkerId
from b2bua.sip.addresses import Addresses
from b2bua.sip.admission import Admission, Leases, Limits, RefusalCounts
from b2bua.sip.answers import (
    ALLOW,
    METHODS,
    OPTIONS_HEADERS,
    Answers,
    Refusal,
    screen,
    screen_invite,
    screen_media,
)
from b2bua.sip.dialog_records import DialogRecord, DialogRecords
from b2bua.sip.dialogs import Dialogs, answer_within
from b2bua.sip.edge_control import EdgeConfig, LeaseTaken
from b2bua.sip.fit import too_large
from b2bua.sip.flow import Flow, Output
from b2bua.sip.info import screen_info
from b2bua.sip.media_paths import MediaPaths
from b2bua.sip.mend import unfit
from b2bua.sip.message import Message, Request
from b2bua.sip.oddities import Oddities
from b2bua.sip.phones import Phones
from b2bua.sip.refer import screen_refer
from b2bua.sip.soft_state import SoftState
from b2bua.sip.uri import parse_uri
from b2bua.sip.values import Via, parse_replaces, parse_via
from b2bua.sip.worker_forwarder import WorkerForwarder
from b2bua.token_buckets import TokenBuckets

__all__ = ["NO_MEDIA_PORT", "Inbound"]

CALL_TTL_S: Final = 900.0
"""An INVITE may be pending for minutes without a message, and its CANCEL must still find the worker."""
DONE_TTL_S: Final = 40.0
"""After the final response: 64*T1 (RFC 3261 §17.1.1.2) and a margin."""
MAX_CALLS_KNOWN: Final = 20_000
HOLD_S: Final = 3.0
"""How long an INVITE waits for a worker: one starts in some 10 ms, so a burst of calls is only delayed."""
MAX_HELD: Final = 256
MAX_REQUEST: Final = 64_000
"""A datagram holds 65,507 bytes."""

NO_MEDIA_PORT: Final = "no media port"
_NO_WORKER: Final = "no idle worker"
_PASSING: Final = frozenset((_NO_WORKER, NO_MEDIA_PORT))
"""Shortages that end within a moment, mostly."""
_RETRY: Final = (("Retry-After", "2"),)
_OPENING: Final = (b"INVITE ", b"REGISTER ", b"OPTIONS ", b"SUBSCRIBE ", b"MESSAGE ", b"PUBLISH ")
"""Beginnings of messages that ask for something new: a call, a registration or another transaction."""

_SCANNERS: Final = re.compile(
    r"friendly-scanner|sipvicious|sipcli|sip-?scan|sundayddr|iwar|vaxsipuseragent|pplsip|sipptk|svmap|svcrack",
    re.IGNORECASE,
)
"""User agents of scanners that look for a PBX to abuse. They get no answer, which would reveal this one."""

_SCREENS: Final = {"INFO": screen_info, "REFER": screen_refer}
"""By method: checks that refuse a request within a call without its worker."""
_UNPROVEN: Final = {"none": "challenged", "stale": "challenged", "wrong": "wrong password"}

CallKey = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class _Call:
    """A new INVITE and the decision on it."""

    transaction: str
    worker: WorkerId | None
    refusal: Refusal | None = None
    origin: Origin | None = None
    answered: bool = False
    """The worker's final response has passed; the worker repeats it until it is acknowledged."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A new INVITE that waits for a worker."""

    request: Request
    came_from: Flow
    origin: Origin
    until: float


def call_key(message: Message) -> CallKey:
    """Return the key that an INVITE, its CANCEL, its responses and the ACK for a failure share."""
    return message.call_id, message.from_tag, message.cseq_number


class Inbound:
    """Decides on the requests from outside."""

    def __init__(
        self,
        config: EdgeConfig,
        addresses: Addresses,
        answers: Answers,
        leases: Leases,
        phones: Phones,
        media: MediaPaths,
    ) -> None:
        self._addresses = addresses
        self._phones = phones
        self._media = media
        self._answers = answers
        self._leases = leases
        self.admission = Admission(config)
        self._limits = Limits(config)
        self._buckets = TokenBuckets(config.invite_rate_per_s)
        self._other_buckets = TokenBuckets(config.invite_rate_per_s)
        """For requests other than INVITE outside a dialog."""
        self._forwarder = WorkerForwarder(config, addresses, answers, leases, media)
        self._max_calls = config.max_calls
        self._calls: SoftState[CallKey, _Call] = SoftState(MAX_CALLS_KNOWN)
        self.dialogs = Dialogs()
        self.records = DialogRecords()
        self._held: dict[CallKey, _Held] = {}
        """INVITEs that wait for a worker, in the order of arrival."""
        self.refusals = RefusalCounts()
        self.oddities = Oddities()
        self.draining = False
        self.configure(config)

    def configure(self, config: EdgeConfig) -> None:
        """Apply another configuration of admission."""
        self.admission.configure(config)
        self._phones.configure(config)
        self._forwarder.configure(config)
        self._limits.configure(config)
        self._buckets.rate_per_s = self._other_buckets.rate_per_s = config.invite_rate_per_s
        self._max_calls = config.max_calls

    def sweep(self, now: float) -> None:
        """Forget calls, dialogs and phones' state that have ended."""
        self._calls.sweep(now)
        self.dialogs.sweep(now)
        self._phones.tick(now)

    def serve_held(self, now: float) -> list[Output]:
        """Give idle workers to waiting calls, and refuse the calls that have waited too long."""
        outputs: list[Output] = []
        while self._held:
            key, held = next(iter(self._held.items()))
            reason = self._capacity_refusal()
            if reason is None:
                del self._held[key]
                outputs += self._start_call(held.request, held.came_from, held.origin, now)
            elif reason not in _PASSING or now >= held.until:
                del self._held[key]
                outputs += self._refuse_call(held.request, held.came_from, reason, now)
            else:
                break
        return outputs

    def trusted(self, came_from: Flow, now: float) -> bool:
        """Whether a source is known, by the configuration or by a password."""
        return self.admission.judge(came_from.host) is not None or self._phones.proven(came_from, now)

    def silent(self, data: bytes, came_from: Flow, now: float) -> bool:
        """Whether a message is dropped unread because its source keeps guessing passwords."""
        if not self._phones.lockouts.locked_out(came_from.host, now) or not data.startswith(_OPENING):
            return False
        if self.trusted(came_from, now):
            return False
        self.refusals.note("guessing", came_from.source)
        return True

    def request(self, request: Request, came_from: Flow, size: int, now: float) -> list[Output]:
        """Handle a request of ``size`` bytes; its Via already has its source."""
        if request.method == "ACK" and request.to_tag == self._answers.tag(request):
            return []  # it acknowledges an answer of ours; RFC 3261 §8.2.7
        refusal = screen(request, came_from)
        if refusal is None and size > MAX_REQUEST:
            refusal = Refusal(513, "Message Too Large")
        if refusal is not None:
            return self._answers.reply(request, came_from, refusal)
        if request.method in ("ACK", "CANCEL"):
            followed = self._follow(request, came_from, now)
            if followed is not None:
                return followed
        if request.to_tag:
            return self._in_dialog(request, came_from, now)
        unwanted = self._unwanted(request, came_from, now)
        if unwanted is not None:
            return unwanted
        match request.method:
            case "INVITE":
                return self._new_call(request, came_from, now)
            case "REGISTER":
                return self._phones.register(request, came_from, now)
            case "OPTIONS":
                return self._options(request, came_from)
            case "ACK":
                return []
            case method if method in METHODS:
                # CANCEL, BYE and similar requests belong to a transaction or dialog that does not exist here.
                refusal = Refusal(481) if method in ALLOW else Refusal(405, headers=(("Allow", ALLOW),))
            case _:
                refusal = Refusal(501)
        return self._answers.reply(request, came_from, refusal)

    def _unwanted(self, request: Request, came_from: Flow, now: float) -> list[Output] | None:
        """Return the answer to a stranger's scanner or to a source over its rate; None: continue."""
        if _SCANNERS.match(request.get("user-agent") or "") and not self.trusted(came_from, now):
            self.refusals.note("scanner", came_from.source)
            return []
        if request.method not in ("INVITE", "ACK"):
            passed = self._other_buckets.take(came_from.host, now)
            if not passed:
                self.refusals.note("rate of other requests", came_from.source)
                refusal = Refusal(503, headers=_RETRY)
                return [] if passed is None else self._answers.reply(request, came_from, refusal)
        return None

    def answered(self, key: CallKey, status: int, now: float) -> None:
        """Note that a worker's response to an INVITE passes."""
        call = self._calls.get(key, now)
        if call is not None and status < 200:
            self._calls.keep(key, now + CALL_TTL_S)
        elif call is not None:
            self._calls.put(key, replace(call, answered=True), now + DONE_TTL_S)

    def restore(self, record: DialogRecord, origin: Origin | None, now: float) -> None:
        """Take a dialog, or the INVITE for one, that an edge before this one knew."""
        self.records.restore(record)
        from_tag = record.near_tag if record.from_far is None else record.far_tag
        self.dialogs.restore(record.call_id, from_tag, record.worker)
        if record.from_far is None:
            return
        via = parse_via(record.vias[0].decode("utf-8", "surrogateescape"))
        call = _Call(_transaction_of(via), record.worker, origin=origin, answered=record.up)
        ttl = DONE_TTL_S if record.up else CALL_TTL_S
        self._calls.put((record.call_id, record.far_tag, record.cseq), call, now + ttl)

    def lost(self, key: CallKey, refusal: Refusal, now: float) -> None:
        """Note that an INVITE has been refused because its worker is gone."""
        call = self._calls.get(key, now)
        if call is not None:
            self._calls.put(key, replace(call, worker=None, refusal=refusal), now + DONE_TTL_S)

    # -- kinds of requests --------------------------------------------------------------------------

    def _follow(self, request: Request, came_from: Flow, now: float) -> list[Output] | None:
        """Send a CANCEL, or an ACK for a failure, where its INVITE went; None if the INVITE is unknown."""
        call = self._calls.get(call_key(request), now)
        if call is None or call.transaction != _transaction(request):
            return None
        if call.worker is not None:
            return self._forwarder.screened(request, call.worker, came_from)
        held = self._held.pop(call_key(request), None)
        if held is None:
            return self._answers.reply(request, came_from, Refusal(481))
        # RFC 3261 §9.2: the CANCEL gets 200; the INVITE and its retransmissions get 487.
        terminated = Refusal(487)
        self._calls.put(call_key(request), _Call(call.transaction, None, terminated), now + DONE_TTL_S)
        return [
            *self._answers.reply(request, came_from, Refusal(200)),
            *self._answers.reply(held.request, held.came_from, terminated),
        ]

    def _in_dialog(self, request: Request, came_from: Flow, now: float) -> list[Output]:
        known = self.dialogs.worker_of(request, now)
        if known is None and not self.trusted(came_from, now):
            # A source without a call must not keep a worker busy that has one.
            unwanted = self._unwanted(request, came_from, now)
            return self._answers.reply(request, came_from, Refusal(481)) if unwanted is None else unwanted
        worker = WorkerId(parse_uri(request.uri).user)
        if worker not in self._leases.ports:
            # Some peers, SIPp's built-in scenarios among them, keep the Request-URI of their INVITE instead
            # of using our Contact: their call is identified by its Call-ID.
            if known not in self._leases.ports:
                return self._answers.reply(request, came_from, Refusal(481))
            worker = known
        if self.dialogs.lives(request, worker):
            answer = answer_within(request)
            if answer is not None:
                return self._answers.reply(request, came_from, answer)
        refusal = _SCREENS[request.method](request) if request.method in _SCREENS else None
        if refusal is not None:
            return self._answers.reply(request, came_from, refusal)
        self.records.asked(request, worker)
        return self._forwarder.screened(request, worker, came_from)

    def _options(self, request: Request, came_from: Flow) -> list[Output]:
        if self._capacity_refusal() not in (None, *_PASSING):
            return self._answers.reply(request, came_from, Refusal(503, headers=_RETRY))
        return self._answers.reply(request, came_from, Refusal(200, headers=OPTIONS_HEADERS))

    def _new_call(self, request: Request, came_from: Flow, now: float) -> list[Output]:
        key, transaction = call_key(request), _transaction(request)
        call = self._calls.get(key, now)
        if call is not None and (call.worker is not None or call.transaction == transaction):
            return self._known_call(call, request, came_from, now)
        refusal = screen_invite(request)
        origin = Origin(source=came_from.source)
        if refusal is None:
            found = self._origin(request, came_from, now)
            if not isinstance(found, Origin):
                return found
            origin = found
        # unfit removes the credentials, which have been checked above.
        refusal, why = refusal or unfit(request), "malformed"
        if refusal is None:
            refusal = self._forwarder.mend_offer(request) or screen_media(
                request.body, self._forwarder.srtp_of(origin)
            )
            why = "media"
        if refusal is None:
            refusal, why = too_large(request), "malformed"
        if refusal is not None:
            self.refusals.note(why, came_from.source)
            return self._answers.reply(request, came_from, refusal)
        self.oddities.report_carried(request, came_from, now)
        passed = self._buckets.take(came_from.host, now)
        if passed is None:
            self.refusals.note("rate", came_from.source)
            return []
        replaces = request.get("replaces")
        if passed and replaces is not None:
            return self._take_over(request, replaces, came_from, origin, now)
        reason = "rate" if not passed else self._capacity_refusal()
        reason = reason or self._limits.refusal(origin, self._leases.origins)
        if reason in _PASSING and len(self._held) < MAX_HELD:
            # No 100 meanwhile: over UDP the sender repeats the INVITE, which also repeats a lost answer.
            self._calls.put(key, _Call(transaction, None), now + CALL_TTL_S)
            self._held[key] = _Held(request, came_from, origin, now + HOLD_S)
            return []
        if reason is not None:
            return self._refuse_call(request, came_from, reason, now)
        return self._start_call(request, came_from, origin, now)

    def _start_call(self, request: Request, came_from: Flow, origin: Origin, now: float) -> list[Output]:
        """Give a call to the worker that has been idle longest, and notify the controller."""
        worker = self._leases.take(origin)
        lease = Lease(sip_call_id=SipCallId(request.call_id), origin=origin)
        taken = LeaseTaken(worker=worker, lease=lease)
        return [taken, *self._give_call(request, worker, came_from, origin, now)]

    def _give_call(
        self, request: Request, worker: WorkerId, came_from: Flow, origin: Origin, now: float
    ) -> list[Output]:
        call = _Call(_transaction(request), worker, origin=origin)
        self._calls.put(call_key(request), call, now + CALL_TTL_S)
        self.dialogs.begin(request, worker)
        self._media.open(request, worker, "far")
        outputs = self._forwarder.forward(request, worker, came_from, origin)
        self.records.called(request, worker, came_from)
        return outputs

    def _take_over(
        self, request: Request, replaces: str, came_from: Flow, origin: Origin, now: float
    ) -> list[Output]:
        """Give a call to the worker that has the dialog it replaces (RFC 3891 §3)."""
        worker = self.dialogs.worker_named(parse_replaces(replaces), now)
        if worker is not None and worker in self._leases.ports:
            if not self._media.free:
                return self._refuse_call(request, came_from, NO_MEDIA_PORT, now)
            return self._give_call(request, worker, came_from, origin, now)
        self.refusals.note("replaces nothing", came_from.source)
        refusal = Refusal(481)
        self._calls.put(call_key(request), _Call(_transaction(request), None, refusal), now + DONE_TTL_S)
        return self._answers.reply(request, came_from, refusal)

    def _refuse_call(self, request: Request, came_from: Flow, reason: str, now: float) -> list[Output]:
        """Refuse a call with 503, and remember that: a retransmission must get the same answer."""
        self.refusals.note(reason, came_from.source)
        refusal = Refusal(503, headers=_RETRY)
        self._calls.put(call_key(request), _Call(_transaction(request), None, refusal), now + DONE_TTL_S)
        return self._answers.reply(request, came_from, refusal)

    def _origin(self, request: Request, came_from: Flow, now: float) -> Origin | list[Output]:
        """Return the origin of a call (a trunk, a user, an allowed address), or the answer refusing it."""
        source, judged = came_from.source, self.admission.judge(came_from.host)
        if judged:
            return Origin(source=source, trunk=judged)
        if judged is None and self._addresses.is_own_socket(came_from):
            return Origin(source=source)
        proof = self._phones.check(request, came_from, now)
        if proof.verdict == "proven":
            if trunk := self._phones.trunk_of(proof.user):
                return Origin(source=source, trunk=trunk)
            if self._phones.is_own_address(request, proof.user):
                return Origin(source=source, user=proof.user)
            self.refusals.note("not the user's From", source)
            return self._answers.reply(request, came_from, Refusal(403, "Not Your Address"))
        if judged is not None:
            return Origin(source=source, user=self._phones.user_of(request, came_from))
        self.refusals.note(_UNPROVEN[proof.verdict], source)
        return self._phones.challenge(request, came_from, now, stale=proof.verdict == "stale")

    def _known_call(self, call: _Call, request: Request, came_from: Flow, now: float) -> list[Output]:
        if call.transaction != _transaction(request):
            # RFC 3261 §8.2.2.2: the same request by another path, forked upstream and merged here.
            self.refusals.note("merged", came_from.source)
            return self._answers.reply(request, came_from, Refusal(482))
        # RFC 6026 §7.1: a late retransmission is absorbed, or it would start another call.
        if call_key(request) in self._held or call.answered:
            return []
        if call.worker is None or call.worker not in self._leases.ports:
            return self._answers.reply(request, came_from, call.refusal or Refusal(503, headers=_RETRY))
        self._calls.keep(call_key(request), now + CALL_TTL_S)
        return self._forwarder.screened(request, call.worker, came_from, call.origin)

    def _capacity_refusal(self) -> str | None:
        if self.draining:
            return "draining"
        if self._leases.busy >= self._max_calls:
            return "max_calls"
        if not self._leases.idle:
            return _NO_WORKER
        return None if self._media.free else NO_MEDIA_PORT


def _transaction(request: Request) -> str:
    """Return the branch and sent-by that identify a transaction (RFC 3261 §17.2.3)."""
    return _transaction_of(request.top_via)


def _transaction_of(via: Via) -> str:
    return f"{via.branch} {via.host} {via.port}"
