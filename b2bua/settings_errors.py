"""Reports configuration errors with the file, the line and the key.

Turns the errors of the settings model into readable findings: which key, where, why, and for an unknown key
the nearest known one. Values of secret keys are never repeated.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from b2bua.core.credentials import without_userinfo
from b2bua.core.errors import ConfigError
from b2bua.toml_positions import KeyPath, Positions

__all__ = [
    "FileFinding",
    "Origin",
    "SettingsError",
    "UnreadableSettingsError",
    "findings_of",
    "key_name",
    "nearest",
    "wrong_key",
]

_SECRETS = frozenset({"password", "auth_token", "database"})
_WRONG_KEY = "wrong_key"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFinding:
    """One finding in one file."""

    file: str
    """As the user named it; for the environment, the name of the variable."""
    line: int = 0
    """From 1; 0 if the finding concerns no line."""
    column: int = 0
    """From 1; 0 if the finding concerns no column."""
    severity: Literal["error", "warning"] = "error"
    number: int = 0
    """The hosted service's number of a TwiML finding; 0 for the configuration, which has no such numbers."""
    text: str
    """Readable text that names the key."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.severity} {self.number} {self.text}"


class SettingsError(ConfigError):
    """A configuration that cannot be used.

    Args:
        findings: all errors, in the order of the text; at least one.
    """

    def __init__(self, findings: Iterable[FileFinding]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(map(str, self.findings)))


class UnreadableSettingsError(SettingsError):
    """The file does not exist or may not be read."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the values of a configuration came from."""

    file: str
    positions: Positions
    variables: Mapping[KeyPath, str]
    """Names of the environment variables by the keys they set."""

    def finding(
        self, path: KeyPath, text: str, *, severity: Literal["error", "warning"] = "error"
    ) -> FileFinding:
        """Return a finding about the key ``path``, which its text names, at the place that set the key."""
        text = without_userinfo(f"{key_name(path)}: {text}")
        for length in range(len(path), 0, -1):
            if variable := self.variables.get(path[:length]):
                return FileFinding(file=variable, severity=severity, text=text)
        line, column = self.positions.of(path)
        return FileFinding(file=self.file, line=line, column=column, severity=severity, text=text)


def wrong_key(text: str, *path: str | int) -> PydanticCustomError:
    """Return the error of a validator that checks several keys: ``path`` names the wrong one in its model."""
    return PydanticCustomError(_WRONG_KEY, "{text}", {"text": text, "path": path})


def findings_of(error: ValidationError, model: type[BaseModel], origin: Origin) -> list[FileFinding]:
    """Return the errors of ``model`` as findings, in the order of the text."""
    findings = []
    for detail in error.errors(include_url=False):
        if _follows_from_another(detail):
            continue
        path: KeyPath = detail["loc"]
        if detail["type"] == _WRONG_KEY:
            path = (*path, *detail["ctx"]["path"])
        findings.append(origin.finding(path, _reason(detail, path, model)))
    return sorted(findings, key=lambda finding: (finding.line, finding.column))


def key_name(path: KeyPath) -> str:
    """Return the key's name, like ``trunks[0].uri``."""
    name = ""
    for part in path:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else part
    return name


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the element of ``known`` that ``word`` was probably meant to be."""
    close = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.5)
    return close[0] if close else None


def _follows_from_another(detail: Mapping[str, Any]) -> bool:
    if detail["type"] == "too_short":  # invalid elements are dropped before the count
        return bool(len(detail["input"]) >= detail["ctx"]["min_length"])
    kind: str = detail["type"]
    return kind == "default_factory_not_called"


def _reason(detail: Mapping[str, Any], path: KeyPath, model: type[BaseModel]) -> str:
    kind: str = detail["type"]
    if kind == "extra_forbidden":
        return _unknown_key(path, model)
    if kind == "missing":
        return "is required"
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    reason = re.sub("^(Input|String|Tuple|Value) ", "", detail["msg"])
    given = detail["input"]
    if kind == _WRONG_KEY or _SECRETS.intersection(path) or not isinstance(given, str | int | float):
        return reason
    return f"{reason}, not {given!r}"


def _unknown_key(path: KeyPath, model: type[BaseModel]) -> str:
    known = _keys_at(path[:-1], model)
    guess = nearest(str(path[-1]), known)
    if guess is None:
        return f"unknown key; known here: {', '.join(known)}"
    return f"unknown key; did you mean {key_name((*path[:-1], guess))}?"


def _keys_at(path: KeyPath, model: type[BaseModel]) -> list[str]:
    for part in path:
        if isinstance(part, str):
            annotation = model.model_fields[part].annotation
            # A section is a model, an array of tables is tuple[model, ...].
            model = next(kind for kind in (annotation, *get_args(annotation)) if _is_model(kind))
    return [field.alias or name for name, field in model.model_fields.items()]


def _is_model(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
