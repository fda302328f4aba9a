"""What one call asks of the application: documents by their addresses, and the fallback of all.

Knows which requests are its own; which of them is waited for is the frames' to know. Sans I/O.
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
"""More documents than these in so many seconds lead to each other in a circle."""


class CallDocuments:
    """See the module's docstring.

    Args:
        script: where the first one is, and the fallback of all.
        leg: of the call.
        report: of the call; gives the standard parameters.
        next_request: numbers for what is asked for; unique in the session.
    """

    def __init__(self, script: Script, leg: Leg, report: CallReport, next_request: Callable[[], int]) -> None:
        self.script = script
        self._leg = leg
        self._report = report
        self._next_request = next_request
        self._made: set[int] = set()
        """Requests that have not been answered."""
        self._fetched_at: deque[float] = deque(maxlen=_MAX_DOCUMENTS)

    def fall_back_to(self, url: str, method: Method) -> None:
        """Use another fallback from now on."""
        self.script = structs.replace(self.script, fallback_url=url, fallback_method=method)

    def fetch(
        self, url: str, method: Method, now: float, params: Parameters = (), *, once: bool = False
    ) -> FetchDocument | None:
        """Ask for a document by its absolute URL; None if documents lead to each other without end.

        Args:
            url: absolute.
            method: GET or POST.
            now: monotonic seconds.
            params: besides the standard ones.
            once: the application is told of a result, which it must not be told twice.
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
        """Ask for the document of the configuration."""
        return FetchDocument(request=self._request(), url="", file=self.script.file)

    def fall_back(self, failed: FetchFailed, now: float) -> FetchDocument | None:
        """Ask for the fallback, with what went wrong; None if there is none."""
        script = self.script
        if not script.fallback_url:
            return None
        what = (("ErrorCode", str(failed.number)), ("ErrorUrl", failed.url))
        return self.fetch(script.fallback_url, script.fallback_method, now, what)

    def answered(self, request: int) -> bool:
        """Whether the request was this call's; each is answered once."""
        if request not in self._made:
            return False
        self._made.remove(request)
        return True

    def notes(self, findings: Sequence[Finding]) -> list[Output]:
        """Keep findings with the call."""
        return [NoteFinding(call_sid=self._report.call_sid, finding=finding) for finding in findings]

    def note(self, number: int, text: str, severity: Severity) -> NoteFinding:
        """Keep a finding that has no place in a document."""
        finding = Finding(number=number, severity=severity, text=text, line=0, column=0)
        return NoteFinding(call_sid=self._report.call_sid, finding=finding)

    def _request(self) -> int:
        request = self._next_request()
        self._made.add(request)
        return request
