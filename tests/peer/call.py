"""One call of the peer, as caller or callee, and the actions that a test performs with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from .dialog import Dialog
from .digest import ANSWER_TO, challenge
from .ladder import PATIENCE_S, Mailbox
from .rtp import Media
from .transactions import ClientTransaction, ServerTransaction
from .wire import Headers, Message, NameAddr, Uri

if TYPE_CHECKING:
    from .peer import Peer

SDP_TYPE = ("Content-Type", "application/sdp")
ALLOW = ("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, REFER, NOTIFY, PRACK, MESSAGE")
Codes = int | range | tuple[int, ...]


class Call:
    """A dialog that an INVITE makes, with its media. Made by `Peer.invite` and `Peer.expect_invite`."""

    def __init__(self, peer: Peer, dialog: Dialog, invite: Message) -> None:
        self.peer, self.dialog, self.invite = peer, dialog, invite
        self.media: Media = peer.new_media()
        self.state = "calling"
        """calling, early, confirmed or ended."""
        self.auto: bool = True
        """Answer requests within the dialog as a phone would; False leaves all of them to the test."""
        self.manual: set[str] = set()
        """Methods that the test answers itself although `auto` is True."""
        self.auto_ack = True
        self.requests: Mailbox[Message] = Mailbox(self._fail)
        self.responses: Mailbox[Message] = Mailbox(self._fail)
        self.ended = asyncio.Event()
        self.cancelled = False
        self.forks: list[Message] = []
        """2xx to our INVITE from other branches than the first (ended with BYE at once)."""
        self.acks_sent: dict[int, tuple[Message, tuple[str, int]]] = {}
        self.client: ClientTransaction | None = None
        """Our initial INVITE, or our last re-INVITE."""
        self.server: ServerTransaction | None = None
        """Their INVITE that we answer: the initial one, or the last re-INVITE."""
        self._offered = False
        self._unanswered_offer = False
        """We made an offer in a 2xx: the ACK contains the answer."""
        self._described: str | None = None
        """Our SDP answer to the INVITE in progress (the same in 183 and 200)."""

    def __repr__(self) -> str:
        return f"<Call {self.dialog.call_id[:10]} {self.state} of {self.peer.name}>"

    @property
    def call_id(self) -> str:
        return self.dialog.call_id

    def _fail(self, what: str) -> AssertionError:
        return self.peer.failure(f"{self!r}: {what}")

    # -- caller ----------------------------------------------------------------------------------

    async def start(self, sdp: bool | str) -> None:
        """Send the INVITE (called by `Peer.invite`)."""
        if sdp is not False:
            self.invite.add(*SDP_TYPE)
            self.invite.body = (sdp if isinstance(sdp, str) else await self.media.offer()).encode()
            self._offered = sdp is True

    def received_response(self, transaction: ClientTransaction, response: Message, is_new: bool) -> None:
        """A response to a request of this call (called by the peer)."""
        method, status = response.cseq_method, response.status
        if method == "INVITE" and 200 <= status < 300:
            self._invite_accepted(transaction, response, is_new)
        elif method == "INVITE" and status >= 300 and transaction.request.to.tag == "":
            again = self.peer.with_credentials(transaction, response)
            if again is None:
                self.end()
            else:
                self.client, self.invite = again, again.request
                self.dialog.local_seq = again.request.cseq
        elif method == "INVITE" and 100 < status < 200:
            self._invite_progressed(transaction, response)
        elif method == "UPDATE" and 200 <= status < 300:
            self.dialog.refresh(response)
        if is_new:
            self.responses.put(response)

    def _invite_progressed(self, transaction: ClientTransaction, response: Message) -> None:
        if self.state in ("calling", "early") and response.to.tag:
            self.state = "early"
            self.dialog.learn(response)
            if response.has_sdp and self._offered:
                self.media.accept_answer(response.text)
            if "100rel" in response.all("Require") and self.auto:
                rack = f"{response['RSeq']} {response.cseq} INVITE"
                self.request("PRACK", [("RAck", rack)])

    def _invite_accepted(self, transaction: ClientTransaction, response: Message, is_new: bool) -> None:
        if not is_new:
            if response.cseq in self.acks_sent and self.auto_ack:
                self.peer.send(*self.acks_sent[response.cseq])  # RFC 3261 §13.2.2.4: ACK each repeated 2xx
            return
        if self.state == "confirmed" and response.to.tag != self.dialog.remote_tag:
            self._end_fork(transaction, response)
            return
        if transaction.request.to.tag:
            self.dialog.refresh(response)
        else:
            self.dialog.learn(response)
        self.state = "confirmed"
        if response.has_sdp and self._offered:
            self.media.accept_answer(response.text)
        if self.auto_ack:
            self.peer.start_task(self._ack_and_settle(response))

    async def _ack_and_settle(self, response: Message) -> None:
        await self.ack(response)
        if self.cancelled and self.auto:  # RFC 3261 §9.1: the 2xx won the race, so end it with BYE
            self.request("BYE")
            self.end()

    def _end_fork(self, transaction: ClientTransaction, response: Message) -> None:
        """RFC 3261 §13.2.2.4: a second dialog from a fork gets its ACK and a BYE."""
        self.forks.append(response)
        other = Dialog(
            self.dialog.call_id, self.dialog.local, "", self.dialog.local_tag, self.dialog.contact,
            local_seq=self.dialog.local_seq,
        )  # fmt: skip
        other.learn(response)
        self.peer.send_new(*other.request("ACK", cseq=response.cseq))
        self.peer.send_new(*other.request("BYE"))

    async def ack(
        self, response: Message | None = None, sdp: str | None = None, headers: Headers = ()
    ) -> None:
        """ACK to a 2xx (by default the last one), with our answer when the 2xx held the offer."""
        if response is None:
            assert self.client is not None and self.client.final is not None, "nothing to ACK"
            response = self.client.final
        if response.status >= 300:
            assert self.client is not None
            self.client.ack_failure(response)
            return
        body, extra = sdp or "", list(headers)
        if not body and response.has_sdp and not self._offered:
            body = await self.media.answer(response.text)
        if body:
            extra.append(SDP_TYPE)
        sent = self.peer.send_new(*self.dialog.request("ACK", extra, body, cseq=response.cseq))
        self.acks_sent[response.cseq] = sent

    async def cancel(self, headers: Headers = (), wait: bool = True) -> Message | None:
        """CANCEL our INVITE, once a provisional response came. Returns the response to the CANCEL."""
        assert self.client is not None, "we sent no INVITE"
        await self._event(self.client.provisional, "provisional response before our CANCEL")  # RFC 3261 §9.1
        self.cancelled = True
        message = self.client.sibling("CANCEL")
        message.headers += list(headers)
        transaction = self.peer.start_client(message, self.client.address, self)
        return await self.final(transaction) if wait else None

    # -- called ----------------------------------------------------------------------------------

    async def ring(self, code: int = 180, headers: Headers = ()) -> Call:
        """Send 180 without SDP."""
        self._early()
        self.respond(self._invited, code, headers=headers)
        return self

    async def progress(self, code: int = 183, headers: Headers = (), reliable: bool = False) -> Call:
        """Send 183 with our SDP answer: early media begin."""
        self._early()
        extra = [*headers, *([("Require", "100rel"), ("RSeq", "1")] if reliable else [])]
        self.respond(self._invited, code, headers=extra, sdp=await self._sdp_for(self._invited))
        return self

    async def answer(self, code: int = 200, headers: Headers = (), sdp: bool | str = True) -> Call:
        """Send a 2xx with our answer (or our offer if there was none); it is repeated until the ACK."""
        request = self._invited
        text = sdp if isinstance(sdp, str) else (await self._sdp_for(request) if sdp else None)
        self.state = "confirmed"
        self.respond(request, code, headers=headers, sdp=text)
        return self

    async def reject(self, code: int, reason: str | None = None, headers: Headers = ()) -> Call:
        """Send a final failure response to the INVITE; it is repeated until the ACK."""
        self.respond(self._invited, code, reason, headers=headers)
        if self.server is not None and not self.server.request.to.tag:
            self.end()
        return self

    async def challenge(self, code: int = 407, realm: str = "test") -> Call:
        """Refuse the INVITE with a digest challenge; the next attempt arrives as a new call."""
        return await self.reject(code, headers=[(ANSWER_TO[code][0], challenge(realm))])

    @property
    def _invited(self) -> Message:
        assert self.server is not None, "they sent no INVITE"
        return self.server.request

    def _early(self) -> None:
        self.state = "early" if self.state == "calling" else self.state

    async def _sdp_for(self, request: Message) -> str:
        if self._described is None:
            if request.has_sdp:
                self._described = await self.media.answer(request.text)
            else:
                self._described, self._unanswered_offer = await self.media.offer(), True
        return self._described

    # -- within the dialog -----------------------------------------------------------------------

    def respond(
        self, request: Message, code: int, reason: str | None = None, *, headers: Headers = (),
        sdp: str | None = None,
    ) -> Message:  # fmt: skip
        """Send any response to a request of the far end."""
        extra = list(headers)
        if request.method in ("INVITE", "UPDATE", "REFER") and 100 < code < 300:
            extra = [*(("Record-Route", r) for r in request.all("Record-Route")), *extra]
            extra += [("Contact", self.dialog.contact), ALLOW]
        if sdp is not None:
            extra.append(SDP_TYPE)
        return self.peer.respond(
            request, code, reason, headers=extra, body=sdp or "", tag=self.dialog.local_tag
        )

    def request(self, method: str, headers: Headers = (), body: str | bytes = b"") -> ClientTransaction:
        """Send any request within the dialog (not ACK)."""
        return self.peer.start_client(*self.dialog.request(method, headers, body), self)

    async def final(self, transaction: ClientTransaction, within_s: float = PATIENCE_S) -> Message:
        """Wait for the final response of a transaction."""
        await self._event(transaction.answered, f"final response to {transaction.request.method}", within_s)
        assert transaction.final is not None
        return transaction.final

    async def bye(self, headers: Headers = (), wait: bool = True) -> Message | None:
        """End the call. Returns the response to the BYE."""
        transaction = self.request("BYE", headers)
        self.end()
        return await self.final(transaction) if wait else None

    async def reinvite(
        self, direction: str = "sendrecv", c0000: bool = False, new_port: bool = False,
        sdp: bool | str = True, wait: bool = True,
    ) -> Message | None:  # fmt: skip
        """Send a re-INVITE: hold, resume or new port; sdp=False makes no offer. Returns the response."""
        if new_port:
            await self.media.rebind()
        text = sdp if isinstance(sdp, str) else (await self.media.offer(direction, c0000) if sdp else "")
        self._offered = sdp is True
        self.client = self.request("INVITE", [ALLOW, *([SDP_TYPE] if text else [])], text)
        return await self.final(self.client) if wait else None

    async def hold(self) -> Message | None:
        return await self.reinvite("sendonly")

    async def resume(self) -> Message | None:
        return await self.reinvite("sendrecv")

    async def refer(self, to: str | Call, headers: Headers = (), wait: bool = True) -> Message | None:
        """Send REFER to a URI (blind), or to the far end of another call (attended, RFC 5589 §7)."""
        refer_to = f"<{to}>" if isinstance(to, str) else to.refer_to_value()
        extra = [("Refer-To", refer_to), ("Referred-By", self.dialog.local), *headers]
        transaction = self.request("REFER", extra)
        return await self.final(transaction) if wait else None

    def refer_to_value(self) -> str:
        """Refer-To with the Replaces of this dialog as the far end knows it (RFC 3891 §3)."""
        dialog = self.dialog
        tags = f"%3Bto-tag%3D{dialog.remote_tag}%3Bfrom-tag%3D{dialog.local_tag}"
        return f"<{dialog.target}?Replaces={dialog.call_id.replace('@', '%40')}{tags}>"

    async def info(self, body: str, content_type: str, wait: bool = True) -> Message | None:
        """Send INFO with a body."""
        transaction = self.request("INFO", [("Content-Type", content_type)], body)
        return await self.final(transaction) if wait else None

    async def info_dtmf(
        self, digit: str, content_type: str = "application/dtmf-relay", duration_ms: int = 160
    ) -> Message | None:
        """Send one digit by INFO: application/dtmf-relay, or application/dtmf with the digit alone."""
        relay = content_type.endswith("dtmf-relay")
        return await self.info(
            f"Signal={digit}\r\nDuration={duration_ms}\r\n" if relay else digit, content_type
        )

    async def rfc4733(self, digits: str, duration_ms: int = 120) -> None:
        """Send digits as telephone-event in the RTP."""
        await self.media.send_digits(digits, duration_ms)

    # -- waits -----------------------------------------------------------------------------------

    async def expect(self, method: str, timeout: float = PATIENCE_S) -> Message:  # noqa: ASYNC109
        """The next request of the far end with this method that no earlier call returned."""
        return await self.requests.take(lambda m: m.method == method, timeout, method)

    async def expect_response(
        self,
        code: Codes,
        timeout: float = PATIENCE_S,  # noqa: ASYNC109
        method: str = "INVITE",
    ) -> Message:
        """The next response with this code (or one of a range) that no earlier call returned."""
        wanted = (code,) if isinstance(code, int) else code
        matches: Callable[[Message], bool] = lambda m: m.cseq_method == method and m.status in wanted  # noqa: E731
        return await self.responses.take(matches, timeout, f"{code} to {method}")

    async def expect_end(self, timeout: float = PATIENCE_S) -> None:  # noqa: ASYNC109
        """Wait for the end of the call, by BYE, CANCEL or a final failure."""
        await self._event(self.ended, "end of the call", timeout)

    async def _event(self, event: asyncio.Event, what: str, within_s: float = PATIENCE_S) -> None:
        try:
            await asyncio.wait_for(event.wait(), within_s)
        except TimeoutError:
            raise self._fail(f"no {what} within {within_s} s") from None

    # -- requests of theirs ----------------------------------------------------------------------

    async def received_request(self, transaction: ServerTransaction) -> None:
        """A request of the far end within the dialog (called by the peer); ACK goes to `received_ack`."""
        request, dialog = transaction.request, self.dialog
        if request.method == "INVITE":
            self.server, self._described = transaction, None
        if request.cseq < dialog.remote_seq and request.method != "CANCEL":
            self.peer.fault(f"CSeq went back from {dialog.remote_seq}", request)
        dialog.remote_seq = max(dialog.remote_seq, request.cseq)
        if request.method in ("INVITE", "UPDATE"):
            dialog.refresh(request)
        if self.auto and request.method not in self.manual:
            await self._answer_as_a_phone(request)
        if request.method == "BYE":
            self.end()
        self.requests.put(request)

    async def _answer_as_a_phone(self, request: Message) -> None:
        if self.state == "ended":
            # RFC 3261 §15.1.2: BYEs that cross are both in order; all else comes too late.
            self.respond(request, 200 if request.method == "BYE" else 481)
        elif request.method == "INVITE":
            ours = self.client
            if ours is not None and ours.final is None:
                self.respond(request, 491)  # RFC 3261 §14.2: glare
            else:
                self.respond(request, 200, sdp=await self._sdp_for(request))
        elif request.method == "UPDATE" and request.has_sdp:
            self.respond(request, 200, sdp=await self.media.answer(request.text))
        elif request.method == "REFER":
            self.respond(request, 202)
        elif request.method == "OPTIONS":
            self.respond(request, 200, headers=[ALLOW])
        else:
            self.respond(request, 200)

    async def received_cancel(self, cancel: Message) -> None:
        """CANCEL of an INVITE that we have not answered: 200 to it, 487 to the INVITE (unless not `auto`)."""
        self.cancelled = True
        if self.auto and "CANCEL" not in self.manual:
            self.respond(cancel, 200)
            if self.server is not None and self.server.final is None:
                self.respond(self.server.request, 487)
                if not self.server.request.to.tag:
                    self.end()
        self.requests.put(cancel)

    def received_ack(self, ack: Message) -> None:
        """ACK to our 2xx, which may contain the answer to our offer."""
        if self._unanswered_offer and ack.has_sdp:
            self.media.accept_answer(ack.text)
            self._unanswered_offer = False
        self.requests.put(ack)

    def end(self) -> None:
        """The dialog is over: no more media."""
        self.state = "ended"
        self.media.close()
        self.ended.set()

    @property
    def from_(self) -> NameAddr:
        """From of the INVITE."""
        return self.invite.from_

    @property
    def to_user(self) -> str:
        """User part of the INVITE's request-URI."""
        return Uri.parse(self.invite.uri).user
