"""``IncomingPhoneNumbers``: routes for the numbers that are called, and their webhook URLs.

Changes apply until the node ends or its configuration is reloaded.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request, Response
from pydantic.alias_generators import to_pascal

from b2bua.settings import NumberSettings
from b2bua.web.api.context import Api, ApiContext, NumberSid
from b2bua.web.api.errors import BadParameter, NotFound, responses
from b2bua.web.api.forms import CreateNumberForm, UpdateNumberForm
from b2bua.web.api.number_book import canonical
from b2bua.web.api.paging import Paging, part_of
from b2bua.web.api.schemas import NumberBody, NumberList, number_body

__all__ = ["router"]

router = APIRouter(tags=["IncomingPhoneNumbers"])

_FIELDS = {
    "voice_url": "voice_url",
    "voice_method": "voice_method",
    "voice_fallback_url": "fallback_url",
    "voice_fallback_method": "fallback_method",
    "status_callback": "status_callback",
    "status_callback_method": "status_callback_method",
}
"""Fields of the settings, by field of the form."""

_CLEARED = ("voice_fallback_url", "status_callback")
"""Fields that an empty value clears."""


@router.get("/IncomingPhoneNumbers.json", responses=responses(400))
async def list_numbers(
    api: Api, paging: Paging, number: Annotated[str | None, Query(alias="PhoneNumber", max_length=128)] = None
) -> NumberList:
    """List the numbers, in the order of the configuration."""
    chosen = [
        pair for pair in api.numbers.all() if number is None or canonical(number) == canonical(pair[1].match)
    ]
    part = await paging.read(part_of(chosen, paging.wanted))
    return NumberList(
        incoming_phone_numbers=[number_body(sid, each, api.account_sid) for sid, each in part.items],
        **paging.links(part),
    )


@router.get("/IncomingPhoneNumbers/{NumberSid}.json", responses=responses())
async def fetch_number(api: Api, sid: NumberSid) -> NumberBody:
    """Get a number."""
    return number_body(sid, _existing(api, sid), api.account_sid)


@router.post("/IncomingPhoneNumbers/{NumberSid}.json", responses=responses(400, 413))
async def update_number(
    request: Request, api: Api, sid: NumberSid, form: Annotated[UpdateNumberForm, Form()]
) -> NumberBody:
    """Change the URLs of a number for new calls, until the node restarts or reloads its configuration.

    An empty VoiceFallbackUrl or StatusCallback removes the URL.
    """
    number = _existing(api, sid)
    changes = _changes(api, form)
    given = await request.form()  # the model cannot distinguish empty from absent
    changes |= {_FIELDS[name]: "" for name in _CLEARED if given.get(to_pascal(name)) == ""}
    if changes:
        number = api.numbers.change(sid, changes)
    return number_body(sid, number, api.account_sid)


@router.post("/IncomingPhoneNumbers.json", status_code=201, responses=responses(400, 413))
async def create_number(api: Api, form: Annotated[CreateNumberForm, Form()]) -> NumberBody:
    """Take calls to a number, until the node restarts or reloads its configuration.

    Nothing is bought: a trunk must bring the calls to this node.
    """
    changes = _changes(api, form)
    if not changes.get("voice_url"):
        raise BadParameter("VoiceUrl", "VoiceUrl or VoiceApplicationSid is required")
    sid = api.numbers.add(NumberSettings(match=form.phone_number, **changes))
    if sid is None:
        raise BadParameter("PhoneNumber", "the number is there already", 21422)
    return number_body(sid, _existing(api, sid), api.account_sid)


@router.delete("/IncomingPhoneNumbers/{NumberSid}.json", status_code=204, responses=responses())
async def delete_number(api: Api, sid: NumberSid) -> Response:
    """Take no more calls to a number; a number of the configuration is back when that is read again."""
    _existing(api, sid)
    api.numbers.remove(sid)
    return Response(status_code=204)


def _changes(api: ApiContext, form: UpdateNumberForm) -> dict[str, Any]:
    changes: dict[str, Any] = {_FIELDS[name]: value for name, value in form if value and name in _FIELDS}
    if form.voice_application_sid:
        own = api.applications.required(form.voice_application_sid, "VoiceApplicationSid")
        changes |= {name: getattr(own, name) for name in _FIELDS.values()}
    return changes


def _existing(api: ApiContext, sid: str) -> NumberSettings:
    number = api.numbers.find(sid)
    if number is None:
        raise NotFound(f"IncomingPhoneNumber {sid}")
    return number
