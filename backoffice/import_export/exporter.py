"""Rows of a select as a CSV file, byte by byte as they come.

No cell is a formula: a text that a spreadsheet would compute has a `'` before it.
Numbers stay numbers. Null is nothing, an empty text is `""`. Times are ISO, in UTC.
PostgreSQL writes the file itself, by COPY; elsewhere rows are written one by one.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any

import psycopg
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Enum,
    Select,
    Text,
    case,
    cast,
    func,
    literal_column,
    select,
)
from sqlalchemy import types as sql
from sqlalchemy.exc import DBAPIError

from backoffice.database.copy import copy_out
from backoffice.database.values import format_value

# What a spreadsheet takes for the beginning of a formula, or skips before one.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
CHUNK = 64 * 1024
ROWS = 500

# Types whose text can be no formula. Numbers may begin with a minus: they are numbers.
_HARMLESS = (
    sql.Integer,
    sql.Numeric,
    sql.Float,
    sql.Boolean,
    sql.Date,
    sql.DateTime,
    sql.Time,
    sql.Uuid,
    sql.JSON,
    sql.ARRAY,
    sql.LargeBinary,
)


def export_csv(
    engine: Engine,
    rows: Select[Any],
    heads: Sequence[str],
    *,
    timeout: float | None = None,
) -> Iterator[bytes]:
    """The rows of a select under `heads`, in chunks, on a connection of its own.

    The heads come before the first row is looked for. Memory stays bounded however
    many rows there are. `timeout` in seconds is for the whole statement. Closing the
    iterator early stops the statement and gives the connection back.
    """
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            yield from _copied_postgresql(connection, rows, heads, timeout)
        else:
            yield from _written(connection, rows, heads)


def export_json(
    engine: Engine,
    rows: Select[Any],
    names: Sequence[str],
    *,
    timeout: float | None = None,
) -> Iterator[bytes]:
    """The rows of a select as a JSON array of objects, in chunks, as `export_csv`.

    Null is null, numbers are numbers; what JSON has no word for is a text, times ISO.
    """
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execution_options(postgresql_readonly=True)
            limit = "0" if timeout is None else str(int(timeout * 1000))
            connection.execute(
                select(func.set_config("statement_timeout", limit, True))  # noqa: FBT003 - for this transaction
            )
        yield b"["
        between = b""
        found = connection.execution_options(yield_per=ROWS).execute(rows)
        for part in found.partitions():
            lines = (
                json.dumps(
                    dict(zip(names, row, strict=True)),
                    ensure_ascii=False,
                    default=_json_value,
                )
                for row in part
            )
            yield between + b"\n" + ",\n".join(lines).encode("utf-8", "replace")
            between = b","
        yield b"\n]\n"


def _json_value(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    return str(value)


# PostgreSQL


def _copied_postgresql(
    connection: Connection,
    rows: Select[Any],
    heads: Sequence[str],
    timeout: float | None,
) -> Iterator[bytes]:
    connection = connection.execution_options(postgresql_readonly=True)
    settings = {
        # What the text of a time looks like is not left to the server's settings.
        "DateStyle": "ISO, YMD",
        "TimeZone": "UTC",
        "IntervalStyle": "postgres",
        "bytea_output": "hex",
    }
    if timeout is not None:
        settings["statement_timeout"] = str(int(timeout * 1000))
    connection.execute(
        select(*(func.set_config(name, to, True) for name, to in settings.items()))  # noqa: FBT003 - for this transaction
    )
    yield _line(heads)
    # Around the rows, not among their joins: a scan of an ordered subquery keeps its
    # order, and no join has to be told anew where it begins.
    inner = rows.subquery()
    safe = select(*(_cell_postgresql(column) for column in inner.c))
    try:
        yield from copy_out(connection, safe, "FORMAT csv")
    except psycopg.Error as error:
        # A COPY passes SQLAlchemy by; its errors shall look like all others.
        raise DBAPIError.instance(
            "COPY", None, error, psycopg.Error, dialect=connection.dialect
        ) from error


def _cell_postgresql(column: ColumnElement[Any]) -> ColumnElement[Any]:
    kind = column.type
    if isinstance(kind, sql.Boolean):
        return cast(column, Text)
    if _is_harmless(kind):
        return column
    is_text = isinstance(kind, sql.String) and not isinstance(kind, Enum)
    text = column if is_text else cast(column, Text)
    # Numbers compare at a third of the cost of texts, and most texts begin with a
    # letter, behind all of FORMULA.
    first = func.ascii(text, type_=sql.Integer)
    codes: list[ColumnElement[int]] = [
        literal_column(str(ord(character))) for character in FORMULA
    ]
    quoted = literal_column("''''", Text) + text
    is_behind = first > literal_column(str(max(map(ord, FORMULA))))
    return case((is_behind, text), (first.in_(codes), quoted), else_=text)


# Other databases


def _written(
    connection: Connection, rows: Select[Any], heads: Sequence[str]
) -> Iterator[bytes]:
    writers = [_writer(column) for column in rows.selected_columns]
    yield _line(heads)
    found = connection.execution_options(yield_per=ROWS).execute(rows)
    gathered: list[str] = []
    size = 0
    for row in found:
        line = ",".join(
            "" if value is None else write(value)
            for write, value in zip(writers, row, strict=True)
        )
        gathered.append(line)
        size += len(line)
        if size >= CHUNK:
            yield _encoded(gathered)
            gathered.clear()
            size = 0
    if gathered:
        yield _encoded(gathered)


def _encoded(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def _writer(column: ColumnElement[Any]) -> Callable[[Any], str]:
    """How a value is written so that it reads as PostgreSQL would have written it."""
    kind = column.type
    if isinstance(kind, sql.Boolean):
        return lambda value: "true" if value else "false"
    if isinstance(kind, sql.DateTime):
        has_zone = bool(kind.timezone)
        return lambda value: _time_text(value, has_zone=has_zone)
    if isinstance(kind, sql.Float):
        return lambda value: repr(float(value)).removesuffix(".0")
    if isinstance(kind, sql.JSON):
        return lambda value: _quoted(json.dumps(value, ensure_ascii=False, default=str))
    if isinstance(kind, sql.LargeBinary):
        return lambda value: f"\\x{bytes(value).hex()}"
    if _is_harmless(kind):
        return lambda value: _quoted(format_value(column, value))
    return lambda value: _quoted(harmless(format_value(column, value)))


def _time_text(value: datetime | time, *, has_zone: bool) -> str:
    if isinstance(value, datetime) and has_zone:
        # SQLite gives times back without the zone, which was UTC.
        value = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    text = str(value)
    if "." in text:
        text = text.rstrip("0")
    return f"{text}+00" if has_zone else text


def harmless(text: str) -> str:
    """The text with a `'` before what a spreadsheet would compute."""
    return f"'{text}" if text.startswith(FORMULA) else text


# Both


def _is_harmless(kind: sql.TypeEngine[Any]) -> bool:
    return isinstance(kind, _HARMLESS)


def _line(heads: Sequence[str]) -> bytes:
    return _encoded([",".join(_quoted(harmless(head)) for head in heads)])


def _quoted(text: str) -> str:
    r"""The cell as COPY quotes it: an empty text, or one with `,`, `"` or line ends."""
    if text and not any(character in text for character in ',"\r\n'):
        return text
    return '"' + text.replace('"', '""') + '"'
