"""What one call asks of the application: one document after the other, the fallback, absolute addresses.

Knows which request is waited for, so that a late answer to another is nobody's. Sans I/O.
Source: TwiML, "how a document is run" and its fallback URL.
"""

from collections import deque
from collections.abc import Callable, Sequence

from msgspec import structs

from b2bua.core.leg import Leg
from b2bua.flow.call_report import CallReport
from b2bua.flow.orders import DocumentFetched, FetchDocument, FetchFailed, NoteFinding, SessionOrder
from b2bua.flow.parameters import Parameters
from b2bua.flow.recordings import CallRecordings
from b2bua.flow.script import Script
from b2bua.twiml.findings import Finding, Severity
from b2bua.twiml.urls import resolve_url
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
        recordings: the session's.
    """

    def __init__(
        self,
        script: Script,
        leg: Leg,
        report: CallReport,
        next_request: Callable[[], int],
        recordings: CallRecordings,
    ) -> None:
        self._script = script
        self._recordings = recordings
        self._leg = leg
        self._report = report
        self._next_request = next_request
        self.base_url = script.url
        """What relative addresses resolve against."""
        self._awaited: int | None = None
        self._falling_back = False
        self._fetched_at: deque[float] = deque(maxlen=_MAX_DOCUMENTS)

    def fall_back_to(self, url: str, method: Method) -> None:
        """Use another fallback from now on."""
        self._script = structs.replace(self._script, fallback_url=url, fallback_method=method)

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
            request=self._await(),
            url=url,
            method=method,
            params=self._report.standard(self._leg) + params,
            once=once,
            expects_document=self._leg.live,
        )

    def read(self) -> FetchDocument:
        """Ask for the document of the configuration."""
        return FetchDocument(request=self._await(), url="", file=self._script.file)

    def fall_back(self, failed: FetchFailed, now: float) -> FetchDocument | None:
        """Ask for the fallback, with what went wrong; None if there is none, or it is what failed."""
        if not self._script.fallback_url or self._falling_back:
            return None
        self._falling_back = True
        what = (("ErrorCode", str(failed.number)), ("ErrorUrl", failed.url))
        return self.fetch(self._script.fallback_url, self._script.fallback_method, now, what)

    def takes(self, answer: DocumentFetched | FetchFailed) -> bool:
        """The answer is to what is waited for; from then on nothing is."""
        if answer.request != self._awaited:
            return False
        self._awaited = None
        if isinstance(answer, DocumentFetched):
            self._falling_back = False
            self.base_url = answer.url or self.base_url
        return True

    def forget(self) -> None:
        """Another document has come from elsewhere: what is waited for is late now."""
        self._awaited = None
        self._falling_back = False

    def resolve(self, value: str) -> tuple[str | None, list[SessionOrder]]:
        """Return the absolute URL, or None where there is none, and what is to be noted about it."""
        url, finding = resolve_url(self.base_url or None, value)
        return (url or None), self.notes((finding,) if finding else ())

    def resolve_sound(self, value: str) -> tuple[str | None, list[SessionOrder]]:
        """Likewise of a sound.

        A document of the configuration may name one by its path beside it, one that the node has
        (``tone:de``), and what was recorded last in the session (``recording:last``).
        """
        value = value.strip()
        if not self.is_file:
            return self.resolve(value)
        if value == "recording:last" and self._recordings.last is not None:
            return f"recording:{self._recordings.last}", []
        if ":" not in value or value.startswith("tone:"):
            return value, []
        return self.resolve(value)

    @property
    def is_file(self) -> bool:
        """The document is the configuration's: it has no URL, and nobody is asked what comes next."""
        return bool(self._script.file) and not self.base_url

    def notes(self, findings: Sequence[Finding]) -> list[SessionOrder]:
        """Keep findings with the call."""
        return [NoteFinding(call_sid=self._report.call_sid, finding=finding) for finding in findings]

    def note(self, number: int, text: str, severity: Severity) -> NoteFinding:
        """Keep a finding that has no place in a document."""
        finding = Finding(number=number, severity=severity, text=text, line=0, column=0)
        return NoteFinding(call_sid=self._report.call_sid, finding=finding)

    def _await(self) -> int:
        self._awaited = self._next_request()
        return self._awaited
