"""What COPY reads back is the value that was written."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Column, Connection, Engine, MetaData, Table, select
from sqlalchemy import types as sa
from sqlalchemy.dialects import postgresql as pg

from backoffice.database.copy import copy_text
from backoffice.seeding.copytext import REMEMBERED, Remembered, TextFormat


def round_trip(connection: Connection, kind: Any, values: list[Any]) -> list[Any]:
    """The values as they come back from a column of this kind."""
    table = Table(
        "kept",
        MetaData(),
        Column("id", sa.Integer, primary_key=True),
        Column("v", kind),
    )
    table.create(connection)
    text = TextFormat().encode(list(enumerate(values)))
    copy_text(connection, table, ["id", "v"], [text])
    return list(connection.scalars(select(table.c.v).order_by(table.c.id)))


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        pytest.param(sa.Integer, [1, -5, 0], id="integers"),
        pytest.param(sa.Integer, [None, None], id="nothing at all"),
        pytest.param(sa.Integer, [1, None, 1], id="integers and nothing"),
        pytest.param(sa.Text, ["a", "", "é 日本"], id="texts"),
        pytest.param(
            sa.Text, ["\\N", "a\tb", "c\nd\r", "\\."], id="special characters"
        ),
        pytest.param(sa.Text, ["\\N", None, "\t"], id="texts and nothing"),
        pytest.param(sa.Float, [0.1, -1e300], id="floats"),
        pytest.param(sa.Numeric, [Decimal("1.10"), None], id="decimals"),
        pytest.param(sa.Boolean, [True, False, None], id="truth"),
        pytest.param(sa.Date, [date(2026, 2, 28), None], id="days"),
        pytest.param(sa.Time, [time(23, 59, 59, 999999)], id="times of day"),
        pytest.param(
            sa.DateTime(timezone=True),
            [datetime(2026, 2, 28, 1, 2, 3, 4, tzinfo=UTC), None],
            id="times",
        ),
        pytest.param(sa.Uuid, [UUID(int=5)], id="uuids"),
        pytest.param(sa.LargeBinary, [b"\x00\\\xff", b""], id="bytes"),
        pytest.param(
            pg.JSONB, [{"a": 'q"\\\n', "b": [1, None]}, [1, 2]], id="structures"
        ),
    ],
)
def test_values_come_back_as_they_were(
    engine: Engine, kind: Any, values: list[Any]
) -> None:
    """Each kind of value survives the text format."""
    with engine.connect() as connection:
        assert round_trip(connection, kind, values) == values


def test_unknown_kind_is_named() -> None:
    """What cannot be written is refused with its kind, not written as its repr."""
    with pytest.raises(TypeError, match="COPY cannot write a set"):
        TextFormat().encode([(1, {2})])


def test_one_and_true_stay_apart() -> None:
    """A block of truths after a block of numbers is not read from its memory."""
    text = TextFormat()
    assert text.encode([(1,), (None,)]) == b"1\n\\N\n"
    assert text.encode([(True,), (None,)]) == b"t\n\\N\n"


def test_memory_is_bounded() -> None:
    """Values that never come again do not pile up."""
    texts = Remembered(str)
    for number in range(REMEMBERED + 10):
        assert texts[number] == str(number)
    assert len(texts) <= REMEMBERED
    assert texts[None] == "\\N"
