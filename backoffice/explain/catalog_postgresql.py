"""What does PostgreSQL know of these tables: their size, indexes and statistics?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from psycopg import Connection
from psycopg.rows import dict_row


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """One index; `columns` are names, or expressions as the server writes them.

    Behind each stands its class of operators where that is not the usual one.
    """

    name: str
    columns: tuple[str, ...]
    method: str
    size: int
    condition: str = ""
    is_valid: bool = True


@dataclass(frozen=True, slots=True)
class TableFacts:
    """One table. `rows` is the planner's number, None where it has none.

    `distinct` is the number of different values by column (of what was analyzed).
    """

    schema: str
    name: str
    rows: float | None = None
    size: int = 0
    changed: int = 0
    live: int = 0
    analyzed_at: datetime | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    distinct: Mapping[str, float] = field(default_factory=dict)
    indexes: tuple[IndexFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key to one of the tables, the `target`: whose, and of which columns.

    `has_index` where an index begins with these; `rows` is about how many its own
    table has.
    """

    table: str
    columns: tuple[str, ...]
    target: str
    has_index: bool
    rows: float = 0.0


@dataclass(frozen=True, slots=True)
class Catalog:
    """What is known besides the plans; `references` by the names of the constraints."""

    version: str = ""
    tables: Mapping[str, TableFacts] = field(default_factory=dict)
    has_trigrams: bool = False
    can_have_trigrams: bool = False
    references: Mapping[str, Reference] = field(default_factory=dict)


_TABLES = """
SELECT c.oid, n.nspname AS schema, c.relname AS name,
       CASE WHEN c.reltuples < 0 THEN NULL ELSE c.reltuples END AS rows,
       pg_table_size(c.oid) AS size,
       coalesce(s.n_mod_since_analyze, 0) AS changed,
       coalesce(s.n_live_tup, 0) AS live,
       greatest(s.last_analyze, s.last_autoanalyze) AS analyzed_at
FROM unnest(%s::text[], %s::text[]) AS asked (schema, name)
JOIN pg_namespace n ON n.nspname = asked.schema
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = asked.name
LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid"""

_COLUMNS = """
SELECT a.attrelid AS oid, a.attname AS name, format_type(a.atttypid, NULL) AS type,
       s.n_distinct AS distinct_values
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname
     AND s.attname = a.attname AND NOT s.inherited
WHERE a.attrelid = ANY (%s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped"""

_INDEXES = """
SELECT i.indrelid AS oid, c.relname AS name, m.amname AS method,
       pg_relation_size(c.oid) AS size, i.indisvalid AS is_valid,
       coalesce(pg_get_expr(i.indpred, i.indrelid), '') AS condition,
       ARRAY(SELECT pg_get_indexdef(i.indexrelid, k, false)
                    || CASE WHEN o.opcdefault THEN '' ELSE ' ' || o.opcname END
             FROM generate_series(1, i.indnkeyatts) AS k
             JOIN pg_opclass o ON o.oid = i.indclass[k - 1] ORDER BY k) AS columns
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_am m ON m.oid = c.relam
WHERE i.indrelid = ANY (%s::oid[]) ORDER BY c.relname"""

_REFERENCES = """
SELECT c.conname AS name, t.relname AS table, r.relname AS target,
       greatest(t.reltuples, 0) AS rows,
       ARRAY(SELECT a.attname FROM unnest(c.conkey) WITH ORDINALITY AS k (number, i)
             JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.number
             ORDER BY k.i)::text[] AS columns,
       EXISTS (SELECT FROM pg_index x
               WHERE x.indrelid = c.conrelid AND x.indisvalid AND x.indpred IS NULL
               AND (x.indkey::int2[])[0:cardinality(c.conkey) - 1] @> c.conkey
              ) AS has_index
FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
JOIN pg_class r ON r.oid = c.confrelid
WHERE c.contype = 'f' AND c.confrelid = ANY (%s::oid[])"""

_TRIGRAMS = """
SELECT installed_version IS NOT NULL FROM pg_available_extensions
WHERE name = 'pg_trgm'"""


def read_catalog(connection: Connection, names: Iterable[tuple[str, str]]) -> Catalog:
    """What the server knows of the tables with these schemas and names."""
    wanted = sorted(names)
    schemas, tables = [s for s, _ in wanted], [t for _, t in wanted]
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(_TABLES, [schemas, tables], prepare=True).fetchall()
        oids = [row["oid"] for row in found]
        columns = cursor.execute(_COLUMNS, [oids], prepare=True).fetchall()
        indexes = cursor.execute(_INDEXES, [oids], prepare=True).fetchall()
        keys = cursor.execute(_REFERENCES, [oids], prepare=True).fetchall()
    trigrams = connection.execute(_TRIGRAMS, prepare=True).fetchone()
    facts = {}
    for row in found:
        own = [one for one in columns if one["oid"] == row["oid"]]
        rows = row["rows"]
        facts[row["name"]] = TableFacts(
            schema=row["schema"],
            name=row["name"],
            rows=rows,
            size=row["size"],
            changed=row["changed"],
            live=row["live"],
            analyzed_at=row["analyzed_at"],
            columns={one["name"]: one["type"] for one in own},
            distinct={
                one["name"]: _distinct(one["distinct_values"], rows or 0)
                for one in own
                if one["distinct_values"] is not None
            },
            indexes=tuple(
                IndexFacts(
                    name=one["name"],
                    columns=tuple(one["columns"]),
                    method=one["method"],
                    size=one["size"],
                    condition=one["condition"],
                    is_valid=one["is_valid"],
                )
                for one in indexes
                if one["oid"] == row["oid"]
            ),
        )
    return Catalog(
        version=connection.info.parameter_status("server_version") or "",
        tables=facts,
        has_trigrams=bool(trigrams and trigrams[0]),
        can_have_trigrams=trigrams is not None,
        references={
            one["name"]: Reference(
                table=one["table"],
                columns=tuple(one["columns"]),
                target=one["target"],
                has_index=one["has_index"],
                rows=one["rows"],
            )
            for one in keys
        },
    )


def _distinct(value: float, rows: float) -> float:
    """The number of different values; below zero it is a share of the rows."""
    return -value * rows if value < 0 else value
