"""Registrations in the controller: the store holds the current ones and no others."""

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2bua.node.registrations import Registrations
from b2bua.sip.edge_control import Binding, BindingsChanged
from b2bua.store.records import RegistrationRow

pytestmark = pytest.mark.unit

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOW = 1000.0


class Rows:
    """A store of rows by their key, as the database has them."""

    def __init__(self, rows: Iterable[RegistrationRow] = ()) -> None:
        self.rows = {_key(row): row for row in rows}

    def put(self, record: RegistrationRow) -> None:
        self.rows[_key(record)] = record

    def forget(self, record: RegistrationRow) -> None:
        del self.rows[_key(record)]


def _key(row: RegistrationRow) -> tuple[str, str, str, int]:
    return row.aor, row.contact, row.instance, row.reg_id


def registrations(store: Rows) -> Registrations:
    made = Registrations("sip.example.com", clock=lambda: NOW, wall_clock=lambda: NOON)
    made.store = store
    return made


def binding(number: int, *, reg_id: int = 0, user: str = "alice", expires_at: float = NOW + 600) -> Binding:
    return Binding(
        user=user,
        contact=f"sip:{user}@192.0.2.{number}:5060",
        call_id="c",
        cseq=number,
        expires_at=expires_at,
        source=f"tcp:192.0.2.{number}:41000",
        listener=3,
        path=("<sip:proxy.example.com;lr>",),
        instance="<urn:uuid:1>" if reg_id else "",
        reg_id=reg_id,
        user_agent="Phone/1",
        q=0.5,
    )


BINDINGS = st.lists(
    st.builds(binding, st.integers(1, 4), reg_id=st.integers(0, 2)),
    max_size=4,
    unique_by=lambda each: each.id,
)


@given(st.lists(BINDINGS, max_size=8))
def test_the_store_has_what_is_registered_now_and_gives_all_of_it_back(history: list[list[Binding]]) -> None:
    store = Rows()
    before = registrations(store)
    for bindings in history:
        before.changed(BindingsChanged(user="alice", bindings=tuple(bindings)))
        assert len(store.rows) == len(bindings)
    after = registrations(store)
    told = after.restore(store.rows.values(), {"alice"})
    kept = [each for message in told for each in message.bindings]
    wanted = history[-1] if history else []
    assert sorted(kept, key=lambda each: each.id) == sorted(wanted, key=lambda each: each.id)
    assert sorted(after.contacts("alice")) == sorted(before.contacts("alice"))


def test_what_ended_while_the_node_was_down_and_users_that_are_none_are_deleted() -> None:
    store = Rows()
    before = registrations(store)
    before.changed(BindingsChanged(user="alice", bindings=(binding(1), binding(2, expires_at=NOW - 1))))
    before.changed(BindingsChanged(user="bob", bindings=(binding(3, user="bob"),)))
    again = registrations(store)
    (told,) = again.restore(list(store.rows.values()), {"alice"})
    assert told == BindingsChanged(user="alice", bindings=(binding(1),))
    assert [row.contact for row in store.rows.values()] == [binding(1).contact]
    assert again.contacts("bob") == ()


def test_two_flows_with_one_contact_are_two_bindings() -> None:
    one, other = binding(1, reg_id=1), binding(1, reg_id=2)
    assert one.contact == other.contact and one.id != other.id
    assert msgspec.structs.replace(one, cseq=9, expires_at=0.0).id == one.id
