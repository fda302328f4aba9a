"""The forms of API requests, and their translation into the node's terms.

A value is accepted if it matches its pattern, and the patterns are part of the API's description. The node
checks what a value means, e.g. whether a number can be reached.
"""

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_pascal

from b2bua.calls.detection import Detection
from b2bua.core.errors import WebhookError
from b2bua.settings import ApplicationSettings
from b2bua.web.api.control import (
    CallAmendment,
    Callback,
    CallRequest,
    DocumentSource,
    Method,
    RecordingRequest,
)
from b2bua.web.url import parse_url

__all__ = [
    "ApiForm",
    "CallEvents",
    "CreateCallForm",
    "CreateNumberForm",
    "CreateRecordingForm",
    "Flag",
    "Line",
    "Party",
    "Recipient",
    "RecordingEvents",
    "UpdateCallForm",
    "UpdateNumberForm",
    "UpdateRecordingForm",
    "WebAddress",
    "one_required",
    "words",
]

MAX_TWIML: Final = 16_384
"""Characters; a longer document should be fetched by URL."""

_HOST: Final = r"(?:[A-Za-z0-9]+(?:[.-][A-Za-z0-9]+)*|\[::1\]|\[[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){7}\])"
_PORT: Final = r"(?::(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2]\d|6553[0-5]))"
_USERINFO: Final = r"(?:[A-Za-z0-9._~!$&'()*+,;=:%-]*@)"
_URL: Final = rf"^https?://{_USERINFO}?{_HOST}{_PORT}?(?:[/?#][^\s\x00-\x1f\x7f]*)?$"

_URI_CHARACTER: Final = r'[^\s<>"\x00-\x1f\x7f]'
_SIP: Final = (
    r'sips?:(?:[^@\s<>"\x00-\x1f\x7f]+@)?[A-Za-z0-9._-]+(?::[0-9]{1,5})?' rf"(?:[;?]{_URI_CHARACTER}*)?"
)
_NUMBER: Final = r'(?:[Tt][Ee][Ll]:)?[^\sA-Za-z@<>"\x00-\x1f\x7f][^@<>"\x00-\x1f\x7f]{0,63}'
"""What may be the text of a ``<Number>``, an extension included; the node decides whether it is a number."""
_TO: Final = rf"^(?:{_NUMBER}|client:[A-Za-z0-9_.+-]{{1,64}}(?:\?{_URI_CHARACTER}*)?|{_SIP})$"
_PARTY: Final = r'^[^\s<>"\x00-\x1f\x7f][^<>"\x00-\x1f\x7f]{0,255}$'
_LINE: Final = r"^[^\x00-\x1f\x7f]*$"


_COMPLETED: Final[tuple[Literal["completed"]]] = ("completed",)


def _web_address(text: str) -> str:
    try:
        parse_url(text)
    except WebhookError as error:
        raise ValueError(error.text) from None
    return text


def words(given: Any) -> Any:
    """Split values at white space: one value may contain several words."""
    if isinstance(given, list) and all(isinstance(each, str) for each in given):
        return [word for each in given for word in each.split()]
    return given


WebAddress = Annotated[str, Field(pattern=_URL, max_length=4000), AfterValidator(_web_address)]
Flag = Annotated[str, Field(pattern=r"^(?:[Tt]rue|[Ff]alse)$")]
ApplicationSid = Annotated[str, Field(pattern="^AP[0-9a-f]{32}$")]
Party = Annotated[str, Field(pattern=_PARTY)]
Recipient = Annotated[str, Field(pattern=_TO, max_length=1024)]
Line = Annotated[str, Field(pattern=_LINE, max_length=256)]
CallEvents = Annotated[
    list[Literal["initiated", "ringing", "answered", "completed"]],
    BeforeValidator(words),
    Field(max_length=16),
]
RecordingEvents = Annotated[
    list[Literal["in-progress", "completed", "absent"]], BeforeValidator(words), Field(max_length=16)
]


class ApiForm(BaseModel):
    """A form, whose fields are named as the hosted service names them: ``FriendlyName``."""

    model_config = ConfigDict(alias_generator=to_pascal, use_attribute_docstrings=True, populate_by_name=True)


def one_required(*names: str) -> Callable[[dict[str, Any]], None]:
    """Return what says in the description of a form that one of these fields is required."""

    def amend(schema: dict[str, Any]) -> None:
        schema["anyOf"] = [{"required": [name], "properties": {name: {"minLength": 1}}} for name in names]

    return amend


class CreateRecordingForm(ApiForm):
    """``POST Calls/CA…/Recordings.json``"""

    recording_channels: Literal["mono", "dual"] = "mono"
    recording_track: Literal["inbound", "outbound", "both"] = "both"
    trim: Literal["trim-silence", "do-not-trim"] = "do-not-trim"
    recording_status_callback: WebAddress | None = None
    recording_status_callback_method: Method = "POST"
    recording_status_callback_event: RecordingEvents = [*_COMPLETED]

    def recording(self) -> RecordingRequest:
        """Return the requested recording."""
        return RecordingRequest(
            channels=2 if self.recording_channels == "dual" else 1,
            track=self.recording_track,
            trim=self.trim == "trim-silence",
            status_callback=_callback(self.recording_status_callback, self.recording_status_callback_method),
            status_callback_events=tuple(self.recording_status_callback_event or _COMPLETED),
        )


class CreateCallForm(CreateRecordingForm):
    """``POST Calls.json``; ``Url``, ``Twiml`` or ``ApplicationSid`` is required.

    If several are given, the application is used before ``Url``, and that before ``Twiml``.
    """

    model_config = ConfigDict(json_schema_extra=one_required("Url", "Twiml", "ApplicationSid"))

    to: Recipient
    from_: Party = Field(alias="From")
    url: WebAddress | None = None
    method: Method = "POST"
    twiml: Annotated[str, Field(min_length=1, max_length=MAX_TWIML)] | None = None
    application_sid: ApplicationSid | None = None
    """Replaces the URLs and methods of the document, of the fallback and of the status callback."""
    fallback_url: WebAddress | None = None
    fallback_method: Method = "POST"
    status_callback: WebAddress | None = None
    status_callback_method: Method = "POST"
    status_callback_event: CallEvents = [*_COMPLETED]
    timeout: Annotated[int, Field(ge=1, le=600)] = 60
    """Ring timeout in seconds."""
    time_limit: Annotated[int, Field(ge=1, le=86_400)] | None = None
    """Maximum length of the call, in seconds from the answer."""
    caller_id: Party | None = None
    call_reason: Line | None = None
    send_digits: Annotated[str, Field(pattern=r"^[0-9A-Da-d*#wW]{1,32}$")] | None = None
    sip_auth_username: Line | None = None
    sip_auth_password: Line | None = None
    byoc: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.+-]{1,64}$")] | None = None
    """Name of the trunk that carries the call."""
    record: Flag = "false"
    trim: Literal["trim-silence", "do-not-trim"] = "trim-silence"
    machine_detection: Literal["Enable", "DetectMessageEnd"] | None = None
    machine_detection_timeout: Annotated[int, Field(ge=3, le=59)] = 30
    machine_detection_speech_threshold: Annotated[int, Field(ge=1000, le=6000)] = 2400
    machine_detection_speech_end_threshold: Annotated[int, Field(ge=500, le=5000)] = 1200
    machine_detection_silence_timeout: Annotated[int, Field(ge=2000, le=10_000)] = 5000
    async_amd: Flag = "false"
    async_amd_status_callback: WebAddress | None = None
    async_amd_status_callback_method: Method = "POST"

    def with_urls_of(self, application: ApplicationSettings) -> "CreateCallForm":
        """Return the form with the URLs of the application that ``application_sid`` names."""
        urls: dict[str, Any] = {
            "url": application.voice_url,
            "method": application.voice_method,
            "fallback_url": application.fallback_url,
            "fallback_method": application.fallback_method,
        }
        if application.status_callback:
            urls["status_callback"] = application.status_callback
            urls["status_callback_method"] = application.status_callback_method
        return self.model_copy(update=urls)

    def request(self) -> CallRequest:
        """Return the requested call."""
        return CallRequest(
            to=self.to,
            from_=self.from_,
            document=_document(self.url, self.method, self.twiml),
            fallback=_callback(self.fallback_url, self.fallback_method),
            status_callback=_callback(self.status_callback, self.status_callback_method),
            status_callback_events=tuple(self.status_callback_event or _COMPLETED),
            timeout_s=self.timeout,
            time_limit_s=self.time_limit,
            caller_id=self.caller_id or "",
            send_digits=self.send_digits or "",
            sip_auth_username=self.sip_auth_username or "",
            sip_auth_password=self.sip_auth_password or "",
            call_reason=self.call_reason or "",
            trunk=self.byoc or "",
            recording=self.recording() if _is_set(self.record) else None,
            detection=self._detection(),
        )

    def _detection(self) -> Detection | None:
        # As in the hosted service: SendDigits implies that a machine answers.
        if self.machine_detection is None or self.send_digits is not None:
            return None
        is_async = _is_set(self.async_amd)
        return Detection(
            mode=self.machine_detection,
            timeout_s=self.machine_detection_timeout,
            speech_ms=self.machine_detection_speech_threshold,
            speech_end_ms=self.machine_detection_speech_end_threshold,
            silence_ms=self.machine_detection_silence_timeout,
            waits=not is_async,
            callback=(self.async_amd_status_callback or "") if is_async else "",
            callback_method=self.async_amd_status_callback_method,
        )


class UpdateCallForm(ApiForm):
    """``POST Calls/CA….json``: a new document, the end of the call, or new callback URLs."""

    url: WebAddress | None = None
    method: Method = "POST"
    twiml: Annotated[str, Field(min_length=1, max_length=MAX_TWIML)] | None = None
    status: Literal["canceled", "completed"] | None = None
    fallback_url: WebAddress | None = None
    fallback_method: Method = "POST"
    status_callback: WebAddress | None = None
    status_callback_method: Method = "POST"
    time_limit: Annotated[int, Field(ge=1, le=86_400)] | None = None

    def document(self) -> DocumentSource | None:
        """Return the document to redirect the call to, or None."""
        if self.url is None and self.twiml is None:
            return None
        return _document(self.url, self.method, self.twiml)

    def amendment(self) -> CallAmendment | None:
        """Return the other changes to the call, or None."""
        amendment = CallAmendment(
            fallback=_callback(self.fallback_url, self.fallback_method),
            status_callback=_callback(self.status_callback, self.status_callback_method),
            time_limit_s=self.time_limit,
        )
        return None if amendment == CallAmendment() else amendment


class UpdateRecordingForm(ApiForm):
    """``POST Calls/CA…/Recordings/RE….json``: pause, resume or stop."""

    status: Literal["in-progress", "paused", "stopped"]
    pause_behavior: Literal["silence", "skip"] = "silence"


class UpdateNumberForm(ApiForm):
    """``POST IncomingPhoneNumbers/PN….json``; absent fields stay unchanged."""

    voice_application_sid: ApplicationSid | None = None
    """Replaces the URLs and methods by the application's."""
    voice_url: WebAddress | None = None
    voice_method: Method | None = None
    voice_fallback_url: WebAddress | None = None
    voice_fallback_method: Method | None = None
    status_callback: WebAddress | None = None
    status_callback_method: Method | None = None


class CreateNumberForm(UpdateNumberForm):
    """``POST IncomingPhoneNumbers.json``: take calls to a number that the configuration does not have."""

    model_config = ConfigDict(json_schema_extra=one_required("VoiceUrl", "VoiceApplicationSid"))

    phone_number: Annotated[str, Field(pattern=r"^\+[1-9][0-9]{1,14}$")]


def _callback(url: str | None, method: Method) -> Callback | None:
    return Callback(url, method) if url else None


def _document(url: str | None, method: Method, twiml: str | None) -> DocumentSource:
    callback = _callback(url, method)
    return DocumentSource(url=callback, twiml="" if callback else twiml or "")


def _is_set(flag: str) -> bool:
    return flag.lower() == "true"
