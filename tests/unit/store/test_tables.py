import msgspec
import pytest

from b2bua.store.tables import TABLES, storable

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("kind", TABLES, ids=lambda kind: kind.__name__)
def test_a_table_has_a_column_for_each_field_and_no_other(kind: type[msgspec.Struct]) -> None:
    assert set(TABLES[kind].columns.keys()) == {field.name for field in msgspec.structs.fields(kind)}


@pytest.mark.parametrize("kind", TABLES, ids=lambda kind: kind.__name__)
def test_a_field_that_may_be_none_has_a_column_that_may_be_null(kind: type[msgspec.Struct]) -> None:
    for field in msgspec.structs.fields(kind):
        may_be_none = type(None) in getattr(field.type, "__args__", ())
        assert TABLES[kind].columns[field.name].nullable is may_be_none, field.name


def test_what_is_referred_to_comes_first() -> None:
    order = list(TABLES.values())
    for table in order:
        for key in table.foreign_keys:
            assert order.index(key.column.table) < order.index(table)


@pytest.mark.parametrize(
    ("text", "kept"),
    [("plain", "plain"), ("a\0b", "a\ufffdb"), ("☎\0", "☎\ufffd"), ("x\udc80y", "x?y"), ("中文", "中文")],
)
def test_text_is_kept_but_for_what_no_database_takes(text: str, kept: str) -> None:
    assert storable(text) == kept
