"""The tables of the configuration that are there once: their keys, bounds and defaults.

``settings_parties`` has those that may be repeated; ``settings`` puts them together and reads them.
"""

import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from b2bua.resources import ringtone_codes
from b2bua.settings_errors import nearest, wrong_key
from b2bua.settings_values import (
    Address,
    Database,
    Host,
    HostPort,
    HttpUrl,
    Listen,
    ListenAddress,
    Network,
    WebAddress,
    is_wildcard,
)

__all__ = [
    "AccountSettings",
    "DialSettings",
    "HttpSettings",
    "NodeSettings",
    "RelaySettings",
    "RtpSettings",
    "Section",
    "SecuritySettings",
    "SipSettings",
    "StorageSettings",
    "WorkerSettings",
]


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


class Section(BaseModel):
    """A table: frozen, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class NodeSettings(Section):
    """``[node]``."""

    drain_s: float = Field(30, ge=0, le=86400)
    """How long calls in progress may continue after SIGTERM."""
    run_folder: Path | None = None
    """Private folder for the sockets between the node's processes; None: a new one for each run."""
    orphan_grace_s: float = Field(30, ge=0, le=3600)
    """How long calls are kept up without a controller."""

    @field_validator("run_folder", mode="before")
    @classmethod
    def _none_if_empty(cls, value: object) -> object:
        return None if value == "" else value


class AccountSettings(Section):
    """``[account]``: absent values are generated once and kept in the store."""

    sid: str | None = Field(None, pattern=r"^AC[0-9a-f]{32}$")
    auth_token: Annotated[SecretStr, Field(min_length=8, max_length=256)] | None = None
    """Signs webhooks and opens the REST API."""


class SipSettings(Section):
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


class RtpSettings(Section):
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


class RelaySettings(Section):
    """``[relay]``: the process that receives and sends all media."""

    tick_ms: float = Field(5, ge=1, le=20)
    """Interval at which all its sockets are drained; at most so much is added to the delay of a packet."""
    silence_after_ms: int = Field(500, ge=100, le=60_000)
    """A party whose partner has sent nothing for so long is sent silence."""
    rtp_timeout_s: float = Field(0, ge=0, le=86_400)
    """A call whose parties have both sent nothing for so long, and are not on hold, is ended; 0: never."""


class WorkerSettings(Section):
    """``[workers]``."""

    idle: int = Field(4, ge=0, le=1000)
    """Number of workers to keep warm."""
    max: int = Field(100, ge=1, le=10000)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.idle > self.max:
            raise wrong_key(f"{self.idle} is more than workers.max, {self.max}", "idle")
        return self


class HttpSettings(Section):
    """``[http]``: REST API, recordings, dashboard, health, metrics."""

    listen: WebAddress = HostPort("127.0.0.1", 8080)
    public_url: HttpUrl = Field(default_factory=lambda data: _url_of(data["listen"]))
    """Prefix of RecordingUrl and the like, without a trailing slash. Default: derived from ``listen``; empty
    if that has port 0, since the URL then depends on the port that is bound."""

    public_recordings: bool = False
    """Whether the sound of a recording is served without credentials, to whoever knows its identifier."""

    upstream: HttpUrl = ""
    """URL of the hosted service, without a path: gets the requests for resources that the node lacks. Empty:
    these requests are refused."""
    upstream_account_sid: str = Field("", pattern=r"^(AC[0-9a-f]{32})?$")
    upstream_auth_token: SecretStr = Field(SecretStr(""), max_length=256)

    @model_validator(mode="after")
    def _check_upstream(self) -> Self:
        if not self.upstream:
            return self
        parts = urlsplit(self.upstream)
        if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError("upstream has to begin with https://")
        if parts.path or parts.query or parts.fragment or parts.username is not None:
            raise ValueError("upstream is a scheme and a host, without a path and credentials")
        if not (self.upstream_account_sid and self.upstream_auth_token.get_secret_value()):
            raise ValueError("upstream needs upstream_account_sid and upstream_auth_token")
        return self

    @model_validator(mode="before")
    @classmethod
    def _strip(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        urls = {name: given.get(name) for name in ("public_url", "upstream")}
        return given | {name: url.rstrip("/") for name, url in urls.items() if isinstance(url, str)}


class StorageSettings(Section):
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


class DialSettings(Section):
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


class SecuritySettings(Section):
    """``[security]``: admission."""

    allow: tuple[Network, ...] = Field((ipaddress.ip_network("127.0.0.0/8"),), max_length=1000)
    """Source addresses that need no digest authentication."""
    invite_rate_per_s: float = Field(50, gt=0, le=100_000)
    """Limit for each source address."""
    max_calls: int = Field(500, ge=1, le=100_000)
    max_calls_per_source: int = Field(0, ge=0, le=100_000)
    """Concurrent calls from a source address that is not a trunk's; 0: no limit of its own."""
