from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from b2bua.store.queries import after_sequence, call_filters, newest, older_than, token_of
from b2bua.store.tables import calls
from b2bua.web.api.directory import CallQuery, TimeRange

pytestmark = pytest.mark.unit

SID = "CA" + "0" * 31 + "a"


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(4000, 1, 1), timezones=st.just(UTC)))
def test_a_token_is_the_place_it_was_made_of(at: datetime) -> None:
    clause = older_than(calls, token_of(at, SID)).compile(dialect=sqlite.dialect())
    assert set(clause.params.values()) == {at, SID}


@given(st.text())
def test_any_other_token_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="token"):
        older_than(calls, text)
    if not text.isdecimal():
        with pytest.raises(ValueError, match="token"):
            after_sequence(text)


def test_a_page_asks_for_one_row_more_so_that_the_last_is_known() -> None:
    query = newest(calls, (), size=10, token=None)
    assert query.compile(dialect=sqlite.dialect()).params["param_1"] == 11


def test_only_what_is_asked_is_demanded() -> None:
    assert call_filters(CallQuery()) == []
    at = datetime(2026, 11, 23, tzinfo=UTC)
    query = CallQuery(to="+1", started=TimeRange(since=at, before=at + timedelta(days=1)))
    assert len(call_filters(query)) == 3
