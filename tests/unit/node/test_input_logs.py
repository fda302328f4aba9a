"""The files of input logs: what is written is found by the next run, what is over is not."""

import asyncio
from pathlib import Path

import pytest

from b2bua.calls.input_log import Due, LoggedStep, LogHeader, Lookups, read_log
from b2bua.core.ids import HostId
from b2bua.node.input_logs import InputLogs
from b2bua.node.session_log import MAX_LOG, SessionLog
from b2bua.settings import Settings
from tests.unit.calls.logged import header

pytestmark = pytest.mark.unit

SETTINGS = Settings.model_validate({"sip": {"domain": "node.test"}})


def lookups() -> Lookups:
    return Lookups(lambda name: True, lambda number: True, lambda call_id: True, lambda user: ("sip:a",))


def sizes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.inputs"))


def cut_the_last_byte(folder: Path) -> int:
    (path,) = [path for path in folder.glob("*.inputs") if path.stat().st_size]
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    return len(whole)


async def a_log(logs: InputLogs[LogHeader, LoggedStep]) -> SessionLog:
    kept = SessionLog(header(settings=logs.settings_id(SETTINGS)), logs.new_file(), lookups())
    kept.begin()
    return kept


async def test_the_next_run_finds_the_sessions_that_go_on(tmp_path: Path) -> None:
    logs = InputLogs(read_log)
    assert await logs.open(tmp_path) == []
    going_on, over = [await a_log(logs) for _ in range(2)]
    for kept in (going_on, over):
        kept.take(Due(), HostId("w1"))
        kept.settle(())
    over.close()
    await logs.close()
    again = InputLogs(read_log)
    (found,) = await again.open(tmp_path)
    assert found.header == going_on.header
    assert found.settings == SETTINGS
    assert [(step.given, step.host) for step in found.steps] == [(Due(), "w1")]
    found.file.close()
    await again.close()
    assert await InputLogs(read_log).open(tmp_path) == []


async def test_more_sessions_than_files_are_ready_for(tmp_path: Path) -> None:
    logs = InputLogs(read_log)
    await logs.open(tmp_path)
    kept = [await a_log(logs) for _ in range(50)]
    for each in kept:
        each.take(Due())
        each.settle(())
    await logs.close()
    await asyncio.sleep(0)
    found = await InputLogs(read_log).open(tmp_path)
    assert [len(each.steps) for each in found] == [1] * 50


async def test_what_was_not_written_whole_is_cut_off(tmp_path: Path) -> None:
    logs = InputLogs(read_log)
    await logs.open(tmp_path)
    kept = await a_log(logs)
    kept.take(Due())
    kept.settle(())
    await logs.close()
    size = cut_the_last_byte(tmp_path)
    (found,) = await InputLogs(read_log).open(tmp_path)
    assert found.steps == ()
    assert sizes(tmp_path) == found.size < size


async def test_a_log_has_a_limit(tmp_path: Path) -> None:
    logs = InputLogs(read_log)
    await logs.open(tmp_path)
    kept = await a_log(logs)
    record = 30
    for _ in range(MAX_LOG // record):
        kept.take(Due(), HostId("w" * record))
        kept.settle(())
    await logs.close()
    assert sizes(tmp_path) < MAX_LOG / 100
    (found,) = await InputLogs(read_log).open(tmp_path)
    assert found.header is not None
    assert not found.header.is_whole
    assert found.steps == ()
