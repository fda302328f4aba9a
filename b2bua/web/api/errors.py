"""Error responses of the API: a number, a text and an HTTP status, always with the same body.

The numbers and the format of the body are the hosted service's (its error dictionary, read November 2026).
"""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from b2bua.core.errors import B2buaError, CapacityError
from b2bua.web.api.absent import absent_resource
from b2bua.web.api.description import allowed_methods

__all__ = [
    "ApiError",
    "BadParameter",
    "ErrorBody",
    "NotFound",
    "NotHad",
    "WrongCallState",
    "error_answer",
    "install_error_answers",
    "more_info",
    "responses",
]

_MORE_INFO: Final = "https://www.twilio.com/docs/errors/"

_OF_STATUS: Final = {
    400: (20001, "The request is not valid"),
    401: (20003, "Authenticate"),
    404: (20404, "The requested resource was not found"),
    405: (20004, "Method not allowed"),
    409: (20409, "The state of the resource does not allow the request"),
    413: (20413, "The request body is too large"),
    416: (20416, "The requested range is outside the file"),
    429: (20429, "Too many requests"),
    500: (20500, "Internal error"),
    501: (20501, "b2bua does not have this resource"),
    502: (20502, "The upstream service does not answer"),
    503: (20503, "The node is overloaded"),
}
"""Error number and default text of each HTTP status."""

_OF_ABSENT: Final = {"To": 21201, "From": 21213, "PhoneNumber": 21421}
"""Error numbers for missing form parameters that have their own number."""

_OF_PARAMETER: Final = {
    "To": 21211,
    "From": 21212,
    "Url": 21205,
    "FallbackUrl": 21205,
    "StatusCallback": 21205,
    "RecordingStatusCallback": 21205,
    "AsyncAmdStatusCallback": 21205,
    "VoiceUrl": 21402,
    "VoiceFallbackUrl": 21402,
    "Method": 21209,
    "FallbackMethod": 21209,
    "StatusCallbackMethod": 21209,
    "VoiceMethod": 21403,
    "VoiceFallbackMethod": 21403,
    "PhoneNumber": 21421,
    "SendDigits": 21206,
    "Timeout": 21208,
}
"""Error numbers for invalid form parameters; 20001 for all others."""


class ErrorBody(BaseModel):
    """The body of every answer that is an error."""

    code: int
    """The error's number."""
    message: str
    more_info: str
    status: int
    """As in the status line."""


class ApiError(B2buaError):
    """An error response.

    Args:
        number: error number of the hosted service, e.g. 20404.
        text: human-readable text.
        status: HTTP status.
    """

    def __init__(self, number: int, text: str, *, status: int = 400) -> None:
        super().__init__(f"{number} {text}")
        self.number = number
        self.text = text
        self.status = status


class NotFound(ApiError):
    """The resource does not exist, or no longer exists."""

    def __init__(self, what: str = "The requested resource") -> None:
        super().__init__(20404, f"{what} was not found", status=404)


class NotHad(ApiError):
    """The resource is one of the hosted service's that b2bua does not have."""

    def __init__(self, name: str) -> None:
        super().__init__(20501, f"b2bua does not have {name}", status=501)


class WrongCallState(ApiError):
    """The state of the call, or of its recording, does not allow the request."""

    def __init__(self, text: str = "Call is not in-progress. Cannot redirect.") -> None:
        super().__init__(21220, text)


class BadParameter(ApiError):
    """A parameter has an unusable value; the error number depends on the parameter."""

    def __init__(self, name: str, text: str, number: int | None = None) -> None:
        super().__init__(number or _OF_PARAMETER.get(name, 20001), f"{name}: {text}")


def more_info(number: int) -> str:
    """Return the URL of the page that explains an error number."""
    return f"{_MORE_INFO}{number}"


def error_answer(
    status: int, number: int = 0, text: str = "", headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return an error response; number and text default to those of the status."""
    usual = _OF_STATUS.get(status, (20001, "The request failed"))
    number, text = number or usual[0], text or usual[1]
    body = ErrorBody(code=number, message=text, more_info=more_info(number), status=status)
    return JSONResponse(body.model_dump(), status_code=status, headers=headers)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return a route's error declarations: the given ``statuses``, and those that every route can have."""
    return {
        status: {"model": ErrorBody, "description": _OF_STATUS[status][1]}
        for status in sorted({401, 404, 429, 500, 503, *statuses})
    }


def install_error_answers(app: FastAPI) -> None:
    """Make all errors of ``app`` respond with the same kind of body."""
    app.add_exception_handler(ApiError, _of_api_error)
    app.add_exception_handler(CapacityError, _of_capacity)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _of_bug)


async def _of_api_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    return error_answer(error.status, error.number, error.text)


async def _of_capacity(request: Request, error: Exception) -> JSONResponse:
    return error_answer(503, headers={"Retry-After": "1"})


async def _of_validation(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = first["loc"]
    if where[0] == "path":  # an invalid identifier names no resource
        return error_answer(404)
    name = str(where[1]) if len(where) > 1 else "body"
    number = _OF_PARAMETER.get(name, 20001)
    match first["type"]:
        case "missing":
            return error_answer(400, _OF_ABSENT.get(name, number), f"{name} is required")
        case "string_pattern_mismatch":  # the pattern is in the API's description, and does not help here
            return error_answer(400, number, f"{name} is not valid")
        case _:
            return error_answer(400, number, f"{name}: {first['msg']}")


async def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers, path = error.headers, request.url.path
    if error.status_code == 404:
        api = request.app.state.api
        if api.upstream is not None and (passed := await api.upstream.answer(request, api.account_sid)):
            return passed  # type: ignore[no-any-return]
        if name := absent_resource(path):
            return await _of_api_error(request, NotHad(name))
        return error_answer(404, text=f"The requested resource {path[:256]} was not found")
    if error.status_code == 405:  # the router knows the methods of only one route
        headers = {"Allow": allowed_methods(request.app, request.url.path)}
    return error_answer(error.status_code, headers=headers)


async def _of_bug(request: Request, error: Exception) -> JSONResponse:
    # The exception is passed on to the server, which logs it; its text is not shown to clients.
    return error_answer(500)
