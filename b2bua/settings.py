"""The configuration of a node: its keys, their bounds and defaults, and how it is read.

It is read from a TOML file, overridden by the environment (``B2BUA_SIP__DOMAIN=…``). The default without a
file is ``config/default.toml``: a working node on 127.0.0.1. Every key is checked here, so that no other
module has to; unknown keys are errors. Whether the named files and addresses exist is not checked here: see
``check``.
"""

import ipaddress
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from b2bua.resources import config_file, ringtone_codes
from b2bua.settings_errors import (
    Origin,
    SettingsError,
    findings_of,
    nearest,
    wrong_key,
)
from b2bua.settings_sources import merged, read_environment, read_toml
from b2bua.settings_values import (
    Address,
    Database,
    Host,
    HostPort,
    HttpUrl,
    Listen,
    ListenAddress,
    Network,
    SipUri,
    WebAddress,
    is_wildcard,
)

__all__ = [
    "AccountSettings",
    "DialSettings",
    "HostPort",
    "HttpSettings",
    "Listen",
    "NodeSettings",
    "NumberSettings",
    "RelaySettings",
    "RtpSettings",
    "SecuritySettings",
    "Settings",
    "SipSettings",
    "StorageSettings",
    "TrunkSettings",
    "UserSettings",
    "WorkerSettings",
    "load_settings",
    "read_settings",
]

Method = Literal["GET", "POST"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.+-]{1,64}$")]
"""Name of a user or trunk; needs no escaping in a SIP URI."""
Secret = Annotated[SecretStr, Field(max_length=256)]


def _url_of(listen: HostPort) -> str:
    return f"http://{listen}" if listen.port else ""


def _address_of(listen: Sequence[Listen]) -> str:
    return next((each.host for each in listen if not is_wildcard(each.host)), "")


def _known_ringtone(code: str) -> str:
    codes = ringtone_codes()
    if code not in codes:
        guess = nearest(code, codes)
        raise ValueError(f"there is no ringtone {code!r}" + (f"; did you mean {guess}?" if guess else ""))
    return code


def _repeated(names: Sequence[str]) -> Iterator[int]:
    """Yield the indexes of names that occur earlier in ``names``."""
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            yield index
        seen.add(name)


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class NodeSettings(_Section):
    """``[node]``."""

    drain_s: float = Field(30, ge=0, le=86400)
    """How long calls in progress may continue after SIGTERM."""


class AccountSettings(_Section):
    """``[account]``: absent values are generated once and kept in the store."""

    sid: str | None = Field(None, pattern=r"^AC[0-9a-f]{32}$")
    auth_token: Annotated[SecretStr, Field(min_length=8, max_length=256)] | None = None
    """Signs webhooks and opens the REST API."""


class SipSettings(_Section):
    """``[sip]``: where signalling is received, and the node's names."""

    listen: tuple[ListenAddress, ...] = Field(
        (Listen("udp", "127.0.0.1", 5060), Listen("tcp", "127.0.0.1", 5060)), min_length=1, max_length=16
    )
    """The default is only this machine, so that omitting a line does not open a PBX to the world."""
    advertise: Host = Field(default_factory=lambda data: _address_of(data["listen"]))
    """Address that other systems see; default: the first listening address that is not a wildcard."""
    domain: Host = Field(default_factory=lambda data: data["advertise"])
    """Realm, and domain of registered users; default: ``advertise``."""
    tls_certificate: Path | None = None
    """PEM file, with the whole chain."""
    tls_key: Path | None = None
    tls_ca: Path | None = None
    """PEM file of the authorities accepted for peers' certificates; default: the system's."""
    tls_clients: Literal["off", "optional", "required"] = "off"
    """Whether TLS clients are asked for a certificate, and whether they must have one."""
    nameservers: tuple[Address, ...] = Field((), max_length=8)
    """Empty: the system's nameservers."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        fixed = [listen for listen in self.listen if listen.port]
        if len(set(fixed)) < len(fixed):
            raise wrong_key("the same address is there twice", "listen")
        if not self.advertise:
            # A guess causes one-way audio: behind NAT no interface has the right address.
            raise wrong_key("is required to listen on all addresses: the address that peers use", "advertise")
        if any(listen.transport == "tls" for listen in self.listen):
            for key in ("tls_certificate", "tls_key"):
                if getattr(self, key) is None:
                    raise wrong_key("is required to listen on tls://", key)
        return self


class RtpSettings(_Section):
    """``[rtp]``: where media are received."""

    bind: Address = "0.0.0.0"
    advertise: Host | Literal[""] = ""
    """Empty: ``sip.advertise``; see ``Settings.rtp_address``."""
    ports: tuple[Annotated[int, Field(ge=1024, le=65535)], Annotated[int, Field(ge=1024, le=65535)]] = (
        10000,
        19999,
    )
    """First and last port."""
    codecs: tuple[Literal["PCMU", "PCMA", "G722"], ...] = Field(("PCMU", "PCMA", "G722"), min_length=1)
    """In order of preference."""
    srtp: Literal["off", "optional", "required"] = "off"
    """SDES (RFC 4568)."""
    wideband: bool = False
    """Calls are bridged and recorded at 16 kHz: G.722 keeps its band, at twice the CPU load of a call."""

    @property
    def clock_rate_hz(self) -> int:
        """Clock rate of bridges, recordings, prompts and tones."""
        return 16000 if self.wideband else 8000

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.ports[1] - self.ports[0] < 15:
            raise wrong_key("two ports, the first and the last of at least 16, are wanted", "ports")
        if len(set(self.codecs)) < len(self.codecs):
            raise wrong_key("a codec is there twice", "codecs")
        return self


class RelaySettings(_Section):
    """``[relay]``: the process that receives and sends all media."""

    tick_ms: float = Field(5, ge=1, le=20)
    """Interval at which all its sockets are drained; at most so much is added to the delay of a packet."""
    silence_after_ms: int = Field(500, ge=100, le=60_000)
    """A party whose partner has sent nothing for so long is sent silence."""
    rtp_timeout_s: float = Field(0, ge=0, le=86_400)
    """A call whose parties have both sent nothing for so long, and are not on hold, is ended; 0: never."""


class WorkerSettings(_Section):
    """``[workers]``."""

    idle: int = Field(4, ge=0, le=1000)
    """Number of workers to keep warm."""
    max: int = Field(100, ge=1, le=10000)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.idle > self.max:
            raise wrong_key(f"{self.idle} is more than workers.max, {self.max}", "idle")
        return self


class HttpSettings(_Section):
    """``[http]``: REST API, recordings, dashboard, health, metrics."""

    listen: WebAddress = HostPort("127.0.0.1", 8080)
    public_url: HttpUrl = Field(default_factory=lambda data: _url_of(data["listen"]))
    """Prefix of RecordingUrl and the like, without a trailing slash. Default: derived from ``listen``; empty
    if that has port 0, since the URL then depends on the port that is bound."""

    @model_validator(mode="before")
    @classmethod
    def _strip(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("public_url"), str):
            return given | {"public_url": given["public_url"].rstrip("/")}
        return given


class StorageSettings(_Section):
    """``[storage]``."""

    database: Database = Field("sqlite:///b2bua.db", repr=False)
    """Excluded from ``repr``: a PostgreSQL URL may contain a password."""
    recordings: Path = Path("recordings")
    keep_days: int = Field(0, ge=0, le=36_500)
    """Older calls, recordings and callbacks are deleted; 0: none are deleted."""
    cache: Path | None = None
    """Folder for spoken and fetched prompts; None: a folder that is removed with the node."""
    cache_mb: int = Field(256, ge=16, le=1_000_000)
    """Maximum size of the cache; 1 MB is a minute of sound."""


class DialSettings(_Section):
    """``[dial]``: defaults of ``<Dial>``."""

    trunk: str = ""
    """Default trunk for ``<Number>`` and plain text; empty: none."""
    country: str = Field("US", pattern="^[A-Z]{2}$")
    """Region of national numbers, as an ISO 3166 code."""
    timeout_buffer_s: float = Field(5.0, ge=0, le=60)
    """Added to ``<Dial timeout>``."""
    ringtone: Annotated[str, AfterValidator(_known_ringtone)] = "us"
    """Used if the attribute is absent and no early media arrive."""
    caller_id_policy: Literal["verified", "any"] = "verified"
    max_time_limit_s: int = Field(14_400, ge=14_400, le=86_400)
    """Maximum of ``timeLimit``."""
    screening_limit_s: float = Field(60.0, ge=5, le=600)
    """How long a callee may take to accept the call in screening (``url`` of a noun)."""
    max_targets: int = Field(10, ge=1, le=32)
    """How many targets of one Dial ring at once."""


class SecuritySettings(_Section):
    """``[security]``: admission."""

    allow: tuple[Network, ...] = Field((ipaddress.ip_network("127.0.0.0/8"),), max_length=1000)
    """Source addresses that need no digest authentication."""
    invite_rate_per_s: float = Field(50, gt=0, le=100_000)
    """Limit for each source address."""
    max_calls: int = Field(500, ge=1, le=100_000)
    max_calls_per_source: int = Field(0, ge=0, le=100_000)
    """Concurrent calls from a source address that is not a trunk's; 0: no limit of its own."""


class TrunkSettings(_Section):
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


class UserSettings(_Section):
    """One of ``[[users]]``: a SIP phone."""

    name: Name
    password: Annotated[Secret, Field(min_length=1)]
    srtp: Literal["", "off", "optional", "required"] = ""
    """For calls to and from the user's phones; empty: ``rtp.srtp``."""
    max_calls: int = Field(0, ge=0, le=100_000)
    """Concurrent calls that the user's phones may make; 0: no limit of its own."""


class NumberSettings(_Section):
    """One of ``[[numbers]]``: what to do with calls to it."""

    match: str = Field(min_length=1, max_length=128, pattern=r"^\S+$")
    """Shell-style pattern for the user part of the Request-URI; visual separators and parameters of a number
    are ignored (RFC 3966 §4)."""
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


class Settings(BaseSettings):
    """The whole configuration.

    ``load_settings`` creates it; created directly, it takes only arguments and ignores the environment.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    node: NodeSettings = NodeSettings()
    account: AccountSettings = AccountSettings()
    sip: SipSettings = SipSettings()
    rtp: RtpSettings = RtpSettings()
    relay: RelaySettings = RelaySettings()
    workers: WorkerSettings = WorkerSettings()
    http: HttpSettings = HttpSettings()
    storage: StorageSettings = StorageSettings()
    dial: DialSettings = DialSettings()
    security: SecuritySettings = SecuritySettings()
    trunks: tuple[TrunkSettings, ...] = Field((), max_length=1000)
    users: tuple[UserSettings, ...] = Field((), max_length=10_000)
    numbers: tuple[NumberSettings, ...] = Field((), max_length=10_000)
    """An exact match with the number wins, else the first pattern that matches."""
    _folder: Path = PrivateAttr(default_factory=Path.cwd)

    @property
    def folder(self) -> Path:
        """The configuration's folder; it contains the sounds that documents name by a path."""
        return self._folder

    @property
    def rtp_address(self) -> str:
        """The address advertised to peers for media."""
        return self.rtp.advertise or self.sip.advertise

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use arguments only: ``load_settings`` reads the environment, and records each value's origin."""
        return (init_settings,)

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = {"trunks": [each.name for each in self.trunks], "users": [each.name for each in self.users]}
        for key, used in names.items():
            for index in _repeated(used):
                raise wrong_key(f"{used[index]!r} is there twice", key, index, "name")
        if self.dial.trunk and self.dial.trunk not in names["trunks"]:
            raise wrong_key(f"there is no trunk {self.dial.trunk!r}", "dial", "trunk")
        return self


def load_settings(path: Path | None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Load the configuration in ``path``, overridden by ``environ``.

    Args:
        path: a TOML file; None: the embedded default. Relative paths in it are relative to its directory;
            the embedded default keeps its database and recordings in the current one.
        environ: the environment, whose ``B2BUA_…`` variables apply.

    Raises:
        SettingsError: the configuration cannot be used; ``findings`` has all its errors.
        UnreadableSettingsError: a kind of ``SettingsError``: ``path`` cannot be read.
    """
    return read_settings(path, environ)[0]


def read_settings(path: Path | None, environ: Mapping[str, str] = os.environ) -> tuple[Settings, Origin]:
    """Load as ``load_settings`` does, and return where each key was set, for further findings about it."""
    source = path or config_file("default.toml")
    name = str(path or "(default)")
    values, positions = read_toml(source, name)
    over, variables = read_environment(Settings, environ)
    origin = Origin(name, positions, variables)
    try:
        settings = Settings(**merged(values, over))
    except ValidationError as err:
        raise SettingsError(findings_of(err, Settings, origin)) from err
    return _rooted(settings, source.absolute().parent, Path.cwd() if path is None else None), origin


def _rooted(settings: Settings, base: Path, storage_base: Path | None) -> Settings:
    """Return ``settings`` with absolute paths."""
    root = storage_base or base
    database = settings.storage.database
    if match := re.fullmatch(r"sqlite:///([^/?].*)", database):
        database = f"sqlite:///{root / match[1]}"
    named = {key: getattr(settings.sip, key) for key in ("tls_certificate", "tls_key", "tls_ca")}
    sip = {key: base / path for key, path in named.items() if path is not None}
    storage = {
        "database": database,
        "recordings": root / settings.storage.recordings,
        "cache": root / settings.storage.cache if settings.storage.cache else None,
    }
    numbers = [
        each.model_copy(update={"twiml": base / each.twiml}) if each.twiml else each
        for each in settings.numbers
    ]
    rooted = settings.model_copy(
        update={
            "sip": settings.sip.model_copy(update=sip),
            "storage": settings.storage.model_copy(update=storage),
            "numbers": tuple(numbers),
        }
    )
    rooted._folder = base
    return rooted
