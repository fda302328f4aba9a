"""The document of a frame: its requests, and the base URL of its relative addresses. Sans I/O.

Keeps track of the request that is being waited for, so that late answers to other requests are ignored.
Source: TwiML, "how a document is run" and its fallback URL.
"""

from collections.abc import Sequence

from msgspec import structs

from b2bua.calls.call_documents import CallDocuments
from b2bua.calls.orders import DocumentFetched, FetchFailed, Output
from b2bua.calls.parameters import Parameters
from b2bua.calls.recordings import CallRecordings
from b2bua.calls.verb_run import AskFor
from b2bua.core.leg import Leg
from b2bua.twiml.findings import Finding
from b2bua.twiml.urls import resolve_url
from b2bua.twiml.verbs import Method

__all__ = ["FrameDocument"]


class FrameDocument:
    """Requests the documents of one frame and resolves their addresses.

    Args:
        documents: the document requests of the call.
        leg: the call's leg.
        recordings: the session's recordings.
        base_url: base for relative addresses until a document has arrived.
    """

    def __init__(self, documents: CallDocuments, leg: Leg, recordings: CallRecordings, base_url: str) -> None:
        self.base_url = base_url
        self._documents = documents
        self._leg = leg
        self._recordings = recordings
        self._awaited: int | None = None
        self._falling_back = False

    @property
    def awaited(self) -> bool:
        """Whether a document is being waited for."""
        return self._awaited is not None

    def answers(self, event: DocumentFetched | FetchFailed) -> bool:
        """Return whether this answers the awaited request; if so, nothing is awaited any more."""
        if event.request != self._awaited:
            return False
        self._awaited = None
        if isinstance(event, DocumentFetched):
            self._falling_back = False
            self.base_url = event.url or self.base_url
        return True

    def forget(self) -> None:
        """Stop waiting: any answer that arrives from now on is ignored."""
        self._awaited = None

    def read(self) -> list[Output]:
        """Request the document that the configuration names as a file."""
        read = self._documents.read()
        self._awaited = read.request
        return [read]

    def fetch(
        self, url: str, method: Method, now: float, params: Parameters = (), *, once: bool = False
    ) -> list[Output] | None:
        """Request the document at an absolute URL; None if documents refer to each other endlessly.

        On a leg that has ended, the answer is not waited for.
        """
        fetch = self._documents.fetch(url, method, now, params, once=once)
        if fetch is None:
            return None
        if self._leg.live:
            self._awaited = fetch.request
        return [fetch]

    def fall_back(self, failed: FetchFailed, now: float) -> list[Output] | None:
        """Request the fallback, reporting the failure; None if there is none or it has failed itself."""
        fallback = None if self._falling_back else self._documents.fall_back(failed, now)
        if fallback is None:
            return None
        self._falling_back = True
        self._awaited = fallback.request
        return [fallback]

    def request(self, ask: AskFor, now: float) -> list[Output]:
        """Report a result to the application without waiting for the answer."""
        url, outputs = self.resolve(ask.url)
        if url is None:
            return outputs
        fetch = self._documents.fetch(url, ask.method, now, ask.params, once=ask.once)
        return outputs if fetch is None else [*outputs, structs.replace(fetch, expects_document=False)]

    def resolve(self, value: str) -> tuple[str | None, list[Output]]:
        """Return the absolute URL (None if the value cannot be resolved) and the findings about it."""
        url, finding = resolve_url(self.base_url or None, value)
        return (url or None), self.notes((finding,) if finding else ())

    def resolve_sound(self, value: str) -> tuple[str | None, list[Output]]:
        """Return the absolute URL of a sound (None if it cannot be resolved) and the findings about it.

        A document of the configuration may also name a sound by its path relative to the document, a built-in
        sound (``tone:de``), or the latest recording of the session (``recording:last``).
        """
        value = value.strip()
        is_file = bool(self._documents.script.file) and not self.base_url
        if not is_file:
            return self.resolve(value)
        if value == "recording:last" and self._recordings.last is not None:
            return f"recording:{self._recordings.last}", []
        if ":" not in value or value.startswith("tone:"):
            return value, []
        return self.resolve(value)

    def notes(self, findings: Sequence[Finding]) -> list[Output]:
        """Return orders that record findings with the call."""
        return self._documents.notes(findings)
