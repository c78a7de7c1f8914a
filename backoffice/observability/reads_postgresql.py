"""How many rows did the server read for this page? Its own counters, looked at twice.

PostgreSQL counts what a session reads by table and index. The counts of a transaction
stand there until it ends, beside those of earlier ones that were not reported yet: so
they are read before the page's work and after it, and what lies between is the page's.
What parallel workers read is not among it: they count for themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any

import psycopg
from sqlalchemy.orm import Session

from backoffice.observability.request_log import RequestLog
from backoffice.observability.statements import comment_of

# Rows of sequential scans; of others the entries that an index gave: a scan of an index
# alone does not read the table's rows.
POSTGRESQL_READS = f"""
{comment_of("ops", "reads", "")}
SELECT c.relname AS name, pg_stat_get_xact_tuples_returned(c.oid) AS scanned,
       greatest(i.entries, i.fetched + pg_stat_get_xact_tuples_fetched(c.oid)) AS found
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN LATERAL (
       SELECT coalesce(sum(pg_stat_get_xact_tuples_returned(x.indexrelid)), 0)::bigint
                AS entries,
              coalesce(sum(pg_stat_get_xact_tuples_fetched(x.indexrelid)), 0)::bigint
                AS fetched
         FROM pg_index AS x WHERE x.indrelid = c.oid) AS i ON true
 WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
   AND (pg_stat_get_xact_tuples_returned(c.oid) > 0 OR i.entries > 0)
"""


@dataclass(frozen=True, slots=True)
class TableReads:
    """Rows that were read of one table: one after the other, and through an index."""

    scanned: int
    found: int

    @property
    def rows(self) -> int:
        """All of them."""
        return self.scanned + self.found


@dataclass(frozen=True, slots=True)
class Reads:
    """What the server has read for a page, and the rows that it gave for that."""

    tables: Mapping[str, TableReads]
    given: int

    @property
    def rows(self) -> int:
        """All rows that were read."""
        return sum(one.rows for one in self.tables.values())

    @property
    def each(self) -> float:
        """Rows read for each that was given; of none, for one."""
        return self.rows / max(1, self.given)


class Look:
    """Both looks at one page's transaction, and what they have cost."""

    def __init__(self, session: Session, log: RequestLog) -> None:
        self._session = session
        self._log = log
        self._given = log.rows
        self.nanoseconds = 0
        self._before = self._counts()

    def end(self) -> Reads | None:
        """What was read since the beginning; None where the server did not say."""
        given = self._log.rows - self._given
        before, after = self._before, self._counts()
        if before is None or after is None:
            return None
        tables = {}
        for name, now in after.items():
            then = before.get(name, TableReads(0, 0))
            one = TableReads(now.scanned - then.scanned, now.found - then.found)
            if one.rows > 0:
                tables[name] = one
        return Reads(tables, given)

    def _counts(self) -> dict[str, TableReads] | None:
        """The session's counters, past everything that observes statements.

        A page that cannot be looked at is a page all the same: what fails here is
        undone up to here.
        """
        driver: Any = self._session.connection().connection.driver_connection
        begun = perf_counter_ns()
        try:
            with driver.transaction(), psycopg.Cursor(driver) as cursor:
                cursor.execute(POSTGRESQL_READS, prepare=True)
                return {
                    name: TableReads(scanned, found)
                    for name, scanned, found in cursor.fetchall()
                }
        except psycopg.Error:
            return None
        finally:
            self.nanoseconds += perf_counter_ns() - begun


def begin_look(session: Session, log: RequestLog | None) -> Look | None:
    """Look before a page's work, in its transaction; None where nobody counts."""
    if log is None or session.get_bind().dialect.name != "postgresql":
        return None
    return Look(session, log)
