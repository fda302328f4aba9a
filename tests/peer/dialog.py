"""Dialogs by RFC 3261 §12: tags, sequence numbers, route set and remote target."""

from __future__ import annotations

from dataclasses import dataclass, field

from .wire import Headers, Message, NameAddr, Uri

Address = tuple[str, int]


@dataclass
class Dialog:
    """One dialog as one side sees it."""

    call_id: str
    local: str
    """Our From (or To) value without the tag."""
    remote: str
    """The far end's."""
    local_tag: str
    contact: str
    """Our Contact value."""
    remote_tag: str = ""
    local_seq: int = 0
    remote_seq: int = -1
    target: str = ""
    """Remote target: the URI of their Contact."""
    routes: list[str] = field(default_factory=list)
    """Route set, the hop nearest to us first."""

    @classmethod
    def of_uas(cls, invite: Message, local_tag: str, contact: str) -> Dialog:
        """RFC 3261 §12.1.1: the route set is Record-Route in its order."""
        their_contact = invite.contact
        return cls(
            call_id=invite.call_id, local=invite["To"], remote=_without_tag(invite["From"]),
            local_tag=local_tag, contact=contact, remote_tag=invite.from_.tag, remote_seq=invite.cseq,
            target=their_contact.uri if their_contact else "", routes=invite.all("Record-Route"),
        )  # fmt: skip

    def learn(self, response: Message) -> None:
        """RFC 3261 §12.1.2: what the UAC takes from the response that makes the dialog."""
        self.remote, self.remote_tag = _without_tag(response["To"]), response.to.tag
        self.routes = list(reversed(response.all("Record-Route")))
        self.refresh(response)

    def refresh(self, message: Message) -> None:
        """Target refresh (RFC 3261 §12.2): INVITE, UPDATE and their 2xx may move the Contact."""
        contact = message.contact
        if contact is not None and contact.uri != "*":
            self.target = contact.uri

    def request(
        self, method: str, headers: Headers = (), body: str | bytes = b"", cseq: int | None = None
    ) -> tuple[Message, Address]:
        """A request within the dialog without its Via, and where it goes (RFC 3261 §12.2.1.1)."""
        if cseq is None:
            self.local_seq += 1
            cseq = self.local_seq
        uri, routes = self.target, list(self.routes)
        hop = NameAddr.parse(routes[0]).uri if routes else self.target
        if routes and "lr" not in Uri.parse(hop).params:  # a strict router
            uri, routes = hop, [*routes[1:], f"<{self.target}>"]
        to = f"{self.remote};tag={self.remote_tag}" if self.remote_tag else self.remote
        message = Message.request(method, uri, [], body)
        message.headers = [
            *(("Route", route) for route in routes),
            ("Max-Forwards", "70"),
            ("From", f"{self.local};tag={self.local_tag}"),
            ("To", to),
            ("Call-ID", self.call_id),
            ("CSeq", f"{cseq} {method}"),
        ]
        if method in ("INVITE", "UPDATE", "REFER", "SUBSCRIBE", "NOTIFY"):
            message.add("Contact", self.contact)
        message.headers += list(headers)
        return message, Uri.parse(hop).address


def _without_tag(value: str) -> str:
    parsed = NameAddr.parse(value)
    display = f'"{parsed.display}" ' if parsed.display else ""
    rest = "".join(f";{k}={v}" if v else f";{k}" for k, v in parsed.params.items() if k != "tag")
    return f"{display}<{parsed.uri}>{rest}"
