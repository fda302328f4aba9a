"""The requests by which the application is told of recordings.

Source: TwiML ``recordingStatusCallback``, ``transcribeCallback`` of ``<Record>``, and ``eventCallbackUrl`` of
``<Conference>`` (read November 2026).
"""

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final, Literal

from b2bua.core.ids import RecordingSid
from b2bua.node.raw_recordings import RecordingNote
from b2bua.web.webhooks import WebhookRequest

__all__ = ["NOT_MADE", "RecordingReports"]

NOT_MADE: Final = 12400
"""The error number of an internal error."""


class RecordingReports:
    """Makes the requests.

    Args:
        account_sid: of the recordings.
        public_url: of this node's HTTP server.
    """

    def __init__(self, account_sid: str, public_url: str) -> None:
        self._account_sid = account_sid
        self._public_url = public_url

    def status(
        self, note: RecordingNote, status: Literal["in-progress", "completed", "absent"]
    ) -> WebhookRequest | None:
        """Return the status callback; None: none is wanted."""
        plan = note.plan
        if not plan.callback_url or status not in plan.callback_events:
            return None
        of_room = plan.conference_sid
        params = (
            ("AccountSid", self._account_sid),
            ("ConferenceSid", of_room) if of_room else ("CallSid", plan.call_sid),
            ("RecordingSid", note.recording),
            ("RecordingUrl", self._url(note.recording)),
            ("RecordingStatus", status),
            *_outcome(note, status),
            ("RecordingChannels", str(plan.channels)),
            ("RecordingStartTime", format_datetime(note.began_at or note.created_at)),
            ("RecordingSource", plan.source),
            *(() if of_room else (("RecordingTrack", plan.track),)),
        )
        return WebhookRequest(
            url=plan.callback_url,
            method=plan.callback_method,
            params=params,
            # Stays the same if the recording is finished again after a crash.
            idempotency_token=f"{note.recording}-{status}",
            expects_document=False,
        )

    def conference_event(self, note: RecordingNote, size: int) -> WebhookRequest | None:
        """Return the request to ``eventCallbackUrl``; None: none is wanted. ``size``: bytes of the file."""
        plan = note.plan
        if not plan.event_url or not note.duration_s:
            return None
        params = (
            ("EventName", "conference-record-end"),
            ("ConferenceSid", plan.conference_sid),
            ("FriendlyName", plan.conference_name),
            ("AccountSid", self._account_sid),
            ("Timestamp", format_datetime(datetime.now(UTC))),
            ("RecordingUrl", self._url(note.recording)),
            ("Duration", str(round(note.duration_s))),
            ("RecordingFileSize", str(size)),
        )
        return WebhookRequest(
            url=plan.event_url,
            method="POST",
            params=params,
            idempotency_token=f"{note.recording}-event",
            expects_document=False,
        )

    def transcription(self, note: RecordingNote) -> WebhookRequest | None:
        """Return the request to ``transcribeCallback``; None: none is wanted.

        There is no recogniser: those that can be had as a package understand too little of a telephone call.
        The application is told so, and where the recording is: it may handle its voicemail there.
        """
        plan = note.plan
        if not plan.transcribe_url or not note.duration_s:
            return None
        sid = "TR" + note.recording.removeprefix("RE")
        account = f"{self._public_url}/2010-04-01/Accounts/{self._account_sid}"
        return WebhookRequest(
            url=plan.transcribe_url,
            method="POST",
            params=(
                *plan.transcribe_params,
                ("TranscriptionSid", sid),
                ("TranscriptionStatus", "failed"),
                ("TranscriptionText", ""),
                ("TranscriptionUrl", f"{account}/Transcriptions/{sid}"),
                ("RecordingSid", note.recording),
                ("RecordingUrl", self._url(note.recording)),
            ),
            idempotency_token=f"{sid}-failed",
            expects_document=False,
        )

    def _url(self, recording: RecordingSid) -> str:
        """Return the RecordingUrl, which serves the WAV file."""
        return f"{self._public_url}/2010-04-01/Accounts/{self._account_sid}/Recordings/{recording}"


def _outcome(note: RecordingNote, status: str) -> tuple[tuple[str, str], ...]:
    """Return the parameters for the duration of a recording and for the error, if there is one."""
    if note.duration_s is None:
        return ()
    length = ("RecordingDuration", str(round(note.duration_s)))
    if status == "absent" and note.reason:
        return (length, ("ErrorCode", str(NOT_MADE)), ("ErrorMessage", note.reason))
    return (length,)
