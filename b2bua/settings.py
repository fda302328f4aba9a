"""The configuration of a node, and how it is read.

It is read from a TOML file, overridden by the environment (``B2BUA_SIP__DOMAIN=…``). The default without a
file is ``config/default.toml``: a working node on 127.0.0.1. Every key is checked here and in the modules of
its tables (``settings_sections``, ``settings_parties``), so that no other module has to; unknown keys are
errors. Whether the named files and addresses exist is not checked here: see ``check``.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from pydantic import Field, PrivateAttr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from b2bua.resources import config_file
from b2bua.settings_errors import Origin, SettingsError, findings_of, wrong_key
from b2bua.settings_parties import (
    ApiKeySettings,
    ApplicationSettings,
    NumberSettings,
    TrunkSettings,
    UserSettings,
)
from b2bua.settings_sections import (
    AccountSettings,
    DialSettings,
    HttpSettings,
    NodeSettings,
    RelaySettings,
    RtpSettings,
    SecuritySettings,
    SipSettings,
    StorageSettings,
    WorkerSettings,
)
from b2bua.settings_sources import merged, read_environment, read_toml
from b2bua.settings_values import HostPort, Listen

__all__ = [
    "AccountSettings",
    "ApiKeySettings",
    "ApplicationSettings",
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


def _repeated(names: Sequence[str]) -> Iterator[int]:
    """Yield the indexes of names that occur earlier in ``names``."""
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            yield index
        seen.add(name)


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
    api_keys: tuple[ApiKeySettings, ...] = Field((), max_length=1000)
    applications: tuple[ApplicationSettings, ...] = Field((), max_length=1000)
    users: tuple[UserSettings, ...] = Field((), max_length=10_000)
    numbers: tuple[NumberSettings, ...] = Field((), max_length=10_000)
    """An exact match with the number wins, else the first pattern that matches."""
    _folder: Path = PrivateAttr(default_factory=Path.cwd)

    @property
    def folder(self) -> Path:
        """The configuration's folder; it contains the sounds that documents name by a path."""
        return self._folder

    @property
    def caller_ids(self) -> list[str]:
        """The verified numbers of all trunks."""
        return [number for trunk in self.trunks for number in trunk.caller_ids]

    @property
    def api_secrets(self) -> dict[str, str]:
        """The secrets of the API keys, by identifier."""
        return {key.sid: key.secret.get_secret_value() for key in self.api_keys}

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
        for key, sids in {
            "api_keys": [each.sid for each in self.api_keys],
            "applications": [each.sid for each in self.applications],
        }.items():
            for index in _repeated(sids):
                raise wrong_key(f"{sids[index]!r} is there twice", key, index, "sid")
        for index, number in enumerate(self.numbers):
            if number.trunk and number.trunk not in names["trunks"]:
                raise wrong_key(f"there is no trunk {number.trunk!r}", "numbers", index, "trunk")
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
    run_folder = settings.node.run_folder
    node = {"run_folder": base / run_folder if run_folder else None}
    rooted = settings.model_copy(
        update={
            "node": settings.node.model_copy(update=node),
            "sip": settings.sip.model_copy(update=sip),
            "storage": settings.storage.model_copy(update=storage),
            "numbers": tuple(numbers),
        }
    )
    rooted._folder = base
    return rooted
