"""How did the tables grow? Their sizes by the hour, written and compared.

SQLite tells the size of its file alone: there it is the whole database that grows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, func, select, text

from backoffice.observability.models import TableSize
from backoffice.observability.statement_texts import aware, table_of

# What the size of the whole database is called among those of its tables.
WHOLE = ""
COMPARED = timedelta(days=7)

# The size of a table that somebody holds exclusively is not waited for.
POSTGRESQL_SIZES = """
INSERT INTO backoffice_table_sizes (at, name, row_count, data_size, index_size)
SELECT :at, n.nspname || '.' || c.relname,
       CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint END,
       pg_table_size(c.oid), pg_indexes_size(c.oid)
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'm') AND c.relpersistence <> 't'
   AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
   AND length(n.nspname || '.' || c.relname) <= 130
   AND NOT EXISTS (
       SELECT FROM pg_locks AS k
        WHERE k.relation = c.oid AND k.locktype = 'relation' AND k.granted
          AND k.mode = 'AccessExclusiveLock')
 UNION ALL
SELECT :at, '', NULL, pg_database_size(current_database()), 0
    ON CONFLICT DO NOTHING
"""
SQLITE_SIZES = """
INSERT INTO backoffice_table_sizes (at, name, row_count, data_size, index_size)
SELECT :at, '', NULL, (c.page_count - f.freelist_count) * s.page_size, 0
  FROM pragma_page_count AS c, pragma_freelist_count AS f, pragma_page_size AS s
 WHERE true
    ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Size:
    """What a table occupied: bytes, its indexes included, and the planner's rows."""

    whole: int
    rows: int | None


@dataclass(frozen=True, slots=True)
class Sizes:
    """All of them at one moment, by schema and name; `WHOLE` is the database."""

    at: datetime
    tables: Mapping[str, Size]


def write_sizes(engine: Engine, *, now: float) -> int:
    """Write the sizes of this hour, if nobody has; the number of rows written."""
    hour = datetime.fromtimestamp(now // 3600 * 3600, UTC)
    # To the minute: of two processes that come at once the second finds it written.
    moment = datetime.fromtimestamp(now // 60 * 60, UTC)
    table = table_of(TableSize)
    sql = POSTGRESQL_SIZES if engine.dialect.name == "postgresql" else SQLITE_SIZES
    with engine.begin() as connection:
        known = select(table.c.at).where(table.c.at >= hour).limit(1)
        if connection.scalar(known) is not None:
            return 0
        # As the column's own type binds it: SQLite keeps times as text.
        at = bindparam("at", moment, table.c.at.type)
        return connection.execute(text(sql).bindparams(at)).rowcount


def read_before(connection: Connection, *, now: float) -> Sizes | None:
    """The sizes a week ago, or the oldest since; None before the first."""
    table = table_of(TableSize)
    since = datetime.fromtimestamp(now, UTC) - COMPARED
    oldest = select(func.min(table.c.at)).where(table.c.at >= since)
    rows = connection.execute(
        select(table).where(table.c.at == oldest.scalar_subquery())
    ).all()
    if not rows:
        return None
    return Sizes(aware(rows[0].at), {row.name: _size(row) for row in rows})


def read_sizes(
    connection: Connection, *, since: datetime
) -> dict[str, list[tuple[datetime, Size]]]:
    """The history of each table, oldest first."""
    table = table_of(TableSize)
    found: dict[str, list[tuple[datetime, Size]]] = {}
    statement = (
        select(table).where(table.c.at >= since).order_by(table.c.at, table.c.name)
    )
    for row in connection.execute(statement):
        found.setdefault(row.name, []).append((aware(row.at), _size(row)))
    return found


def _size(row: Any) -> Size:
    return Size(row.data_size + row.index_size, row.row_count)
