"""The tables of the configuration that may be repeated: trunks, users and numbers.

``settings_sections`` has the others; ``settings`` puts them together and reads them.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from b2bua.core.credentials import without_userinfo
from b2bua.settings_errors import wrong_key
from b2bua.settings_sections import Section
from b2bua.settings_values import HttpUrl, Network, SipUri

__all__ = ["ApiKeySettings", "ApplicationSettings", "NumberSettings", "TrunkSettings", "UserSettings"]

Method = Literal["GET", "POST"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.+-]{1,64}$")]
"""Name of a user or trunk; needs no escaping in a SIP URI."""
Secret = Annotated[SecretStr, Field(max_length=256)]


class TrunkSettings(Section):
    """One of ``[[trunks]]``."""

    name: Name
    uri: SipUri
    username: str = Field("", max_length=128)
    password: Secret = SecretStr("")
    registers: bool = Field(False, alias="register")
    """The field cannot be named ``register``: that is a method of every model class."""
    register_expires_s: int = Field(600, ge=60, le=86400)
    """Requested lifetime of a registration, which is renewed in time."""
    keepalive_s: float = Field(30, ge=0, le=3600)
    """Seconds between the OPTIONS that check whether the trunk is up; 0: none are sent. A trunk that does not
    answer is not dialled while another takes the number."""
    srtp: Literal["", "off", "optional", "required"] = ""
    """Empty: ``rtp.srtp``."""
    match: tuple[Network, ...] = Field((), max_length=1000)
    """Source addresses of the trunk: their calls are admitted and belong to the trunk."""
    prefixes: tuple[Annotated[str, Field(pattern=r"^\+?[0-9]{0,15}$")], ...] = Field((), max_length=1000)
    """Prefixes of the numbers it takes; the longest match among trunks wins."""
    caller_ids: tuple[Annotated[str, Field(pattern=r"^\+?[0-9]{1,15}$")], ...] = Field((), max_length=10_000)
    """Numbers verified for it."""
    max_calls: int = Field(0, ge=0, le=100_000)
    """Concurrent calls that it may make; 0: no limit of its own."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.registers and not self.username:
            raise wrong_key("is required to register", "username")
        return self


class UserSettings(Section):
    """One of ``[[users]]``: a SIP phone."""

    name: Name
    password: Annotated[Secret, Field(min_length=1)]
    srtp: Literal["", "off", "optional", "required"] = ""
    """For calls to and from the user's phones; empty: ``rtp.srtp``."""
    max_calls: int = Field(0, ge=0, le=100_000)
    """Concurrent calls that the user's phones may make; 0: no limit of its own."""


class ApiKeySettings(Section):
    """One of ``[[api_keys]]``: further credentials of the REST API."""

    sid: str = Field(pattern=r"^SK[0-9A-Za-z]{1,62}$")
    secret: Annotated[Secret, Field(min_length=8)]


class ApplicationSettings(Section):
    """One of ``[[applications]]``: the voice URL that an ``ApplicationSid`` stands for."""

    sid: str = Field(pattern=r"^AP[0-9a-f]{32}$")
    name: str = Field("", max_length=64)
    voice_url: HttpUrl = Field(min_length=1)
    voice_method: Method = "POST"
    fallback_url: HttpUrl = ""
    fallback_method: Method = "POST"
    status_callback: HttpUrl = ""
    status_callback_method: Method = "POST"

    @property
    def shown_voice_url(self) -> str:
        """The voice URL without credentials."""
        return without_userinfo(self.voice_url)


class NumberSettings(Section):
    """One of ``[[numbers]]``: what to do with calls to it."""

    match: str = Field(min_length=1, max_length=128, pattern=r"^\S+$")
    """Shell-style pattern for the user part of the Request-URI; visual separators and parameters of a number
    are ignored (RFC 3966 §4)."""
    trunk: Name | Literal[""] = ""
    """Only calls of this trunk; empty: of any."""
    user: str = Field("", max_length=128, pattern=r"^\S*$")
    """Shell-style pattern: only calls of users whose names match; empty: of anybody."""
    voice_url: HttpUrl = ""
    """URL to fetch TwiML from; if ``twiml`` is set, the base of relative URLs in that file."""
    twiml: Path | None = None
    """A file that is run instead of fetching ``voice_url``."""
    voice_method: Method = "POST"
    fallback_url: HttpUrl = ""
    fallback_method: Method = "POST"
    status_callback: HttpUrl = ""
    status_callback_method: Method = "POST"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.voice_url and self.twiml is None:
            raise wrong_key("is required, or twiml", "voice_url")
        return self
