"""A scriptable SIP and RTP endpoint: an independent judge of what b2bua puts on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .call import ALLOW, Call
from .dialog import Dialog
from .digest import ANSWER_TO, credentials
from .ladder import PATIENCE_S, Address, Mailbox
from .link import Link
from .rtp import Media, MediaOptions
from .stream import Tls
from .transactions import ClientTransaction, ServerTransaction, next_hop, response_to
from .wire import Headers, Message, Uri, token

AGENT = ("User-Agent", "test-peer")


class Peer(Link):
    """One address that makes and accepts calls. Use `async with Peer.start() as peer`."""

    def __init__(
        self,
        name: str,
        host: str,
        media: MediaOptions,
        t1_s: float,
        transport: str = "udp",
        tls: Tls | None = None,
    ) -> None:
        super().__init__(name, host, transport, tls)
        self.media_options, self.t1_s = media, t1_s
        self.credentials: tuple[str, str] | None = None
        """User and password that answer a 401 or 407."""
        self.calls: list[Call] = []
        self.auto_trying = True
        """Answer each INVITE with 100 at once."""
        self.auto = True
        """Answer requests outside dialogs with 200 (and new calls get `auto` from here)."""
        self.invites: Mailbox[Call] = Mailbox(self.failure)
        self.requests: Mailbox[Message] = Mailbox(self.failure)
        self.responses: Mailbox[Message] = Mailbox(self.failure)
        self._clients: dict[tuple[str, str], ClientTransaction] = {}
        self._client_calls: dict[tuple[str, str], Call] = {}
        self._servers: dict[tuple[str, str], ServerTransaction] = {}
        self._server_calls: dict[tuple[str, str], Call] = {}
        self._dialogs: dict[tuple[str, str], Call] = {}

    @classmethod
    @asynccontextmanager
    async def start(
        cls, name: str = "peer", *, host: str = "127.0.0.1", media: MediaOptions | None = None,
        t1_s: float = 0.5, strict: bool = True, transport: str = "udp", tls: Tls | None = None,
    ) -> AsyncIterator[Peer]:  # fmt: skip
        """A peer on a free port; at the end it asserts (strict) that it received no faulty message.

        Args:
            transport: udp, tcp or tls, for all that it sends.
            tls: contexts for tls.
        """
        peer = cls(name, host, media or MediaOptions(host=host), t1_s, transport, tls)
        await peer.open()
        try:
            yield peer
            if peer.crashes:
                raise peer.crashes[0]
            if strict and peer.faults:
                raise peer.failure("was sent faulty messages:\n  " + "\n  ".join(peer.faults))
        finally:
            await peer.close()

    async def close(self) -> None:
        """End everything; calls that are still up are dropped without a BYE."""
        for client in self._clients.values():
            client.stop()
        for server in self._servers.values():
            server.stop()
        for call in self.calls:
            call.media.close()
        await super().close()

    def new_media(self) -> Media:
        return Media(self.media_options, self.failure)

    # -- calling ---------------------------------------------------------------------------------

    async def invite(
        self, uri: str, *, to: Address | None = None, sdp: bool | str = True, headers: Headers = (),
        from_user: str = "", display: str = "", auto: bool | None = None, auto_ack: bool = True,
    ) -> Call:  # fmt: skip
        """Send an INVITE to `uri` at address `to` (by default where the URI leads)."""
        contact = f"<{self.uri(from_user)}>"
        local = (f'"{display}" ' if display else "") + contact
        dialog = Dialog(token(), local, f"<{uri}>", token(4), contact, target=uri)
        invite, _ = dialog.request("INVITE", [ALLOW, AGENT, *headers])
        call = self._new_call(dialog, invite, auto)
        call.auto_ack = auto_ack
        await call.start(sdp)
        address = to or next_hop(invite)
        call.client = self.start_client(invite, address, call)
        call.client.auto_ack = auto_ack
        return call

    async def expect_invite(
        self,
        timeout: float = PATIENCE_S,  # noqa: ASYNC109
        *,
        user: str | None = None,
        auto: bool | None = None,
    ) -> Call:
        """The next incoming call (to this user); 100 Trying was already sent."""
        what = f"INVITE to {user}" if user else "INVITE"
        call = await self.invites.take(lambda c: user in (None, c.to_user), timeout, what)
        if auto is not None:
            call.auto = auto
        return call

    def _new_call(self, dialog: Dialog, invite: Message, auto: bool | None) -> Call:
        call = Call(self, dialog, invite)
        call.auto = self.auto if auto is None else auto
        self.calls.append(call)
        self._dialogs[dialog.call_id, dialog.local_tag] = call
        return call

    # -- outside dialogs -------------------------------------------------------------------------

    async def request(
        self, method: str, uri: str, *, to: Address | None = None, headers: Headers = (),
        body: str | bytes = b"", from_user: str = "", to_uri: str = "", call_id: str = "", cseq: int = 1,
        wait_s: float = PATIENCE_S,
    ) -> Message:  # fmt: skip
        """Send a request outside any dialog (OPTIONS, REGISTER, MESSAGE…). Returns the final response."""
        contact = f"<{self.uri(from_user)}>"
        local = f"<{to_uri}>" if method == "REGISTER" and to_uri else contact
        dialog = Dialog(call_id or token(), local, f"<{to_uri or uri}>", token(4), contact, target=uri)
        message, _ = dialog.request(method, [AGENT, *headers], body, cseq=cseq)
        if method in ("REGISTER", "OPTIONS") and "Contact" not in message:
            message.add("Contact", contact)
        transaction = self.start_client(message, to or next_hop(message), None)
        try:
            await asyncio.wait_for(transaction.answered.wait(), wait_s)
        except TimeoutError:
            raise self.failure(f"no final response to {method} within {wait_s} s") from None
        assert transaction.final is not None
        again = self.with_credentials(transaction, transaction.final)
        if again is None:
            return transaction.final
        await asyncio.wait_for(again.answered.wait(), wait_s)
        assert again.final is not None
        return again.final

    async def expect(self, method: str, timeout: float = PATIENCE_S) -> Message:  # noqa: ASYNC109
        """The next request outside dialogs with this method."""
        return await self.requests.take(lambda m: m.method == method, timeout, method)

    def respond(
        self, request: Message, code: int, reason: str | None = None, *, headers: Headers = (),
        body: str | bytes = b"", tag: str = "",
    ) -> Message:  # fmt: skip
        """Send any response to a request that arrived."""
        transaction = self._servers[request.branch, _server_method(request.method)]
        response = response_to(request, code, reason, transaction.source, tag or token(4))
        response.headers += [*headers, ("Server", "test-peer")]
        response.body = body.encode() if isinstance(body, str) else body
        transaction.respond(response)
        return response

    def start_client(self, request: Message, address: Address, call: Call | None) -> ClientTransaction:
        """Send a request and follow its responses."""
        if not request.all("Via"):
            self.add_via(request)
        transaction = ClientTransaction(request, address, self.send, self.t1_s)
        key = request.branch, request.method
        self._clients[key] = transaction
        if call is not None:
            self._client_calls[key] = call
        transaction.start()
        return transaction

    def with_credentials(self, transaction: ClientTransaction, refusal: Message) -> ClientTransaction | None:
        """Answer a challenge once, as RFC 3261 §22.2 says; None if we cannot, or already did."""
        asked = transaction.request
        if (
            refusal.status not in ANSWER_TO
            or self.credentials is None
            or ANSWER_TO[refusal.status][1] in asked
        ):
            return None
        again = Message.request(asked.method, asked.uri, asked.headers[1:], asked.body)
        again.set("CSeq", f"{asked.cseq + 1} {asked.method}")
        again.add(*credentials(again, refusal, *self.credentials))
        return self.start_client(
            again, transaction.address, self._client_calls.get((asked.branch, asked.method))
        )

    # -- arriving --------------------------------------------------------------------------------

    def arrived(self, message: Message, source: Address) -> None:
        """A message has arrived (called by the link)."""
        if message.is_request:
            self._request_arrived(message, source)
        else:
            self._response_arrived(message)

    def _response_arrived(self, response: Message) -> None:
        key = response.branch, response.cseq_method
        transaction = self._clients.get(key)
        if transaction is None or len(response.all("Via")) != 1:
            self.fault("response that matches no request of ours", response)
            return
        is_new = transaction.receive(response)
        call = self._client_calls.get(key)
        if call is not None:
            call.received_response(transaction, response, is_new)
        elif is_new:
            self.responses.put(response)

    def _request_arrived(self, request: Message, source: Address) -> None:
        method, key = request.method, (request.branch, _server_method(request.method))
        known = self._servers.get(key)
        if method == "ACK":
            self._ack_arrived(request, known)
        elif known is not None:
            known.send_again()
        else:
            transaction = ServerTransaction(request, source, self.send, self.t1_s)
            self._servers[key] = transaction
            self._new_request(transaction)

    def _new_request(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        if request.method == "CANCEL":
            self._cancel_arrived(request)
        elif request.to.tag:
            call = self._dialogs.get((request.call_id, request.to.tag))
            if call is None or call.dialog.remote_tag not in ("", request.from_.tag):
                self.respond(request, 481)
                self.requests.put(request)
            else:
                if request.method == "INVITE":
                    self._server_calls[request.branch, "INVITE"] = call
                self.start_task(call.received_request(transaction))
        elif request.method == "INVITE":
            self._call_arrived(transaction)
        else:
            if self.auto:
                self.respond(request, 200, headers=self._registered(request))
            self.requests.put(request)

    def _registered(self, request: Message) -> Headers:
        """A registrar returns the bindings (RFC 3261 §10.3)."""
        if request.method != "REGISTER":
            return [ALLOW]
        expires = request.get("Expires") or "3600"
        return [
            ("Contact", f"{c};expires={expires}" if "expires=" not in c else c)
            for c in request.all("Contact")
        ]

    def _call_arrived(self, transaction: ServerTransaction) -> None:
        invite = transaction.request
        user = Uri.parse(invite.uri).user
        call = self._new_call(Dialog.of_uas(invite, token(4), f"<{self.uri(user)}>"), invite, None)
        call.server = transaction
        self._server_calls[invite.branch, "INVITE"] = call
        if self.auto_trying:
            self.respond(invite, 100)
        self.invites.put(call)

    def _cancel_arrived(self, cancel: Message) -> None:
        call = self._server_calls.get((cancel.branch, "INVITE"))
        if call is None:
            self.respond(cancel, 481)  # RFC 3261 §9.2
        else:
            self.start_task(call.received_cancel(cancel))

    def _ack_arrived(self, ack: Message, of_failure: ServerTransaction | None) -> None:
        if of_failure is not None and of_failure.final is not None and of_failure.final.status >= 300:
            of_failure.ack()
            call = self._server_calls.get((ack.branch, "INVITE"))
        else:
            call = self._dialogs.get((ack.call_id, ack.to.tag))
            server = call.server if call else None
            if server is None or server.request.cseq < ack.cseq:
                self.fault("ACK that belongs to no INVITE", ack)
                return
            if server.acked or server.request.cseq > ack.cseq:
                return  # repeated, since our 2xx was
            server.ack()
        if call is not None:
            call.received_ack(ack)


def _server_method(method: str) -> str:
    """RFC 3261 §17.2.3: the ACK to a failure belongs to the INVITE's transaction."""
    return "INVITE" if method == "ACK" else method
