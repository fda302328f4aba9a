"""A session without I/O: counted ids, a clock that the test sets, orders as issued."""

from collections.abc import Container
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar

from b2bua.calls.context import SessionContext
from b2bua.calls.orders import (
    CallChanged,
    DocumentFetched,
    FetchDocument,
    FetchFailed,
    Output,
    SessionInput,
)
from b2bua.calls.script import Script
from b2bua.calls.session import Session
from b2bua.core.admission import AdmittedCall, Origin
from b2bua.core.events import (
    DtmfReceived,
    LegAnswered,
    LegConfirmed,
    LegEnded,
    LegIncoming,
    LegProgress,
)
from b2bua.core.ids import CallSid, LegId, RecordingSid, SipCallId
from b2bua.settings import NumberSettings, Settings
from b2bua.twiml import verbs
from b2bua.twiml.parse import ParsedDocument, parse

A = LegId("a")
Order = TypeVar("Order")


class CountedIds:
    """``CA1``, ``b1``, ``id1`` …"""

    def __init__(self) -> None:
        self._n = {kind: count(1) for kind in ("CA", "RE", "b", "id")}

    def call_sid(self) -> CallSid:
        return CallSid(f"CA{next(self._n['CA'])}")

    def recording_sid(self) -> RecordingSid:
        return RecordingSid(f"RE{next(self._n['RE'])}")

    def leg(self) -> LegId:
        return LegId(f"b{next(self._n['b'])}")

    def sip_call_id(self) -> SipCallId:
        return SipCallId(f"id{next(self._n['id'])}")

    def token(self, of: str) -> str:
        return f"token of {of}"


@dataclass
class Scene:
    """One call to a number, driven by methods; ``orders`` are those since the last ``take``."""

    number: dict[str, Any] | None = field(default_factory=lambda: {"voice_url": "http://app.test/voice"})
    settings: dict[str, Any] = field(default_factory=dict)
    slots: int = 4
    from_header: str = '"Ann" <sip:+14155550123@pbx.test>;tag=1'
    request_uri: str = "sip:+14155550199@node.test"
    headers: tuple[tuple[str, str], ...] = ()
    trunk: str = ""
    """The account of the call."""
    user: str = ""
    """The user who calls."""
    owned: Container[str] = ()
    """The configured numbers."""
    down: Container[str] = ()
    """Trunks that do not respond."""
    dialogs: Container[str] = ()
    """Call-IDs of the node's legs."""
    phones: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Contacts of users."""

    def __post_init__(self) -> None:
        settings = Settings.model_validate({"sip": {"domain": "node.test"}, **self.settings})
        script = None if self.number is None else Script.of(NumberSettings(match="*", **self.number))
        self.context = context = SessionContext(
            settings=settings,
            account_sid="AC1",
            script=script,
            ids=CountedIds(),
            most_targets=self.slots - 1,
            trunk_is_down=lambda name: name in self.down,
            owns_number=lambda number: number in self.owned,
            knows_dialog=lambda call_id: call_id in self.dialogs,
            contacts=lambda user: self.phones.get(user, ()),
            public_url="http://node.test",
            raw_recordings="/raw",
        )
        incoming = LegIncoming(
            leg=A,
            at=0.0,
            sip_call_id=SipCallId("call-1"),
            request_uri=self.request_uri,
            from_header=self.from_header,
            to_header=f"<{self.request_uri}>",
            headers=self.headers,
        )
        origin = Origin(source="udp:192.0.2.1:5060", trunk=self.trunk, user=self.user)
        call = AdmittedCall(invite=incoming, origin=origin)
        self.now = 0.0
        self.session = Session(context, call, self.now)
        self.orders: list[Output] = self.session.start(self.now)

    def bring(self, event: SessionInput) -> "Scene":
        self.orders += self.session.handle(event, self.now)
        return self

    def document(self, twiml: str | ParsedDocument, url: str = "http://app.test/voice") -> "Scene":
        """Answer the last request for a document."""
        document = parse(twiml) if isinstance(twiml, str) else twiml
        return self.bring(DocumentFetched(request=self.last_fetch().request, url=url, document=document))

    def no_document(self, number: int = 11200) -> "Scene":
        fetch = self.last_fetch()
        return self.bring(FetchFailed(request=fetch.request, number=number, text="broken", url=fetch.url))

    def last_fetch(self) -> FetchDocument:
        return self.all(FetchDocument)[-1]

    def all(self, kind: type[Order]) -> list[Order]:
        return [order for order in self.orders if isinstance(order, kind)]

    def take(self) -> list[Output]:
        orders, self.orders = self.orders, []
        return orders

    def kinds(self) -> list[str]:
        return [type(order).__name__ for order in self.orders if not isinstance(order, CallChanged)]

    def at(self, now: float) -> "Scene":
        """Let time pass, and let everything that falls due happen in time."""
        while (due := self.session.next_deadline()) is not None and due <= now:
            self.now = max(self.now, due)
            self.orders += self.session.tick(self.now)
        self.now = now
        return self

    def rings(self, leg: str = "b1", *, early_media: bool = False) -> "Scene":
        status = 183 if early_media else 180
        return self.bring(LegProgress(leg=LegId(leg), at=self.now, status=status, early_media=early_media))

    def answers(self, leg: str = "b1") -> "Scene":
        return self.bring(LegAnswered(leg=LegId(leg), at=self.now, headers=()))

    def confirms(self) -> "Scene":
        return self.bring(LegConfirmed(leg=A, at=self.now))

    def ends(self, leg: str, code: int = 200, *, ours: bool = False) -> "Scene":
        cause = "local" if ours else "peer"
        return self.bring(
            LegEnded(leg=LegId(leg), at=self.now, cause=cause, sip_code=code, reason="", headers=())
        )

    def presses(self, digit: str, leg: str = "a") -> "Scene":
        return self.bring(DtmfReceived(leg=LegId(leg), at=self.now, digit=digit, method="rfc4733"))


def document(*items: verbs.Verb) -> ParsedDocument:
    """A document of ``items``."""
    return ParsedDocument(response=verbs.Response(verbs=items), findings=())
