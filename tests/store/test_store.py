"""The store on both databases: records put are stored, whatever they contain, and found again."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, DateTime, bindparam, text

from b2bua.core.errors import ConfigError
from b2bua.store.database import Database
from b2bua.store.records import RegistrationRow
from b2bua.store.store import Pruned, Store
from b2bua.store.tables import metadata
from b2bua.web.api.directory import (
    CallQuery,
    Directory,
    NotificationQuery,
    PageRequest,
    RecordingQuery,
    TimeRange,
)
from tests.peer.ladder import PATIENCE_S
from tests.store.postgres import Cluster, run_cluster
from tests.store.store_scene import (
    NOON,
    a_call,
    a_callback,
    a_leg,
    a_notification,
    a_recording,
    an_ended_call,
    an_event,
    sid,
)

pytestmark = pytest.mark.process

ALL = PageRequest(size=1000)
ANY = CallQuery()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with run_cluster() as cluster:
        yield cluster


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/deep/b2bua.db"
    cluster: Cluster = request.getfixturevalue("cluster")
    return cluster.new_database()


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    store = await Store.open(url, wait_s=PATIENCE_S)
    yield store
    await store.close()


async def sids(store: Store, query: CallQuery = ANY) -> list[str]:
    return [call.sid for call in (await store.directory.calls(query, ALL)).items]


# -- rows ---------------------------------------------------------------------------------------------------


async def test_every_field_of_every_record_comes_back(store: Store) -> None:
    call = an_ended_call(
        1,
        parent_sid=sid("CA", 0),
        account_sid="AC1",
        forwarded_from="+1",
        caller_name="Zoë “Z” ☎",
        answered_by="human",
        sip_call_id="a@b",
        answered_at=NOON + timedelta(microseconds=123456),
        hangup_by="callee",
        q850=16,
        sip_code=200,
        annotations={"source": "udp:192.0.2.1:5060", "codecs": ["PCMU", "PCMA"], "n": 1.5},
    )
    leg = a_leg(1, "w1-1", worker="w1", timeline={"ringing": 0.25})
    recording = a_recording(1, raw_files=("a.raw", "b.raw"), path="RE1.wav", callback_events=("completed",))
    notification = a_notification(1, line=3, column=7, request_url="http://a/")
    event = an_event(0, status=200, elapsed_ms=12, content_type="text/xml", body="<Response/>")
    callback = a_callback(1, tries=2, tried_at=NOON, error="11205")
    for record in (callback, event, notification, recording, leg, call):  # what refers first: no matter
        store.put(record)
    assert await store.directory.call(call.sid) == call
    assert await store.legs(call.sid) == (leg,)
    assert await store.directory.recording(recording.sid) == recording
    assert await store.directory.notification(notification.sid) == notification
    assert (await store.directory.events(call.sid, ALL)).items == (event,)
    assert await store.owed_callbacks() == (callback,)


async def test_it_is_the_directory_of_the_api(store: Store) -> None:
    directory: Directory = store.directory
    assert await directory.call(sid("CA", 1)) is None
    assert await directory.recording(sid("RE", 1)) is None


async def test_the_last_put_of_a_row_wins(store: Store) -> None:
    call = a_call(1)
    for status in ("queued", "ringing", "in-progress"):
        store.put(msgspec.structs.replace(call, status=status))
    assert (await store.directory.call(call.sid)).status == "in-progress"  # type: ignore[union-attr]
    store.put(msgspec.structs.replace(call, status="completed", ended_at=NOON))
    found = await store.directory.call(call.sid)
    assert found is not None and (found.status, found.ended_at) == ("completed", NOON)


async def test_a_reader_waits_for_the_puts_before_it_as_long_as_the_store_is_told(url: str) -> None:
    store = await Store.open(url, wait_s=0)
    store.put(a_call(1))
    assert await store.directory.call(sid("CA", 1)) is None
    assert await store.flush(PATIENCE_S)
    assert await store.directory.call(sid("CA", 1)) is not None
    await store.close()


async def test_times_keep_their_instant_whatever_their_zone(store: Store) -> None:
    there = timezone(timedelta(hours=5, minutes=30))
    store.put(a_call(1, created_at=datetime(2026, 11, 23, 17, 30, tzinfo=there)))
    found = await store.directory.call(sid("CA", 1))
    assert found is not None and found.created_at == NOON and found.created_at.tzinfo is UTC


@pytest.mark.parametrize("text", ["nul \0 inside", "half a pair \udc80", "'; DROP TABLE calls; --", "☎ é 中"])
async def test_any_text_of_a_peer_can_be_kept(store: Store, text: str) -> None:
    store.put(a_call(1, from_=text, annotations={text: [text]}))
    found = await store.directory.call(sid("CA", 1))
    kept = text.replace("\0", "\ufffd").replace("\udc80", "?")
    assert found is not None and found.from_ == kept
    assert await sids(store, CallQuery(from_=kept)) == [sid("CA", 1)]
    assert list(found.annotations) == [text.replace("\udc80", "?")]


async def test_a_row_that_cannot_be_kept_takes_no_other_with_it(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store.put(a_call(1))
    orphan, naive = an_event(0, call=99), a_call(2, created_at=datetime(2026, 1, 1))
    huge = a_call(3, duration_s=1 << 70)
    for bad in (orphan, naive, huge):
        store.put(bad)
    store.put(a_call(4))
    assert await store.keep(an_event(1, call=99)) is False
    assert await store.keep(a_call(5)) is True
    assert await sids(store) == [sid("CA", 5), sid("CA", 4), sid("CA", 1)]
    assert [r.message for r in caplog.records].count("store: a row cannot be stored and is dropped") == 4


# -- lists --------------------------------------------------------------------------------------------------


async def test_calls_are_listed_newest_first_in_pages_that_do_not_move(store: Store) -> None:
    for number in range(1, 8):
        store.put(a_call(number, created_at=NOON))  # all of one instant
    seen: list[str] = []
    token: str | None = None
    for newer in range(100, 110):
        part = await store.directory.calls(CallQuery(), PageRequest(size=3, token=token))
        seen += [call.sid for call in part.items]
        token = part.next_token
        store.put(a_call(newer))  # the list grows at its beginning while it is read
        if token is None:
            break
    assert seen == [sid("CA", number) for number in range(7, 0, -1)]


@pytest.mark.parametrize(
    "token", ["", "x", "1", "1.CA", "9" * 17 + ".CA" + "0" * 32 + "0", "1.CA" + "x" * 32]
)
async def test_a_foreign_token_is_a_value_error(store: Store, token: str) -> None:
    with pytest.raises(ValueError, match="token"):
        await store.directory.calls(CallQuery(), PageRequest(size=1, token=token))


async def test_any_well_formed_token_is_good(store: Store) -> None:
    store.put(a_call(1))
    for micros in ("0", "9" * 17):
        part = await store.directory.calls(CallQuery(), PageRequest(size=1, token=f"{micros}.{sid('CA', 0)}"))
        assert len(part.items) == (micros != "0")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (CallQuery(to="+1"), [1]),
        (CallQuery(from_="+2"), [2]),
        (CallQuery(status="completed"), [3, 2]),
        (CallQuery(status="completed", from_="+2"), [2]),
        (CallQuery(parent_sid=sid("CA", 1)), [3]),
        (CallQuery(started=TimeRange(since=NOON + timedelta(seconds=3))), [3]),
        (CallQuery(started=TimeRange(before=NOON + timedelta(seconds=3))), [2]),
        (CallQuery(ended=TimeRange(since=NOON, before=NOON + timedelta(seconds=8))), [2]),
        (CallQuery(to="nobody"), []),
    ],
)
async def test_calls_are_found_by(store: Store, query: CallQuery, found: list[int]) -> None:
    store.put(a_call(1, to="+1"))
    store.put(an_ended_call(2, from_="+2"))
    store.put(an_ended_call(3, parent_sid=sid("CA", 1)))
    assert await sids(store, query) == [sid("CA", number) for number in found]


async def test_recordings_and_notifications_are_found_by_call(store: Store) -> None:
    store.put(a_call(1))
    store.put(a_call(2))
    for number, call in ((1, 1), (2, 2), (3, 1)):
        store.put(a_recording(number, call))
        store.put(a_notification(number, call, severity="error" if number == 3 else "warning"))
    recordings = await store.directory.recordings(RecordingQuery(call_sid=sid("CA", 1)), ALL)
    assert [each.sid for each in recordings.items] == [sid("RE", 3), sid("RE", 1)]
    of_call = await store.directory.notifications(NotificationQuery(call_sid=sid("CA", 1)), ALL)
    assert [each.sid for each in of_call.items] == [sid("NO", 3), sid("NO", 1)]
    errors = await store.directory.notifications(NotificationQuery(severity="error"), PageRequest(size=1))
    assert [each.sid for each in errors.items] == [sid("NO", 3)] and errors.next_token is None


async def test_events_are_listed_oldest_first(store: Store) -> None:
    store.put(a_call(1))
    for sequence in (2, 0, 1):
        store.put(an_event(sequence, kind=str(sequence)))
    first = await store.directory.events(sid("CA", 1), PageRequest(size=2))
    second = await store.directory.events(sid("CA", 1), PageRequest(size=2, token=first.next_token))
    kinds = [event.kind for event in (*first.items, *second.items)]  # type: ignore[attr-defined]
    assert kinds == ["0", "1", "2"] and second.next_token is None
    with pytest.raises(ValueError, match="token"):
        await store.directory.events(sid("CA", 1), PageRequest(size=2, token="x"))


# -- deleting -----------------------------------------------------------------------------------------------


async def test_a_call_goes_with_its_notifications_and_events_but_not_its_recordings(store: Store) -> None:
    for record in (a_call(1), a_notification(1), an_event(0), a_leg(1, "x"), a_recording(1)):
        store.put(record)
    await store.directory.delete_call(sid("CA", 1))
    assert await store.directory.call(sid("CA", 1)) is None
    assert await store.directory.notification(sid("NO", 1)) is None
    assert (await store.directory.events(sid("CA", 1), ALL)).items == ()
    assert await store.legs(sid("CA", 1)) == ()
    assert await store.directory.recording(sid("RE", 1)) is not None


async def test_one_recording_and_one_notification_can_be_deleted(store: Store) -> None:
    for record in (a_call(1), a_notification(1), a_notification(2), a_recording(1), a_recording(2)):
        store.put(record)
    await store.directory.delete_recording(sid("RE", 1))
    await store.directory.delete_notification(sid("NO", 1))
    assert (
        await store.directory.recording(sid("RE", 1)) is None
        and await store.directory.recording(sid("RE", 2)) is not None
    )
    assert await store.directory.notification(sid("NO", 1)) is None
    assert await store.directory.notification(sid("NO", 2)) is not None


async def test_puts_and_deletions_keep_their_order(store: Store) -> None:
    store.put(a_call(1))
    deleted = asyncio.ensure_future(store.directory.delete_call(sid("CA", 1)))
    await asyncio.sleep(0)
    store.put(a_call(1, status="again"))
    await deleted
    found = await store.directory.call(sid("CA", 1))
    assert found is not None and found.status == "again"


async def test_retention_deletes_what_is_over_and_old(store: Store) -> None:
    old, young = NOON, NOON + timedelta(days=2)
    for number in range(1, 1103):
        store.put(an_ended_call(number, ended_at=old))
    store.put(an_event(0))
    store.put(an_ended_call(2000, ended_at=young))
    store.put(a_call(2001))  # goes on
    for number in range(1, 4):
        store.put(a_recording(number))
    store.put(a_recording(4, status="in-progress"))
    store.put(a_callback(1, settled_at=old))
    store.put(a_callback(2))
    asked: list[str] = []

    def delete_sound(recording: object) -> None:
        asked.append(recording.sid)  # type: ignore[attr-defined]
        if len(asked) == 2:
            raise PermissionError

    pruned = await store.prune(NOON + timedelta(days=1), delete_sound)
    assert pruned == Pruned(calls=1102, recordings=2, callbacks=1)
    assert asked == [sid("RE", 1), sid("RE", 2), sid("RE", 3)]
    assert await sids(store) == [sid("CA", 2001), sid("CA", 2000)]
    left = await store.directory.recordings(RecordingQuery(), ALL)
    assert [each.sid for each in left.items] == [sid("RE", 4), sid("RE", 2)]
    assert [each.id for each in await store.owed_callbacks()] == ["00000002"]


# -- what the node asks -------------------------------------------------------------------------------------


async def test_the_account_is_made_once_and_kept(url: str) -> None:
    store = await Store.open(url)
    made = await store.account()
    assert made.sid.startswith("AC") and len(made.sid) == 34 and len(made.auth_token) == 32
    other = await store.account("AC" + "1" * 32)
    assert other.sid == "AC" + "1" * 32 and other.auth_token != made.auth_token
    assert made.auth_token not in repr(made)
    await store.close()
    store = await Store.open(url)
    assert await store.account() == made
    assert await store.account(other.sid) == other
    await store.close()


async def test_nodes_that_start_at_once_agree_on_account_and_tables(url: str) -> None:
    async with asyncio.TaskGroup() as group:
        opening = [group.create_task(Store.open(url)) for _ in range(4)]
    stores = [task.result() for task in opening]
    accounts = await asyncio.gather(*(store.account() for store in stores))
    assert len({each.auth_token for each in accounts}) == 1
    for store in stores:
        await store.close()


async def test_what_a_dead_node_left_unfinished_is_found(store: Store) -> None:
    for record in (a_call(1), an_ended_call(2)):
        store.put(record)
    assert [call.sid for call in await store.unfinished_calls()] == [sid("CA", 1)]


async def test_registrations_are_kept_by_contact(store: Store) -> None:
    phone = RegistrationRow(
        aor="sip:ann@example.com",
        contact="sip:ann@192.0.2.1:5062",
        call_id="c1",
        cseq=(1 << 31) - 1,
        expires_at=NOON,
        path=("<sip:edge;lr>",),
        received="udp:192.0.2.1:5062",
        user_agent="Phone/1",
        q=0.5,
    )
    better = msgspec.structs.replace(phone, contact="sip:ann@192.0.2.2", q=1.0)
    other = msgspec.structs.replace(phone, aor="sip:ben@example.com")
    for each in (phone, better, other):
        assert await store.keep(each)
    assert await store.registrations("sip:ann@example.com") == (better, phone)
    store.forget(phone)
    assert await store.registrations() == (better, other)
    store.forget(better)
    assert await store.registrations() == (other,)


async def test_flows_of_one_contact_are_kept_apart(store: Store) -> None:
    first = RegistrationRow(
        aor="ann", contact="sip:ann@192.0.2.1", call_id="c", cseq=1, expires_at=NOON, listener=2,
        instance="<urn:uuid:1>", reg_id=1,
    )  # fmt: skip
    second = msgspec.structs.replace(first, reg_id=2)
    for each in (first, second):
        store.put(each)
    assert len(await store.registrations("ann")) == 2
    store.forget(first)
    store.put(msgspec.structs.replace(first, cseq=2))
    store.forget(second)
    assert await store.registrations() == (msgspec.structs.replace(first, cseq=2),)


# -- opening and closing ------------------------------------------------------------------------------------


async def test_close_writes_everything(url: str) -> None:
    store = await Store.open(url)
    for number in range(1, 1001):
        store.put(a_call(number))
    assert await store.close() == 0
    store = await Store.open(url)
    assert len(await sids(store)) == 1000
    await store.close()


async def test_the_migrations_make_the_tables_that_the_program_uses(url: str) -> None:
    database = await Database.open(url)

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        return list(compare_metadata(context, metadata))

    assert await database.read(differences) == []
    await database.close()


async def test_what_the_first_version_has_kept_is_there_after_an_upgrade(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_head = command.upgrade
    with monkeypatch.context() as before:
        before.setattr(command, "upgrade", lambda config, _: to_head(config, "0001"))
        first = await Database.open(url)
    columns = "aor, contact, call_id, cseq, expires_at, path, received, user_agent, q"
    insert = text(
        f"INSERT INTO registrations ({columns}) VALUES (:{columns.replace(', ', ', :')})"
    ).bindparams(bindparam("expires_at", type_=DateTime(timezone=True)))
    rows = [
        {
            "aor": aor,
            "contact": f"<sip:{aor}@192.0.2.{place}>",
            "call_id": f"{aor}-{place}@there",
            "cseq": 2**40 + place,
            "expires_at": NOON + timedelta(seconds=place),
            "path": '["<sip:edge;lr>"]',
            "received": "tcp:192.0.2.1:5060",
            "user_agent": "Zoë's",
            "q": 1.0 - place / 10,
        }
        for aor in ("ann", "bob")
        for place in (1, 2)
    ]
    await first.write(lambda connection: connection.execute(insert, rows))
    await first.close()
    for _ in range(2):  # the second time there is nothing to upgrade
        store = await Store.open(url)
        assert [msgspec.structs.asdict(row) for row in await store.registrations()] == [
            row | {"instance": "", "reg_id": 0, "listener": 0, "path": ("<sip:edge;lr>",)} for row in rows
        ]
        # The same contact by another flow has room beside it.
        store.put(
            msgspec.structs.replace((await store.registrations())[0], instance="<urn:uuid:1>", reg_id=1)
        )
        assert len(await store.registrations("ann")) == 3
        store.forget(
            msgspec.structs.replace((await store.registrations())[0], instance="<urn:uuid:1>", reg_id=1)
        )
        await store.close()


async def test_a_database_of_a_later_version_is_refused(url: str) -> None:
    database = await Database.open(url)
    later = text("UPDATE alembic_version SET version_num = '9999'")
    await database.write(lambda connection: connection.execute(later))
    await database.close()
    with pytest.raises(ConfigError, match="another version"):
        await Store.open(url)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mysql://u:secret@h/d", "not supported"),
        ("nonsense", "not a URL"),
        ("sqlite://", "needs a file"),
        ("sqlite:////proc/nowhere/b2bua.db", "cannot open"),
        ("postgresql://u:secret@127.0.0.1:1/d", "cannot open"),
        ("postgresql://u:secret@127.0.0.1:1/d?nonsense=1", "nonsense"),
    ],
)
async def test_a_url_that_cannot_be_opened_is_a_config_error(url: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        await Store.open(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("mode", "good"), [("disable", True), ("wrong", False)])
async def test_sslmode_is_understood(cluster: Cluster, mode: str, good: bool) -> None:
    url = f"{cluster.new_database()}&sslmode={mode}"
    if good:
        await (await Store.open(url)).close()
    else:
        with pytest.raises(ConfigError, match="cannot open"):
            await Store.open(url)


async def test_a_file_that_is_no_database_is_a_config_error(tmp_path: Path) -> None:
    path = tmp_path / "b2bua.db"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(ConfigError, match="cannot open"):
        await Store.open(f"sqlite:///{path}")


async def test_a_sqlite_file_is_for_nobody_else_to_read(tmp_path: Path) -> None:
    store = await Store.open(f"sqlite:///{tmp_path}/b2bua.db")
    await store.keep(a_call(1))
    modes = {path.name: path.stat().st_mode & 0o077 for path in tmp_path.iterdir()}  # noqa: ASYNC240
    assert modes == {"b2bua.db": 0, "b2bua.db-wal": 0, "b2bua.db-shm": 0}
    await store.close()
