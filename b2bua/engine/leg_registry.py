"""The legs of a worker's session: live legs, INVITEs waiting for a slot, and calls that are no leg any more.

The registry holds the only strong references to the wrappers of the library's calls: deleting a wrapper hangs
up the call that has its slot (``pjleg``).

Thread: the SIP thread.
"""

import contextlib
import logging
import time
from collections.abc import Mapping

import pjsua2 as pj
from msgspec import structs

from b2bua.core import commands
from b2bua.core.errors import CapacityError
from b2bua.core.events import EndCause, LegEnded
from b2bua.core.ids import LegId, WorkerId
from b2bua.engine.callbacks import LegSink
from b2bua.engine.dialog import Dialog
from b2bua.engine.endpoint import Library
from b2bua.engine.leg_table import DialogState
from b2bua.engine.pjleg import PjLeg
from b2bua.sip.inside import link_header, must_encrypt
from b2bua.sip.message import Message

__all__ = ["LegRegistry", "SipAct"]

log = logging.getLogger(__name__)

SipAct = (
    commands.RingLeg | commands.ProgressLeg | commands.AnswerLeg | commands.HangupLeg | commands.SendDtmf
    | commands.AllowRefer | commands.ReferLeg
)  # fmt: skip
"""Commands for an existing leg."""

_SLOT_WAIT_S = 2.0
"""How long an INVITE waits for a slot that a cancelled leg's last transaction still holds."""


class LegRegistry:
    """Owns the session's legs and their wrappers.

    Args:
        library: has the slots and the accounts.
        sink: receives the legs' events.
        worker: its name prefixes the ids of incoming legs.
    """

    def __init__(self, library: Library, sink: LegSink, worker: WorkerId) -> None:
        self._library = library
        self._sink = sink
        self._worker = worker
        self._came = 0
        self._legs: dict[LegId, PjLeg] = {}
        self._accounts: dict[LegId, pj.Account] = {}
        """The account of each leg that we placed, or that has replaced one."""
        self._receiving: list[pj.Account] = []
        """Accounts that take an incoming call; only while the library decides on it."""
        self._waiting: list[tuple[float, commands.InviteLeg]] = []
        """Each with the time at which it is given up."""
        self._departed: list[tuple[PjLeg, pj.Account | None]] = []
        """Calls that have yet to end and are no leg any more, with their accounts: replaced calls, and those
        whose CANCEL waits for a response."""

    @property
    def live(self) -> Mapping[LegId, PjLeg]:
        """The legs that have not ended; always the same mapping."""
        return self._legs

    @property
    def empty(self) -> bool:
        """Whether no wrapper is left; INVITEs may still be waiting."""
        return not self._legs and not self._departed

    @property
    def waiting(self) -> bool:
        """Whether INVITEs wait for a slot."""
        return bool(self._waiting)

    @property
    def are_settled(self) -> bool:
        """Whether every leg is confirmed, and the library has no other call of ours, present or to come."""
        if self._waiting or self._departed:
            return False
        return all(leg.machine.state is DialogState.CONFIRMED for leg in self._legs.values())

    def account_of(self, leg: LegId) -> pj.Account:
        """Return the account that the library has the leg's call on."""
        return self._accounts.get(leg, self._library.account)

    def tone_heard(self, leg: LegId, key: str) -> None:
        """A key was detected in the leg's audio."""
        if (found := self._legs.get(leg)) is not None:
            found.tone_heard(key)

    # -- adding and removing legs -------------------------------------------------------------------

    def add_incoming(self, pj_id: int, invite: Message) -> PjLeg:
        """Register an incoming call as a new leg."""
        self._came += 1
        leg = LegId(f"{self._worker}-in{self._came}")
        self._legs[leg] = PjLeg(self._library.account, leg, self._sink, Dialog.of_invite(invite), pj_id=pj_id)
        self._legs[leg].must_encrypt = must_encrypt(invite)
        return self._legs[leg]

    def invite(self, order: commands.InviteLeg) -> None:
        """Send an INVITE as soon as there is a slot."""
        now = time.monotonic()
        self._waiting.append((now + _SLOT_WAIT_S, order))
        self._send_waiting(now)

    def expect_replacement(self, leg: LegId) -> None:
        """An INVITE is about to replace a leg: the library takes it on the account of that leg's call.

        So that account is to use SRTP as for any other incoming call, until ``attend``.
        """
        account = self.account_of(leg)
        if account is not self._library.account:
            self._library.receive_on(account, True)
            self._receiving.append(account)

    def replace(self, leg: PjLeg, pj_id: int, invite: Message) -> PjLeg:
        """Make an incoming call the leg from now on (RFC 3891); returns its wrapper.

        The library asserts that both wrappers have the same account.
        """
        name = leg.leg
        own, dialog = self._accounts.get(name), Dialog.of_invite(invite)
        account = own or self._library.account
        self._legs[name] = PjLeg(account, name, self._sink, dialog, pj_id=pj_id, replaced=leg)
        self._legs[name].must_encrypt = must_encrypt(invite)
        self._departed.append((leg, own))
        log.info("leg replaced", extra={"leg_id": name, "sip_call_id": invite.call_id})
        return self._legs[name]

    def dialog_gone(self, leg: PjLeg) -> None:
        """A call that was no leg any more has ended: drop its wrapper."""
        self._departed = [each for each in self._departed if each[0] is not leg]

    def forget(self, leg: LegId) -> None:
        """Drop the wrapper of a leg that has ended. This is the last reference, so it deletes the wrapper.

        A wrapper whose call has yet to end is kept.
        """
        account = self._accounts.pop(leg, None)
        ended = self._legs.pop(leg, None)
        if ended is not None and ended.machine.has_told_its_end:
            self._departed.append((ended, account))

    def attend(self, now: float) -> None:
        """Send the INVITEs and hangups that are due; call outside callbacks, after library events."""
        while self._receiving:
            self._library.receive_on(self._receiving.pop(), False)
        if self._waiting:
            self._send_waiting(now)
        for leg in self._calls():
            if leg.machine.reason is not None:
                leg.end_if_due()

    def _calls(self) -> list[PjLeg]:
        return [*self._legs.values(), *(leg for leg, _ in self._departed)]

    def reap(self) -> bool:
        """End the calls whose DISCONNECTED never arrived (seen under bursts, pjproject #4992).

        Returns:
            Whether there were any.
        """
        lost = [leg for leg in self._calls() if not (leg.isActive() and leg.has_slot)]
        for leg in lost:
            log.warning("reaped a leg whose end was not reported", extra={"leg_id": leg.leg})
            if not leg.has_slot:
                leg.__disown__()  # deleting it would hang up the call that has the slot now
            leg.lose("worker", 503)
        return bool(lost)

    def end_all(self) -> None:
        """End all legs, because the worker ends."""
        self._waiting.clear()
        for leg in list(self._legs.values()):
            with contextlib.suppress(pj.Error):
                leg.end(503, ())

    def drop_all(self) -> None:
        """Drop the calls that have not ended in time: deleting a wrapper hangs up its call."""
        self._legs.clear()
        self._departed.clear()

    # -- orders -------------------------------------------------------------------------------------

    def withdraw(self, leg: LegId) -> bool:
        """Withdraw an INVITE that has not been sent yet; returns whether there was one."""
        kept = [(until, order) for until, order in self._waiting if order.leg != leg]
        if len(kept) == len(self._waiting):
            return False
        self._waiting = kept
        self._never_sent(leg, "local", 487)
        return True

    def act(self, order: SipAct) -> None:
        """Carry out a SIP command if the leg still has its slot; otherwise it would hit another call."""
        leg = self._legs.get(order.leg)
        if leg is None or not leg.has_slot:
            return
        match order:
            case commands.RingLeg():
                leg.respond(180)
            case commands.ProgressLeg():
                leg.respond(183)
            case commands.AnswerLeg():
                leg.respond(200, order.headers)
            case commands.HangupLeg():
                leg.end(order.sip_code, order.headers)
            case commands.SendDtmf():
                leg.send_keys(order.digits)
            case commands.AllowRefer():
                leg.may_refer = order.allowed
            case commands.ReferLeg():
                leg.refer(order)

    def _send_waiting(self, now: float) -> None:
        waiting, self._waiting = self._waiting, []
        for until, order in waiting:
            if self._library.call_count() < self._library.capacity:
                self._send(order)
            elif now < until:
                self._waiting.append((until, order))
            else:
                self._never_sent(order.leg, "capacity", 503)

    def _send(self, order: commands.InviteLeg) -> None:
        try:
            account = self._library.account_for(order)
        except CapacityError:
            self._never_sent(order.leg, "capacity", 503)
            return
        except pj.Error as error:
            log.error("no account for the leg", extra={"leg_id": order.leg, "status": error.status})
            self._never_sent(order.leg, "unreachable", 502)
            return
        if order.link_to:
            order = structs.replace(order, headers=(*order.headers, link_header(self._library.secret)))
        leg = PjLeg(account, order.leg, self._sink, Dialog(order.sip_call_id))
        self._legs[order.leg], self._accounts[order.leg] = leg, account
        leg.must_encrypt = order.srtp == "required"
        try:
            leg.invite(order)
        except pj.Error as error:
            log.info("INVITE could not be sent", extra={"leg_id": order.leg, "status": error.status})
            # Some failures also cause a DISCONNECTED callback, which has ended the leg already.
            leg.lose("unreachable", 502)

    def _never_sent(self, leg: LegId, cause: EndCause, code: int) -> None:
        self._sink.post(
            LegEnded(leg=leg, at=time.monotonic(), cause=cause, sip_code=code, reason="", headers=())
        )
