"""Rows of a select as a CSV file, byte by byte as they come.

No cell is a formula (`formulas.py`), and numbers stay numbers. Null is nothing, an
empty text is `""`. Times are ISO, in UTC. PostgreSQL writes the file
itself, by COPY; elsewhere rows are written one by one.
"""

import json
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
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
    func,
    literal_column,
    select,
)
from sqlalchemy import types as sql
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.exc import DBAPIError

from backoffice.database.cancelling import cancel_statement
from backoffice.database.copy import copy_out, driver_connection
from backoffice.database.values import format_value
from backoffice.import_export.formulas import harmless, harmless_postgresql

# Without it Excel reads UTF-8 as the machine's old code page.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
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
    sql.ARRAY,
    sql.LargeBinary,
)


class Export(Iterator[bytes]):
    """A file in chunks, its beginning first, on a connection of its own.

    The beginning is there before the first row is looked for. Memory stays bounded
    however many rows there are. Who stops early closes it.
    """

    def __init__(self, connection: Connection, chunks: Generator[bytes]) -> None:
        self.connection, self._chunks = connection, chunks

    def __next__(self) -> bytes:
        """The next chunk, as soon as the database has sent so much."""
        return next(self._chunks)

    def close(self) -> None:
        """Stop the statement if it still runs, and give the connection back."""
        try:
            self._chunks.close()
        finally:
            self.connection.close()

    def cancel(self) -> None:
        """Stop the statement from another thread than the one that waits for it."""
        cancel_statement(self.connection)


def export_csv(
    engine: Engine,
    rows: Select[Any],
    heads: Sequence[str],
    *,
    timeout: float | None = None,
    byte_order_mark: bool = False,
) -> Export:
    """The rows of a select under `heads`; `timeout` in seconds is for all of it."""

    def chunks(connection: Connection) -> Generator[bytes]:
        with connection:
            yield (BYTE_ORDER_MARK if byte_order_mark else b"") + _line(heads)
            if connection.dialect.name == "postgresql":
                yield from _copied_postgresql(connection, rows, timeout)
            else:
                yield from _written(connection, rows)

    connection = engine.connect()
    return Export(connection, chunks(connection))


def export_json(
    engine: Engine,
    rows: Select[Any],
    names: Sequence[str],
    *,
    timeout: float | None = None,
) -> Export:
    """The rows of a select as a JSON array of objects.

    Null is null, numbers are numbers; what JSON has no word for is a text, times ISO.
    """

    def chunks(connection: Connection) -> Generator[bytes]:
        with connection:
            yield b"["
            if connection.dialect.name == "postgresql":
                _begin_postgresql(connection, timeout)
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

    connection = engine.connect()
    return Export(connection, chunks(connection))


def _json_value(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    return str(value)


# PostgreSQL


def _begin_postgresql(connection: Connection, timeout: float | None) -> None:
    """Begin a transaction that only reads, and in which every value has one text."""
    connection.execution_options(postgresql_readonly=True)
    settings = {
        # What the text of a time looks like is not left to the server's settings.
        "DateStyle": "ISO, YMD",
        "TimeZone": "UTC",
        "IntervalStyle": "postgres",
        "bytea_output": "hex",
        # Before the first row it costs more than it saves until the last.
        "jit": "off",
    }
    if timeout is not None:
        settings["statement_timeout"] = str(int(timeout * 1000))
    connection.execute(
        select(*(func.set_config(name, to, True) for name, to in settings.items()))  # noqa: FBT003 - for this transaction
    )


def _copied_postgresql(
    connection: Connection, rows: Select[Any], timeout: float | None
) -> Iterator[bytes]:
    _begin_postgresql(connection, timeout)
    encoding = driver_connection(connection).info.parameter_status("server_encoding")
    # Around the rows, not among their joins: a scan of an ordered subquery keeps its
    # order, and no join has to be told anew where it begins.
    columns = rows.selected_columns
    if any(column.key != f"c{at}" for at, column in enumerate(columns)):
        named = [column.label(f"c{at}") for at, column in enumerate(columns)]
        rows = rows.with_only_columns(*named)
    inner = rows.subquery("r")
    cells: list[ColumnElement[Any]] = [
        literal_column(
            _cell_postgresql(f"r.c{at}", column.type, is_unicode=encoding == "UTF8")
        )
        for at, column in enumerate(columns)
    ]
    safe = select(*cells).select_from(inner)
    try:
        yield from copy_out(connection, safe, "FORMAT csv, ENCODING 'UTF8'")
    except psycopg.Error as error:
        # A COPY passes SQLAlchemy by; its errors shall look like all others.
        raise DBAPIError.instance(
            "COPY", None, error, psycopg.Error, dialect=connection.dialect
        ) from error


def _cell_postgresql(name: str, given: sql.TypeEngine[Any], *, is_unicode: bool) -> str:
    """The SQL of a cell: to compile it from parts costs more than to run it."""
    kind = _stored(given)
    if isinstance(kind, sql.Boolean):
        return f"CAST({name} AS TEXT)"
    if isinstance(kind, _HARMLESS):
        return name
    is_text = isinstance(kind, sql.String) and not isinstance(kind, Enum)
    text = name if is_text else f"CAST({name} AS TEXT)"
    return harmless_postgresql(text, is_unicode=is_unicode)


# Other databases


def _written(connection: Connection, rows: Select[Any]) -> Iterator[bytes]:
    writers = [_writer(column) for column in rows.selected_columns]
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
    kind = _stored(column.type)
    if isinstance(kind, sql.Boolean):
        return lambda value: "true" if value else "false"
    if isinstance(kind, sql.DateTime):
        has_zone = bool(kind.timezone)
        return lambda value: _time_text(value, has_zone=has_zone)
    if isinstance(kind, sql.Float):
        return lambda value: repr(float(value)).removesuffix(".0")
    if isinstance(kind, sql.JSON):
        return lambda value: _quoted(
            harmless(json.dumps(value, ensure_ascii=False, default=str))
        )
    if isinstance(kind, sql.LargeBinary):
        return lambda value: f"\\x{bytes(value).hex()}"
    if isinstance(kind, _HARMLESS):
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


# Both


def _stored(kind: sql.TypeEngine[Any]) -> sql.TypeEngine[Any]:
    """The type as the database knows it, under a project's own."""
    if isinstance(kind, sql.TypeDecorator):
        return _stored(kind.impl_instance)
    return _stored(kind.data_type) if isinstance(kind, pg.DOMAIN) else kind


def _line(heads: Sequence[str]) -> bytes:
    return _encoded([",".join(_quoted(harmless(head)) for head in heads)])


def _quoted(text: str) -> str:
    r"""The cell as COPY quotes it: an empty text, or one with `,`, `"` or line ends."""
    if text and not any(character in text for character in ',"\r\n'):
        return text
    return '"' + text.replace('"', '""') + '"'
