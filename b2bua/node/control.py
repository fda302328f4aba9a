"""Control of live calls by REST: a program makes, redirects, ends and records them.

This module translates API requests into session inputs, and refuses a request that the state of the call no
longer allows. It decides nothing else. Thread: the controller's loop.
"""

from dataclasses import replace
from typing import Literal, Protocol
from urllib.parse import parse_qsl

from b2bua.calls.orders import (
    Amended,
    CallCanceled,
    ChangeRecording,
    RecordCall,
    Redirected,
    SessionInput,
)
from b2bua.calls.outbound import OutboundCall
from b2bua.calls.recording_plan import RecordingSource
from b2bua.calls.script import Script
from b2bua.core.errors import TwimlError
from b2bua.core.ids import CallSid, RecordingSid
from b2bua.node.ledger import Ledger
from b2bua.node.recordings import Recordings
from b2bua.store.records import CallRow, RecordingRow
from b2bua.twiml import verbs
from b2bua.twiml.findings import Finding
from b2bua.twiml.parse import ParsedDocument, parse
from b2bua.web.api.control import CallAmendment, CallRequest, DocumentSource, RecordingRequest
from b2bua.web.api.errors import ApiError, BadParameter, NotFound, WrongCallState

__all__ = ["Control", "Steered"]

_BAD_CALLER_ID = frozenset((13214, 13247, 13248))
_BAD_NUMBER = frozenset((13223, 13224))


class Steered(Protocol):
    """The calls of a node, as ``Control`` uses them."""

    def bring(self, call_sid: str, event: SessionInput) -> bool:
        """Give an order to the session of the call; returns False if there is no such session."""

    def route(self, dial: verbs.Dial, from_: str) -> tuple[OutboundCall | None, tuple[Finding, ...]]:
        """Find the route of a call (``OutboundCall.routed``)."""

    async def call(
        self,
        opening: OutboundCall,
        script: Script,
        record: RecordCall | None,
        findings: tuple[Finding, ...] = (),
    ) -> CallSid:
        """Begin a call, and keep ``findings`` (about how it was made) with it.

        Raises:
            CapacityError: the node has no capacity left.
        """


class Control:
    """Implements ``web.api.control.CallControl`` with the sessions of the node."""

    def __init__(self, node: Steered, ledger: Ledger, recordings: Recordings) -> None:
        self._node = node
        self._ledger = ledger
        self._recordings = recordings

    async def create(self, request: CallRequest) -> CallRow:
        """Begin a call (``CallControl``)."""
        caller_id = request.caller_id or _identity(request.from_)
        dial = verbs.Dial(
            line=0,
            column=0,
            children=(_noun(request),),
            caller_id=caller_id,
            call_reason=request.call_reason or None,
        )
        opening, findings = self._node.route(dial, request.from_)
        if opening is None:
            raise _no_way(request.to, findings)
        opening = replace(
            opening,
            timeout_s=float(request.timeout_s),
            time_limit_s=float(request.time_limit_s or 14_400),
            # Keys of an extension are for a machine, as SendDigits are.
            detection=None if opening.keys else request.detection,
        )
        wanted = request.recording
        record = _record(CallSid(""), wanted, "OutboundAPI") if wanted is not None else None
        script = _script(request, opening.keys + request.send_digits)
        sid = await self._node.call(opening, script, record, findings)
        row = self._ledger.row(sid)
        assert row is not None
        return row

    async def redirect(self, sid: str, document: DocumentSource) -> None:
        """Run another document (``CallControl``)."""
        row = self._row(sid)
        # An inbound call runs a document before it is answered; an outbound call only from the answer on.
        if row.status != "in-progress" and row.direction != "inbound":
            raise WrongCallState()
        if document.url is not None:
            order = Redirected(call_sid=CallSid(sid), url=document.url.url, method=document.url.method)
        else:
            order = Redirected(call_sid=CallSid(sid), document=_parsed(document.twiml))
        self._bring(sid, order)

    async def amend(self, sid: str, amendment: CallAmendment) -> None:
        """Change what the call does later (``CallControl``)."""
        self._row(sid)
        fallback, callback = amendment.fallback, amendment.status_callback
        self._bring(
            sid,
            Amended(
                call_sid=CallSid(sid),
                fallback=(fallback.url, fallback.method) if fallback else None,
                status_callback=(callback.url, callback.method) if callback else None,
                time_limit_s=amendment.time_limit_s,
            ),
        )

    async def cancel(self, sid: str) -> None:
        """End a call that has not been answered (``CallControl``)."""
        if self._row(sid).status not in ("queued", "ringing"):
            raise WrongCallState("Call is not queued or ringing. Cannot cancel.")
        self._bring(sid, CallCanceled(call_sid=CallSid(sid), by="api"))

    async def complete(self, sid: str) -> None:
        """End a call in any state (``CallControl``)."""
        self._row(sid)
        self._bring(sid, CallCanceled(call_sid=CallSid(sid), by="api"))

    async def start_recording(self, sid: str, request: RecordingRequest) -> RecordingRow:
        """Record a call that is in progress (``CallControl``)."""
        call = self._ledger.row(sid)
        if call is None or call.status != "in-progress":
            raise WrongCallState("Requested resource is not eligible for recording")
        before = set(self._recordings.of_call(sid))
        self._bring(sid, _record(CallSid(sid), request))
        made = [recording for recording in self._recordings.of_call(sid) if recording not in before]
        row = self._recordings.row(made[0]) if made else None
        if row is None:
            raise WrongCallState("Requested resource is not eligible for recording")
        return row

    async def update_recording(
        self,
        sid: str,
        recording_sid: str | None,
        status: Literal["in-progress", "paused", "stopped"],
        pause_behavior: Literal["silence", "skip"],
    ) -> RecordingRow:
        """Pause, resume or stop a recording (``CallControl``)."""
        running = self._recordings.of_call(sid)
        recording = RecordingSid(recording_sid) if recording_sid is not None else next(iter(running), None)
        if recording is None or recording not in running:
            raise NotFound(f"Recording {recording_sid or 'Twilio.CURRENT'}")
        self._bring(
            sid,
            ChangeRecording(
                call_sid=CallSid(sid), recording=recording, status=status, behavior=pause_behavior
            ),
        )
        row = self._recordings.row(recording)
        if row is None:
            raise NotFound(f"Recording {recording}")
        return row

    def _row(self, sid: str) -> CallRow:
        row = self._ledger.row(sid)
        if row is None:
            raise WrongCallState()
        return row

    def _bring(self, sid: str, event: SessionInput) -> None:
        row = self._row(sid)
        if not self._node.bring(row.parent_sid or sid, event):
            raise WrongCallState()


def _noun(request: CallRequest) -> verbs.Number | verbs.Sip | verbs.Client:
    to = request.to
    if to.startswith(("sip:", "sips:")):
        username, password = request.sip_auth_username or None, request.sip_auth_password or None
        return verbs.Sip(line=0, column=0, uri=to, username=username, password=password)
    if to.startswith("client:"):
        identity, _, query = to.removeprefix("client:").partition("?")
        given = parse_qsl(query, keep_blank_values=True)
        parameters = tuple(verbs.Parameter(name=name, value=value) for name, value in given)
        return verbs.Client(line=0, column=0, identity=identity, parameters=parameters)
    return verbs.Number(line=0, column=0, text=to, byoc=request.trunk or None)


def _identity(from_: str) -> str:
    """Return the identity shown to the callee: ``ann`` for ``sip:ann@example.com``, a number unchanged."""
    return from_.removeprefix("sips:").removeprefix("sip:").removeprefix("client:").partition("@")[0]


def _no_way(to: str, findings: tuple[Finding, ...]) -> ApiError:
    numbers = {finding.number for finding in findings}
    text = "; ".join(finding.text for finding in findings) or "no route to this target"
    if numbers & _BAD_CALLER_ID:
        return ApiError(21210, f"From: {text}")
    return ApiError(21211 if numbers & _BAD_NUMBER else 21214, f"To {to}: {text}")


def _parsed(twiml: str) -> ParsedDocument:
    try:
        return parse(twiml)
    except TwimlError as error:
        raise BadParameter("Twiml", error.text, error.number) from None


def _script(request: CallRequest, digits: str) -> Script:
    """Return the script to run on the answer; ``digits`` are sent before it."""
    source, fallback, callback = request.document, request.fallback, request.status_callback
    url = source.url.url if source.url is not None else ""
    method = source.url.method if source.url is not None else "POST"
    document = _parsed(source.twiml) if source.url is None else None
    if digits:
        keys = verbs.Play(line=0, column=0, url="", digits=digits)
        then = document.response.verbs if document else (_redirect(url, method),)
        response = verbs.Response(line=0, column=0, verbs=(keys, *then))
        document = ParsedDocument(response=response, findings=document.findings if document else ())
    return Script(
        url=url,
        method=method,
        document=document,
        fallback_url=fallback.url if fallback else "",
        fallback_method=fallback.method if fallback else "POST",
        status_callback=callback.url if callback else "",
        status_callback_method=callback.method if callback else "POST",
        status_callback_events=request.status_callback_events,
    )


def _redirect(url: str, method: verbs.Method) -> verbs.Redirect:
    return verbs.Redirect(line=0, column=0, url=url, method=method)


def _record(
    sid: CallSid, request: RecordingRequest, source: RecordingSource = "StartCallRecordingAPI"
) -> RecordCall:
    callback = request.status_callback
    return RecordCall(
        call_sid=sid,
        source=source,
        dual=request.channels == 2,
        track=request.track,
        trim=request.trim,
        callback_url=callback.url if callback else "",
        callback_method=callback.method if callback else "POST",
        callback_events=request.status_callback_events,
    )
