"""Which indexes of the project cost writes and, as far as is known, serve nobody?

Only the project's: ours are made and dropped by our own migrations. No expression is
put in words here, for that waits for whoever changes the table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backoffice.database.base import OWN_PREFIX
from backoffice.observability.ops_connection import Question

# So many of each are shown; the largest first.
SHOWN = 20
# Smaller ones cost next to nothing.
LEAST = 1024 * 1024
QUEUE_PREFIX = "procrastinate_"

_COLUMNS = """
(SELECT string_agg(coalesce(a.attname, '(expression)'), ', ' ORDER BY k.place)
   FROM unnest({index}.indkey::int2[]) WITH ORDINALITY AS k (number, place)
   LEFT JOIN pg_attribute AS a
     ON a.attrelid = {index}.indrelid AND a.attnum = k.number AND k.number > 0
  WHERE k.place <= {index}.indnkeyatts)
"""
# The size of what somebody holds exclusively is not waited for.
_SIZE = """
CASE WHEN NOT ARRAY[i.indexrelid, i.indrelid] && h.relations
     THEN pg_relation_size(i.indexrelid) END
"""
_HELD = """
 CROSS JOIN (SELECT coalesce(array_agg(l.relation), '{}'::oid[]) AS relations
               FROM pg_locks AS l
              WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
                AND l.granted AND l.relation IS NOT NULL) AS h
"""
# What nothing but reads needs: no rule stands on it, and no order of the table.
_FREE = r"""
i.indisvalid AND i.indisready
   AND NOT (i.indisunique OR i.indisprimary OR i.indisexclusion OR i.indisreplident
            OR i.indisclustered)
   AND i.indexrelid NOT IN (SELECT p.conindid FROM pg_constraint AS p
                             WHERE p.contype IN ('p', 'u', 'x'))
"""
_NAMED = f"""
  JOIN pg_class AS c ON c.oid = i.indexrelid AND c.relkind = 'i'
                    AND NOT c.relispartition
  JOIN pg_class AS t ON t.oid = i.indrelid AND t.relpersistence <> 't'
                    AND NOT starts_with(t.relname, '{OWN_PREFIX}')
                    AND NOT starts_with(t.relname, '{QUEUE_PREFIX}')
  JOIN pg_namespace AS n ON n.oid = t.relnamespace
                        AND n.nspname NOT IN ('pg_catalog', 'information_schema')
                        AND NOT starts_with(n.nspname, 'pg_toast')
"""

# Deleting a parent looks for its children by the columns of their foreign key: where
# one index alone finds them it stays, though nobody has deleted a parent yet. After a
# crash all counters begin anew, as that of the archiver says, which has its own time.
POSTGRESQL_UNUSED = f"""
SELECT greatest(d.stats_reset, r.stats_reset) AS since, u.schema, u.table_name, u.name,
       {_COLUMNS.format(index="u")} AS columns, u.size
  FROM pg_stat_database AS d
 CROSS JOIN pg_stat_archiver AS r
  LEFT JOIN (
       SELECT i.*
         FROM (SELECT n.nspname AS schema, t.relname AS table_name, c.relname AS name,
                      {_SIZE} AS size,
                      i.indexrelid, i.indrelid, i.indkey, i.indnkeyatts
                 FROM pg_index AS i {_NAMED} {_HELD}
                WHERE {_FREE}
                  AND coalesce(pg_stat_get_numscans(i.indexrelid), 0) = 0
               OFFSET 0) AS i
        WHERE (i.size IS NULL OR i.size >= {LEAST})
          AND NOT EXISTS (
              SELECT FROM pg_constraint AS f
               WHERE f.contype = 'f' AND f.conrelid = i.indrelid
                 AND (i.indkey::int2[])[0:cardinality(f.conkey) - 1] @> f.conkey
                 AND NOT EXISTS (
                     SELECT FROM pg_index AS o
                      WHERE o.indrelid = i.indrelid AND o.indisvalid
                        AND o.indexrelid <> i.indexrelid AND o.indpred IS NULL
                        AND (o.indkey::int2[])[0:cardinality(f.conkey) - 1]
                            @> f.conkey))
        ORDER BY i.size DESC NULLS LAST, i.schema, i.name
        LIMIT {SHOWN + 1}) AS u ON true
 WHERE d.datname = current_database()
 ORDER BY u.size DESC NULLS LAST, u.schema, u.name
"""


def _trees(index: str, name: str) -> str:
    """An index's predicate or expressions, whatever place they were written at."""
    tree = f"coalesce({index}.{name}::text, '')"
    return rf"regexp_replace({tree}, ':location -?\d+', '', 'g')"


def _beginning(name: str) -> str:
    """That both have the same here, for each key column of the shorter one."""
    kind = "oid" if name in ("indclass", "indcollation") else "int2"
    part = "[0:i.indnkeyatts - 1]"
    return f"(i.{name}::{kind}[]){part} = (b.{name}::{kind}[]){part}"


# Only a B-tree is read by the beginning of its columns; of other methods, and of
# expressions, the whole is the same. Of two that are the same the younger one may go.
POSTGRESQL_COVERED = f"""
SELECT f.schema, f.table_name, f.name, {_COLUMNS.format(index="f")} AS columns, f.size,
       e.relname AS by_name, {_COLUMNS.format(index="b")} AS by_columns
  FROM (SELECT n.nspname AS schema, t.relname AS table_name, c.relname AS name,
               {_SIZE} AS size, i.indexrelid, i.indrelid, i.indkey, i.indnkeyatts,
               min(b.indexrelid) AS by
          FROM pg_index AS i {_NAMED} {_HELD}
          JOIN pg_index AS b ON b.indrelid = i.indrelid
                            AND b.indexrelid <> i.indexrelid
                            AND b.indisvalid AND b.indisready
          JOIN pg_class AS e ON e.oid = b.indexrelid AND e.relam = c.relam
         WHERE {_FREE}
           AND i.indnkeyatts <= b.indnkeyatts
           AND {_beginning("indkey")} AND {_beginning("indclass")}
           AND {_beginning("indcollation")} AND {_beginning("indoption")}
           AND i.indkey::int2[] <@ b.indkey::int2[]
           AND {_trees("i", "indpred")} = {_trees("b", "indpred")}
           AND ((i.indexprs IS NULL
                 AND c.relam = (SELECT m.oid FROM pg_am AS m WHERE m.amname = 'btree'))
                OR (i.indnkeyatts = b.indnkeyatts
                    AND {_trees("i", "indexprs")} = {_trees("b", "indexprs")}))
           AND (i.indnatts < b.indnatts OR i.indnkeyatts < b.indnkeyatts
                OR b.indisunique OR i.indexrelid > b.indexrelid)
         GROUP BY n.nspname, t.relname, c.relname, i.indexrelid, i.indrelid, i.indkey,
                  i.indnkeyatts, h.relations
         ORDER BY size DESC NULLS LAST, schema, name
         LIMIT {SHOWN + 1}) AS f
  JOIN pg_index AS b ON b.indexrelid = f.by
  JOIN pg_class AS e ON e.oid = f.by
 ORDER BY f.size DESC NULLS LAST, f.schema, f.name
"""


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """One index; its size is None while somebody holds it or its table."""

    schema: str
    table: str
    name: str
    columns: str
    size: int | None


@dataclass(frozen=True, slots=True)
class UnusedIndexes:
    """Those that no statement has read since counting began; `since` may be unknown."""

    since: datetime | None
    indexes: tuple[IndexFacts, ...]


@dataclass(frozen=True, slots=True)
class CoveredIndex:
    """An index whose columns another one begins with, or is."""

    index: IndexFacts
    by_name: str
    by_columns: str


def unused_question() -> Question[UnusedIndexes]:
    """Indexes of some size that were never scanned; at most one more than is shown."""
    return Question("unused indexes", POSTGRESQL_UNUSED, _unused)


def covered_question() -> Question[tuple[CoveredIndex, ...]]:
    """Indexes whose work another does as well; at most one more than is shown."""
    return Question("covered indexes", POSTGRESQL_COVERED, _covered)


def _unused(rows: Sequence[Mapping[str, Any]]) -> UnusedIndexes:
    found = tuple(_facts(row) for row in rows if row["name"] is not None)
    return UnusedIndexes(rows[0]["since"] if rows else None, found)


def _covered(rows: Sequence[Mapping[str, Any]]) -> tuple[CoveredIndex, ...]:
    return tuple(
        CoveredIndex(_facts(row), row["by_name"], row["by_columns"]) for row in rows
    )


def _facts(row: Mapping[str, Any]) -> IndexFacts:
    return IndexFacts(
        schema=row["schema"],
        table=row["table_name"],
        name=row["name"],
        columns=row["columns"],
        size=row["size"],
    )
