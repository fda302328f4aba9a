"""What the edge keeps of each dialog, so that it can end it when its worker has died.

The edge is in the way of every message of a leg, and each message leaves what the worker's own state was made
of: tags, remote target, route set and CSeq (RFC 3261 §12). A record lives until its dialog or its worker's
session is over. ``farewells`` does something with those of a worker that is gone.

No I/O. Thread: the edge's loop.
"""

from typing import Final

from msgspec import Struct

from b2bua.core.errors import PeerError
from b2bua.core.ids import WorkerId
from b2bua.sip.flow import Flow
from b2bua.sip.message import Message, Request, Response
from b2bua.sip.values import parse_name_addr, split_name_addr

__all__ = ["DialogRecord", "DialogRecords", "establish"]

_TARGET_REFRESH: Final = ("INVITE", "UPDATE")
_OFFERS: Final = ("INVITE", "UPDATE", "PRACK", "ACK")
_ASKED_AGAIN: Final = (401, 407)


class DialogRecord(Struct, kw_only=True):
    """One dialog of a worker's, or the INVITE that is to begin it. Header values are as on the wire."""

    call_id: str
    worker: WorkerId
    near_tag: str
    """The worker's tag; empty until the worker has answered."""
    near: bytes
    """From or To of the worker's side, with its tag if there is one."""
    far: bytes
    """The same of the party."""
    vias: tuple[bytes, ...]
    """Of the INVITE: for a response to the party, or the worker's own."""
    cseq: int
    """Of the INVITE."""
    near_cseq: int
    """The highest of the worker's requests; 0: it has sent none."""
    uri: str
    """Request-URI for the worker's requests: that of its INVITE, then the party's Contact."""
    routes: tuple[str, ...]
    """Route values for the worker's requests."""
    from_far: Flow | None = None
    """Where the party's INVITE came from; None: the INVITE is the worker's."""
    to_phone: bool = False
    """The worker's INVITE goes to a registered phone by its binding."""
    rung: bool = False
    """A provisional response has passed: a worker's INVITE may be canceled (RFC 3261 §9.1). The 100 to a
    party's INVITE does not count: the party hears nothing of it."""
    up: bool = False
    """A 2xx has passed."""
    acknowledged: bool = True
    """The worker's ACK for the party's 2xx has passed."""

    @property
    def far_tag(self) -> str:
        """The party's tag; empty until it has answered."""
        return _tag(self.far)


class DialogRecords:
    """All records of one edge, by worker and Call-ID."""

    def __init__(self) -> None:
        self._records: dict[WorkerId, dict[str, DialogRecord]] = {}
        self.touched: dict[tuple[WorkerId, str], None] = {}
        """Worker and Call-ID of the dialogs about which something may have changed, media included; whoever
        reads it clears it."""

    def of(self, worker: WorkerId, call_id: str) -> DialogRecord | None:
        """Return a record; None: there is none (any more)."""
        return self._records.get(worker, {}).get(call_id)

    def restore(self, record: DialogRecord) -> None:
        """Take a record of an edge before this one."""
        self._put(record)

    def over(self, worker: WorkerId) -> list[DialogRecord]:
        """Drop and return the records of a worker whose session is over."""
        return list(self._records.pop(worker, {}).values())

    # -- messages ---------------------------------------------------------------------------------------

    def called(self, invite: Request, worker: WorkerId, came_from: Flow) -> None:
        """Note a party's INVITE in the form in which it leaves for the worker, our Via on top."""
        self._put(
            DialogRecord(
                call_id=invite.call_id,
                worker=worker,
                near_tag="",
                near=_value(invite, "to"),
                far=_value(invite, "from"),
                vias=tuple(via.encode("utf-8", "surrogateescape") for via in invite.all("via")[1:]),
                cseq=invite.cseq_number,
                near_cseq=0,
                uri=_contact(invite) or "",
                routes=tuple(invite.all("record-route")),
                from_far=came_from,
            )
        )

    def calls(self, invite: Request, worker: WorkerId, *, to_phone: bool) -> None:
        """Note a worker's INVITE as it has come; the worker may repeat it with another CSeq after a 401."""
        self._put(
            DialogRecord(
                call_id=invite.call_id,
                worker=worker,
                near_tag=invite.from_tag,
                near=_value(invite, "from"),
                far=_value(invite, "to"),
                vias=tuple(via.encode("utf-8", "surrogateescape") for via in invite.all("via")[:1]),
                cseq=invite.cseq_number,
                near_cseq=invite.cseq_number,
                uri=invite.uri,
                routes=tuple(invite.all("route")),
                to_phone=to_phone,
            )
        )

    def asked(self, request: Request, worker: WorkerId) -> None:
        """Note a party's request within a dialog."""
        record = self._find(request, worker)
        if request.method in _OFFERS:
            self.touched[worker, request.call_id] = None
        if record is not None and record.up and request.method in _TARGET_REFRESH:
            self._retarget(record, request)

    def asks(self, request: Request, worker: WorkerId) -> None:
        """Note a worker's request within a dialog."""
        record = self._find(request, worker)
        if record is None:
            return
        self.touched[worker, record.call_id] = None
        if request.method == "ACK":
            record.acknowledged = True
        elif request.method != "CANCEL":
            record.near_cseq = max(record.near_cseq, request.cseq_number)

    def answers(self, response: Response, worker: WorkerId) -> None:
        """Note a worker's response."""
        record = self._find(response, worker)
        if record is None:
            return
        self._touch(response, worker)
        if self._opens(record, response) and record.from_far is not None:
            if response.status >= 300:
                self._drop(record)
            elif response.status < 200:
                record.rung = record.rung or response.status > 100
            else:
                record.up = True
                record.near, record.near_tag = _value(response, "to"), response.to_tag
        elif response.cseq_method == "BYE" and response.status >= 200:
            self._drop(record)

    def answered(self, response: Response, worker: WorkerId) -> None:
        """Note a party's response in the form in which it leaves for the worker."""
        record = self._find(response, worker)
        if record is None:
            return
        self._touch(response, worker)
        if self._opens(record, response) and record.from_far is None:
            self._dialed(record, response)
        elif response.cseq_method == "BYE" and response.status >= 200:
            if response.status not in _ASKED_AGAIN:
                self._drop(record)
        elif record.up and response.cseq_method in _TARGET_REFRESH and 200 <= response.status < 300:
            self._retarget(record, response)

    def _dialed(self, record: DialogRecord, response: Response) -> None:
        if response.status >= 300:
            self._drop(record)
        elif response.status < 200:
            record.rung = True
        elif not record.up:  # the library ends the others of a fork
            establish(record, response)

    # -- records ----------------------------------------------------------------------------------------

    def _touch(self, response: Response, worker: WorkerId) -> None:
        if response.status > 100 and (response.cseq_method in _OFFERS or response.cseq_method == "BYE"):
            self.touched[worker, response.call_id] = None

    def _put(self, record: DialogRecord) -> None:
        self.touched[record.worker, record.call_id] = None
        self._records.setdefault(record.worker, {})[record.call_id] = record

    def _find(self, message: Message, worker: WorkerId) -> DialogRecord | None:
        records = self._records.get(worker)
        return None if records is None else records.get(message.call_id)

    def _drop(self, record: DialogRecord) -> None:
        records = self._records.get(record.worker, {})
        if records.pop(record.call_id, None) is not None and not records:
            del self._records[record.worker]

    @staticmethod
    def _opens(record: DialogRecord, response: Response) -> bool:
        """Whether a response is to the INVITE that begins the dialog."""
        return response.cseq_method == "INVITE" and response.cseq_number == record.cseq

    @staticmethod
    def _retarget(record: DialogRecord, message: Message) -> None:
        record.uri = _contact(message) or record.uri


def establish(record: DialogRecord, response: Response) -> None:
    """Make a dialog of the 2xx to a worker's INVITE (RFC 3261 §12.1.2)."""
    record.up, record.acknowledged, record.to_phone = True, False, False
    record.far = _value(response, "to")
    record.uri = _contact(response) or record.uri
    record.routes = tuple(reversed(response.all("record-route")))


def _value(message: Message, name: str) -> bytes:
    return next((header.value for header in message.headers if header.name == name), b"")


def _tag(value: bytes) -> str:
    try:
        return parse_name_addr(value.decode("utf-8", "surrogateescape")).param("tag") or ""
    except PeerError:
        return ""


def _contact(message: Message) -> str | None:
    """Return the URI of the Contact; None without one that can be read."""
    value = message.get("contact")
    try:
        return None if value is None else split_name_addr(value)[1]
    except PeerError:
        return None
