"""What a reload changes, and what it leaves until the next start."""

from typing import Any

import pytest

from b2bua.node.configuration import Configuration
from b2bua.settings import Settings

pytestmark = pytest.mark.unit


def settings(name: str, digit: int) -> Settings:
    url = f"http://{name}.test/"
    values: dict[str, Any] = {
        "sip": {"domain": f"{name}.test"},
        "http": {"public_url": f"http://{name}.test"},
        "trunks": [{"name": name, "uri": f"sip:{name}.test"}],
        "users": [{"name": name, "password": "secret of a user"}],
        "security": {"max_calls": digit},
        "dial": {"max_targets": digit},
        "numbers": [{"match": f"+1415555010{digit}", "voice_url": url}],
        "applications": [{"sid": f"AP{digit:032}", "voice_url": url}],
    }
    return Settings.model_validate(values)


def test_a_reload_changes_what_needs_no_restart() -> None:
    before, after = settings("old", 1), settings("new", 2)
    configuration = Configuration(before)
    configuration.reload(after)
    now = configuration.settings
    assert (now.trunks, now.users, now.numbers) == (after.trunks, after.users, after.numbers)
    assert (now.security, now.dial) == (after.security, after.dial)
    assert (now.sip, now.http) == (before.sip, before.http)
    assert [each for _, each in configuration.numbers.all()] == list(after.numbers)
    assert configuration.applications.all() == list(after.applications)


def test_who_keeps_the_settings_keeps_them_through_a_reload() -> None:
    configuration = Configuration(settings("old", 1))
    kept, book = configuration.settings, configuration.numbers
    configuration.reload(settings("new", 2))
    assert kept.security.max_calls == 1
    assert configuration.numbers is book
