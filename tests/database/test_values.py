"""Values of every type come back from their text as they were."""

import enum
import ipaddress
import math
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import JSON, Column, Connection, Engine, MetaData, Table, create_engine
from sqlalchemy import types as sql
from sqlalchemy.dialects import postgresql as pg

from backoffice.database.values import (
    format_value,
    has_text_form,
    parse_value,
    value_to_assign,
)


class Colour(enum.Enum):
    """Stored by its members' names."""

    RED = "r"
    DARK_BLUE = "dark blue"


class Celsius(sql.TypeDecorator[float]):
    """Stored in tenths of a degree."""

    impl = sql.Integer
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:  # noqa: ARG002
        """Degrees to tenths."""
        return None if value is None else round(value * 10)

    def process_result_value(self, value: Any, dialect: Any) -> Any:  # noqa: ARG002
        """Tenths to degrees."""
        return None if value is None else value / 10


# Line ends are the browser's: it sends \r\n whatever was there.
texts = st.text(
    st.characters(exclude_characters="\r\x00", exclude_categories=["Cs"]), max_size=30
)
filled = texts.filter(bool)
decimals = st.decimals(
    min_value=Decimal("-99999999.99"), max_value=Decimal("99999999.99"), places=2
)
zones = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
instants = st.datetimes(
    datetime(2, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(9998, 12, 31),  # noqa: DTZ001
    timezones=zones,
    allow_imaginary=False,
)
documents = st.recursive(
    st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False).filter(
        lambda f: f != 0 or f == 0
    )
    | texts
    | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
    ),
    max_leaves=8,
).filter(lambda value: value is not None)
naive_datetimes = st.datetimes()

KINDS: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "text": (sql.Text(), filled),
    "string": (sql.String(30), filled),
    "integer": (sql.Integer(), st.integers(-(2**31), 2**31 - 1)),
    "smallint": (sql.SmallInteger(), st.integers(-(2**15), 2**15 - 1)),
    "bigint": (sql.BigInteger(), st.integers(-(2**63), 2**63 - 1)),
    "numeric": (sql.Numeric(10, 2), decimals),
    "free_numeric": (
        sql.Numeric(),
        st.decimals(allow_nan=False, allow_infinity=False).filter(
            lambda d: abs(d.as_tuple().exponent) < 200  # type: ignore[arg-type]
        ),
    ),
    "double": (sql.Double(), st.floats(allow_nan=False, allow_infinity=False)),
    "real": (sql.REAL(), st.integers(-(2**20), 2**20).map(lambda n: n / 8)),
    "boolean": (sql.Boolean(), st.booleans()),
    "date": (sql.Date(), st.dates()),
    "time": (sql.Time(), st.times()),
    "timestamp": (sql.DateTime(), naive_datetimes),
    "timestamptz": (sql.DateTime(timezone=True), instants),
    "interval": (
        sql.Interval(),
        st.timedeltas(timedelta(days=-(10**6)), timedelta(days=10**6)),
    ),
    "uuid": (sql.Uuid(), st.uuids()),
    "json": (sql.JSON(), documents | st.just(JSON.NULL)),
    "jsonb": (pg.JSONB(), documents | st.just(JSON.NULL)),
    "integers": (sql.ARRAY(sql.Integer), st.lists(st.integers(-9, 9) | st.none())),
    "words": (sql.ARRAY(sql.Text), st.lists(texts | st.none(), max_size=4)),
    "amounts": (sql.ARRAY(sql.Numeric(10, 2)), st.lists(decimals, max_size=4)),
    "matrix": (
        sql.ARRAY(sql.Integer, dimensions=2),
        st.lists(st.lists(st.integers(0, 9), min_size=2, max_size=2), min_size=1),
    ),
    "days": (sql.ARRAY(sql.Date), st.lists(st.dates(), max_size=3)),
    "colour": (sql.Enum(Colour), st.sampled_from(Colour)),
    "colours": (sql.ARRAY(sql.Enum(Colour)), st.lists(st.sampled_from(Colour))),
    "word": (sql.Enum("a", "b c", name="words_enum"), st.sampled_from(["a", "b c"])),
    "bytes": (sql.LargeBinary(), st.binary(min_size=1, max_size=20)),
    "inet": (pg.INET(), st.ip_addresses()),
    "cidr": (
        pg.CIDR(),
        st.integers(0, 255).map(lambda n: ipaddress.ip_network(f"10.{n}.0.0/16")),
    ),
    "macaddr": (pg.MACADDR(), st.just("08:00:2b:01:02:03")),
    "int4range": (
        pg.INT4RANGE(),
        st.tuples(st.integers(-99, 0), st.integers(1, 99)).map(lambda r: pg.Range(*r)),
    ),
    "tstzrange": (
        pg.TSTZRANGE(),
        st.tuples(instants, st.none()).map(
            lambda r: pg.Range(r[0].astimezone(UTC), r[1])
        ),
    ),
    "decorated": (Celsius(), st.integers(-400, 400).map(lambda n: n / 10)),
}


@pytest.fixture(scope="module")
def kinds(server: Engine) -> Iterator[tuple[Connection, Table]]:
    """A table with one column of each type, in a schema that is dropped."""
    engine = create_engine(server.url)
    table = Table(
        "kinds",
        MetaData(),
        *(Column(name, kind) for name, (kind, _) in KINDS.items()),
        prefixes=["TEMPORARY"],
    )
    with engine.connect() as connection:
        connection.exec_driver_sql("SET TimeZone = 'Asia/Kathmandu'")
        connection.exec_driver_sql(
            "CREATE TEMPORARY TABLE first(i int)"
        )  # opens pg_temp
        connection.exec_driver_sql("SET search_path = pg_temp")
        table.metadata.create_all(connection)
        yield connection, table
        connection.rollback()
    engine.dispose()


@pytest.mark.parametrize("name", KINDS)
def test_value_survives_its_text(kinds: tuple[Connection, Table], name: str) -> None:
    """Whatever PostgreSQL gives back is written and read as the same value."""
    connection, table = kinds
    column = table.c[name]

    @settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(KINDS[name][1])
    def check(given_value: Any) -> None:
        connection.execute(table.delete())
        connection.execute(table.insert().values({name: given_value}))
        row = connection.execute(table.select()).one()
        stored = row._mapping[name]
        if given_value is JSON.NULL:
            stored = JSON.NULL  # the driver gives None for it; the form reads the text

        assert parse_value(column, format_value(column, stored)) == stored
        connection.execute(table.delete())
        connection.execute(
            table.insert().values(
                {name: parse_value(column, format_value(column, stored))}
            )
        )
        again = connection.execute(table.select()).one()._mapping[name]
        assert again == row._mapping[name]

    check()


def column(kind: Any, *, nullable: bool = True) -> Column[Any]:
    """A column of this type."""
    return Column("x", kind, nullable=nullable)


@pytest.mark.parametrize(
    ("kind", "text", "sentence"),
    [
        (sql.Integer(), "abc", "abc is not a whole number."),
        (sql.Integer(), "1.5", "1.5 is not a whole number."),
        (sql.Integer(), "\u0661", "\u0661 is not a whole number."),
        (sql.Integer(), "1_000", "1_000 is not a whole number."),
        (
            sql.Integer(),
            "2147483648",
            "2147483648 is too large; 2,147,483,647 is the most that fits.",
        ),
        (
            sql.SmallInteger(),
            "-32769",
            "-32769 is too small; -32,768 is the least that fits.",
        ),
        (
            sql.BigInteger(),
            "9" * 5000,
            "9" * 39
            + "… is too large; 9,223,372,036,854,775,807 is the most that fits.",
        ),
        (sql.Numeric(10, 2), "1.239", "1.239 has more than 2 decimals."),
        (sql.Numeric(4, 0), "1.5", "1.5 has decimals; only whole numbers fit."),
        (
            sql.Numeric(4, 2),
            "100",
            "100 is too large; 2 digits before the point fit.",
        ),
        (sql.Numeric(10, 2), "NaN", "NaN is not a number."),
        (sql.Numeric(10, 2), "Infinity", "Infinity is not a number."),
        (sql.Numeric(), "1e1000000000", "1e1000000000 is not a number."),
        (
            sql.Numeric(10, 2),
            "1,5",
            "1,5 is not a number; write decimals with a point.",
        ),
        (sql.Float(), "nan", "nan is not a number."),
        (sql.Double(), "1e400", "1e400 is too large a number."),
        (sql.REAL(), "1e39", "1e39 is too large a number."),
        (sql.Boolean(), "perhaps", "perhaps is neither yes nor no."),
        (sql.Date(), "2025-02-30", "2025-02-30 is not a date such as 2025-08-31."),
        (sql.Date(), "20250203", "20250203 is not a date such as 2025-08-31."),
        (sql.Time(), "25:00", "25:00 is not a time such as 14:30 or 14:30:15."),
        (
            sql.DateTime(),
            "2025-01-01T10:00+02:00",
            "2025-01-01T10:00+02:00 has an offset; this time has no zone.",
        ),
        (
            sql.DateTime(timezone=True),
            "0001-01-01T00:00+14:00",
            "0001-01-01T00:00+14:00 is out of range.",
        ),
        (
            sql.Interval(),
            "soon",
            "soon is not a length of time such as 3 days 04:30:00.",
        ),
        (sql.Uuid(), "1234", "1234 is not a UUID."),
        (
            sql.Enum("a", "b", name="x"),
            "c",
            "c is not one of: a, b.",
        ),
        (
            sql.String(3),
            "abcd",
            "The text has 4 characters; 3 is the most that fits.",
        ),
        (
            sql.Text(),
            "a\x00b",
            "The text has a NUL character, which cannot be stored.",
        ),
        (
            sql.Text(),
            "a\ud800",
            "The text has half a character, which cannot be stored.",
        ),
        (sql.JSON(), "NaN", "NaN is not a number that JSON knows."),
        (sql.JSON(), '{"a": -Infinity}', "-Infinity is not a number that JSON knows."),
        (sql.JSON(), "1e400", "1e400 has more digits than can be kept exactly."),
        (
            sql.JSON(),
            "0.12345678901234567890123",
            "0.12345678901234567890123 has more digits than can be kept exactly.",
        ),
        (
            sql.JSON(),
            '{"a": 1, "a": 2}',
            'The name "a" stands twice in one object.',
        ),
        (
            sql.JSON(),
            '["\\u0000"]',
            "The text has a NUL character, which cannot be stored.",
        ),
        (
            sql.JSON(),
            "[" * 100_000 + "]" * 100_000,
            "The JSON is nested deeper than 200 levels.",
        ),
        (
            sql.JSON(),
            '{"a": 1',
            "This is not JSON: Expecting ',' delimiter, line 1, character 8.",
        ),
        (sql.ARRAY(sql.Integer), "1, 2", None),
        (sql.ARRAY(sql.Integer), "1", "1 is not a list such as [1, 2]."),
        (sql.ARRAY(sql.Integer), "[1.5]", "1.5 is not a whole number."),
        (sql.ARRAY(sql.Text), "[1]", "1 has to stand in quotes in this list."),
        (
            sql.ARRAY(sql.Integer),
            "[[1], [2, 3]]",
            "The inner lists have to be of one length.",
        ),
        (
            sql.LargeBinary(),
            "xyz",
            "xyz is not a row of bytes in hexadecimal, such as 00ff.",
        ),
        (pg.INET(), "300.1.1.1", "300.1.1.1 is not an address such as 192.0.2.1."),
        (pg.INT4RANGE(), "[5,1)", "The range ends before it begins."),
    ],
)
def test_nonsense_is_refused_in_words(
    kind: Any, text: str, sentence: str | None
) -> None:
    """A text that the type cannot hold is refused with what was found."""
    with pytest.raises(ValueError, match=r"\S") as refusal:
        parse_value(column(kind), text)

    assert type(refusal.value) is ValueError
    if sentence is not None:
        assert str(refusal.value) == sentence


def test_empty_text_is_null_where_it_may_be() -> None:
    """Nothing typed in a nullable column is NULL, whatever its type."""
    kinds = (sql.Text(), sql.Integer(), sql.JSON(), sql.Enum(Colour))

    assert [parse_value(column(kind), "") for kind in kinds] == [None] * 4


def test_empty_text_is_a_text_where_null_is_not() -> None:
    """A text that may not be NULL may be empty."""
    assert parse_value(column(sql.Text(), nullable=False), "") == ""


def test_empty_number_is_refused_where_null_is_not() -> None:
    """A number that may not be NULL has to be given."""
    with pytest.raises(ValueError, match=r"^A value is required\.$"):
        parse_value(column(sql.Integer(), nullable=False), " ")


def test_spaces_of_a_text_are_kept() -> None:
    """Leading and trailing spaces belong to the text."""
    assert parse_value(column(sql.Text()), "  a ") == "  a "


def test_line_ends_are_one_character() -> None:
    """What a browser sends as CR LF is stored as LF."""
    assert parse_value(column(sql.Text()), "a\r\nb") == "a\nb"


def test_json_null_is_not_sql_null() -> None:
    """`null` is a document, nothing is NULL."""
    json = column(sql.JSON())

    assert parse_value(json, "null") is JSON.NULL
    assert format_value(json, JSON.NULL) == "null"
    assert parse_value(json, "") is None
    assert str(value_to_assign(json, None)) == "NULL"


def test_json_keeps_its_order_and_letters() -> None:
    """Keys stay where they stood, and no letter is escaped."""
    assert format_value(column(sql.JSON()), {"z": "ä", "a": 1}) == '{"z": "ä", "a": 1}'


def test_long_json_is_laid_out() -> None:
    """A document too long for a line is indented."""
    document = {f"name {n}": n for n in range(20)}

    text = format_value(column(sql.JSON()), document)

    assert text.startswith('{\n  "name 0": 0,')


def test_time_without_offset_is_utc() -> None:
    """A browser's local time is taken as UTC where the column has a zone."""
    value = parse_value(column(sql.DateTime(timezone=True)), "2025-08-31T14:30")

    assert value == datetime(2025, 8, 31, 14, 30, tzinfo=UTC)


def test_offset_is_kept_as_an_instant() -> None:
    """14:30 at +02:00 is 12:30 in UTC."""
    value = parse_value(column(sql.DateTime(timezone=True)), "2025-08-31 14:30+02:00")

    assert value.isoformat() == "2025-08-31T12:30:00+00:00"


def test_enum_is_read_by_name_and_by_value() -> None:
    """Both the word that is stored and the member's value are understood."""
    colours = column(sql.Enum(Colour))
    by_value = column(
        sql.Enum(Colour, values_callable=lambda kind: [c.value for c in kind])
    )

    assert parse_value(colours, "DARK_BLUE") is Colour.DARK_BLUE
    assert parse_value(colours, "dark blue") is Colour.DARK_BLUE
    assert format_value(colours, Colour.DARK_BLUE) == "DARK_BLUE"
    assert parse_value(by_value, "DARK_BLUE") is Colour.DARK_BLUE
    assert format_value(by_value, Colour.DARK_BLUE) == "dark blue"


def test_nan_that_stands_already_is_shown() -> None:
    """A NaN cannot be typed, but what is there is said."""
    assert format_value(column(sql.Float()), math.nan) == "nan"
    assert format_value(column(sql.Numeric()), Decimal("NaN")) == "NaN"


def test_microseconds_and_days_of_an_interval_stand_in_its_text() -> None:
    """An interval is days and a clock, with one sign for all of it."""
    length = timedelta(days=3, hours=4, microseconds=5)
    interval = column(sql.Interval())

    assert format_value(interval, length) == "3 days 04:00:00.000005"
    assert format_value(interval, -length) == "-3 days 04:00:00.000005"
    assert parse_value(interval, "-3 days 04:00:00.000005") == -length


def test_types_without_a_text_are_read_only() -> None:
    """What cannot be typed says so instead of failing."""
    for kind in (sql.PickleType(), sql.NullType(), pg.TSVECTOR(), pg.INT4MULTIRANGE()):
        assert not has_text_form(column(kind))
        with pytest.raises(ValueError, match="cannot be written as text"):
            parse_value(column(kind), "x")


def test_uuid_as_text_stays_text() -> None:
    """A column that holds UUIDs as strings gets a string."""
    value = str(uuid.uuid4())

    assert parse_value(column(sql.Uuid(as_uuid=False)), value.upper()) == value


def test_plain_values_have_plain_texts() -> None:
    """What stands in a list reads as one would write it."""
    assert format_value(column(sql.Date()), date(2025, 1, 2)) == "2025-01-02"
    assert format_value(column(sql.Time()), time(9, 5)) == "09:05:00"
    assert format_value(column(sql.Numeric(10, 2)), Decimal("1E+3")) == "1000"
    assert format_value(column(sql.Boolean()), value=True) == "true"
