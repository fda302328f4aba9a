"""Reads the sources of a configuration: a TOML file, overridden by the environment.

``B2BUA_SIP__DOMAIN=example.com`` sets ``sip.domain``; lists, and arrays of tables, are given as JSON. The
caller passes the variables in. The settings model, not this module, checks the values.
"""

import contextlib
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydantic_settings
from pydantic_settings import BaseSettings, EnvSettingsSource

from b2bua.settings_errors import FileFinding, SettingsError, UnreadableSettingsError
from b2bua.toml_positions import KeyPath, Positions

__all__ = ["PREFIX", "merged", "read_environment", "read_toml"]

PREFIX = "B2BUA_"
DELIMITER = "__"


def read_toml(path: Path, name: str) -> tuple[dict[str, Any], Positions]:
    """Return the file's values and their positions.

    Args:
        path: the file.
        name: its name in findings.

    Raises:
        SettingsError: the file is not TOML.
        UnreadableSettingsError: the file cannot be read.
    """
    try:
        text = path.read_bytes().decode()
        return tomllib.loads(text), Positions(text)
    except OSError as err:
        finding = FileFinding(file=name, text=f"cannot be read: {err.strerror or err}")
        raise UnreadableSettingsError([finding]) from err
    except UnicodeDecodeError as err:
        raise SettingsError([FileFinding(file=name, text="is not UTF-8")]) from err
    except tomllib.TOMLDecodeError as err:
        # The parser gives the place only in its text: "… (at line 3, column 5)" or "(at end of document)".
        place = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", str(err))
        line, column = (int(place[1] or 0), int(place[2] or 0)) if place else (0, 0)
        reason = str(err)[: place.start()] if place else str(err)
        if place and not place[1]:
            line = text.count("\n") + 1
        raise SettingsError(
            [FileFinding(file=name, line=line, column=column, text=f"not TOML: {reason}")]
        ) from err


def read_environment(
    model: type[BaseSettings], environ: Mapping[str, str]
) -> tuple[dict[str, Any], dict[KeyPath, str]]:
    """Return the values that ``environ`` sets, and the names of the variables by the keys they set.

    A variable with our prefix and an unknown section is kept, so that the model reports it. One without a
    section is ignored: container platforms derive such names from a service's name by themselves.

    Raises:
        SettingsError: a list that is not JSON; the finding names the variable.
    """
    variables: dict[KeyPath, str] = {}
    for name in environ:
        if name.upper().startswith(PREFIX):
            parts = name[len(PREFIX) :].lower().split(DELIMITER)
            path: KeyPath = tuple(int(part) if part.isdecimal() else part for part in parts)
            if len(path) > 1 or path[0] in model.model_fields:
                variables[path] = name
    try:
        values = _Environment(model, {name: environ[name] for name in variables.values()})()
    except pydantic_settings.SettingsError as err:
        value = err.__cause__.value if isinstance(err.__cause__, _NotJsonError) else None
        names = [name for name in variables.values() if environ[name] == value]
        raise SettingsError(
            FileFinding(file=name, text='must be a JSON list: ["…"]') for name in names
        ) from err
    for path, name in list(variables.items()):
        if path[0] not in model.model_fields:
            values[str(path[0])] = environ[name]
            variables[path[:1]] = name
    return values, variables


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge ``over`` into ``under``, key by key.

    A list replaces a list; a table in an array of tables is merged by its number.
    """
    both = dict(under)
    for key, value in over.items():
        known = both.get(key)
        if isinstance(value, dict) and value and all(number.isdecimal() for number in value):
            value = _merged_tables(known if isinstance(known, list) else [], value)
        elif isinstance(value, dict) and isinstance(known, dict):
            value = merged(known, value)
        both[key] = value
    return both


def _merged_tables(under: list[Any], over: Mapping[str, Any]) -> list[Any]:
    both = list(under)
    for number in sorted(over, key=int):
        index, table = int(number), over[number]
        if isinstance(table, dict):
            table = {key: _listed(value) for key, value in table.items()}
            known = both[index] if index < len(both) else None
            table = merged(known, table) if isinstance(known, dict) else table
        both[index : index + 1] = [table]
    return both


def _listed(value: Any) -> Any:
    """Decode a list: pydantic-settings decodes lists in sections, but not in tables of an array."""
    if isinstance(value, str) and value.startswith("["):
        with contextlib.suppress(ValueError):
            return json.loads(value)
    return value


class _Environment(EnvSettingsSource):
    def __init__(self, model: type[BaseSettings], environ: Mapping[str, str]) -> None:
        self._environ = {name.lower(): value for name, value in environ.items()}
        super().__init__(model, env_prefix=PREFIX, env_nested_delimiter=DELIMITER)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._environ

    def decode_complex_value(self, field_name: str, field: Any, value: Any) -> Any:
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError as err:
            raise _NotJsonError(value) from err


class _NotJsonError(ValueError):
    """Carries the value, since the library's error names only the value's section."""

    def __init__(self, value: str) -> None:
        super().__init__("not JSON")
        self.value = value
