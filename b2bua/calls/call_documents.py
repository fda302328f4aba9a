"""The document requests of one call: documents by their addresses, and the call's fallback document.

Keeps track of which requests belong to the call; the frames know which of them they wait for. Sans I/O.
Source: TwiML, "how a document is run" and its fallback URL.
"""

from collections import deque
from collections.abc import Callable, Sequence

from msgspec import structs

from b2bua.calls.call_report import CallReport
from b2bua.calls.orders import FetchDocument, FetchFailed, NoteFinding, Output
from b2bua.calls.parameters import Parameters
from b2bua.calls.script import Script
from b2bua.core.leg import Leg
from b2bua.twiml.findings import Finding, Severity
from b2bua.twiml.verbs import Method

__all__ = ["CallDocuments"]

_MAX_DOCUMENTS = 60
_MAX_DOCUMENTS_IN_S = 10.0
"""More documents than ``_MAX_DOCUMENTS`` within this time are taken to refer to each other in a circle."""


class CallDocuments:
    """Makes the document requests of one call and recognises their answers.

    Args:
        script: where the first document is, and the fallback for every document of the call.
        leg: the call's leg.
        report: the call's report, which provides the standard parameters.
        next_request: returns request numbers that are unique in the session.
    """

    def __init__(self, script: Script, leg: Leg, report: CallReport, next_request: Callable[[], int]) -> None:
        self.script = script
        self._leg = leg
        self._report = report
        self._next_request = next_request
        self._made: set[int] = set()
        """Requests not answered yet."""
        self._fetched_at: deque[float] = deque(maxlen=_MAX_DOCUMENTS)

    def fall_back_to(self, url: str, method: Method) -> None:
        """Use a different fallback document from now on."""
        self.script = structs.replace(self.script, fallback_url=url, fallback_method=method)

    def fetch(
        self, url: str, method: Method, now: float, params: Parameters = (), *, once: bool = False
    ) -> FetchDocument | None:
        """Request a document by its absolute URL; None if documents refer to each other endlessly.

        Args:
            url: absolute.
            method: GET or POST.
            now: monotonic seconds.
            params: sent in addition to the standard parameters.
            once: the request reports a result, which must not be reported twice.
        """
        if len(self._fetched_at) == _MAX_DOCUMENTS and now - self._fetched_at[0] < _MAX_DOCUMENTS_IN_S:
            return None
        self._fetched_at.append(now)
        return FetchDocument(
            request=self._request(),
            url=url,
            method=method,
            params=self._report.standard(self._leg) + params,
            once=once,
            expects_document=self._leg.live,
        )

    def read(self) -> FetchDocument:
        """Request the document that the configuration names as a file."""
        return FetchDocument(request=self._request(), url="", file=self.script.file)

    def fall_back(self, failed: FetchFailed, now: float) -> FetchDocument | None:
        """Request the fallback document, reporting the failure; None if there is no fallback."""
        script = self.script
        if not script.fallback_url:
            return None
        what = (("ErrorCode", str(failed.number)), ("ErrorUrl", failed.url))
        return self.fetch(script.fallback_url, script.fallback_method, now, what)

    def answered(self, request: int) -> bool:
        """Return whether the request belongs to this call; each request is answered once."""
        if request not in self._made:
            return False
        self._made.remove(request)
        return True

    def notes(self, findings: Sequence[Finding]) -> list[Output]:
        """Return orders that record findings with the call."""
        return [NoteFinding(call_sid=self._report.call_sid, finding=finding) for finding in findings]

    def note(self, number: int, text: str, severity: Severity) -> NoteFinding:
        """Return the order that records a finding without a position in a document."""
        finding = Finding(number=number, severity=severity, text=text, line=0, column=0)
        return NoteFinding(call_sid=self._report.call_sid, finding=finding)

    def _request(self) -> int:
        request = self._next_request()
        self._made.add(request)
        return request
