"""An update and its undo are the identity, on every column and for every value."""

import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    BigInteger,
    DateTime,
    Engine,
    Enum,
    LargeBinary,
    Numeric,
    Text,
    delete,
)
from sqlalchemy.dialects.postgresql import (
    ARRAY,
    INET,
    INT4RANGE,
    JSON,
    JSONB,
    TSTZRANGE,
    Range,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from backoffice.bulk.batches import Step, enqueue, step
from backoffice.bulk.models import Run
from backoffice.bulk.preflight import look
from backoffice.bulk.run import Order
from backoffice.bulk.trial import Limits
from backoffice.bulk.undo import undo_of
from backoffice.database.session import make_sessions
from backoffice.errors import Refused
from tests.bulk.rooms import Shade, all_of, run, session_on, setting, whole


class RichBase(DeclarativeBase):
    """A table of these tests alone."""


class Rich(RichBase):
    """One column of each kind that PostgreSQL has and people use."""

    __tablename__ = "rich"

    id: Mapped[int] = mapped_column(primary_key=True)
    whole: Mapped[int | None] = mapped_column(BigInteger)
    exact: Mapped[Decimal | None] = mapped_column(Numeric(20, 6))
    ratio: Mapped[float | None]
    name: Mapped[str | None] = mapped_column(Text)
    is_on: Mapped[bool | None]
    day: Mapped[date | None]
    moment: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    local: Mapped[datetime | None] = mapped_column(DateTime())
    span: Mapped[timedelta | None]
    shade: Mapped[Shade | None] = mapped_column(Enum(Shade, name="rich_shade"))
    mark: Mapped[uuid.UUID | None]
    blob: Mapped[bytes | None] = mapped_column(LargeBinary)
    document: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    loose: Mapped[Any | None] = mapped_column(JSON(none_as_null=True))
    numbers: Mapped[list[int | None] | None] = mapped_column(ARRAY(BigInteger))
    names: Mapped[list[str | None] | None] = mapped_column(ARRAY(Text))
    seats: Mapped[Range[int] | None] = mapped_column(INT4RANGE)
    times: Mapped[Range[datetime] | None] = mapped_column(TSTZRANGE)
    address: Mapped[str | None] = mapped_column(INET)


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
BIG = st.integers(-(2**63), 2**63 - 1)
FIRST, LAST = datetime(1, 1, 3, tzinfo=UTC), datetime(9999, 12, 29, tzinfo=UTC)
LOCAL = st.datetimes(FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None))
MOMENTS = LOCAL.map(lambda value: value.replace(tzinfo=UTC))
SMALL = st.integers(-(2**31), 2**31 - 2)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | SMALL | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3)
    ),
    max_leaves=6,
).filter(lambda value: value is not None)


def ranges(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Ranges with and without bounds, and the empty one."""
    bounded = st.tuples(values, values).map(lambda pair: Range(*sorted(pair)))
    return st.one_of(
        bounded.filter(lambda one: one.lower != one.upper),
        values.map(lambda low: Range(low, None)),
        st.just(Range(empty=True)),
    )


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "whole": BIG,
    "exact": st.decimals(-(10**13), 10**13, places=6),
    "ratio": st.floats(allow_nan=False, width=64),
    "name": TEXTS,
    "is_on": st.booleans(),
    "day": st.dates(),
    "moment": MOMENTS,
    "local": LOCAL,
    "span": st.timedeltas(timedelta(days=-9_999), timedelta(days=9_999)),
    "shade": st.sampled_from(Shade),
    "mark": st.uuids(),
    "blob": st.binary(max_size=2_000),
    "document": DOCUMENTS,
    "loose": DOCUMENTS,
    "numbers": st.lists(st.none() | BIG, max_size=3),
    "names": st.lists(st.none() | TEXTS, max_size=3),
    "seats": ranges(SMALL),
    "times": ranges(MOMENTS),
    "address": st.ip_addresses().map(str),
}
ROWS = st.fixed_dictionaries(
    {name: st.none() | values for name, values in VALUES.items()}
)


@pytest.fixture
def rich(demo_engine: Engine) -> Engine:
    """A database with that table."""
    RichBase.metadata.create_all(demo_engine)
    return demo_engine


@settings(
    max_examples=12,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=st.lists(ROWS, min_size=1, max_size=3), new=ROWS)
def test_an_update_and_its_undo_are_the_identity(
    rich: Engine, rows: list[dict[str, Any]], new: dict[str, Any]
) -> None:
    """All columns at once, of any values, to any values, NULL among them."""
    with session_on(rich) as session:
        session.execute(delete(Rich))
        session.add_all(Rich(id=key, **values) for key, values in enumerate(rows, 1))
        session.commit()
        before = whole(session, Rich)
        made = run(session, all_of(Rich), setting(Rich, **new), token=str(uuid.uuid4()))
        assert made.changed + made.same == len(rows)
        back, since, change = undo_of(
            session, made, all_of(Rich).rows, Rich.__mapper__, ""
        )
        del since
        undone = run(session, back, change, token=str(uuid.uuid4()), undone=made.id)
        assert undone.changed == made.changed
        assert whole(session, Rich) == before


class Dated(RichBase):
    """A record that is known by a day."""

    __tablename__ = "dated"

    day: Mapped[date] = mapped_column(primary_key=True)
    amount: Mapped[int]


class Shaded(RichBase):
    """A record that is known by a choice."""

    __tablename__ = "shaded"

    shade: Mapped[Shade] = mapped_column(
        Enum(Shade, name="rich_shade"), primary_key=True
    )
    amount: Mapped[int]


@pytest.mark.parametrize(
    "records",
    [
        [Dated(day=date(2024, 2, day), amount=1) for day in range(1, 30)],
        [Shaded(shade=shade, amount=1) for shade in Shade],
    ],
    ids=["day", "choice"],
)
def test_keys_of_other_kinds_are_counted_compared_and_taken_back(
    rich: Engine, records: list[Any]
) -> None:
    """The count and the hash are the server's; a row that was written is a drift."""
    model = type(records[0])
    with session_on(rich) as session:
        session.add_all(type(one)(**values_of(one)) for one in records)
        session.commit()
        before = whole(session, model)
        change = setting(model, amount=model.amount + 1)
        found = look(session, all_of(model), change, Limits(rows=1))
        assert found.digest is not None
        assert found.digest.count == len(records)
        order = Order("run", "kind", "add", "Add", "all", {})
        number = enqueue(
            session, all_of(model), change, order, expected=found.digest
        ).id
        session.commit()
        while step(make_sessions(rich), lambda *_: (all_of(model), change), number) is (
            Step.ON
        ):
            pass
        made = session.get_one(Run, number, populate_existing=True)
        assert (made.state, made.changed) == ("done", len(records))
        again = Order("again", "kind", "add", "Add", "all", {})
        with pytest.raises(Refused, match="not those that were shown"):
            enqueue(session, all_of(model), change, again, expected=found.digest)
        session.rollback()
        back, _, undo = undo_of(
            session, made, all_of(model).rows, all_of(model).mapper, ""
        )
        run(session, back, undo, token="back", undone=number)
        assert whole(session, model) == before


def values_of(record: Any) -> dict[str, Any]:
    """What a record was made of."""
    return {column.key: getattr(record, column.key) for column in record.__table__.c}
